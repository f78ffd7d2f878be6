package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// gate is a receiver's answer that waits until the test opens it.
type gate struct {
	once sync.Once
	open chan struct{}
}

func newGate(t testing.TB) *gate {
	g := &gate{open: make(chan struct{})}
	t.Cleanup(g.release) // or the receiver could not be closed
	return g
}

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

// blockedReceiver answers 200, once the gate is open.
func blockedReceiver(t testing.TB) (*receiver, *gate) {
	var g *gate
	rcv := newReceiver(t, func(receipt) int { <-g.open; return 200 })
	g = newGate(t)
	return rcv, g
}

func inFlight(t *testing.T, rcv *receiver, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d requests are under way", n), func() bool { return len(rcv.all()) == n })
}

// TestRecord_ReplyLostIsHarmless: the database has taken an outcome and its
// answer is lost. The write is repeated and changes nothing.
func TestRecord_ReplyLostIsHarmless(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 1)

	p := newProxy(t, db.address)
	var lost once
	var after []row
	repeated := make(chan struct{})
	var again once
	p.onAnswer(func(x *exchange) action {
		if !x.runs(recordStatement) {
			return pass
		}
		if lost.first() {
			after = db.rows()
			return cut
		}
		if again.first() {
			close(repeated)
		}
		return pass
	})
	startWorker(t, patient(p.address))

	awaitClosed(t, "the write is repeated", repeated)
	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	for i, r := range db.rows() {
		if after[i].FinishedAt != nil && !after[i].FinishedAt.Equal(*r.FinishedAt) {
			t.Errorf("event %d was finished at %v, and after the repetition at %v", r.ID, after[i].FinishedAt, r.FinishedAt)
		}
	}
}

// TestRecord_ThatNeverReachedTheServerIsRepeated: the connection breaks before
// the write arrives, three times.
func TestRecord_ThatNeverReachedTheServerIsRepeated(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 2)

	p := newProxy(t, db.address)
	var mu sync.Mutex
	writes := 0
	p.onRequest(func(x *exchange) action {
		if !x.runs(recordStatement) {
			return pass
		}
		mu.Lock()
		defer mu.Unlock()
		if writes++; writes <= 3 {
			return cut
		}
		return pass
	})
	startWorker(t, patient(p.address))

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	mu.Lock()
	defer mu.Unlock()
	if writes < 4 {
		t.Errorf("outcomes were written %d times", writes)
	}
}

// TestRecord_OutcomeIsHeldThroughAnOutage: the database becomes unavailable between POST
// and record, for longer than the lease. The outcomes are recorded when it is
// available; the worker that holds them does not expire them first.
func TestRecord_OutcomeIsHeldThroughAnOutage(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 1)

	p := newProxy(t, db.address)
	env := quick(p.address)
	env["WEBHOOK_TIMEOUT"] = "1s"
	startWorker(t, env)
	inFlight(t, rcv, 2)
	p.away()
	g.release()
	eventually(t, "the leases run out", func() bool {
		return db.count(`select count(*) from webhook.outbox where leased_until < clock_timestamp()`) == 2
	})
	eventually(t, "the worker has tried in vain", func() bool { return p.turnedAway() >= 3 })
	p.heal()

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
}

// TestRecord_LostLeaseChangesNothing: while the POSTs are under way,
// the lease of one event expires, and another is claimed by another worker.
func TestRecord_LostLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	contact := db.publish("contact.created", `{"contact_id": 7}`)
	expired, claimed := db.document("1"), db.document("2")

	w := startWorker(t, patient(db.address))
	inFlight(t, rcv, 3)
	db.exec(`update webhook.outbox set status = 'failed', finished_at = clock_timestamp(), leased_until = null, failure = 'interrupted', received = 'maybe', error = 'interrupted: outcome unknown' where id = $1`, contact)
	db.exec(`update webhook.outbox set leased_until = null, due_at = 'infinity', error = 'interrupted: outcome unknown' where id = $1`, expired)
	db.exec(`update webhook.outbox set claim_id = gen_random_uuid(), claimed_by = 'another', attempts = 2 where id = $1`, claimed)
	before := fmt.Sprint(asText(db, contact), asText(db, expired), asText(db, claimed))
	g.release()
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d: an outcome whose lease was lost needs no more work", status)
	}
	if after := fmt.Sprint(asText(db, contact), asText(db, expired), asText(db, claimed)); after != before {
		t.Errorf("the rows were\n%s\nand are now\n%s", before, after)
	}
}

