package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// event is a channel's event as the contract describes it.
type event struct {
	Channel, Name, When string
	AtLeastOnce         bool
	Fields              []field // of an event whose fields are sent as they are written
	Example             []byte  // the envelope
}

// field is one row of an event's table, of one field.
type field struct{ Name, Kind, Meaning string }

var (
	channelRow = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `([\\w.]+)` \\| ([^|]+) \\| at (least|most) once \\|$")
	fieldRow   = regexp.MustCompile("(?m)^\\| (`\\w+`(?:, `\\w+`)*) \\| `([^|]+)` \\| ([^|]*?) ?\\|$")
)

// readContract reads the table of the channels, and of each event the table of its fields.
func readContract(text string) (events []event, err error) {
	for _, row := range channelRow.FindAllStringSubmatch(text, -1) {
		e := event{Channel: row[1], Name: row[2], When: row[3], AtLeastOnce: row[4] == "least"}
		_, section, found := strings.Cut(text, "\n### "+e.Name+"\n")
		if !found {
			return nil, fmt.Errorf("it has no section %q", e.Name)
		}
		section, _, _ = strings.Cut(section, "\n#")
		for _, row := range fieldRow.FindAllStringSubmatch(section, -1) {
			for _, name := range strings.Split(row[1], ", ") {
				kind, err := kindOf(strings.Trim(name, "`"), row[2])
				if err != nil {
					return nil, err
				}
				e.Fields = append(e.Fields, field{Name: strings.Trim(name, "`"), Kind: kind, Meaning: row[3]})
			}
		}
		if e.Name != "document.exported" && len(e.Fields) == 0 {
			return nil, fmt.Errorf("the section %q has no table of fields", e.Name)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, errors.New("it has no table of channels")
	}
	return events, nil
}

var (
	instant = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)
	date    = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
)

// kindOf is the schema of a field, by its example. A text may be null in its example.
func kindOf(name, example string) (string, error) {
	var value any
	if err := json.Unmarshal([]byte(example), &value); err != nil {
		return "", fmt.Errorf("the example of %s is no JSON: %w", name, err)
	}
	switch v := value.(type) {
	case bool:
		return "Flag", nil
	case float64:
		if strings.HasSuffix(name, "_id") {
			return "Id", nil
		}
		return "Number", nil
	case string:
		switch {
		case instant.MatchString(v):
			return "Instant", nil
		case date.MatchString(v):
			return "Date", nil
		}
		return "Text", nil
	case nil:
		return "Text", nil
	}
	return "", fmt.Errorf("the example of %s is neither a text, a number, true, false nor null", name)
}

// indented is an example as a block of YAML, of which JSON is a part, every byte of its values kept.
func indented(indent int, body []byte) (string, error) {
	var text bytes.Buffer
	err := json.Indent(&text, body, strings.Repeat(" ", indent), "  ")
	return text.String(), err
}
