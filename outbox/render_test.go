package outbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/outbox/fixtures"
)

const exampleTime = "2026-03-22T08:30:00Z"

// eventOf returns an event with the four things that Render reads.
func eventOf(name, baseURL, occurredAt string, facts []byte) outbox.Event {
	return outbox.Event{
		Name: name, Data: facts, OccurredAt: occurredAt,
		Endpoint: outbox.Endpoint{DocumentBaseURL: baseURL},
	}
}

func renderDocument(facts string) ([]byte, error) {
	return outbox.Render(eventOf("document.exported", "https://re.example", exampleTime, []byte(facts)))
}

func loadCases(t testing.TB) []fixtures.Case {
	t.Helper()
	cases, err := fixtures.Load("testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestRenderCases(t *testing.T) {
	for _, c := range loadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			got, err := outbox.Render(eventOf(c.Event, c.BaseURL, c.OccurredAt, c.Facts))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.WantError {
				t.Errorf("error\n got %s\nwant %s", text, c.WantError)
			}
			if !bytes.Equal(got, c.Want) {
				t.Errorf("bytes\n got %s\nwant %s", got, c.Want)
			}
		})
	}
}

// Every envelope a case expects must itself be JSON, or the suite would hold
// Render to a mistake.
func TestRenderCasesExpectValidJSON(t *testing.T) {
	for _, c := range loadCases(t) {
		if c.WantError == "" && !json.Valid(c.Want) {
			t.Errorf("%s: the expected bytes are no JSON", c.Name)
		}
	}
}

func readExample(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wantExample is a spec example, compacted; a document's custom columns that
// the example leaves out follow as null.
func wantExample(t testing.TB, event string) string {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, readExample(t, event+".json")); err != nil {
		t.Fatal(err)
	}
	const last = `"custom_02":"Finance Manager"`
	more := last
	for i := 3; i <= 20; i++ {
		more += fmt.Sprintf(`,"custom_%02d":null`, i)
	}
	return strings.Replace(compact.String(), last, more, 1)
}

func TestTheFactsOfAnExampleGiveItsBytes(t *testing.T) {
	for _, channel := range outbox.Channels() {
		t.Run(channel.Event, func(t *testing.T) {
			facts := readExample(t, channel.Event+".facts.json")
			ev := eventOf(channel.Event, "https://yourinstance.recordengine.ai", exampleTime, facts)
			for attempt := 1; attempt <= 2; attempt++ {
				got, err := outbox.Render(ev)
				if err != nil {
					t.Fatal(err)
				}
				if want := wantExample(t, channel.Event); string(got) != want {
					t.Errorf("attempt %d\n got %s\nwant %s", attempt, got, want)
				}
			}
		})
	}
}

func TestRenderLeavesTheFactsAlone(t *testing.T) {
	facts := readExample(t, "document.exported.facts.json")
	before := bytes.Clone(facts)
	if _, err := renderDocument(string(facts)); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Render(eventOf("document.exported", "https://re.example", exampleTime, facts)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(facts, before) {
		t.Error("the facts have changed")
	}
}

func TestEveryErrorIsARenderErrorWithItsField(t *testing.T) {
	for _, c := range loadCases(t) {
		_, err := outbox.Render(eventOf(c.Event, c.BaseURL, c.OccurredAt, c.Facts))
		if err == nil {
			continue
		}
		var refused *outbox.RenderError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %T is no *RenderError", c.Name, err)
		} else if !strings.HasPrefix(err.Error(), "render: "+refused.Field+": ") {
			t.Errorf("%s: %q does not name the field %q", c.Name, err, refused.Field)
		}
	}
}