// asText is a whole row, to be compared.
func asText(db *database, id int64) (text string) {
	db.t.Helper()
	if err := db.Get(&text, `select to_json(o)::text from webhook.outbox o where id = $1`, id); err != nil {
		db.t.Fatal(err)
	}
	return text
}

// TestRecord_AnswersThatNoTextColumnHolds: whatever bytes a receiver answers with, the
// outcome is recorded, and what is stored can be read.
func TestRecord_AnswersThatNoTextColumnHolds(t *testing.T) {
	t.Parallel()
	var controls bytes.Buffer
	for i := range 64 << 10 {
		controls.WriteByte(byte(i % 32))
	}
	bodies := map[string][]byte{
		"contacts":      []byte("a\x00b\x00"),
		"folders":       []byte("\xff\xfe\xc3(\xed\xa0\x80\xf0\x9f\x98"),
		"cases":         controls.Bytes(),
		"notifications": bytes.Repeat([]byte("界"), 30_000),
		"rules":         []byte(`{"a": "\u0000", "b": "\\x00", "c": "{,\"}"}` + "\u2028\u0085\u200b"),
		"audit_log":     nil,
		"documents":     []byte("\x00"),
	}
	for _, status := range []int{200, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			rcv := newResponder(t, func(w http.ResponseWriter, r receipt) {
				w.WriteHeader(status)
				_, _ = w.Write(bodies[strings.TrimPrefix(r.path, "/")])
			})
			db := ready(t, rcv.URL)
			events := append(oneAttempts(), "document.exported")
			for _, event := range events {
				db.publish(event, `{"id": 1, "status": "Export"}`)
			}
			startWorker(t, quick(db.address))
			eventually(t, "every outcome is recorded", func() bool {
				return db.count(`select count(*) from webhook.outbox where http_status = $1 and leased_until is null`, status) == len(events)
			})
			for _, r := range db.rows() {
				text := value(r.Response)
				if !utf8.ValidString(text) || len(text) > 2048 || strings.ContainsFunc(text, unicode.IsControl) {
					t.Errorf("%s: the response %q was stored", r.Event, text)
				}
			}
		})
	}
}

// workerStore is the database as a worker has it.
func workerStore(t *testing.T, address string) *store.Store {
	t.Helper()
	pool, err := store.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return store.New(pool, time.Minute)
}

// TestRecord_RejectedValuesAreReported: a NUL byte is no text (22021), and
// none of the batch is written.
func TestRecord_RejectedValuesAreReported(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	publishBoth(db, 1)
	s := workerStore(t, db.address)
	claimID := uuid.NewString()
	events, err := s.Claim(t.Context(), claimID, []outbox.Capacity{{Channel: "contacts"}, {Channel: "documents"}})
	if err != nil || len(events) != 2 {
		t.Fatalf("claimed %d events, %v", len(events), err)
	}
	for _, result := range []outbox.Result{{Status: 500, Error: "a\x00b"}, {Status: 500, Error: "x", Response: "\xff"}} {
		outcomes := []outbox.Outcome{
			{EventID: events[0].ID, ClaimID: claimID, Verdict: outbox.Sent, Result: outbox.Result{Received: outbox.ReceivedYes, Status: 200}},
			{EventID: events[1].ID, ClaimID: claimID, Verdict: outbox.Retry, Result: result},
		}
		if _, err := s.Record(t.Context(), outcomes); !errors.Is(err, outbox.ErrRejected) {
			t.Errorf("%+v: error %v, ErrRejected was expected", result, err)
		}
	}
	if n := db.count(`select count(*) from webhook.outbox where leased_until is not null`); n != 2 {
		t.Errorf("%d of 2 rows are still held", n)
	}
}

