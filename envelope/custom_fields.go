package envelope

import (
	"fmt"
	"slices"
	"strings"
)

const customCount = 20

// customColumns are custom_01 to custom_20, in index order.
var customColumns = func() (columns []string) {
	for i := 1; i <= customCount; i++ {
		columns = append(columns, fmt.Sprintf("custom_%02d", i))
	}
	return columns
}()

// setCustomFields computes the labelled dictionary of the custom columns that
// are set ("" is, null is not), in index order. Labels come from the extraction
// profile, then from the contact; without one the generic key stands (the
// contract, The payload).
func setCustomFields(data *object) error {
	fromProfile, err := data.object(profileLabels)
	if err != nil {
		return err
	}
	fromContact, err := data.object("contact_labels")
	if err != nil {
		return err
	}
	out := append(make([]byte, 0, 256), '{')
	used := make([]string, 0, customCount)
	for _, column := range customColumns {
		value := data.get(column)
		if value == null {
			continue
		}
		key := column
		label := labelOf(column, fromProfile, fromContact)
		if label != null && !slices.Contains(used, label.text()) { // no value may hide another
			key = label.written()
			used = append(used, label.text())
		}
		out = appendMember(out, key, value)
	}
	data.set("custom_fields", token(append(out, '}')))
	return nil
}

// labelOf returns the label of a column in the first source that has one, a
// string token, else null.
func labelOf(column string, sources ...object) token {
	for _, source := range sources {
		if label := source.get(column); isLabel(label) {
			return label
		}
	}
	return null
}

// isLabel reports whether a source's entry counts: a string, not blank, and not
// itself a generic key, which another column may need.
func isLabel(label token) bool {
	if !label.isString() {
		return false
	}
	text := strings.TrimSpace(label.text())
	return text != "" && !readsGeneric(text)
}

// readsGeneric reports whether a text reads custom_NN, in upper or lower case.
func readsGeneric(text string) bool {
	const prefix, digits = "custom_", "0123456789"
	return len(text) == len(prefix)+2 &&
		strings.EqualFold(text[:len(prefix)], prefix) &&
		strings.Trim(text[len(prefix):], digits) == ""
}
