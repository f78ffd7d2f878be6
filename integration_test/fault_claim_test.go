package integration_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// patient are settings with a lease that outlasts the test, so that nothing
// which is delivered has merely expired.
func patient(address string) settings {
	env := quick(address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "20s", "120s"
	return env
}

// once is a hook's condition that holds the first time only.
type once struct {
	mu   sync.Mutex
	done bool
}

func (o *once) first() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.done
	o.done = true
	return !was
}

func (o *once) happened() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

// publishBoth writes n contacts and n documents of their own ids.
func publishBoth(db *database, n int) {
	for i := range n {
		db.publish("contact.created", `{"contact_id": 7}`)
		db.document(fmt.Sprint(i + 1))
	}
}

func finished(t *testing.T, db *database) {
	t.Helper()
	eventually(t, "every row is finished", func() bool {
		return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
	})
}

// checkEachSentOnce: every event was received once, and its row says so.
func checkEachSentOnce(t *testing.T, db *database, rcv *receiver) {
	t.Helper()
	for _, r := range db.rows() {
		if n := len(rcv.of(r.ID)); n != 1 || r.Status != "sent" || r.LeasedUntil != nil {
			t.Errorf("event %d (%s): received %d times, %s, error %q", r.ID, r.Event, n, r.Status, value(r.Error))
		}
	}
}

// TestClaim_ReplyLost: the server has committed a claim and its answer never
// arrives. The claim is looked up by its attempt id, and what it took is sent:
// once. The lanes have room for two rows each, so that a claim repeated by
// database/sql would take two others under the same id, and lose the first.
func TestClaim_ReplyLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]action{
		"the connection breaks":             cut,
		"an administrator ends the session": terminate, // after its commit: the error is no report of a rollback
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testClaimReplyLost(t, fault)
		})
	}
}