// TestRecord_SaysWhoseLeaseWasLost: so that the metrics count each attempt once. A row that is locked is
// another matter, and a repetition is one of its own.
func TestRecord_SaysWhoseLeaseWasLost(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	publishBoth(db, 2)
	s := workerStore(t, db.address)
	claimID := uuid.NewString()
	events, err := s.Claim(t.Context(), claimID, []outbox.Capacity{{Channel: "contacts"}, {Channel: "documents"}})
	if err != nil || len(events) != 4 {
		t.Fatalf("claimed %d events, %v", len(events), err)
	}
	var outcomes []outbox.Outcome
	for _, ev := range events {
		outcomes = append(outcomes, outbox.Outcome{EventID: ev.ID, ClaimID: claimID, Verdict: outbox.Sent, Result: outbox.Result{Received: outbox.ReceivedYes, Status: 200}})
	}
	const by = `select count(*) from webhook.outbox where status = 'sent'`
	record := func(when string, lost, locked, sent int) {
		t.Helper()
		rest, err := s.Record(t.Context(), outcomes)
		if err != nil || len(rest.LeaseLost) != lost || len(rest.Locked) != locked || db.count(by) != sent {
			t.Errorf("%s: %d without a lease, %d locked, %d sent, error %v; expected %d, %d and %d", when, len(rest.LeaseLost), len(rest.Locked), db.count(by), err, lost, locked, sent)
		}
		if lost == 1 && (len(rest.LeaseLost) == 0 || rest.LeaseLost[0].EventID != events[0].ID) {
			t.Errorf("%s: %v has lost its lease, not %d", when, rest.LeaseLost, events[0].ID)
		}
	}
	db.exec(`update webhook.outbox set claim_id = gen_random_uuid(), attempts = 2 where id = $1`, events[0].ID)
	release := db.locked(`select from webhook.outbox where id = $1 for update`, events[1].ID)
	record("one claimed by another, one locked", 1, 1, 2)
	release()
	record("the lock is free, the outcomes are repeated", 3, 0, 3)
	s = workerStore(t, db.address) // it skips no locks
	record("once more", 4, 0, 3)
}

// rudeSender makes no request: it returns what the test wants.
type rudeSender func(outbox.Request) outbox.Result

func (rudeSender) Check(string, string, string) error { return nil }

func (s rudeSender) Send(_ context.Context, r outbox.Request) outbox.Result { return s(r) }

