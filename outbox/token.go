package outbox

import (
	"encoding/json"
	"strings"
)

// token is the text of one JSON value, valid and without space between its
// parts: from json.Compact, from withoutSpace, or written by us. The methods rely
// on that.
type token string

const null token = "null"

// kind names the token's type for an error text.
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

// isString and isNumber tell the two scalar types that the worker reads.
func (t token) isString() bool { return t[0] == '"' }
func (t token) isNumber() bool { return t[0] == '-' || t[0] >= '0' && t[0] <= '9' }

// text decodes a string token. A lone surrogate becomes U+FFFD: that can make
// two texts equal, never a key of the spec out of something else.
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

// object holds the members of a JSON object as they follow each other. A nil
// object is null and has no members. We look up some fifty keys at most, so a
// list costs less than a map and stays linear in the size of the facts.
type object []member

type member struct {
	key   string // decoded
	value token
}

// get returns the value of a key, compared exactly. Of duplicate keys the last
// counts; a field that the facts lack is null.
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
	members := make(object, 0, min(len(t)/16, 64)) // a guess that a whole document seldom outgrows
	for i := 1; t[i] != '}'; {
		colon := t.end(i)
		end := t.end(colon + 1)
		members.set(t[i:colon].text(), t[colon+1:end])
		i = t.next(end)
	}
	return members, nil
}

// objectOrNull is objectOf for a field that may be null or missing.
func objectOrNull(field string, t token) (object, error) {
	if t == null {
		return nil, nil
	}
	return objectOf(field, t)
}

// eachElement hands out the values of an array one by one, until one of them is
// an error; null or missing has none. It makes no list of them: a million cost
// nothing to whoever stops at the first.
func eachElement(field string, t token, do func(token) error) error {
	if t == null {
		return nil
	}
	if t[0] != '[' {
		return unexpected(field, t, "an array")
	}
	for i := 1; t[i] != ']'; {
		end := t.end(i)
		if err := do(t[i:end]); err != nil {
			return err
		}
		i = t.next(end)
	}
	return nil
}

// next skips the comma at i, if there is one.
func (t token) next(i int) int {
	if t[i] == ',' {
		return i + 1
	}
	return i
}

// end returns the index after the value that starts at i inside a container.
func (t token) end(i int) int {
	switch t[i] {
	case '"':
		return stringEnd(string(t), i)
	case '{', '[':
		return t.containerEnd(i)
	default:
		return i + strings.IndexAny(string(t[i:]), ",]}")
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
