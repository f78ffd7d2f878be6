package integration_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// attempter is a worker without a clock: it claims what there is, and records what the test wants.
type attempter struct {
	db    *database
	store *store.Store
}

func newAttempter(t *testing.T, db *database, lease time.Duration) *attempter {
	t.Helper()
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return &attempter{db: db, store: store.New(pool, lease)}
}

// claim makes everything due and claims it.
func (a *attempter) claim() []outbox.Event {
	a.db.t.Helper()
	a.db.exec(`update webhook.outbox set due_at = now() where status = 'pending' and leased_until is null`)
	var lanes []outbox.Capacity
	for _, c := range outbox.Channels() {
		lanes = append(lanes, outbox.Capacity{Channel: c.Name})
	}
	events, err := a.store.Claim(a.db.t.Context(), uuid.NewString(), lanes)
	if err != nil {
		a.db.t.Fatal(err)
	}
	return events
}

// attempt lets everything that is pending meet one result.
func (a *attempter) attempt(r outbox.Result) {
	a.db.t.Helper()
	var outcomes []outbox.Outcome
	for _, e := range a.claim() {
		v := outbox.Retry
		switch {
		case r.Delivered():
			v = outbox.Sent
		case !e.AtLeastOnce:
			v = outbox.Failed
		}
		outcomes = append(outcomes, outbox.Outcome{EventID: e.ID, ClaimID: e.ClaimID, Verdict: v, Result: r})
	}
	if len(outcomes) == 0 {
		a.db.t.Fatal("nothing could be claimed")
	}
	if _, err := a.store.Record(a.db.t.Context(), outcomes); err != nil {
		a.db.t.Fatal(err)
	}
}

func rejectedWith(status int) outbox.Result {
	return outbox.Result{Failure: outbox.FailureServerError, Received: outbox.ReceivedNo, Status: status, Error: fmt.Sprintf("HTTP %d from https://re.example", status)}
}

// newestAttempt is what the row of an event says of its newest attempt.
func (db *database) newestAttempt(id int64) (failure, received string) {
	db.t.Helper()
	if err := db.QueryRow(`select coalesce(failure, ''), coalesce(received, '') from webhook.outbox where id = $1`, id).Scan(&failure, &received); err != nil {
		db.t.Fatal(err)
	}
	return failure, received
}

// runs are what webhook.attempts keeps of an event: "1: 3 × 503 HTTP 503 from …".
func (db *database) runs(id int64) (all []string) {
	db.t.Helper()
	if err := db.Select(&all, `select format('%s: %s × %s %s', run, attempts, http_status, error) from webhook.attempts where outbox_id = $1 order by run`, id); err != nil {
		db.t.Fatal(err)
	}
	return all
}

func TestRuns_EqualFailuresAreOneRun(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	one, other := db.document("42"), db.document("43")
	timedOut := outbox.Result{Failure: outbox.FailureTimeout, Received: outbox.ReceivedMaybe, Error: "timed out: 30s ran out while connecting to https://re.example; nothing was sent"}
	for range 30 {
		a.attempt(rejectedWith(503))
	}
	for range 5 {
		a.attempt(timedOut)
	}
	a.attempt(rejectedWith(503))
	a.attempt(outbox.Result{Failure: outbox.FailureServerError, Received: outbox.ReceivedNo, Status: 502, Error: "HTTP 503 from https://re.example"}) // another status, the same text
	a.attempt(outbox.Result{Received: outbox.ReceivedYes, Status: 200})

	want := []string{"1: 30 × 503 HTTP 503 from https://re.example", "2: 5 ×  " + timedOut.Error, "3: 1 × 503 HTTP 503 from https://re.example", "4: 1 × 502 HTTP 503 from https://re.example"}
	if n := db.count(`select count(*) from webhook.attempts where failure is distinct from case run when 2 then 'timeout' else 'server_error' end
		or received is distinct from case run when 2 then 'maybe' else 'no' end`); n != 0 {
		t.Errorf("%d runs have another failure or received than their attempts", n)
	}
	for _, id := range []int64{one, other} {
		if failure, received := db.newestAttempt(id); failure != "" || received != "yes" {
			t.Errorf("after a success failure is %q and received %q", failure, received)
		}
		if got := db.runs(id); !slices.Equal(got, want) {
			t.Errorf("the runs are %q", got)
		}
		if r := db.row(id); r.Status != "sent" || r.Attempts != 38 {
			t.Errorf("it is %s after %d attempts", r.Status, r.Attempts)
		}
	}
	if n := db.count(`select count(*) from webhook.attempts a where not (first_at < last_at or attempts = 1 and first_at = last_at)
		or exists (select from webhook.attempts before where before.outbox_id = a.outbox_id and before.run = a.run - 1 and before.last_at >= a.first_at)`); n != 0 {
		t.Errorf("%d runs do not lie one after the other", n)
	}
	if n := db.count(`select count(*) from webhook.outbox o where attempts <> (select sum(a.attempts) + 1 from webhook.attempts a where a.outbox_id = o.id)`); n != 0 {
		t.Error("the runs do not add up to the attempts")
	}
	db.explained(one, "was delivered at", "after 38 attempts", "30 × HTTP 503 from https://re.example (20", "5 × timed out: ", "1 × HTTP 503")
}

