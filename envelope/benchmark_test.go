package envelope_test

import (
	"strings"
	"testing"

	"github.com/recordengine/webhooks/envelope"
)

// Data and time in the form in which a claim reads them.
func BenchmarkRender(b *testing.B) {
	text := strings.Repeat("0123456789abcdef", 19)[:300]
	for _, bm := range []struct{ event, data string }{
		{"document.exported", `{"id" : 1, "filename" : "invoice_1.pdf", "status" : "Export", "doc_type" : "Invoice", "vendor_name" : "Acme Supplies Ltd", ` +
			`"invoice_number" : "INV-2026-1", "total_amount" : 12500.00, "currency" : "CNY", "doc_date" : "2026-03-15", "contact_id" : 7, "folder_id" : 3, ` +
			`"notes" : "` + text + `", "custom_01" : "PO-1", "custom_02" : "Engineering", "extraction_profile" : {"id" : 3, "name" : "Invoices", "field_count" : 2, ` +
			`"labels" : {"custom_01" : "PO Number", "custom_02" : "Department"}}, "line_items" : [{"line_number" : 1, "description" : "Steel", "amount" : 10000.00}, ` +
			`{"line_number" : 2, "description" : "Freight", "amount" : 2500.00}]}`},
		{"audit.log", `{"audit_id" : 1, "action" : "document_status_changed", "user" : "jean", "details" : "` + text + `"}`},
	} {
		b.Run(bm.event, func(b *testing.B) {
			in := inputOf(bm.event, "https://yourinstance.recordengine.ai", "2026-03-22 08:30:00.123456+00", []byte(bm.data))
			in.Validated = true
			b.SetBytes(int64(len(in.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := envelope.Render(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRender_HundredThousandItems(b *testing.B) {
	items := strings.Repeat(`{"amount":12.50,"description":"Office Chair"},`, 100_000)
	in := inputOf("document.exported", "https://re.example", "2026-03-22 08:30:00.123456+00",
		[]byte(`{"id":1,"status":"Export","line_items":[`+strings.TrimSuffix(items, ",")+`]}`))
	b.SetBytes(int64(len(in.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.Render(in); err != nil {
			b.Fatal(err)
		}
	}
}
