package outbox

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// RenderError says why an event has no envelope: a one-attempt row becomes
// failed with this text, a document stays pending with it until its data is
// mended. The text is safe to store and to log: one line, and at most a short
// part of a value.
type RenderError struct {
	Field   string // "line_items[2].amount", "occurred_at", "facts", …
	Problem string // what was found and what was expected
}

func (e *RenderError) Error() string {
	return "render: " + e.Field + ": " + e.Problem
}

// unexpected is the error for a value of the wrong type.
func unexpected(field string, found token, want string) error {
	problem := excerpt(string(found.compact())) + " is " + found.kind()
	if found == null {
		problem = "missing or null"
	}
	return &RenderError{Field: field, Problem: problem + ", " + want + " was expected"}
}

// excerptLength is how many characters of a value an error may show.
const excerptLength = 40

// excerpt returns the beginning of text in printable characters, with an
// ellipsis where it was cut. It never walks through the rest.
func excerpt(text string) string {
	var out strings.Builder
	shown := 0
	for _, r := range text {
		if shown == excerptLength {
			return out.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		out.WriteRune(r)
		shown++
	}
	return out.String()
}