func TestNestingHasALimitAndNoCrash(t *testing.T) {
	nested := func(levels int) string { // the facts' own braces are a level too
		return `{"id":1,"status":"Export","notes":` +
			strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
	}
	for _, tt := range []struct {
		name  string
		facts string
		want  string // the error
	}{
		{"1,000 levels", nested(1_000), ""},
		{"the limit", nested(9_999), ""},
		{"one more", nested(10_000), "render: facts: 10000 levels of nesting were found, at most 9999 were expected"},
		{"a million", nested(1_000_000), "render: facts: 1000000 levels of nesting were found, at most 9999 were expected"},
		{"a million that never close", strings.Repeat("[", 1_000_000), "render: facts: 1000000 levels of nesting were found, at most 9999 were expected"},
		{"a million that never opened", strings.Repeat("]", 1_000_000), "render: facts: invalid character ']' looking for beginning of value, a JSON object was expected"},
		{"brackets in a string", `{"id":1,"status":"Export","notes":"\"` + strings.Repeat("[{", 10_000) + `"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := renderDocument(tt.facts)
			if text := fmt.Sprint(err); tt.want != "" && text != tt.want || tt.want == "" && err != nil {
				t.Errorf("error %s, %q was expected", text, tt.want)
			}
			if tt.want == "" && !json.Valid(got) {
				t.Error("the envelope is no JSON")
			}
		})
	}
}

func TestInvalidUTF8IsRefused(t *testing.T) {
	const want = "render: facts: invalid UTF-8 was found, a JSON object was expected"
	for name, facts := range map[string]string{
		"in a value":       "{\"id\":1,\"status\":\"Export\",\"notes\":\"\xff\"}",
		"in a key":         "{\"\xc3\":1}",
		"a surrogate":      "{\"notes\":\"\xed\xa0\x80\"}",
		"a cut character":  "{\"notes\":\"\xe4\xb8\"}",
		"nothing but that": "\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := renderDocument(facts); err == nil || err.Error() != want {
				t.Errorf("error %v, %q was expected", err, want)
			}
		})
	}
}

func TestSumsOfAThousandDigits(t *testing.T) {
	nines := strings.Repeat("9", 1_000)
	for _, tt := range []struct{ name, amounts, want string }{
		{"a carry beyond the limit", nines + " 1", "1" + strings.Repeat("0", 1_000)},
		{"the widest of both ends", "1e999 1e-1000", "1" + strings.Repeat("0", 999) + "." + strings.Repeat("0", 999) + "1"},
		{"a digit brought back by an exponent", "0." + strings.Repeat("0", 1_000) + "1e1001", "1"},
		{"leading zeros do not count", "0.001e1002", "1" + strings.Repeat("0", 999)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := total(t, strings.Fields(tt.amounts)); got != tt.want {
				t.Errorf("%.100s…, %.100s… was expected", got, tt.want)
			}
		})
	}
}

// total returns the sum of line items with these amounts.
func total(t *testing.T, amounts []string) string {
	t.Helper()
	items := `{"amount":` + strings.Join(amounts, `},{"amount":`) + `}`
	got, err := renderDocument(document("line_items", "["+items+"]"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(got), `"line_items_total":`)
	return strings.TrimSuffix(after, "}")
}

func TestADocumentOfFiveMegabytes(t *testing.T) {
	const items = 30_000
	summary := strings.Repeat("供应商发票 <a href=\\\"x\\\"> ", 76_000)
	var list []string
	for i := range items {
		list = append(list, fmt.Sprintf(`{"line_number":%d,"description":"Office chair, adjustable, black","amount":%d.%02d}`, i, i, i%100))
	}
	facts := `{"id":1,"status":"Export","ai_summary":"` + summary + `","line_items":[` + strings.Join(list, ", ") + `]}`
	if len(facts) < 5_000_000 {
		t.Fatalf("only %d bytes", len(facts))
	}
	got, err := renderDocument(facts)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(got) {
		t.Error("the envelope is no JSON")
	}
	if !bytes.Contains(got, []byte(`"ai_summary":"`+summary+`","notes":null`)) {
		t.Error("the summary has changed")
	}
	// 0+1+…+29,999 and 300 times 0.00+0.01+…+0.99.
	if want := `"line_items_count":30000,"line_items_total":449999850.00}`; !bytes.HasSuffix(got, []byte(want)) {
		t.Errorf("the envelope ends in %s, %s was expected", got[len(got)-80:], want)
	}
}

func TestAnErrorShowsLittleOfALargeValue(t *testing.T) {
	for name, facts := range map[string]string{
		"a long string":    `{"id":1,"status":"Export","external_refs":"` + strings.Repeat("界", 2_000_000) + `"}`,
		"a long number":    `{"id":1,"status":"Export","line_items":[{"amount":` + strings.Repeat("9", 5_000_000) + `}]}`,
		"a long fraction":  `{"id":1,"status":"Export","line_items":[{"amount":0.` + strings.Repeat("0", 5_000_000) + `}]}`,
		"a large object":   `{"id":1,"status":{"a":"` + strings.Repeat("x", 5_000_000) + `"}}`,
		"a long id":        `{"id":"` + strings.Repeat("x", 5_000_000) + `","status":"Export"}`,
		"a text, no facts": `"` + strings.Repeat("x", 5_000_000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := renderDocument(facts)
			if err == nil || len(err.Error()) > 300 {
				t.Errorf("error %.400v, a short one was expected", err)
			}
		})
	}
}

func TestAnErrorShowsNoSpaceBetweenTheParts(t *testing.T) {
	const array, object = "[ 1 ,\n2 ]", "{ \"a b\" :\t1 }"
	for _, c := range []struct{ facts, want string }{
		{` [ {} ] `, "facts: [{}] is an array"},
		{`{"status":` + array + `}`, "status: [1,2] was found"},
		{document("id", object), `id: {"a b":1} is an object`},
		{document("line_items", object), `line_items: {"a b":1} is an object`},
		{document("line_items", "[ "+array+" ]"), "line_items[0]: [1,2] is an array"},
		{document("line_items", `[ {"amount": `+object+`} ]`), `line_items[0].amount: {"a b":1} is an object`},
		{document("external_refs", array), "external_refs: [1,2] is an array"},
		{document("contact_labels", array), "contact_labels: [1,2] is an array"},
		{document("extraction_profile", array), "extraction_profile: [1,2] is an array"},
		{document("extraction_profile", `{ "labels": `+array+`}`), "extraction_profile.labels: [1,2] is an array"},
	} {
		if _, err := renderDocument(c.facts); err == nil || !strings.HasPrefix(err.Error(), "render: "+c.want) {
			t.Errorf("%s: error %v, %s was expected", c.facts, err, c.want)
		}
	}
}

