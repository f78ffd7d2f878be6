package envelope_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/envelope"
)

func TestRender_DocumentOfFiveMegabytes(t *testing.T) {
	const items = 30_000
	summary := strings.Repeat("供应商发票 <a href=\\\"x\\\"> ", 76_000)
	var list []string
	for i := range items {
		list = append(list, fmt.Sprintf(`{"line_number":%d,"description":"Office chair, adjustable, black","amount":%d.%02d}`, i, i, i%100))
	}
	data := `{"id":1,"status":"Export","ai_summary":"` + summary + `","line_items":[` + strings.Join(list, ", ") + `]}`
	if len(data) < 5_000_000 {
		t.Fatalf("only %d bytes", len(data))
	}
	got, err := renderDocument(data)
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
		t.Errorf("the envelope ends in %s, expected %s", got[len(got)-80:], want)
	}
}

// An item without members grows seventy-fold. What does not fit is refused early,
// and what fits costs a few times its envelope.
func TestRender_EmptyItemsGrowToALimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		items int
		want  string // the error
	}{
		{"four hundred thousand", 400_000, ""},
		{"5 MB", 1_700_000, "render: line_items: the first 472598 items alone take more than 64 MiB with all their fields, expected a shorter list"},
		{"30 MB", 10_000_000, "render: line_items: the first 472598 items alone take more than 64 MiB with all their fields, expected a shorter list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(`{"id":1,"status":"Export","line_items":[` + strings.TrimSuffix(strings.Repeat("{},", tt.items), ",") + `]}`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := envelope.Render(inputOf("document.exported", "https://re.example", exampleTime, data))
			runtime.ReadMemStats(&after)
			if text := fmt.Sprint(err); tt.want != "" && text != tt.want || tt.want == "" && err != nil {
				t.Errorf("error %s, expected %q", text, tt.want)
			}
			if tt.want == "" && !bytes.HasSuffix(got, fmt.Appendf(nil, `"line_items_count":%d,"line_items_total":0}`, tt.items)) {
				t.Error("items are missing")
			}
			most := uint64(500<<20 + 4*len(data)) // 23 bytes an item more than it takes
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%d MiB were allocated in all, expected at most %d", used>>20, most>>20)
			}
		})
	}
}
