package integration_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/envelope"
)

// large are data of five megabytes and more, each of another kind.
var large = map[string]string{
	"a long summary": `{"id": "summary", "status": "Export", "ai_summary": "` + strings.Repeat(`供应商发票 <a href=\"x\">&amp;\u00e9 `, 130_000) + `"}`,
	"a NUL at its end, and an id with an escape": `{"id": "\u00e9", "status": "Export", "notes": "` +
		strings.Repeat(`a note \\ and more `, 280_000) + `\u0000"}`,
	"many items": `{"id": "items", "status": "Export", "line_items": [` +
		strings.TrimSuffix(strings.Repeat(`{"line_number": 1, "description": "Office chair", "amount": 0.01}, `, 77_000), ", ") + `]}`,
	"many short items":          `{"id": "short", "status": "Export", "line_items": [` + strings.TrimSuffix(strings.Repeat(`{"amount":1},`, 390_000), ",") + `]}`,
	"columns that are not sent": `{"id": "ocr", "status": "Export", "ocr_text": "` + strings.Repeat("x", 20<<20) + `"}`,
}

func TestDelivery_DocumentsOfManyMegabytes(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	ids := map[string]int64{}
	for name, data := range large {
		if len(data) < 5_000_000 {
			t.Fatalf("%s: only %d bytes", name, len(data))
		}
		ids[name] = db.publish("document.exported", data)
	}
	empty := db.publish("document.exported", `{"id": "empty", "status": "Export", "line_items": [`+strings.TrimSuffix(strings.Repeat(`{},`, 1_700_000), ",")+`]}`)
	small := db.document("42")
	worker := startWorker(t, longAttempts(db.address))
	eventually(t, "the small one is sent", func() bool { return db.status(small) == "sent" })
	for name, id := range ids {
		eventually(t, name+" is sent", func() bool { return db.status(id) == "sent" })
		want, err := envelope.Render(envelope.Input{
			Event: "document.exported", Data: []byte(large[name]), DocumentBaseURL: "https://yourinstance.recordengine.ai",
			OccurredAt: query[string](t, db.address, `select occurred_at::text from webhook.outbox where id = `+strconv.FormatInt(id, 10)),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := rcv.of(id)
		if len(got) != 1 || !bytes.Equal([]byte(got[0].body), want) {
			t.Errorf("%s was received %d times, or with other bytes", name, len(got))
		}
	}
	eventually(t, "five megabytes of empty items are an error", func() bool { return db.row(empty).Error != nil })
	with(t, "its error", value(db.row(empty).Error), "render: line_items: the first 472598 items alone take more than 64 MiB")
	if n := db.count(`select count(*) from webhook.outbox where document_id is null`); n != 0 {
		t.Errorf("%d have no document_id", n)
	}
	t.Logf("the worker's largest size was %d MiB", peak(t, worker)>>20)
	if most := 1500; peak(t, worker)>>20 > most {
		t.Errorf("the worker used %d MiB, expected at most %d", peak(t, worker)>>20, most)
	}
}

// peak is the most memory that a worker has had, where /proc has it; else 0.
func peak(t *testing.T, w *worker) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatal("no VmHWM")
	}
	kilobytes, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
