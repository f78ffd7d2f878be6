package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/recordengine/webhooks/envelope"
	"github.com/recordengine/webhooks/envelope/fixtures"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
)

const published = "../../docs/openapi.yaml"

// asJSON is YAML as the JSON that schemas are compiled from.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// at is what a path of keys leads to.
func at(t *testing.T, value any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		object, ok := value.(map[string]any)
		if !ok || object[key] == nil {
			t.Fatalf("the document has no %s of %v", key, keys)
		}
		value = object[key]
	}
	return value
}

// api is the published document with its schemas.
type api struct {
	document any
	compiler *jsonschema.Compiler
}

func newAPI(t *testing.T, text []byte) *api {
	t.Helper()
	a := &api{document: asJSON(t, text), compiler: jsonschema.NewCompiler()}
	a.compiler.AssertFormat()
	if err := a.compiler.AddResource("https://re.example/openapi", a.document); err != nil {
		t.Fatal(err)
	}
	return a
}

func publishedText(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (a *api) schema(t *testing.T, pointer string) *jsonschema.Schema {
	t.Helper()
	s, err := a.compiler.Compile("https://re.example/openapi#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refuses returns why the payload of an event is not what its schema says; nil if it is.
func (a *api) refuses(t *testing.T, event string, payload []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		t.Fatalf("%s: %v: %s", event, err, payload)
	}
	return a.schema(t, "/components/schemas/"+event).Validate(value)
}

// typed leaves out the alternative that admits every value, as the document tells those who generate code.
func typed(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte("\n        - {}\n"), []byte("\n"))
}

func TestOpenAPI_IsCurrent(t *testing.T) {
	var made bytes.Buffer
	if err := run(&made, "../.."); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made.Bytes(), publishedText(t)) {
		t.Error("docs/openapi.yaml is not what `make openapi` writes: run it")
	}
}

// The official schema of OpenAPI 3.1 leaves Schema Objects open: they are compiled, which validates them.
func TestOpenAPI_IsValid(t *testing.T) {
	text, err := os.ReadFile("testdata/oas-3.1-2022-10-07.json")
	if err != nil {
		t.Fatal(err)
	}
	official, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://spec.openapis.org/oas/3.1/schema/2022-10-07", official); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("https://spec.openapis.org/oas/3.1/schema/2022-10-07")
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, publishedText(t))
	if err := schema.Validate(a.document); err != nil {
		t.Error(err)
	}
	for name := range at(t, a.document, "components", "schemas").(map[string]any) {
		a.schema(t, "/components/schemas/"+name)
	}
	for name := range at(t, a.document, "components", "parameters").(map[string]any) {
		a.schema(t, "/components/parameters/"+name+"/schema")
	}
	for _, ref := range regexp.MustCompile(`\$ref: '#/(\S+)'`).FindAllStringSubmatch(string(publishedText(t)), -1) {
		at(t, a.document, strings.Split(ref[1], "/")...)
	}
	wrong := newAPI(t, bytes.Replace(publishedText(t), []byte("\nwebhooks:"), []byte("\nwebhook:"), 1))
	if schema.Validate(wrong.document) == nil {
		t.Error("a document without webhooks, paths and components passes: the official schema is not used")
	}
}

// The events are the program's, and each has the example of the fixtures, byte for byte but for white space.
func TestOpenAPI_HasEachEventWithItsExample(t *testing.T) {
	a := newAPI(t, publishedText(t))
	webhooks := at(t, a.document, "webhooks").(map[string]any)
	if got, want := slices.Sorted(maps.Keys(webhooks)), slices.Sorted(slices.Values(envelope.Events())); !slices.Equal(got, want) {
		t.Errorf("it has %q, the program %q", got, want)
	}
	examples, err := fixtures.Examples("../../envelope/testdata/examples")
	if err != nil {
		t.Fatal(err)
	}
	strict := newAPI(t, typed(publishedText(t)))
	blocks := regexp.MustCompile(`(?m)^            example: (\{\n(?s:.*?)\n {14}\})$`).FindAllStringSubmatch(string(publishedText(t)), -1)
	for _, e := range examples {
		if !slices.ContainsFunc(blocks, func(m []string) bool {
			var compact bytes.Buffer
			return json.Compact(&compact, []byte(m[1])) == nil && bytes.Equal(compact.Bytes(), e.Want)
		}) {
			t.Errorf("no example is that of %s", e.Event)
		}
		post := at(t, webhooks, e.Event, "post", "requestBody", "content", "application/json")
		if ref := at(t, post, "schema", "$ref"); ref != "#/components/schemas/"+e.Event {
			t.Errorf("%s refers to %v", e.Event, ref)
		}
		shown, err := json.Marshal(at(t, post, "example"))
		if err != nil {
			t.Fatal(err)
		}
		if err := strict.refuses(t, e.Event, shown); err != nil {
			t.Errorf("%s: its own example: %v", e.Event, err)
		}
	}
}

