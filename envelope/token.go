package envelope

import (
	"encoding/json"
	"iter"
	"strings"
)

// token is the text of one JSON value. The methods rely on its being valid.
// Between its parts there may be space: appendTo and compact take it out, the
// first of what is sent, the other of what an error shows.
type token string

const null token = "null"

// kind is the token's type in an error text.
func (t token) kind() string {
	switch t[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// isString and isNumber report the two scalar types that are read.
func (t token) isString() bool { return t[0] == '"' }
func (t token) isNumber() bool { return t[0] == '-' || t[0] >= '0' && t[0] <= '9' }

// text decodes a string token. A lone surrogate becomes U+FFFD: that can make
// two texts equal, but no field's name out of another text.
func (t token) text() string {
	if !strings.Contains(string(t), `\`) {
		return t.written()
	}
	var decoded string
	if err := json.Unmarshal([]byte(t), &decoded); err != nil {
		panic("a token is valid JSON: " + err.Error())
	}
	return decoded
}

// written is what stands between the quotes of a string token.
func (t token) written() string { return string(t[1 : len(t)-1]) }

// appendTo writes the token without space: json.Compact for what is known to be
// valid.
func (t token) appendTo(out []byte) []byte {
	if t[0] != '{' && t[0] != '[' {
		return append(out, t...) // only containers have parts
	}
	from := 0
	for i := 0; i < len(t); {
		switch {
		case t[i] == '"':
			i = stringEnd(string(t), i)
		case isSpace(t[i]):
			out = append(out, t[from:i]...)
			i++
			from = i
		default:
			i++
		}
	}
	return append(out, t[from:]...)
}

func (t token) compact() token { return token(t.appendTo(make([]byte, 0, len(t)))) }

// quoted makes a string token of a text that needs no escape.
func quoted(text string) token { return `"` + token(text) + `"` }

// object holds the members of a JSON object as they follow each other. A nil
// object is null and has no members. We look up some fifty keys at most, so a
// list costs less than a map and stays linear in the size of the data.
type object []member

type member struct {
	key   string // decoded
	value token
}

// get returns the value of a key, compared exactly. Of duplicate keys the last
// counts; a missing field is null.
func (o object) get(key string) token {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].key == key {
			return o[i].value
		}
	}
	return null
}

// set puts a value in the place of every earlier one of that key.
func (o *object) set(key string, value token) {
	*o = append(*o, member{key, value})
}

// objectOf takes an object apart; anything else is an error that names the
// field.
func objectOf(field string, t token) (object, error) {
	if t[0] != '{' {
		return nil, unexpected(field, t, "an object")
	}
	most := min(strings.Count(string(t), ":"), 64) // a whole document seldom outgrows it
	members := make(object, 0, most)
	for i := t.next(1); t[i] != '}'; {
		keyEnd := t.end(i)
		from := t.next(keyEnd)
		end := t.end(from)
		members.set(t[i:keyEnd].text(), t[from:end])
		i = t.next(end)
	}
	return members, nil
}

// object takes apart the object that a member is; of null or a missing one it
// returns nil.
func (o object) object(key string) (object, error) {
	value := o.get(key)
	if value == null {
		return nil, nil
	}
	return objectOf(key, value)
}

// elements returns the values of a token that is an array, one by one. It
// makes no list of them: a million cost nothing to a caller that stops at the first.
func (t token) elements() iter.Seq[token] {
	return func(yield func(token) bool) {
		for i := t.next(1); t[i] != ']'; {
			end := t.end(i)
			if !yield(t[i:end]) {
				return
			}
			i = t.next(end)
		}
	}
}

// next skips what stands between two values of a container.
func (t token) next(i int) int {
	for isSpace(t[i]) || t[i] == ',' || t[i] == ':' {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// end returns the index after the value that starts at i inside a container.
func (t token) end(i int) int {
	switch t[i] {
	case '"':
		return stringEnd(string(t), i)
	case '{', '[':
		return t.containerEnd(i)
	default:
		for !isSpace(t[i]) && t[i] != ',' && t[i] != ']' && t[i] != '}' {
			i++
		}
		return i
	}
}

// stringEnd returns the index after the string that starts at i: it ends at the
// first quote with an even number of backslashes before it.
func stringEnd(t string, i int) int {
	for start := i + 1; ; start = i + 1 {
		i = start + strings.IndexByte(t[start:], '"')
		escapes := 0
		for i-escapes > start && t[i-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}

// containerEnd counts brackets instead of recursing: depth costs no stack.
func (t token) containerEnd(i int) int {
	for depth := 0; ; i++ {
		switch t[i] {
		case '"':
			i = stringEnd(string(t), i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