// document returns facts with one more field.
func document(field, value string) string {
	return `{"id": 1, "status": "Export", "` + field + `" : ` + value + ` }`
}

func TestSumsAroundTheLargestInt64(t *testing.T) {
	for amounts, want := range map[string]string{
		"9223372036854775806 1":                      "9223372036854775807",
		"9223372036854775807 1":                      "9223372036854775808",
		"9223372036854775807 1 -2":                   "9223372036854775806",
		"-9223372036854775807 -1":                    "-9223372036854775808",
		"-9223372036854775808 -1":                    "-9223372036854775809",
		"-9223372036854775808 9223372036854775808":   "0",
		"92233720368547758.07 0.01 -0.005":           "92233720368547758.075",
		"9223372036854775808 1 -9223372036854775808": "1",
		"1e18 9e18 -1":                               "9999999999999999999",
	} {
		if got := total(t, strings.Fields(amounts)); got != want {
			t.Errorf("%s: %s, %s was expected", amounts, got, want)
		}
	}
}

// An item without members grows seventy-fold. What does not fit is refused early,
// and what fits costs a few times its envelope.
func TestAListOfEmptyItemsGrowsToALimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		items int
		want  string // the error
	}{
		{"four hundred thousand", 400_000, ""},
		{"5 MB", 1_700_000, "render: line_items: the first 472598 items alone take more than 64 MiB with all their fields, a shorter list was expected"},
		{"100 MB", 34_000_000, "render: line_items: the first 472598 items alone take more than 64 MiB with all their fields, a shorter list was expected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := []byte(`{"id":1,"status":"Export","line_items":[` + strings.TrimSuffix(strings.Repeat("{},", tt.items), ",") + `]}`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := outbox.Render(eventOf("document.exported", "https://re.example", exampleTime, facts))
			runtime.ReadMemStats(&after)
			if text := fmt.Sprint(err); tt.want != "" && text != tt.want || tt.want == "" && err != nil {
				t.Errorf("error %s, %q was expected", text, tt.want)
			}
			if tt.want == "" && !bytes.HasSuffix(got, fmt.Appendf(nil, `"line_items_count":%d,"line_items_total":0}`, tt.items)) {
				t.Error("items are missing")
			}
			most := uint64(700<<20 + 4*len(facts))
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%d MiB were allocated in all, at most %d were expected", used>>20, most>>20)
			}
		})
	}
}

// Facts and time as PostgreSQL hands them to the worker.
func BenchmarkRender(b *testing.B) {
	text := strings.Repeat("0123456789abcdef", 19)[:300]
	for _, bm := range []struct{ event, facts string }{
		{"document.exported", `{"id" : 1, "filename" : "invoice_1.pdf", "status" : "Export", "doc_type" : "Invoice", "vendor_name" : "Acme Supplies Ltd", ` +
			`"invoice_number" : "INV-2026-1", "total_amount" : 12500.00, "currency" : "CNY", "doc_date" : "2026-03-15", "contact_id" : 7, "folder_id" : 3, ` +
			`"notes" : "` + text + `", "custom_01" : "PO-1", "custom_02" : "Engineering", "extraction_profile" : {"id" : 3, "name" : "Invoices", "field_count" : 2, ` +
			`"labels" : {"custom_01" : "PO Number", "custom_02" : "Department"}}, "line_items" : [{"line_number" : 1, "description" : "Steel", "amount" : 10000.00}, ` +
			`{"line_number" : 2, "description" : "Freight", "amount" : 2500.00}]}`},
		{"audit.log", `{"audit_id" : 1, "action" : "document_status_changed", "user" : "jean", "details" : "` + text + `"}`},
	} {
		b.Run(bm.event, func(b *testing.B) {
			ev := eventOf(bm.event, "https://yourinstance.recordengine.ai", "2026-03-22 08:30:00.123456+00", []byte(bm.facts))
			ev.Parsed = true
			b.SetBytes(int64(len(ev.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := outbox.Render(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRenderHundredThousandItems(b *testing.B) {
	items := strings.Repeat(`{"amount":12.50,"description":"Office Chair"},`, 100_000)
	ev := eventOf("document.exported", "https://re.example", "2026-03-22 08:30:00.123456+00",
		[]byte(`{"id":1,"status":"Export","line_items":[`+strings.TrimSuffix(items, ",")+`]}`))
	b.SetBytes(int64(len(ev.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := outbox.Render(ev); err != nil {
			b.Fatal(err)
		}
	}
}
