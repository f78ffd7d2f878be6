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

// setLineItems narrows each item to the spec's keys and computes their count
// and the exact sum of their amounts.
func setLineItems(facts *object) error {
	items, err := elements("line_items", facts.get("line_items"))
	if err != nil {
		return err
	}
	var total decimalSum
	out := append(make([]byte, 0, 256*(1+len(items))), '[')
	for i, item := range items {
		field := fmt.Sprintf("line_items[%d]", i)
		members, err := objectOf(field, item)
		if err != nil {
			return err
		}
		if err := total.add(field+".amount", members.get("amount")); err != nil {
			return err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = appendObject(out, lineItemFields, members)
	}
	facts.set("line_items", token(append(out, ']')))
	facts.set("line_items_count", token(strconv.Itoa(len(items))))
	facts.set("line_items_total", total.token())
	return nil
}
