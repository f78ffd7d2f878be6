package cli

import (
	"encoding/json"
	"io"
	"time"
)

// json defines --json, with which a command prints one JSON document of the shape that it names.
func (f *flags) json() *bool {
	return f.Bool("json", false, "one JSON document instead, as docs/commands.md describes it")
}

// writeJSON writes a document of one of the shapes.
func writeJSON(w io.Writer, document any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(document)
}

// instant is a time in a document: RFC 3339, in UTC.
func instant(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// orNil is a text or number in a document; null where it is not known.
func orNil[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
