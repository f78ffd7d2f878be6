package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// maxNesting is how deep data may be nested. encoding/json, here and at many a
// receiver, reads 10,000 levels, and a document's columns are sent one level
// deeper than they were written.
const maxNesting = 9_999

// readData checks what the application wrote and splits it into its members.
// Every later step copies parts of it and loses only the space between tokens:
// escapes, numbers and "<" stay as they are. So a value reaches the receiver byte
// for byte, and no number passes through a float.
//
// Data that PostgreSQL has validated is not parsed again, which would be half of
// the work of rendering.
func readData(data []byte, validated bool) (object, error) {
	if !utf8.Valid(data) {
		return nil, &Error{"data", "invalid UTF-8, expected a JSON object"}
	}
	if depth := nesting(data); depth > maxNesting {
		return nil, &Error{"data", fmt.Sprintf("%d levels of nesting, expected at most %d", depth, maxNesting)}
	}
	if !validated {
		if err := json.Compact(new(bytes.Buffer), data); err != nil { // unlike json.Valid it says what is wrong
			return nil, &Error{"data", err.Error() + ", expected a JSON object"}
		}
	}
	return objectOf("data", token(bytes.TrimSpace(data)))
}

// nesting counts the levels of brackets in a text that may not be JSON at all.
// Where too few brackets exist to exceed the limit, it returns their number.
func nesting(text []byte) (deepest int) {
	brackets := bytes.Count(text, []byte{'{'}) + bytes.Count(text, []byte{'['})
	if brackets <= maxNesting {
		return brackets
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++ // what it escapes ends no string
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
