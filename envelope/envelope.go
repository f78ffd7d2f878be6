// Package envelope renders events: from the data that the application wrote it
// makes the exact bytes that are sent, schema version 2.0. Render is the one way
// in, and Input shows all that it reads.
//
//	envelope.go       Input and Render
//	events.go         the events and their fields: a new event is one entry
//	document.go       document.exported, whose envelope has computed fields:
//	custom_fields.go    custom_fields, the labelled dictionary
//	line_items.go       line_items and line_items_count
//	decimal.go          line_items_total, an exact sum
//	timestamp.go      occurred_at as the envelope's timestamp
//	data.go           what is checked before anything is read
//	token.go          JSON values, which are copied and never decoded
//	write.go          objects and their members, written
//	error.go          what an event without an envelope has instead
package envelope

// Input is all that an envelope depends on: the same Input gives the same bytes,
// on every attempt.
type Input struct {
	Event           string // "document.exported", "contact.created", …
	OccurredAt      string // RFC 3339 or PostgreSQL's ISO text
	Data            []byte // one JSON object, as the application wrote it
	Validated       bool   // Data is valid JSON for certain: a column of type json held it
	DocumentBaseURL string // the beginning of doc_url; only document.exported has one
}

// Render returns the envelope of an event. It holds the event's own fields and no
// others, in the order of events.go, each as it was written.
//
// An error is an *Error.
func Render(in Input) ([]byte, error) {
	write, err := writerOf(in.Event)
	if err != nil {
		return nil, err
	}
	at, err := timestamp(in.OccurredAt)
	if err != nil {
		return nil, err
	}
	data, err := readData(in.Data, in.Validated)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(in.Data)+1024)
	out = append(out, `{"schema_version":"2.0"`...)
	out = appendMember(out, "event", quoted(in.Event))
	out = appendMember(out, "timestamp", quoted(at))
	if out, err = write(out, in, data); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}
