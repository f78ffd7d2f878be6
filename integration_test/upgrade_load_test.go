package integration_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// load is an application that goes on writing while binaries, schema and servers change beneath it: some hundred
// events a second, of every channel, each with a row of its own in the same transaction, which says afterwards what was
// committed. Its receiver rejects the first attempt of every tenth document.
type load struct {
	t       testing.TB
	rcv     *receiver
	strict  bool // no transaction may fail
	stop    chan struct{}
	stopped sync.Once
	wait    sync.WaitGroup

	mu      sync.Mutex
	address string         // where the application's sessions go
	met     map[string]int // requests by webhook-id
	holding bool           // held documents are rejected

	failed atomic.Int64 // transactions
}

// The application's own tables.
const ledgerSQL = `
	create table public.ledger (event_id bigint primary key, written_at timestamptz not null default clock_timestamp());
	grant select, insert on public.ledger to public`

// newLoad makes the application's table and the receiver, and points every channel at it. Nothing is written yet.
func newLoad(t testing.TB, db *database) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{}), address: db.address, met: map[string]int{}, holding: true}
	l.rcv = newReceiver(t, l.answer)
	db.exec(ledgerSQL)
	db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true`, l.rcv.URL)
	db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)
	t.Cleanup(l.end)
	return l
}

func (l *load) answer(r receipt) int {
	id := r.header.Get("webhook-id")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.met[id]++
	switch {
	case l.holding && strings.Contains(r.body, "held"):
		return 503
	case l.met[id] == 1 && strings.Contains(r.body, "rejected once"):
		return 503
	}
	return 200
}

// begin starts writing as the role of the address: three sessions, each a transaction every twenty milliseconds.
func (l *load) begin() {
	for n := range 3 {
		l.wait.Go(func() { l.write(n) })
	}
}

// moveTo is what an operator does to the application: from now on its transactions go there.
func (l *load) moveTo(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.address = address
}

func (l *load) end() {
	l.stopped.Do(func() { close(l.stop) })
	l.wait.Wait()
}

func (l *load) write(session int) {
	pools := map[string]*sqlx.DB{}
	defer func() {
		for _, pool := range pools {
			pool.Close()
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		address := l.address
		l.mu.Unlock()
		if pools[address] == nil {
			pools[address] = sqlx.MustOpen("postgres", address)
		}
		if err := transact(pools[address], session, n); err != nil {
			l.failed.Add(1)
			if l.strict {
				l.t.Errorf("an application's transaction: %v", err)
				return
			}
		}
	}
}

// transact is a transaction of the application: one event of each of three channels, in turn.
func transact(pool *sqlx.DB, session, n int) error {
	tx, err := pool.Beginx()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	const publish = `insert into public.ledger (event_id) select webhook.publish($1, $2::json)`
	others := []string{"contact.created", "folder.created", "case.created", "notification.created", "rule.executed", "audit.log"}
	answered := "accepted"
	if n%10 == 0 {
		answered = "rejected once"
	}
	for _, event := range []string{others[n%6], others[(n+3)%6]} {
		if _, err := tx.Exec(publish, event, fmt.Sprintf(`{"contact_id": %d}`, n)); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(publish, "document.exported", fmt.Sprintf(`{"id": "%d-%d", "status": "Export", "custom_01": %q}`, session, n, answered)); err != nil {
		return err
	}
	return tx.Commit()
}

// hold publishes a document that is rejected until release.
func (l *load) hold(db *database) (id int64) {
	l.t.Helper()
	id = db.publish("document.exported", `{"id": "held", "status": "Export", "custom_01": "held"}`)
	db.exec(`insert into public.ledger (event_id) values ($1)`, id)
	eventually(l.t, "the held document is rejected", func() bool { return len(l.rcv.of(id)) > 0 })
	return id
}

func (l *load) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = false
}

func (l *load) received() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.met)
}

// flows waits until another few hundred events have been received.
func (l *load) flows(what string) {
	l.t.Helper()
	from := l.received()
	eventually(l.t, "traffic flows "+what, func() bool { return l.received() >= from+300 || l.t.Failed() })
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// drain ends the writing and waits until nothing waits.
func (l *load) drain(db *database) {
	l.t.Helper()
	l.end()
	l.release()
	eventually(l.t, "all that was written is delivered", func() bool {
		return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
	})
}

// checkPromises compares the application's ledger, the outbox and what was received. planned: no worker was ended in
// the middle of a POST and no database died, so each event of at most once has arrived.
func (l *load) checkPromises(db *database, planned bool) {
	l.t.Helper()
	var rows []struct {
		ID                            int64
		Event, Status, WebhookID      string
		Failure                       string
		AtLeastOnce, Ledger, IsLeased bool
	}
	err := db.Select(&rows, `
		select coalesce(o.id, l.event_id) as id, coalesce(o.event, 'none') as event, coalesce(o.status, 'lost') as status, coalesce(o.failure, '') as failure,
		       coalesce(webhook.webhook_id(o), '') as webhookid, coalesce(o.at_least_once, true) as atleastonce, l.event_id is not null as ledger,
		       coalesce(o.leased_until is not null, false) as isleased
		  from webhook.outbox o full join public.ledger l on l.event_id = o.id
		 where o.status is distinct from 'cancelled'`) // those are history
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	met := maps.Clone(l.met)
	l.mu.Unlock()
	interrupted, repeated := 0, 0
	for _, r := range rows {
		n := met[r.WebhookID]
		delete(met, r.WebhookID)
		switch {
		case r.Event == "none" || !r.Ledger:
			l.t.Errorf("%d: the application's row and the event are not both there: %+v", r.ID, r)
		case r.IsLeased:
			l.t.Errorf("%d is leased still: %+v", r.ID, r)
		case r.AtLeastOnce && (r.Status != "sent" || n < 1):
			l.t.Errorf("%d is delivered at least once: %+v, received %d times", r.ID, r, n)
		case r.AtLeastOnce:
			repeated += n - 1
		case n > 1:
			l.t.Errorf("%d is delivered at most once: %+v, received %d times", r.ID, r, n)
		case r.Status == "failed" && r.Failure == "interrupted":
			interrupted++
		case r.Status != "sent" || n != 1:
			l.t.Errorf("%d: %+v, received %d times", r.ID, r, n)
		}
	}
	if len(met) > 0 {
		l.t.Errorf("received under a webhook-id that no event has: %q", slices.Collect(maps.Keys(met))[:1])
	}
	if planned && interrupted > 0 {
		l.t.Errorf("%d events of at most once are interrupted, expected none", interrupted)
	}
	l.t.Logf("%d events, %d received; %d documents sent again, %d events interrupted, %d of the application's transactions failed",
		len(rows), len(l.rcv.all()), repeated, interrupted, l.failed.Load())
}

func (l *load) webhookID(db *database, id int64) string {
	l.t.Helper()
	return db.ask(`select webhook.webhook_id(o) from webhook.outbox o where id = $1`, id)
}

// checkHeld: the document that was rejected before and accepted after is the same to its receiver.
func (l *load) checkHeld(db *database, id int64) {
	l.t.Helper()
	got := l.rcv.of(id)
	if len(got) < 2 || got[len(got)-1].answered != 200 {
		l.t.Fatalf("the held document was received %d times", len(got))
	}
	for _, r := range got {
		if r.header.Get("webhook-id") != l.webhookID(db, id) || r.body != got[0].body {
			l.t.Errorf("an attempt of the held document differs: %s\n%s\n%s", r.header.Get("webhook-id"), r.body, got[0].body)
		}
	}
}
