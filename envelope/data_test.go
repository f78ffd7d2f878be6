package envelope_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestRender_NestingHasALimit(t *testing.T) {
	nested := func(levels int) string { // the braces of the data are a level too
		return `{"id":1,"status":"Export","notes":` +
			strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
	}
	for _, tt := range []struct {
		name string
		data string
		want string // the error
	}{
		{"1,000 levels", nested(1_000), ""},
		{"the limit", nested(9_999), ""},
		{"one more", nested(10_000), "render: data: 10000 levels of nesting, expected at most 9999"},
		{"a million", nested(1_000_000), "render: data: 1000000 levels of nesting, expected at most 9999"},
		{"a million that never close", strings.Repeat("[", 1_000_000), "render: data: 1000000 levels of nesting, expected at most 9999"},
		{"a million that never opened", strings.Repeat("]", 1_000_000), "render: data: invalid character ']' looking for beginning of value, expected a JSON object"},
		{"brackets in a string", `{"id":1,"status":"Export","notes":"\"` + strings.Repeat("[{", 10_000) + `"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := renderDocument(tt.data)
			if text := fmt.Sprint(err); tt.want != "" && text != tt.want || tt.want == "" && err != nil {
				t.Errorf("error %s, expected %q", text, tt.want)
			}
			if tt.want == "" && !json.Valid(got) {
				t.Error("the envelope is no JSON")
			}
		})
	}
}

func TestRender_InvalidUTF8IsAnError(t *testing.T) {
	const want = "render: data: invalid UTF-8, expected a JSON object"
	for name, data := range map[string]string{
		"in a value":       "{\"id\":1,\"status\":\"Export\",\"notes\":\"\xff\"}",
		"in a key":         "{\"\xc3\":1}",
		"a surrogate":      "{\"notes\":\"\xed\xa0\x80\"}",
		"a cut character":  "{\"notes\":\"\xe4\xb8\"}",
		"nothing but that": "\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := renderDocument(data); err == nil || err.Error() != want {
				t.Errorf("error %v, expected %q", err, want)
			}
		})
	}
}