func testClaimReplyLost(t *testing.T, fault action) {
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set max_in_flight = 2`)
	publishBoth(db, 4)

	p := newProxy(t, db.address)
	var lost once
	var claims watch
	var claimID string
	var rows, held int
	p.onAnswer(func(x *exchange) action {
		claims.note(x)
		if x.runs(claimStatement) && x.rows > 0 && lost.first() {
			claimID, rows = x.claimID(), x.rows
			held = db.count(`select count(*) from webhook.outbox where claim_id = $1 and leased_until is not null`, claimID)
			return fault
		}
		return pass
	})
	startWorker(t, patient(p.address))

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if !lost.happened() || rows < 2 || held != rows {
		t.Fatalf("the lost claim returned %d rows, and %d were held under its id", rows, held)
	}
	if n := db.count(`select count(*) from webhook.outbox where claim_id = $1`, claimID); n != rows {
		t.Errorf("%d of %d rows were sent under the id of the lost claim", n, rows)
	}
	if n := db.count(`select count(*) from webhook.outbox where attempts <> 1`); n != 0 {
		t.Errorf("%d events were claimed more than once", n)
	}
	if id := claims.repeated(); id != "" {
		t.Errorf("the claim %s was executed more than once", id)
	}
}

// TestClaim_ThatNeverReachedTheServer: the connection breaks before the claim
// arrives. Nothing is found under its id, and the events go out under others.
func TestClaim_ThatNeverReachedTheServer(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 3)

	p := newProxy(t, db.address)
	var lost, lookedUp once
	var claimID string
	p.onRequest(func(x *exchange) action {
		if x.runs(claimStatement) && lost.first() {
			claimID = x.claimID()
			return cut
		}
		if x.runs(lookUpStatement) && x.claimID() == claimID {
			lookedUp.first()
		}
		return pass
	})
	startWorker(t, patient(p.address))

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if !lost.happened() || !lookedUp.happened() {
		t.Errorf("a claim was cut: %t; it was looked up: %t", lost.happened(), lookedUp.happened())
	}
	if n := db.count(`select count(*) from webhook.outbox where claim_id = $1 or attempts <> 1`, claimID); n != 0 {
		t.Errorf("%d events name the claim that never arrived, or more than one", n)
	}
}

// TestClaim_LookUpIsRepeatedUntilTheDatabaseAnswers: after the lost claim, the first
// three look-ups are lost, too.
func TestClaim_LookUpIsRepeatedUntilTheDatabaseAnswers(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 2)

	p := newProxy(t, db.address)
	var lost once
	var claimID string
	lookUps := 0
	p.onAnswer(func(x *exchange) action {
		if x.runs(claimStatement) && x.rows > 0 && lost.first() {
			claimID = x.claimID()
			return cut
		}
		return pass
	})
	p.onRequest(func(x *exchange) action {
		if x.runs(lookUpStatement) {
			if lookUps++; lookUps <= 3 {
				return cut
			}
		}
		return pass
	})
	startWorker(t, patient(p.address))

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if lookUps < 4 {
		t.Errorf("the claim was looked up %d times", lookUps)
	}
	if n := db.count(`select count(*) from webhook.outbox where claim_id = $1`, claimID); n != 4 {
		t.Errorf("%d of 4 events were sent under the lost claim's id", n)
	}
}

// TestClaim_CommittedAfterItsLookUpIsFoundByTheNext: a claim is under way on a
// connection that the worker has lost; the look-up finds nothing; then the claim
// commits. Its session has not ended before, so it is looked up again, and found.
func TestClaim_CommittedAfterItsLookUpIsFoundByTheNext(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 2)

	p := newProxy(t, db.address)
	var lost, lookedUp once
	var claimID string
	missed, committed := make(chan struct{}), make(chan struct{})
	p.onRequest(func(x *exchange) action {
		if x.runs(claimStatement) && lost.first() {
			claimID = x.claimID()
			x.hangUp()
			<-missed // the look-up has its answer: nothing
		}
		return pass
	})
	p.onAnswer(func(x *exchange) action {
		switch {
		case x.runs(claimStatement) && x.claimID() == claimID:
			close(committed)
		case x.runs(lookUpStatement) && lookedUp.first():
			if x.rows != 0 {
				t.Errorf("the look-up has found %d rows of a claim that was not executed yet", x.rows)
			}
			close(missed)
			<-committed // before the worker can claim the same rows anew
		}
		return pass
	})
	startWorker(t, patient(p.address))

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	select {
	case <-committed:
	default:
		t.Error("the claim was not executed after its look-up")
	}
	if n := db.count(`select count(*) from webhook.outbox where attempts = 1 and claim_id = $1`, claimID); n != 4 {
		t.Errorf("%d of 4 events were delivered under the claim that was looked up", n)
	}
}

// TestClaim_ReplyThatNeverComesReleasesItsEvents: the network goes silent after
// the claim was committed. The connection's deadline ends the wait after 20 s,
// which is when the claim is found: too late to begin the POSTs, so the events are
// released, and sent under another claim. It is also the proof that no read waits for ever.
func TestClaim_ReplyThatNeverComesReleasesItsEvents(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 2)

	p := newProxy(t, db.address)
	var lost once
	var claimID string
	p.onAnswer(func(x *exchange) action {
		if x.runs(claimStatement) && x.rows > 0 && lost.first() {
			claimID = x.claimID()
			p.hang() // the other connections, too
			return swallow
		}
		return pass
	})
	startWorker(t, patient(p.address))

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if n := db.count(`select count(*) from webhook.outbox where attempts = 2 and claim_id <> $1`, claimID); n != 4 {
		t.Errorf("%d of 4 events were released and claimed anew", n)
	}
}

// TestClaim_LookUpFindsEventsOfAChannelWithoutURL: between a claim and its look-up
// an operator clears the URL. The rows are found all the same: a look-up that
// fails is repeated for ever, and with it the whole worker would stand still.
func TestClaim_LookUpFindsEventsOfAChannelWithoutURL(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	id := db.publish("contact.created", `{"contact_id": 7}`)
	s := workerStore(t, db.address)
	claimID := uuid.NewString()
	if events, err := s.Claim(t.Context(), claimID, []outbox.Capacity{{Channel: "contacts"}}); err != nil || len(events) != 1 {
		t.Fatalf("claimed %d events, %v", len(events), err)
	}
	db.exec(`update webhook.channels set url = null where name = 'contacts'`)
	events, _, err := s.LookUpClaim(t.Context(), claimID)
	if err != nil {
		t.Fatalf("the look-up failed: %v", err)
	}
	if len(events) != 1 || events[0].ID != id || events[0].Endpoint.URL != "" {
		t.Errorf("the look-up has found %+v", events)
	}
}

// TestRelease_ChangesOnlyWhatIsStillLeased: under an id that was given up some
// leases have expired since, others were claimed anew. They stay as they are.
func TestRelease_ChangesOnlyWhatIsStillLeased(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	publishBoth(db, 3)
	s := workerStore(t, db.address)
	claimID := uuid.NewString()
	events, err := s.Claim(t.Context(), claimID, []outbox.Capacity{{Channel: "contacts"}, {Channel: "documents"}})
	if err != nil || len(events) != 6 {
		t.Fatalf("claimed %d events, %v", len(events), err)
	}
	db.exec(`update webhook.outbox set leased_until = clock_timestamp() - interval '1 second' where id <= 2`)
	if n, err := expireAll(t.Context(), s); n != 2 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
	db.exec(`update webhook.outbox set claim_id = gen_random_uuid(), attempts = 2 where id in (3, 4)`)
	var before []string
	for id := range int64(4) {
		before = append(before, asText(db, id+1))
	}

	if n, err := s.ReleaseClaims(t.Context(), []string{uuid.NewString(), claimID}); n != 2 || err != nil {
		t.Errorf("released %d, %v; 2 were expected", n, err)
	}
	for i, was := range before {
		if is := asText(db, int64(i+1)); is != was {
			t.Errorf("the row was\n%s\nand is\n%s", was, is)
		}
	}
	for id := int64(5); id <= 6; id++ {
		if r := db.row(id); r.Status != "pending" || r.LeasedUntil != nil || r.FinishedAt != nil {
			t.Errorf("released: %s", asText(db, id))
		}
	}
}

// expireAll ends every lease that is over, without waiting for a second cycle.
func expireAll(ctx context.Context, s *store.Store) (int, error) {
	claims, err := s.Expired(ctx)
	if err != nil {
		return 0, err
	}
	leases, err := s.ExpireLeases(ctx, claims)
	return eventsOf(leases), err
}

func eventsOf(leases []outbox.ExpiredLeases) (n int) {
	for _, l := range leases {
		n += l.Events
	}
	return n
}
