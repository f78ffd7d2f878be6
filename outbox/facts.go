package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// maxNesting is how deep facts may be nested. encoding/json, ours and many a
// receiver's, reads 10,000 levels, and a document's columns are sent one level
// deeper than they were written.
const maxNesting = 9_999

// readFacts checks what the application wrote and takes it apart. Every later
// step copies parts of it and loses only the space between tokens: escapes,
// numbers and "<" stay as they are. So a value reaches the receiver byte for
// byte, and no number meets a float.
//
// What PostgreSQL has parsed is valid JSON and is not parsed again, which would
// be half of the work of rendering.
func readFacts(data []byte, parsed bool) (object, error) {
	if !utf8.Valid(data) {
		return nil, &RenderError{"facts", "invalid UTF-8 was found, a JSON object was expected"}
	}
	if depth := nesting(data); depth > maxNesting {
		return nil, &RenderError{"facts", fmt.Sprintf("%d levels of nesting were found, at most %d were expected", depth, maxNesting)}
	}
	if !parsed {
		if err := json.Compact(new(bytes.Buffer), data); err != nil { // unlike json.Valid it says what is wrong
			return nil, &RenderError{"facts", err.Error() + ", a JSON object was expected"}
		}
	}
	return objectOf("facts", token(bytes.TrimSpace(data)))
}

// nesting counts the levels of brackets in a text that may not be JSON at all.
// Of a text with too few brackets to matter it only says how many there are.
func nesting(text []byte) (deepest int) {
	brackets := bytes.Count(text, []byte{'{'}) + bytes.Count(text, []byte{'['})
	if brackets <= maxNesting {
		return brackets
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++ // whatever it escapes, it ends no string
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
