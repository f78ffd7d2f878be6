package envelope_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/envelope"
)

func TestError_NamesItsField(t *testing.T) {
	for _, c := range loadCases(t) {
		_, err := envelope.Render(c.Input)
		if err == nil {
			continue
		}
		var rendering *envelope.Error
		if !errors.As(err, &rendering) {
			t.Errorf("%s: %T is no *Error", c.Name, err)
		} else if !strings.HasPrefix(err.Error(), "render: "+rendering.Field+": ") {
			t.Errorf("%s: %q does not name the field %q", c.Name, err, rendering.Field)
		}
	}
}

func TestError_ShowsLittleOfALargeValue(t *testing.T) {
	for name, data := range map[string]string{
		"a long string":     `{"id":1,"status":"Export","external_refs":"` + strings.Repeat("界", 2_000_000) + `"}`,
		"a long number":     `{"id":1,"status":"Export","line_items":[{"amount":` + strings.Repeat("9", 5_000_000) + `}]}`,
		"a long fraction":   `{"id":1,"status":"Export","line_items":[{"amount":0.` + strings.Repeat("0", 5_000_000) + `}]}`,
		"a large object":    `{"id":1,"status":{"a":"` + strings.Repeat("x", 5_000_000) + `"}}`,
		"a long id":         `{"id":"` + strings.Repeat("x", 5_000_000) + `","status":"Export"}`,
		"a text, no object": `"` + strings.Repeat("x", 5_000_000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := renderDocument(data)
			if err == nil || len(err.Error()) > 300 {
				t.Errorf("error %.400v, expected a short one", err)
			}
		})
	}
}

func TestError_ShowsNoSpaceBetweenTheParts(t *testing.T) {
	const array, object = "[ 1 ,\n2 ]", "{ \"a b\" :\t1 }"
	for _, c := range []struct{ data, want string }{
		{` [ {} ] `, "data: [{}] is an array"},
		{`{"status":` + array + `}`, "status: is [1,2], expected"},
		{document("id", object), `id: {"a b":1} is an object`},
		{document("line_items", object), `line_items: {"a b":1} is an object`},
		{document("line_items", "[ "+array+" ]"), "line_items[0]: [1,2] is an array"},
		{document("line_items", `[ {"amount": `+object+`} ]`), `line_items[0].amount: {"a b":1} is an object`},
		{document("external_refs", array), "external_refs: [1,2] is an array"},
		{document("contact_labels", array), "contact_labels: [1,2] is an array"},
		{document("extraction_profile", array), "extraction_profile: [1,2] is an array"},
		{document("extraction_profile", `{ "labels": `+array+`}`), "extraction_profile.labels: [1,2] is an array"},
	} {
		if _, err := renderDocument(c.data); err == nil || !strings.HasPrefix(err.Error(), "render: "+c.want) {
			t.Errorf("%s: error %v, expected %s", c.data, err, c.want)
		}
	}
}