// TestRecord_RejectedTextsKeepFailureAndReceived: should a text ever get past the sender that PostgreSQL
// rejects, it blocks no other outcome, and its own event is recorded without it. What retry_failed
// decides by is kept.
func TestRecord_RejectedTextsKeepFailureAndReceived(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	publishBoth(db, 10)
	rude := db.publish("rule.executed", `{}`)
	rudeDocument := db.document("99")
	refuse := rudeSender(func(r outbox.Request) outbox.Result {
		switch {
		case strings.Contains(r.WebhookID, fmt.Sprint("-", rude, "-")), strings.Contains(r.WebhookID, fmt.Sprint("-", rudeDocument, "-")):
			return outbox.Result{Failure: outbox.FailureBadAnswer, Received: outbox.ReceivedMaybe, Status: 500, Error: "a\x00b", Response: "\xff"}
		}
		return outbox.Result{Status: 200, Received: outbox.ReceivedYes, Response: "fine"}
	})
	d := outbox.New(workerStore(t, db.address), refuse, zap.NewNop(),
		outbox.Options{PollInterval: time.Millisecond, Timeout: 20 * time.Second, Lease: 2 * time.Minute})
	if err := d.Once(t.Context(), t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range db.rows() {
		switch r.ID {
		case rude, rudeDocument:
			want := map[int64]string{rude: "failed", rudeDocument: "pending"}[r.ID]
			if r.Status != want || r.LeasedUntil != nil || value(r.HTTPStatus) != 500 || r.Response != nil || !strings.Contains(value(r.Error), "could not be stored") {
				t.Errorf("the event whose texts are rejected: %s", asText(db, r.ID))
			}
			if failure, received := db.newestAttempt(r.ID); failure != "bad_answer" || received != "maybe" {
				t.Errorf("the event whose texts are rejected has failure %q and received %q", failure, received)
			}
		default:
			if r.Status != "sent" || value(r.Response) != "fine" {
				t.Errorf("event %d beside it: %s", r.ID, asText(db, r.ID))
			}
		}
	}
}

// TestRecord_LockedRowDelaysNoOther: another session's open transaction holds the lock
// of one event whose POST is under way. The outcomes of all others are recorded
// meanwhile, and its own when the lock is gone.
func TestRecord_LockedRowDelaysNoOther(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 5)
	w := startWorker(t, patient(db.address))
	inFlight(t, rcv, 10)

	lock := db.MustBegin()
	defer lock.Rollback()
	var locked int64
	if err := lock.Get(&locked, `select id from webhook.outbox where event = 'contact.created' order by id limit 1 for update`); err != nil {
		t.Fatal(err)
	}
	g.release()
	eventually(t, "the nine others are recorded while the lock is held", func() bool {
		return db.count(`select count(*) from webhook.outbox where status = 'sent'`) == 9
	})
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestRecord_ManyLockedRowsDelayNoOther: the open transaction has locked a whole
// channel's events. Were each of them waited for in turn, the leases of the others
// would run out meanwhile, and what was delivered would be sent again.
func TestRecord_ManyLockedRowsDelayNoOther(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 120)
	env := quick(db.address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "10s", "25s"
	startWorker(t, env)
	inFlight(t, rcv, 240)

	lock := db.MustBegin()
	defer lock.Rollback()
	if _, err := lock.Exec(`select from webhook.outbox where event = 'contact.created' for update`); err != nil {
		t.Fatal(err)
	}
	g.release()
	eventually(t, "the documents are recorded while the lock is held", func() bool {
		return db.count(`select count(*) from webhook.outbox where event = 'document.exported' and status = 'sent'`) == 120
	})
	audit := db.publish("audit.log", `{}`)
	eventually(t, "so is what comes now", func() bool { return db.status(audit) == "sent" })
	for _, r := range db.rows() {
		if n := len(rcv.of(r.ID)); r.Event == "document.exported" && (r.Attempts != 1 || n != 1) {
			t.Errorf("document event %d was claimed %d times and received %d times", r.ID, r.Attempts, n)
		}
	}
}

// awaitClosed waits for an event of the test's own.
func awaitClosed(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("not within %s: %s", patience, what)
	}
}

// TestRecord_DeniedRowDelaysNoOther: a trigger of the database's owner lets
// one event not be finished, or a right is missing. The others are recorded, and
// this one is as soon as the rule is gone.
func TestRecord_DeniedRowDelaysNoOther(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`create function public.deny() returns trigger language plpgsql as $$ begin raise exception 'not on my watch'; end $$`)
	db.exec(`create trigger deny before update on webhook.outbox for each row
	         when (new.status = 'sent' and new.data ->> 'name' = 'denied') execute function public.deny()`)
	denied := db.publish("contact.created", `{"name": "denied"}`)
	db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, 50)`)
	worker := startWorker(t, patient(db.address))

	eventually(t, "the other fifty are recorded", func() bool {
		return db.count(`select count(*) from webhook.outbox where status = 'sent'`) == 50
	})
	eventually(t, "the log says what stands in the way", func() bool { return strings.Contains(worker.log.String(), "not on my watch") })
	if db.status(denied) != "sending" {
		t.Fatalf("the denied event is %s", db.status(denied))
	}
	db.exec(`drop trigger deny on webhook.outbox`)
	eventually(t, "it is recorded once it may be", func() bool { return db.status(denied) == "sent" })
	if n := len(rcv.of(denied)); n != 1 {
		t.Errorf("it was received %d times", n)
	}
}
