package outbox_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/recordengine/webhooks/outbox"
)

// The same draws on every run, and no files left behind: a red test is a
// change of ours. Explore with -rapid.seed and -rapid.checks.
func init() {
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

// number is a JSON number together with what it is worth.
type number struct {
	text  string
	scale int // digits after the point once the exponent is gone
	value *big.Rat
}

var numbers = rapid.Custom(func(t *rapid.T) number {
	text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,12})`).Draw(t, "whole")
	scale := 0
	if rapid.Bool().Draw(t, "has a fraction") {
		fraction := rapid.StringMatching(`[0-9]{1,12}`).Draw(t, "fraction")
		text += "." + fraction
		scale = len(fraction)
	}
	if rapid.Bool().Draw(t, "has an exponent") {
		exponent := rapid.IntRange(-30, 30).Draw(t, "exponent")
		text += rapid.SampledFrom([]string{"e", "E"}).Draw(t, "letter") + strconv.Itoa(exponent)
		scale = max(0, scale-exponent)
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%s is no number", text)
	}
	return number{text, scale, value}
})

func TestTheTotalIsTheExactSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum, scale := new(big.Rat), 0
		var items []string
		for _, n := range rapid.SliceOf(numbers).Draw(t, "amounts") {
			sum.Add(sum, n.value)
			scale = max(scale, n.scale)
			items = append(items, `{"amount":`+n.text+`}`)
		}
		got, err := renderDocument(`{"id":1,"status":"Export","line_items":[` + strings.Join(items, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`"line_items_count":%d,"line_items_total":%s}`, len(items), sum.FloatString(scale))
		if !bytes.HasSuffix(got, []byte(want)) {
			t.Errorf("%s\ndoes not end in %s", got, want)
		}
	})
}

func TestTheOrderOfTheItemsDoesNotChangeTheTotal(t *testing.T) {
	total := func(t *rapid.T, amounts []number) string {
		var items []string
		for _, n := range amounts {
			items = append(items, `{"amount":`+n.text+`}`)
		}
		got, err := renderDocument(`{"id":1,"status":"Export","line_items":[` + strings.Join(items, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(got), `"line_items_total":`)
		return after
	}
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOf(numbers).Draw(t, "amounts")
		shuffled := rapid.Permutation(amounts).Draw(t, "shuffled")
		if a, b := total(t, amounts), total(t, shuffled); a != b {
			t.Errorf("%s, shuffled %s", a, b)
		}
	})
}

// fields is a JSON object whose order is kept.
type fields struct {
	keys   []string
	values map[string]json.RawMessage
}

// readFields is a reader that shares nothing with Render.
func readFields(text []byte) (fields, error) {
	read := fields{values: map[string]json.RawMessage{}}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil {
		return read, err
	} else if open != json.Delim('{') {
		return read, fmt.Errorf("%v begins no object", open)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return read, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return read, err
		}
		read.keys = append(read.keys, key.(string))
		read.values[key.(string)] = value
	}
	_, err := decoder.Token()
	return read, err
}

// exampleFields reads an object of an example, the authority on keys and order.
func exampleFields(t testing.TB, event string) fields {
	t.Helper()
	read, err := readFields([]byte(wantExample(t, event)))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// values draws JSON values, written in every way that JSON allows.
func values(depth int) *rapid.Generator[string] {
	scalars := rapid.OneOf(
		rapid.Map(numbers, func(n number) string { return n.text }),
		rapid.SampledFrom([]string{
			"null", "true", "false", `""`, `" "`, `"Export"`, `"<&>"`, `"\u0000"`, `"\ud800"`, `"\/"`,
			`"\\"`, `"\""`, `"\\\""`, `"}],"`, `"供应商"`, `"🧾"`, "\"\u2028\"", `"custom_07"`, `"PO Number"`,
		}),
	)
	if depth == 0 {
		return scalars
	}
	return rapid.OneOf(scalars, arrays(depth), objects(depth, rapid.SampledFrom([]string{
		"a", "amount", "description", "labels", "name", "id", "custom_01", "custom_02", "custom_10",
	})))
}

var space = rapid.SampledFrom([]string{"", "", " ", "\n", "\t\r\n "})

func arrays(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		elements := rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "elements")
		gap := space.Draw(t, "gap")
		return "[" + gap + strings.Join(elements, gap+","+gap) + gap + "]"
	})
}

func objects(depth int, keys *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		gap := space.Draw(t, "gap")
		var members []string
		for range rapid.IntRange(0, 12).Draw(t, "members") {
			member := quoteKey(t, keys.Draw(t, "key")) + gap + ":" + gap + values(depth-1).Draw(t, "value")
			members = append(members, member)
		}
		return gap + "{" + gap + strings.Join(members, gap+","+gap) + gap + "}"
	})
}

// quoteKey writes a key, at times with its first letter escaped.
func quoteKey(t *rapid.T, key string) string {
	if rapid.IntRange(0, 9).Draw(t, "escaped") == 0 {
		return fmt.Sprintf(`"\u%04x%s"`, key[0], key[1:])
	}
	return `"` + key + `"`
}

// mustCompact is what a value must look like when it is sent as written.
func mustCompact(t *rapid.T, value json.RawMessage) string {
	if value == nil {
		return "null"
	}
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAFlatEventHoldsTheSpecsFieldsAsWritten(t *testing.T) {
	for _, channel := range outbox.Channels()[1:] {
		t.Run(channel.Event, func(t *testing.T) {
			want := exampleFields(t, channel.Event).keys
			keys := rapid.SampledFrom(append([]string{"Name", "tenant_id", "x"}, want...))
			rapid.Check(t, func(t *rapid.T) {
				facts := objects(3, keys).Draw(t, "facts")
				got, err := outbox.Render(eventOf(channel.Event, "", exampleTime, []byte(facts)))
				if err != nil {
					t.Fatal(err)
				}
				given := map[string]json.RawMessage{} // of duplicates, encoding/json keeps the last too
				if err := json.Unmarshal([]byte(facts), &given); err != nil {
					t.Fatal(err)
				}
				sent, err := readFields(got)
				if err != nil || !slices.Equal(sent.keys, want) {
					t.Fatalf("%v: keys %q, %q were expected", err, sent.keys, want)
				}
				for _, key := range want[3:] {
					if want := mustCompact(t, given[key]); string(sent.values[key]) != want {
						t.Errorf("%s is %s, %s was expected", key, sent.values[key], want)
					}
				}
			})
		})
	}
}

// computed are the fields of a document that are not simply passed on.
var computed = []string{"doc_url", "custom_fields", "extraction_profile", "external_refs"}

// documents draws the facts of a document that can be sent.
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

func TestADocumentHoldsTheSpecsFieldsInOrder(t *testing.T) {
	example := exampleFields(t, "document.exported")
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
		facts := documents.Draw(t, "facts")
		got, err := renderDocument(facts)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := readFields(got)
		if err != nil || !slices.Equal(sent.keys, example.keys) {
			t.Fatalf("%v: keys %q", err, sent.keys)
		}
		checkDocument(t, facts, sent.values["document"], exampleDocument.keys)
		checkItems(t, sent.values["line_items"], exampleItem.keys)
	})
}

func checkDocument(t *rapid.T, facts string, sent json.RawMessage, keys []string) {
	document, err := readFields(sent)
	if err != nil || !slices.Equal(document.keys, keys) {
		t.Fatalf("%v: document has the keys %q", err, document.keys)
	}
	given := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(facts), &given); err != nil {
		t.Fatal(err)
	}
	set := 0
	for _, key := range keys {
		want := mustCompact(t, given[key])
		if string(document.values[key]) != want && !slices.Contains(computed, key) {
			t.Errorf("%s is %s, %s was expected", key, document.values[key], want)
		}
		if len(key) == len("custom_NN") && strings.HasPrefix(key, "custom_") && want != "null" {
			set++
		}
	}
	custom, err := readFields(document.values["custom_fields"])
	if err != nil || len(custom.keys) != set || len(custom.values) != set {
		t.Errorf("%v: custom_fields %s, %d different keys were expected", err, document.values["custom_fields"], set)
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
