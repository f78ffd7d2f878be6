package envelope_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/recordengine/webhooks/envelope"
	"github.com/recordengine/webhooks/envelope/fixtures"
)

// fieldsOf reads an example's envelope, the authority on keys and order.
func fieldsOf(t testing.TB, example fixtures.Case) fields {
	t.Helper()
	read, err := readFields(example.Want)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestRender_FlatEventHasItsFieldsAsWritten(t *testing.T) {
	for _, example := range loadExamples(t) {
		if example.Event == "document.exported" {
			continue
		}
		t.Run(example.Event, func(t *testing.T) {
			want := fieldsOf(t, example).keys
			keys := rapid.SampledFrom(append([]string{"Name", "tenant_id", "x"}, want...))
			rapid.Check(t, func(t *rapid.T) {
				data := objects(3, keys).Draw(t, "data")
				got, err := envelope.Render(inputOf(example.Event, "", exampleTime, []byte(data)))
				if err != nil {
					t.Fatal(err)
				}
				given := map[string]json.RawMessage{} // of duplicates, encoding/json keeps the last too
				if err := json.Unmarshal([]byte(data), &given); err != nil {
					t.Fatal(err)
				}
				sent, err := readFields(got)
				if err != nil || !slices.Equal(sent.keys, want) {
					t.Fatalf("%v: keys %q, expected %q", err, sent.keys, want)
				}
				for _, key := range want[3:] {
					if want := mustCompact(t, given[key]); string(sent.values[key]) != want {
						t.Errorf("%s is %s, expected %s", key, sent.values[key], want)
					}
				}
			})
		})
	}
}

// computed are the fields of a document that are not simply passed on.
var computed = []string{"doc_url", "custom_fields", "extraction_profile", "external_refs"}

// documents draws the data of a document that can be sent.
var documents = rapid.Custom(func(t *rapid.T) string {
	columns := []string{"filename", "Filename", "notes", "doc_url", "custom_fields", "total_amount", "tenant_id", "line_items_total"}
	for i := range 22 {
		columns = append(columns, fmt.Sprintf("custom_%02d", i))
	}
	labels := objects(1, rapid.SampledFrom(columns))
	items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		item := objects(2, rapid.SampledFrom([]string{"description", "Amount", "quantity", "cost"})).Draw(t, "item")
		return withMembers(item, `"amount":`+numbers.Draw(t, "amount").text)
	}), 0, 4).Draw(t, "items")
	return withMembers(objects(3, rapid.SampledFrom(columns)).Draw(t, "columns"),
		`"id":7`, `"status":"Export"`,
		`"extraction_profile":{"id":1,"labels":`+labels.Draw(t, "labels")+`}`,
		`"contact_labels":`+labels.Draw(t, "contact labels"),
		`"external_refs":`+objects(2, rapid.Just("hubspot")).Draw(t, "refs"),
		`"line_items":[`+strings.Join(items, ",")+`]`)
})

// withMembers writes members into the end of an object.
func withMembers(object string, members ...string) string {
	open := strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(object), "}"), " \t\r\n")
	if !strings.HasSuffix(open, "{") {
		open += ","
	}
	return open + strings.Join(members, ",") + "}"
}

func TestRender_DocumentHasItsFieldsInOrder(t *testing.T) {
	examples := loadExamples(t)
	i := slices.IndexFunc(examples, func(c fixtures.Case) bool { return c.Event == "document.exported" })
	example := fieldsOf(t, examples[i])
	exampleDocument, err := readFields(example.values["document"])
	if err != nil {
		t.Fatal(err)
	}
	var exampleItems []json.RawMessage
	if err := json.Unmarshal(example.values["line_items"], &exampleItems); err != nil {
		t.Fatal(err)
	}
	exampleItem, err := readFields(exampleItems[0])
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		data := documents.Draw(t, "data")
		got, err := renderDocument(data)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := readFields(got)
		if err != nil || !slices.Equal(sent.keys, example.keys) {
			t.Fatalf("%v: keys %q", err, sent.keys)
		}
		checkDocument(t, data, sent.values["document"], exampleDocument.keys)
		checkItems(t, sent.values["line_items"], exampleItem.keys)
	})
}

func checkDocument(t *rapid.T, data string, sent json.RawMessage, keys []string) {
	document, err := readFields(sent)
	if err != nil || !slices.Equal(document.keys, keys) {
		t.Fatalf("%v: document has the keys %q", err, document.keys)
	}
	given := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(data), &given); err != nil {
		t.Fatal(err)
	}
	set := 0
	for _, key := range keys {
		want := mustCompact(t, given[key])
		if string(document.values[key]) != want && !slices.Contains(computed, key) {
			t.Errorf("%s is %s, expected %s", key, document.values[key], want)
		}
		if len(key) == len("custom_NN") && strings.HasPrefix(key, "custom_") && want != "null" {
			set++
		}
	}
	custom, err := readFields(document.values["custom_fields"])
	if err != nil || len(custom.keys) != set || len(custom.values) != set {
		t.Errorf("%v: custom_fields %s, expected %d different keys", err, document.values["custom_fields"], set)
	}
}

func checkItems(t *rapid.T, sent json.RawMessage, keys []string) {
	var items []json.RawMessage
	if err := json.Unmarshal(sent, &items); err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if read, err := readFields(item); err != nil || !slices.Equal(read.keys, keys) {
			t.Errorf("%v: a line item has the keys %q", err, read.keys)
		}
	}
}
