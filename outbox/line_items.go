package outbox

import (
	"fmt"
	"strconv"
)

// lineItemFields are the members of a line item in the order of the spec's
// example.
var lineItemFields = []string{
	"line_number", "description", "quantity", "unit_price", "amount",
	"account_code", "tax_rate", "tax_amount",
}

// maxLineItemsSize is the longest list of line items, in bytes as it is sent.
// An item without members is two bytes in the facts and 141 in the envelope, so
// 5 MB of facts could ask for 200 MB. Real invoices stay far below.
const maxLineItemsSize = 64 << 20

// setLineItems narrows each item to the spec's keys and computes their count
// and the exact sum of their amounts.
func setLineItems(facts *object) error {
	var total decimalSum
	list := facts.get("line_items")
	count, out := 0, append(make([]byte, 0, min(len(list)+256, maxLineItemsSize)), '[')
	err := eachElement("line_items", list, func(item token) error {
		field := fmt.Sprintf("line_items[%d]", count)
		members, err := objectOf(field, item)
		if err != nil {
			return err
		}
		if err := total.add(field+".amount", members.get("amount")); err != nil {
			return err
		}
		if count > 0 {
			out = append(out, ',')
		}
		out = appendObject(out, lineItemFields, members)
		count++
		return itemsFit(count, len(out))
	})
	if err != nil {
		return err
	}
	facts.set("line_items", token(append(out, ']')))
	facts.set("line_items_count", token(strconv.Itoa(count)))
	facts.set("line_items_total", total.token())
	return nil
}

// itemsFit refuses more items than an envelope may hold.
func itemsFit(count, size int) error {
	if size <= maxLineItemsSize {
		return nil
	}
	return &RenderError{"line_items", fmt.Sprintf("the first %d items alone take more than %d MiB with all their fields, a shorter list was expected", count, maxLineItemsSize>>20)}
}
