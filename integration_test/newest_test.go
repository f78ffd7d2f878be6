package integration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// How often the server compares in these tests.
const (
	probeEvery = 10 * time.Millisecond
	probeTimes = 10
	probeLong  = 60_000 // comparisons: ten minutes
)

type probed struct {
	newest int64
	err    error
}

// waitFor begins a probe that waits for long, and returns once the server executes it.
func waitFor(ctx context.Context, t *testing.T, db *database, s outbox.Store, known int64) <-chan probed {
	t.Helper()
	answers := make(chan probed, 1)
	go func() {
		newest, err := s.Newest(ctx, known, probeEvery, probeLong)
		answers <- probed{newest, err}
	}()
	eventually(t, "the server executes the probe", func() bool { return probing(db) == 1 })
	return answers
}

// probing is how many sessions execute a probe.
func probing(db *database) int {
	return db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' and query like '%the newest id that is known%'`)
}

// A statement that has begun sees the ids that are drawn since, whether their transactions commit or not.
func TestNewest_SeesAnIDBeforeItsTransactionEnds(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	s := workersStore(t, db.address)
	if newest, err := s.Newest(t.Context(), 0, probeEvery, probeTimes); newest != 0 || err != nil {
		t.Fatalf("without an event: %d, %v", newest, err)
	}
	answers := waitFor(t.Context(), t, db, s, 0)
	tx, err := db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	var id int64
	if err := tx.Get(&id, `select webhook.publish('contact.created', '{}')`); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.newest != id || a.err != nil {
		t.Errorf("while the transaction of event %d is open: %d, %v", id, a.newest, a.err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if newest, err := s.Newest(t.Context(), 0, probeEvery, probeTimes); newest != id || err != nil {
		t.Errorf("after it was rolled back: %d, %v", newest, err)
	}
	next := db.publish("contact.created", `{}`)
	if newest, err := s.Newest(t.Context(), id, time.Hour, 2); newest != next || err != nil { // compared before it waits
		t.Errorf("after event %d: %d, %v", next, newest, err)
	}
}

func TestNewest_ReturnsWhatIsKnownAfterItsComparisons(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	s := workersStore(t, db.address)
	id := db.publish("contact.created", `{}`)
	began := time.Now()
	newest, err := s.Newest(t.Context(), id, probeEvery, probeTimes)
	if took := time.Since(began); newest != id || err != nil || took < (probeTimes-1)*probeEvery {
		t.Errorf("%d, %v after %s", newest, err, took)
	}
}

// After a failover, or a restore, ids are assigned that are lower.
func TestNewest_ReturnsALowerIDWhereTheSequenceHasGoneBack(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	s := workersStore(t, db.address)
	if newest, err := s.Newest(t.Context(), 1000, probeEvery, probeTimes); newest != 0 || err != nil {
		t.Errorf("%d, %v", newest, err)
	}
}

// A stop ends the probe that is under way, on the server too, and no other statement's connection.
func TestNewest_EndsWithItsContextAndNoOtherConnectionDoes(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	s := workersStore(t, db.address)
	claims := func() (pid int) { // each session that claims holds a lock
		t.Helper()
		if _, err := s.Claim(t.Context(), "6a0f5ad4-7d4b-4c3f-9f0e-0d0a52a7c001", nil); err != nil {
			t.Fatal(err)
		}
		return db.count(`select pid from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`)
	}
	before := claims()
	ctx, cancel := context.WithCancel(t.Context())
	answers := waitFor(ctx, t, db, s, 0)
	cancel()
	if a := <-answers; a.err == nil || a.newest != 0 || strings.Contains(a.err.Error(), "57014") { // else by its time limit
		t.Errorf("%d, %v", a.newest, a.err)
	}
	if after := claims(); after != before {
		t.Errorf("the session that claims was %d and is %d", before, after)
	}
	if newest, err := s.Newest(t.Context(), 7, probeEvery, probeTimes); newest != 0 || err != nil {
		t.Errorf("the next probe: %d, %v", newest, err)
	}
}

func TestNewest_WorksAgainAfterItsSessionWasEnded(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	s := workersStore(t, db.address)
	answers := waitFor(t.Context(), t, db, s, 0)
	db.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' and query like '%the newest id that is known%'`)
	if a := <-answers; a.err == nil || errors.Is(a.err, outbox.ErrDenied) {
		t.Errorf("%d, %v", a.newest, a.err)
	}
	id := db.publish("contact.created", `{}`)
	if newest, err := s.Newest(t.Context(), 0, probeEvery, probeTimes); newest != id || err != nil {
		t.Errorf("%d, %v", newest, err)
	}
}

// A role that was created by an earlier version may not read the sequence: the worker polls, and check says so.
func TestNewest_WithoutItsPrivilegeItIsDeniedAndTheWorkerPolls(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := withRoles(t, rcv.URL)
	worker := loginRole(t, db, "webhook_worker")
	s := workersStore(t, worker.address)
	if newest, err := s.Newest(t.Context(), 7, probeEvery, probeTimes); newest != 0 || err != nil {
		t.Fatalf("with the privilege: %d, %v", newest, err)
	}
	db.exec(`revoke select on sequence webhook.outbox_id_seq from webhook_worker`)
	old := workersStore(t, worker.address)
	if _, err := old.Newest(t.Context(), 7, probeEvery, probeTimes); !errors.Is(err, outbox.ErrDenied) {
		t.Errorf("without the privilege: %v", err)
	} else {
		with(t, "the error", err.Error(), "grant select on sequence webhook.outbox_id_seq to")
	}
	said, _, _ := runProgram(t, settings{"DATABASE_URL": worker.address, "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}, nil, "check")
	with(t, "check", said, "warn  privileges: the role "+worker.name+" can be the worker; it polls more often", "webhooks migrate --roles")
	w := startWorker(t, quick(worker.address))
	for range 3 {
		id := db.publish("contact.created", `{}`)
		eventually(t, "an event is sent", func() bool { return db.status(id) == "sent" })
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(w.log.String(), "probe denied, polling more often instead") })
	db.exec(`grant select on sequence webhook.outbox_id_seq to webhook_worker`)
	if newest, err := old.Newest(t.Context(), 0, probeEvery, probeTimes); newest != 3 || err != nil {
		t.Errorf("once it is granted: %d, %v", newest, err)
	}
}

// Polls are an hour apart: what is delivered was seen by a probe, also what commits long after its id was drawn.
func TestPoll_EventsAreDeliveredBetweenTwoPolls(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, settings{"DATABASE_URL": db.address, "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "WEBHOOK_POLL_INTERVAL": "1h"})
	for range 10 {
		id := db.publish("contact.created", `{}`)
		eventually(t, "an event is sent", func() bool { return db.status(id) == "sent" })
		tx, err := db.Beginx()
		if err != nil {
			t.Fatal(err)
		}
		var late int64
		if err := tx.Get(&late, `select webhook.publish('contact.created', '{}')`); err != nil {
			t.Fatal(err)
		}
		others := db.publish("contact.created", `{}`)
		eventually(t, "one of another transaction is sent", func() bool { return db.status(others) == "sent" })
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the one that commits late is sent", func() bool { return db.status(late) == "sent" })
	}
}
