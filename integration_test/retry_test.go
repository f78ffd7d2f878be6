package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// change is one update of a row, as the history has it. began and ended enclose
// the instant in which the statement read the clock.
type change struct {
	Began, Ended time.Time
	Status       string
	DueAt        time.Time  `db:"due_at"`
	ClaimedAt    *time.Time `db:"claimed_at"`
	LeasedUntil  *time.Time `db:"leased_until"`
	Attempts     int
	Error        *string
}

// keepHistory logs every update of the outbox, in the database itself.
func keepHistory(db *database) {
	db.t.Helper()
	db.exec(`create table public.history (n bigserial, id bigint, began timestamptz, ended timestamptz, status text, due_at timestamptz,
		claimed_at timestamptz, leased_until timestamptz, attempts int, error text)`)
	db.exec(`create function public.keep() returns trigger language plpgsql as $$ begin
		insert into public.history (id, began, ended, status, due_at, claimed_at, leased_until, attempts, error)
		values (new.id, statement_timestamp(), clock_timestamp(), new.status, new.due_at, new.claimed_at, new.leased_until, new.attempts, new.error);
		return null; end $$`)
	db.exec(`create trigger keep after update on webhook.outbox for each row execute function public.keep()`)
}

// history are the updates of one row, oldest first.
func (db *database) history(id int64) (all []change) {
	db.t.Helper()
	err := db.Select(&all, `select began, ended, status, due_at, claimed_at, leased_until, attempts, error from public.history where id = $1 order by n`, id)
	if err != nil {
		db.t.Fatal(err)
	}
	return all
}

// nextMark is the first multiple of ten seconds after an instant.
func nextMark(at time.Time) time.Time { return at.Truncate(10 * time.Second).Add(10 * time.Second) }

func TestRetry_DocumentIsSentAgainAtTheNextTenSecondMarkByteForByte(t *testing.T) {
	t.Parallel()
	answers := make(chan int, 3)
	answers <- 503
	answers <- 404
	answers <- 200
	rcv := newReceiver(t, func(receipt) int { return <-answers })
	db := ready(t, rcv.URL)
	keepHistory(db)
	startWorker(t, quick(db.address))
	id := db.publish("document.exported", exampleData(t, "document.exported"))

	eventually(t, "the document is sent at the third attempt", func() bool { return db.status(id) == "sent" })
	got := rcv.of(id)
	if len(got) != 3 {
		t.Fatalf("received %d times", len(got))
	}
	for _, again := range got[1:] {
		if again.body != got[0].body || again.header.Get("webhook-id") != got[0].header.Get("webhook-id") {
			t.Errorf("a retry differs: %s\n%s\nfirst %s\n%s", again.header.Get("webhook-id"), again.body, got[0].header.Get("webhook-id"), got[0].body)
		}
	}
	history := db.history(id) // claim, retry, claim, retry, claim, sent
	if len(history) != 6 {
		t.Fatalf("%d updates: %+v", len(history), history)
	}
	for i, wantError := range map[int]string{1: "HTTP 503", 3: "HTTP 404"} {
		failed, next := history[i], history[i+1]
		if failed.Status != "pending" || failed.LeasedUntil != nil || !strings.HasPrefix(value(failed.Error), wantError) {
			t.Errorf("a failure left the document %s, leased until %v, with the error %q", failed.Status, failed.LeasedUntil, value(failed.Error))
		}
		if due := failed.DueAt; due.Before(nextMark(failed.Began)) || due.After(nextMark(failed.Ended)) {
			t.Errorf("failed at %s, it is due at %s, not at the next multiple of ten seconds", failed.Ended, due)
		}
		if next.ClaimedAt.Before(failed.DueAt) {
			t.Errorf("due at %s, it was claimed at %s", failed.DueAt, next.ClaimedAt)
		}
		if next.Attempts != failed.Attempts+1 {
			t.Errorf("the attempt after %d is %d", failed.Attempts, next.Attempts)
		}
	}
	if r := db.row(id); r.SyncedAt == nil || r.Error != nil || r.Attempts != 3 {
		t.Errorf("at last: %+v", r)
	}
}

func TestRetry_DocumentWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://127.0.0.1:1") // nothing listens there
	startWorker(t, quick(db.address))
	id := db.document("42")
	eventually(t, "two attempts have failed", func() bool { r := db.row(id); return r.Attempts >= 2 && r.LeasedUntil == nil })
	r := db.row(id)
	if r.Status != "pending" || r.SyncedAt != nil || r.HTTPStatus != nil || !strings.HasPrefix(value(r.Error), "refused: ") {
		t.Errorf("%+v, error %s", r, value(r.Error))
	}
	rcv := newReceiver(t, nil)
	db.exec(`update webhook.channels set url = $1 where name = 'documents'`, rcv.URL)
	eventually(t, "it is sent once the URL is right", func() bool { return db.status(id) == "sent" })
}

func TestRetry_OneAttemptEventsAreNeverRetried(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if r.path == "/documents" && strings.Contains(r.body, `"id":"first"`) {
			return 500
		}
		if r.path == "/documents" {
			return 200
		}
		return 503
	})
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	var ids []int64
	for _, c := range outbox.Channels() {
		if c.Event != "document.exported" {
			ids = append(ids, db.publish(c.Event, `{}`))
		}
	}
	document := db.publish("document.exported", `{"id": "first", "status": "Export"}`)
	eventually(t, "a document was retried: a cycle has passed", func() bool { return len(rcv.of(document)) >= 2 })
	for _, id := range ids {
		r := db.row(id)
		if r.Status != "failed" || r.Attempts != 1 || value(r.HTTPStatus) != 503 || len(rcv.of(id)) != 1 {
			t.Errorf("%s: %s after %d attempts and %d requests", r.Event, r.Status, r.Attempts, len(rcv.of(id)))
		}
	}
}