// What the renderer makes of every case, however strange its data, is what the document describes.
func TestOpenAPI_DescribesEveryRenderedFixture(t *testing.T) {
	a := newAPI(t, publishedText(t))
	cases, err := fixtures.Load("../../envelope/testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	rendered := 0
	for _, c := range cases {
		if c.WantError != "" {
			continue
		}
		rendered++
		if err := a.refuses(t, c.Event, c.Want); err != nil {
			t.Errorf("%s: %v\n%s", c.Name, err, c.Want)
		}
	}
	if rendered < 150 {
		t.Errorf("only %d cases", rendered)
	}
}

// edited are the ways in which the examples are made wrong: the first text is replaced by the second.
var edited = []struct{ event, what, old, new string }{
	{"contact.created", "a field more", `"name":`, `"iban":"CH93","name":`},
	{"contact.created", "a field less", `"phone":"+86 21 5555 1234",`, ``},
	{"contact.created", "a null left out", `"first_name":null,`, ``},
	{"contact.created", "another schema version", `"2.0"`, `"1.0"`},
	{"contact.created", "a version that is a number", `"2.0"`, `2.0`},
	{"contact.created", "another event", `"contact.created"`, `"folder.created"`},
	{"contact.created", "a time with an offset", `"timestamp":"2026-03-22T08:30:00Z"`, `"timestamp":"2026-03-22T10:30:00+02:00"`},
	{"contact.created", "a time with a fraction", `"timestamp":"2026-03-22T08:30:00Z"`, `"timestamp":"2026-03-22T08:30:00.5Z"`},
	{"contact.created", "no such day", `"timestamp":"2026-03-22T08:30:00Z"`, `"timestamp":"2026-02-30T08:30:00Z"`},
	{"contact.created", "no time", `"timestamp":"2026-03-22T08:30:00Z"`, `"timestamp":null`},
	{"folder.created", "a field less", `"is_root":false,`, ``},
	{"case.created", "a field less", `,"updated_at":"2026-03-22T08:30:00Z"`, ``},
	{"notification.created", "a field less", `"is_read":false,`, ``},
	{"rule.executed", "a null left out", `"error_message":null,`, ``},
	{"audit.log", "a field more", `"audit_id":1024,`, `"audit_id":1024,"session":"x",`},
	{"document.exported", "nineteen custom columns", `"custom_07":null,`, ``},
	{"document.exported", "twenty-one custom columns", `"custom_07":null,`, `"custom_07":null,"custom_21":null,`},
	{"document.exported", "a document in another status", `"status":"Export"`, `"status":"Approved"`},
	{"document.exported", "a document without id", `"id":42,`, ``},
	{"document.exported", "an id that is null", `"id":42,`, `"id":null,`},
	{"document.exported", "an empty id", `"id":42,`, `"id":"",`},
	{"document.exported", "an id that is a step in a path", `"id":42,`, `"id":"..",`},
	{"document.exported", "a link that leads elsewhere", `/api/document/42/view`, `/api/document/42`},
	{"document.exported", "a field of the document more", `"notes":""`, `"notes":"","ocr_text":"all of it"`},
	{"document.exported", "the labels of the profile", `"field_count":18`, `"field_count":18,"labels":{}`},
	{"document.exported", "a profile that is text", `"extraction_profile":{"id":12,"name":"Standard Supplier Invoice","field_count":18}`, `"extraction_profile":"Standard"`},
	{"document.exported", "a custom field that is null", `"Approved By":"Finance Manager"`, `"Approved By":null`},
	{"document.exported", "custom fields that are a list", `"custom_fields":{"PO Number":"PO-2026-099","Approved By":"Finance Manager"}`, `"custom_fields":[]`},
	{"document.exported", "references that are null", `"external_refs":{"salesforce":{"record_id":"001Dn000003XyZA","record_type":"Account","record_url":"https://..."}}`, `"external_refs":null`},
	{"document.exported", "line items that are null", `"line_items":[`, `"line_items":null,"x":[`},
	{"document.exported", "a line item that lacks a key", `"tax_rate":13.0,`, ``},
	{"document.exported", "a line item with a key more", `"tax_rate":13.0,`, `"tax_rate":13.0,"cost_price":3,`},
	{"document.exported", "an amount that is text", `"amount":10000.00`, `"amount":"10000.00"`},
	{"document.exported", "a count that is text", `"line_items_count":1`, `"line_items_count":"1"`},
	{"document.exported", "a count below zero", `"line_items_count":1`, `"line_items_count":-1`},
	{"document.exported", "a total that is null", `"line_items_total":10000.00`, `"line_items_total":null`},
}

func TestOpenAPI_RefusesWhatIsNeverSent(t *testing.T) {
	a := newAPI(t, publishedText(t))
	examples, err := fixtures.Examples("../../envelope/testdata/examples")
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]string{}
	for _, e := range examples {
		body[e.Event] = string(e.Want)
		if err := a.refuses(t, e.Event, e.Want); err != nil {
			t.Fatalf("%s: %v", e.Event, err)
		}
	}
	for _, e := range edited {
		if strings.Count(body[e.event], e.old) != 1 {
			t.Errorf("%s, %s: %q is not once in the example", e.event, e.what, e.old)
		}
		if a.refuses(t, e.event, []byte(strings.Replace(body[e.event], e.old, e.new, 1))) == nil {
			t.Errorf("%s: %s passes", e.event, e.what)
		}
	}
	for event, text := range body {
		for other := range body {
			if event != other && a.refuses(t, other, []byte(text)) == nil {
				t.Errorf("%s passes as %s", event, other)
			}
		}
	}
}

