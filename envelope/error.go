package envelope

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says why an event has no envelope, and where the field's name does not
// say it, what to do. The text is safe to store and to log: one line, and at most
// a short part of a value.
type Error struct {
	Field   string // "line_items[2].amount", "occurred_at", "data", …
	Problem string // what it is and what it should be
}

func (e *Error) Error() string {
	return "render: " + e.Field + ": " + e.Problem
}

// unexpected is the error for a value of the wrong type.
func unexpected(field string, found token, want string) error {
	problem := excerpt(string(found.compact())) + " is " + found.kind()
	if found == null {
		problem = "missing or null"
	}
	return &Error{Field: field, Problem: problem + ", expected " + want}
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
