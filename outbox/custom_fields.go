package outbox

import (
	"fmt"
	"strings"
)

// customColumns are custom_01 to custom_20, in index order.
var customColumns = func() (columns []string) {
	for i := 1; i <= 20; i++ {
		columns = append(columns, fmt.Sprintf("custom_%02d", i))
	}
	return columns
}()

// setCustomFields computes the labelled dictionary of the custom columns that
// are set ("" is, null is not), in index order. Labels come from the extraction
// profile, then from the contact, then fall back to the generic key (the spec's
// "Key fields").
func setCustomFields(facts *object) error {
	sources, err := labelSources(*facts)
	if err != nil {
		return err
	}
	out := append(make([]byte, 0, 256), '{')
	used := make(map[string]bool)
	for _, column := range customColumns {
		value := facts.get(column)
		if value == null {
			continue
		}
		label := labelOf(column, sources)
		if used[label.text()] {
			label = quoted(column) // no value may hide another
		}
		used[label.text()] = true
		out = appendMember(out, label.written(), value)
	}
	facts.set("custom_fields", token(append(out, '}')))
	return nil
}

// labelSources returns the objects that hold labels, the first to ask first.
func labelSources(facts object) ([]object, error) {
	profile, err := objectOrNull("extraction_profile", facts.get("extraction_profile"))
	if err != nil {
		return nil, err
	}
	labels, err := objectOrNull("extraction_profile.labels", profile.get("labels"))
	if err != nil {
		return nil, err
	}
	contactLabels, err := objectOrNull("contact_labels", facts.get("contact_labels"))
	return []object{labels, contactLabels}, err
}

// labelOf returns the label of a column as it was written, a string token.
func labelOf(column string, sources []object) token {
	for _, source := range sources {
		if label := source.get(column); isLabel(label) {
			return label
		}
	}
	return quoted(column)
}

// quoted is the generic key as a label.
func quoted(column string) token { return `"` + token(column) + `"` }

// isLabel reports whether a source's entry counts: a string, not blank, and not
// itself a generic key, which another column may need.
func isLabel(label token) bool {
	if !label.isString() {
		return false
	}
	text := strings.TrimSpace(label.text())
	return text != "" && !readsGeneric(text)
}

// readsGeneric reports whether a text reads custom_NN, in whatever case.
func readsGeneric(text string) bool {
	const prefix, digits = "custom_", "0123456789"
	return len(text) == len(prefix)+2 &&
		strings.EqualFold(text[:len(prefix)], prefix) &&
		strings.Trim(text[len(prefix):], digits) == ""
}