func TestRetry_DocumentIsSentOnceItIsInExport(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	for status, want := range map[string]string{
		`"Approved"`: `render: status: is "Approved", expected "Export": set the document to Export and publish it again`,
		`"export"`:   `render: status: is "export", expected "Export": set the document to Export and publish it again`,
		`null`:       `render: status: missing or null, expected "Export": set the document to Export and publish it again`,
	} {
		id := db.publish("document.exported", `{"id": `+status+`, "status": `+status+`}`)
		eventually(t, "the document was looked at", func() bool { r := db.row(id); return r.Attempts > 0 && r.LeasedUntil == nil })
		if r := db.row(id); r.Status != "pending" || value(r.Error) != want || r.SyncedAt != nil {
			t.Errorf("status %s: %s with the error\n got %s\nwant %s", status, r.Status, value(r.Error), want)
		}
		if n := len(rcv.of(id)); n != 0 {
			t.Errorf("status %s: received %d times", status, n)
		}
		db.exec(`update webhook.outbox set data = '{"id": 42, "status": "Export"}' where id = $1`, id)
		eventually(t, "the corrected document is sent", func() bool { return db.status(id) == "sent" })
		if r := db.row(id); r.Error != nil || len(rcv.of(id)) != 1 {
			t.Errorf("status %s, corrected: %d requests, error %s", status, len(rcv.of(id)), value(r.Error))
		}
	}
}

func TestRetry_RowThatCannotBeRenderedHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	worker := startWorker(t, quick(db.address))
	type broken struct {
		data, at, field string
	}
	oddTimes := []broken{
		{`{"id": 1, "status": "Export"}`, "infinity", "occurred_at"},
		{`{"id": 2, "status": "Export"}`, "-infinity", "occurred_at"},
		{`{"id": 3, "status": "Export"}`, "10000-01-01 00:00:00+00", "occurred_at"},
		{`{"id": 4, "status": "Export"}`, "294276-12-31 23:59:59+00", "occurred_at"},
		{`{"id": 5, "status": "Export"}`, "0044-03-15 12:00:00+00 BC", "occurred_at"},
		{`{"id": 6, "status": "Export"}`, "4713-01-01 00:00:00+00 BC", "occurred_at"},
	}
	oddDocuments := []broken{
		{`{"id": null, "status": "Export"}`, "now", "id"},
		{`{"id": 7, "status": "Export", "line_items": 7}`, "now", "line_items"},
		{`{"id": 8, "status": "Export", "line_items": [{"amount": "ten"}]}`, "now", "line_items[0].amount"},
		{`{"id": 9, "status": "Export", "extraction_profile": "x"}`, "now", "extraction_profile"},
		{`{"id": 10, "status": "Export", "external_refs": []}`, "now", "external_refs"},
	}
	// All in one transaction, so that sound and broken rows meet in one claim.
	tx := db.MustBegin()
	insert := func(event string, b broken) (id int64) {
		if err := tx.Get(&id, `insert into webhook.outbox (event, data, occurred_at) values ($1, $2, $3::timestamptz) returning id`, event, b.data, b.at); err != nil {
			t.Fatal(err)
		}
		return id
	}
	documents, contacts, sound := map[int64]broken{}, map[int64]broken{}, []int64{}
	for _, b := range append(oddTimes, oddDocuments...) {
		documents[insert("document.exported", b)] = b
		sound = append(sound, insert("document.exported", broken{`{"id": "sound ` + b.data[6:8] + b.at[:3] + `", "status": "Export"}`, "now", ""}))
	}
	for _, b := range oddTimes {
		contacts[insert("contact.created", b)] = b
		sound = append(sound, insert("contact.created", broken{`{}`, "now", ""}))
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}

	for _, id := range sound {
		eventually(t, "the sound ones are sent", func() bool { return db.status(id) == "sent" })
	}
	for id, b := range documents {
		eventually(t, "the document was looked at", func() bool { r := db.row(id); return r.Attempts > 0 && r.LeasedUntil == nil })
		r := db.row(id)
		if r.Status != "pending" || !strings.HasPrefix(value(r.Error), "render: "+b.field+": ") || len(rcv.of(id)) != 0 {
			t.Errorf("document %s at %s: %s, received %d times, error %s", b.data, b.at, r.Status, len(rcv.of(id)), value(r.Error))
		}
	}
	for id, b := range contacts {
		eventually(t, "the contact is finished", func() bool { return db.row(id).FinishedAt != nil })
		r := db.row(id)
		if r.Status != "failed" || !strings.HasPrefix(value(r.Error), "render: "+b.field+": ") || r.Attempts != 1 || len(rcv.of(id)) != 0 {
			t.Errorf("contact at %s: %s, received %d times, error %s", b.at, r.Status, len(rcv.of(id)), value(r.Error))
		}
	}
	if strings.Contains(worker.log.String(), saidDown) {
		t.Error("the worker treats a broken row as a broken database")
	}
}

func TestRetry_ThirtyDocumentsAreDueAtOneMark(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { return 500 })
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	db.exec(`select webhook.publish('document.exported', json_build_object('id', n, 'status', 'Export')) from generate_series(1, 30) n`)
	eventually(t, "all were rejected", func() bool {
		return db.count(`select count(*) from webhook.outbox where error is not null and leased_until is null`) == 30
	})
	if n := db.count(`select count(*) from webhook.outbox where mod(extract(epoch from due_at)::numeric, 10) <> 0 or due_at <= claimed_at or due_at > clock_timestamp() + interval '10 s'`); n != 0 {
		t.Errorf("%d of 30 are not due at a multiple of ten seconds after their attempt", n)
	}
}
