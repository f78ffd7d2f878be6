package envelope

import (
	"fmt"
	"strconv"
)

// lineItemFields are the members of a line item in the order in which they are
// sent.
var lineItemFields = []string{
	"line_number", "description", "quantity", "unit_price", "amount",
	"account_code", "tax_rate", "tax_amount",
}

// maxLineItemsSize is the longest list of line items, in bytes as it is sent.
// An item without members is two bytes in the data and 141 in the envelope, so
// 5 MB of data could ask for 200 MB. Real invoices stay far below.
const maxLineItemsSize = 64 << 20

// appendLineItems writes the items, each narrowed to its fields, their
// count and the exact sum of their amounts.
func appendLineItems(out []byte, list token) ([]byte, error) {
	if list == null {
		list = "[]"
	} else if list[0] != '[' {
		return nil, unexpected("line_items", list, "an array")
	}
	var total decimalSum
	count := 0
	out = append(out, `,"line_items":`...)
	start := len(out)
	out = append(out, '[')
	for item := range list.elements() {
		field := "line_items[" + strconv.Itoa(count) + "]"
		members, err := objectOf(field, item)
		if err != nil {
			return nil, err
		}
		if err := total.add(field+".amount", members.get("amount")); err != nil {
			return nil, err
		}
		if count > 0 {
			out = append(out, ',')
		}
		out = appendObject(out, lineItemFields, members)
		count++
		if err := itemsFit(count, len(out)-start); err != nil {
			return nil, err
		}
	}
	out = append(out, ']')
	out = appendMember(out, "line_items_count", token(strconv.Itoa(count)))
	return appendMember(out, "line_items_total", total.token()), nil
}

// itemsFit refuses more items than an envelope may hold.
func itemsFit(count, size int) error {
	if size <= maxLineItemsSize {
		return nil
	}
	return &Error{"line_items", fmt.Sprintf("the first %d items alone take more than %d MiB with all their fields, expected a shorter list", count, maxLineItemsSize>>20)}
}
