package integration_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
)

// countedStore counts the claims.
type countedStore struct {
	outbox.Store
	claims atomic.Int64
}

func (s *countedStore) Claim(ctx context.Context, claimID string, capacity []outbox.Capacity) ([]outbox.Event, error) {
	s.claims.Add(1)
	return s.Store.Claim(ctx, claimID, capacity)
}

// polling is a dispatcher on a database, in this process, that delivers contacts and no document.
type polling struct {
	db    *database
	store *countedStore
	*outbox.Dispatcher
}

func startPolling(t *testing.T, db *database) *polling {
	t.Helper()
	p := &polling{db: db, store: &countedStore{Store: workersStore(t, db.address)}}
	sender := rudeSender(func(r outbox.Request) outbox.Result {
		if r.Channel == "documents" {
			return outbox.Result{Failure: outbox.FailureServerError, Received: outbox.ReceivedNo, Status: 503, Error: "HTTP 503", Took: time.Millisecond}
		}
		return outbox.Result{Received: outbox.ReceivedYes, Status: 200, Took: time.Millisecond}
	})
	p.Dispatcher = outbox.New(p.store, sender, zap.NewNop(), outbox.Options{PollInterval: 20 * time.Millisecond, Timeout: 30 * time.Second, Lease: 90 * time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	stop, stopNow := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.Run(ctx, stop) }()
	t.Cleanup(func() { stopNow(); <-ended; cancel() })
	return p
}

// entries is how many index entries claims have read, of those that lead to pending and to leased rows.
// A session hands in its statistics once a second.
func (p *polling) entries() int {
	time.Sleep(1500 * time.Millisecond)
	return p.db.count(`select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes
	                    where indexrelname in ('outbox_pending', 'outbox_one_attempt_per_document', 'outbox_held')`)
}

// perClaim is how many entries a claim reads while this is done.
func (p *polling) perClaim(do func()) float64 {
	p.db.t.Helper()
	entries, claims := p.entries(), p.store.claims.Load()
	do()
	return float64(p.entries()-entries) / float64(p.store.claims.Load()-claims)
}

// oldSnapshot opens a transaction for which every version of a row is kept from now on.
func oldSnapshot(t *testing.T, db *database, statements ...string) {
	t.Helper()
	tx, err := db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	for _, s := range statements {
		tx.MustExec(s)
	}
}

var oldSnapshots = map[string][]string{
	"pg_dump":             {`set transaction isolation level repeatable read`, `select count(*) from webhook.outbox`},
	"long-running writer": {`create table public.of_a_long_transaction (id int)`},
}

// An hour of refused documents: between its two measurements each document gets as many versions as an
// hour leaves, each due at another time.
func TestPoll_ReadsNoMoreAfterAnHourOfRefusedDocuments(t *testing.T) {
	t.Parallel()
	const documents, cycles = 100, 180
	for name, statements := range oldSnapshots {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://receiver.example")
			oldSnapshot(t, db, statements...)
			db.exec(`insert into webhook.outbox (event, data) select 'document.exported', json_build_object('id', n, 'status', 'Export') from generate_series(1, $1) n`, documents)
			p := startPolling(t, db)
			tried := func(times int) {
				eventually(t, fmt.Sprintf("each document was tried %d times", times), func() bool {
					return db.count(`select count(*) from webhook.outbox where event = 'document.exported' and attempts < $1`, times) == 0
				})
			}
			seconds := func() {
				for range 20 {
					id := db.publish("contact.created", `{}`)
					eventually(t, "a contact is sent", func() bool { return db.status(id) == "sent" })
				}
				time.Sleep(2 * time.Second)
			}
			tried(2) // the second time on the ten-second mark
			before := p.perClaim(seconds)
			db.exec(fmt.Sprintf(`do $$ begin
				for n in 1..%d loop
				  update webhook.outbox set due_at = clock_timestamp() - interval '1 hour' + n * interval '10 seconds'
				   where event = 'document.exported' and leased_until is null;
				  update webhook.outbox set due_at = clock_timestamp() + interval '1 day' where event = 'document.exported' and leased_until is null;
				end loop;
			end $$`, cycles))
			p.Cycle(t.Context())
			after := p.perClaim(seconds)
			t.Logf("%.0f entries per claim at first, %.0f after an hour", before, after)
			if after > 2*before+200 {
				t.Errorf("a claim reads %.0f entries, at first it were %.0f", after, before)
			}
			db.exec(`update webhook.outbox set due_at = clock_timestamp() where event = 'document.exported'`)
			tried(3) // and the cursor overlooks none of them
		})
	}
}