// Without the alternatives that admit everything, the schemas have types.
func TestOpenAPI_HasTypesForGeneratedCode(t *testing.T) {
	a := newAPI(t, typed(publishedText(t)))
	examples, err := fixtures.Examples("../../envelope/testdata/examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(e.Want, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			wrong := maps.Clone(fields)
			wrong[name] = json.RawMessage(`{"a": [true]}`)
			text, err := json.Marshal(wrong)
			if err != nil {
				t.Fatal(err)
			}
			if a.refuses(t, e.Event, text) == nil {
				t.Errorf("%s: %s may be an object", e.Event, name)
			}
		}
	}
}

// A request of the sender has the headers of the document, and no others that a receiver would look at.
func TestOpenAPI_DescribesTheHeaders(t *testing.T) {
	a := newAPI(t, publishedText(t))
	var got http.Header
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer receiver.Close()
	s := sender.New(sender.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Version: "1.2.3"})
	defer s.Close()
	request := outbox.Request{Channel: "contacts", URL: receiver.URL, WebhookID: "0b0c2c6e-6f0e-4a6c-9a46-2f6a2f3b8d11-1001-5f2c9a0e6b13d874", Body: []byte(`{}`), Accept: []int{200}}
	signed := request
	signed.Token, signed.Traceparent = "token", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	signed.Secrets = "whsec_" + strings.Repeat("A", 32) + " whsec_" + strings.Repeat("B", 32)
	others := []string{"Accept-Encoding", "Authorization", "Content-Length", "Content-Type"} // of HTTP, the media type and the security scheme
	for name, r := range map[string]outbox.Request{"bare": request, "signed": signed} {
		if result := s.Send(t.Context(), r); result.Failure != "" {
			t.Fatalf("%s: %+v", name, result)
		}
		for parameter, described := range at(t, a.document, "components", "parameters").(map[string]any) {
			values := got.Values(parameter)
			got.Del(parameter)
			if at(t, described, "in") != "header" || at(t, described, "name") != parameter {
				t.Errorf("%s is not a header of its name", parameter)
			}
			required, _ := described.(map[string]any)["required"].(bool)
			if len(values) == 0 && (required || name == "signed") || len(values) > 1 || len(values) == 1 && !required && name == "bare" {
				t.Errorf("%s: %s has %q", name, parameter, values)
			}
			for _, text := range append(values, fmt.Sprint(at(t, described, "example"))) {
				if err := a.schema(t, "/components/parameters/"+parameter+"/schema").Validate(text); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for header := range got {
			if !slices.Contains(others, header) {
				t.Errorf("%s: the document lacks the header %s", name, header)
			}
		}
	}
}

// What the contract lacks is an error, not a document with a hole.
func TestOpenAPI_AnIncompleteContractIsAnError(t *testing.T) {
	const row = "| `tasks` | `task.created` | a task is created | at most once |\n"
	for want, text := range map[string]string{
		"no table of channels": "# Contract\n",
		"no section":           row,
		"no table of fields":   row + "\n### task.created\n\nNothing.\n\n## Next\n\n| `title` | `\"x\"` | |\n",
		"is no JSON":           row + "\n### task.created\n\n| `title` | `x` | |\n",
		"neither a text":       row + "\n### task.created\n\n| `title` | `[]` | |\n",
	} {
		if _, err := readContract(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
	}
	if err := run(io.Discard, t.TempDir()); err == nil {
		t.Error("no error without sources")
	}
}
