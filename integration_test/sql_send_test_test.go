package integration_test

import (
	"strings"
	"testing"

	"github.com/recordengine/webhooks/outbox"
)

func TestSendTest_DeliversTheSpecsExampleOfEachChannelOnceAlsoIfItIsOff(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false`)
	export := db.document("42") // the document of the example, which waits: its channel is off
	ids := map[string]int64{}
	for _, c := range outbox.Channels() {
		ids[c.Name] = int64(db.number(`select webhook.send_test($1)`, c.Name))
		if r := db.row(ids[c.Name]); r.Event != c.Event || r.Status != "pending" {
			t.Errorf("%s: queued as %+v", c.Name, r)
		}
	}
	db.once()
	db.once()
	for _, c := range outbox.Channels() {
		id := ids[c.Name]
		got := rcv.of(id)
		if len(got) != 1 || got[0].path != "/"+c.Name {
			t.Fatalf("%s: received %d times", c.Name, len(got))
		}
		occurred := query[string](t, db.address, `select to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from webhook.outbox where id = $1`, id)
		want := strings.Replace(exampleBytes(t, c.Event), `"timestamp":"`+exampleTime, `"timestamp":"`+occurred, 1)
		if got[0].body != want {
			t.Errorf("%s: the body is\n%s\nwant the example, of now\n%s", c.Name, got[0].body, want)
		}
		r := db.row(id)
		if r.Status != "sent" || r.Attempts != 1 || (r.SyncedAt != nil) != (c.Event == "document.exported") {
			t.Errorf("%s: it is %s after %d attempts, synced_at %v", c.Name, r.Status, r.Attempts, r.SyncedAt)
		}
		with(t, c.Name, db.ask(`select webhook.explain($1)`, id), "Test event", "was delivered at", "HTTP 200")
	}
	if n := db.count(`select count(*) from webhook.outbox where is_test and document_id is not null`); n != 0 {
		t.Error("a test event has a document_id")
	}
	if db.status(export) != "pending" {
		t.Errorf("the document's own export is %s", db.status(export))
	}
	if n := db.count(`select coalesce(sum(events), 0) from webhook.volume where status <> 'pending'`); n != 0 {
		t.Errorf("test events are counted in volume: %d", n)
	}
}

func TestSendTest_ARejectedEventFailsAndIsNotRepeated(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { return 401 })
	db := ready(t, rcv.URL)
	id := int64(db.number(`select webhook.send_test('documents')`))
	db.once()
	db.exec(`update webhook.outbox set due_at = now() where finished_at is null`)
	db.once()
	if r := db.row(id); r.Status != "failed" || r.Attempts != 1 || len(rcv.of(id)) != 1 || r.SyncedAt != nil {
		t.Errorf("it is %+v, received %d times", r, len(rcv.of(id)))
	}
	with(t, "explain", db.ask(`select webhook.explain($1)`, id), "Test event", "failed at", "HTTP 401 Unauthorized", "add a bearer token")
}

func TestSendTest_WaitsInOfflineMode(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.settings set offline_mode = true; update webhook.channels set enabled = false`)
	id := int64(db.number(`select webhook.send_test('folders')`))
	db.once()
	if r := db.row(id); r.Status != "pending" || r.Attempts != 0 || len(rcv.all()) != 0 {
		t.Errorf("in Offline Mode it is %s after %d attempts", r.Status, r.Attempts)
	}
	with(t, "explain", db.ask(`select webhook.explain($1)`, id), "Test event", "Offline Mode is on")
	db.exec(`update webhook.settings set offline_mode = false`)
	db.once()
	if db.status(id) != "sent" || len(rcv.of(id)) != 1 {
		t.Errorf("after Offline Mode it is %s", db.status(id))
	}
}

func TestSendTest_NeedsAURL(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	for _, url := range []string{`null`, `''`} {
		db.exec(`update webhook.channels set url = ` + url + ` where name = 'cases'`)
		with(t, "with URL "+url, db.ask(`select webhook.send_test('cases')`), "ERROR 55000: channel cases has no URL", "update webhook.channels set url")
	}
	if n := db.count(`select count(*) from webhook.outbox`); n != 0 {
		t.Errorf("%d events were queued", n)
	}
	out, errs, status := runProgram(t, quick(db.address), nil, "send-test", "cases")
	if status != 1 || !strings.Contains(errs, "hint: ") {
		t.Errorf("send-test cases: exit status %d: %s %s", status, out, errs)
	}
}

func TestSendTest_SupersedesNothingAndIsNotSuperseded(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	before := db.document("42")
	test := int64(db.number(`select webhook.send_test('documents')`)) // its example is document 42
	after := db.document("43")
	db.once()
	for _, id := range []int64{before, test, after} {
		if db.status(id) != "sent" || len(rcv.of(id)) != 1 {
			t.Errorf("event %d is %s", id, db.status(id))
		}
	}
}