func TestPoll_IdleOneReadsNoMoreAfterManyEvents(t *testing.T) {
	t.Parallel()
	for name, statements := range oldSnapshots {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://receiver.example")
			oldSnapshot(t, db, statements...)
			p := startPolling(t, db)
			idle := func() { time.Sleep(2 * time.Second) }
			before := p.perClaim(idle)
			db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, 5000)`)
			eventually(t, "all are sent", func() bool { return db.count(`select count(*) from webhook.outbox where status = 'sent'`) == 5000 })
			time.Sleep(6 * time.Second)
			p.Cycle(t.Context())
			if after := p.perClaim(idle); after > before+10 {
				t.Errorf("an idle poll reads %.0f entries, before the events it were %.0f", after, before)
			}
			id := db.publish("contact.created", `{}`)
			eventually(t, "another event is sent", func() bool { return db.status(id) == "sent" })
		})
	}
}

// Another worker has claimed everything: this one has no place of its own to go on from.
func TestPoll_IdleWorkerReadsNoMoreAfterTheOthersEvents(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	oldSnapshot(t, db, oldSnapshots["pg_dump"]...)
	p := startPolling(t, db)
	idle := func() { time.Sleep(2 * time.Second) }
	before := p.perClaim(idle)
	db.exec(`begin; set local webhook.resending = 'on';
	         insert into webhook.outbox (event, data, due_at) select 'contact.created', '{}', now() from generate_series(1, 5000);
	         update webhook.outbox set status = 'sent', http_status = 200, received = 'yes', finished_at = now();
	         commit`)
	time.Sleep(6 * time.Second)
	if after := p.perClaim(idle); after > before+10 {
		t.Errorf("an idle poll reads %.0f entries, before the events it were %.0f", after, before)
	}
}

// A claim that only supersedes has found something.
func TestOnce_GoesOnBehindManySupersededExports(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`insert into webhook.outbox (event, data) select 'document.exported', '{"id": 7, "status": "Export"}' from generate_series(1, 300)`)
	if _, stderr, status := runProgram(t, quick(db.address), nil, "run", "--once"); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if n := db.count(`select count(*) from webhook.outbox where status = 'superseded'`); n != 299 || len(rcv.all()) != 1 {
		t.Errorf("%d of 299 are superseded, %d requests arrived", n, len(rcv.all()))
	}
}

// Rows that the scan has passed: each is found within a cycle, whatever its channel did meanwhile.
func TestCursor_WhatCommitsLateIsFoundInTheNextCycle(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	p := startPolling(t, db)
	late, err := db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	var id int64
	if err := late.Get(&id, `select webhook.publish('contact.created', '{}')`); err != nil {
		t.Fatal(err)
	}
	for range 35 { // 7 s
		fresh := db.publish("contact.created", `{}`)
		time.Sleep(200 * time.Millisecond)
		eventually(t, "others are sent meanwhile", func() bool { return db.status(fresh) == "sent" })
	}
	if err := late.Commit(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if db.status(id) != "pending" {
		t.Error("it was found without a cycle: this test shows nothing")
	}
	p.Cycle(t.Context())
	began := time.Now()
	eventually(t, "the late event is sent", func() bool { return db.status(id) == "sent" })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%s after the cycle", took)
	}
}

func TestCursor_ChannelThatIsTurnedOnIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	db.exec(`update webhook.settings set offline_mode = true`)
	startPolling(t, db)
	id := db.publish("contact.created", `{}`)
	time.Sleep(7 * time.Second)
	db.exec(`update webhook.settings set offline_mode = false`)
	began := time.Now()
	eventually(t, "the event is sent", func() bool { return db.status(id) == "sent" })
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("after %s", took)
	}
}