func TestRuns_FirstAndNewestHundredAreKept(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	id := db.document("42")
	for n := range 250 {
		a.attempt(rejectedWith(500 + n%2))
	}
	got := db.runs(id)
	if len(got) != 101 || got[0] != "1: 1 × 500 HTTP 500 from https://re.example" || got[1] != "151: 1 × 500 HTTP 500 from https://re.example" ||
		got[100] != "250: 1 × 501 HTTP 501 from https://re.example" {
		t.Errorf("%d runs are kept, from %q, %q to %q; the first and the newest hundred were expected", len(got), got[0], got[1], got[len(got)-1])
	}
	db.explained(id, "was not delivered yet, after 250 attempts", "1 × HTTP 501", "; 1 × HTTP 500")
}

func TestRuns_ExpiredLeaseIsAnAttempt(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Millisecond)
	id, contact := db.document("42"), db.publish("contact.created", `{}`)
	for range 3 {
		a.claim()
		eventually(t, "the lease has run out", func() bool {
			n, err := expireAll(t.Context(), a.store)
			return err == nil && n > 0 && db.row(id).LeasedUntil == nil
		})
	}
	for _, id := range []int64{id, contact} {
		if failure, received := db.newestAttempt(id); failure != "interrupted" || received != "maybe" {
			t.Errorf("event %d has failure %q and received %q", id, failure, received)
		}
	}
	if got := db.runs(id); !slices.Equal(got, []string{"1: 3 ×  interrupted: outcome unknown"}) {
		t.Errorf("the runs are %q", got)
	}
	db.explained(id, "3 × interrupted: outcome unknown")
	if r := db.row(contact); r.Status != "failed" || r.Attempts != 1 || len(db.runs(contact)) != 0 {
		t.Errorf("the one-attempt event is %+v, runs %q", r, db.runs(contact))
	}
}

func TestRuns_OnlyRetriesWriteThem(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	for _, c := range outbox.Channels() {
		if c.Event != "document.exported" {
			db.publish(c.Event, `{}`)
		}
		insertTest(db, c.Event)
	}
	a.attempt(rejectedWith(500))
	db.document("42")
	a.attempt(outbox.Result{Received: outbox.ReceivedYes, Status: 200}) // at the first attempt
	db.document("43")
	events := a.claim()
	if n, err := a.store.ReleaseClaims(t.Context(), []string{events[0].ClaimID}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	events = a.claim()
	if _, err := a.store.Record(t.Context(), []outbox.Outcome{{EventID: events[0].ID, ClaimID: events[0].ClaimID, Verdict: outbox.Released}}); err != nil {
		t.Fatal(err)
	}
	if n := db.count(`select count(*) from webhook.attempts`); n != 0 {
		t.Errorf("%d runs were written", n)
	}
}

func TestRuns_RepeatedRecordCountsOnce(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	id := db.document("42")
	events := a.claim()
	for range 3 {
		if _, err := a.store.Record(t.Context(), []outbox.Outcome{{EventID: id, ClaimID: events[0].ClaimID, Verdict: outbox.Retry, Result: rejectedWith(503)}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := db.runs(id); !slices.Equal(got, []string{"1: 1 × 503 HTTP 503 from https://re.example"}) {
		t.Errorf("the runs are %q", got)
	}
}

func TestRuns_ArePrunedWithTheirEventAndSurviveAResend(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	id := db.document("42")
	a.attempt(rejectedWith(503))
	a.attempt(outbox.Result{Received: outbox.ReceivedYes, Status: 200})
	db.ask(`select webhook.retry($1)`, id)
	a.attempt(rejectedWith(503))
	if got := db.runs(id); !slices.Equal(got, []string{"1: 2 × 503 HTTP 503 from https://re.example"}) {
		t.Errorf("the runs are %q", got)
	}
	if n := db.number(`select webhook.prune('0')`); n != 0 || len(db.runs(id)) != 1 {
		t.Errorf("%d pruned although it is pending", n)
	}
	a.attempt(outbox.Result{Received: outbox.ReceivedYes, Status: 200})
	if n := db.number(`select webhook.prune('0')`); n != 1 || len(db.runs(id)) != 0 {
		t.Errorf("%d pruned, %d runs are left", n, len(db.runs(id)))
	}
}
