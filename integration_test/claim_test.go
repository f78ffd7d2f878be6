package integration_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// workersStore is the database as a worker sees it.
func workersStore(t testing.TB, address string) *store.Store {
	t.Helper()
	pool, err := store.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(pool, time.Minute)
	t.Cleanup(func() { s.Close(); _ = pool.Close() })
	return s
}

func TestClaim_LockedRowDelaysNoOther(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	locked := db.publish("contact.created", `{}`)
	release := db.locked(`select from webhook.outbox where id = $1 for update`, locked)
	startWorker(t, quick(db.address))
	for n := range 20 {
		id := db.publish("contact.created", `{}`)
		eventually(t, fmt.Sprintf("event %d of the same channel is sent", n), func() bool { return db.status(id) == "sent" })
	}
	if r := db.row(locked); r.Status != "pending" || r.Attempts != 0 {
		t.Errorf("the locked event is %s after %d attempts", r.Status, r.Attempts)
	}
	release()
	eventually(t, "the locked event is sent afterwards", func() bool { return db.status(locked) == "sent" })
}

// Two claims see the same two events; one of these is locked by another session
// for as long as both of them look. Each event is claimed by one of them.
func TestClaim_ConcurrentClaimsNeverShareAnEvent(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	locked, free := db.publish("contact.created", `{}`), db.publish("contact.created", `{}`)
	release := db.locked(`select from webhook.outbox where id = $1 for update`, locked)

	var mu sync.Mutex
	var claims sync.WaitGroup
	times, over := map[int64]int{}, 0
	for range 2 {
		s := workersStore(t, db.address)
		claims.Go(func() {
			events, err := s.Claim(context.Background(), uuid.NewString(), []outbox.Capacity{{Channel: "contacts"}})
			mu.Lock()
			defer mu.Unlock()
			over++
			if err != nil {
				t.Error(err)
			}
			for _, ev := range events {
				times[ev.ID]++
			}
		})
	}
	eventually(t, "both claims are over, or wait for the lock", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return over+db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) >= 2
	})
	release()
	claims.Wait()
	if times[free] != 1 || times[locked] > 1 {
		t.Errorf("the free event was claimed %d times, the locked one %d times", times[free], times[locked])
	}
}

// The worker's own clock is an hour behind the database's: in this database the clock functions
// themselves are an hour ahead, for every session, since no search_path of the worker could hide them.
func TestClaim_LeaseIsOnTheDatabasesClock(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	for name, volatility := range map[string]string{"clock_timestamp": "volatile", "now": "stable"} {
		db.exec(fmt.Sprintf(`create function public.real_%[1]s() returns timestamptz language internal %[2]s as '%[1]s'`, name, volatility))
		db.exec(fmt.Sprintf(`create or replace function pg_catalog.%[1]s() returns timestamptz language sql %[2]s
		                       as 'select public.real_%[1]s() + interval ''1 hour'' '`, name, volatility))
	}
	contact, document := db.publish("contact.created", `{}`), db.document("1")
	startWorker(t, longAttempts(db.address))
	inFlight(t, rcv, 2)
	for _, id := range []int64{contact, document} {
		var lease, ahead time.Duration
		row := db.QueryRow(`select extract(epoch from leased_until - claimed_at) * 1e9, extract(epoch from claimed_at - public.real_now()) * 1e9 from webhook.outbox where id = $1`, id)
		var l, a float64
		if err := row.Scan(&l, &a); err != nil {
			t.Fatal(err)
		}
		lease, ahead = time.Duration(l), time.Duration(a)
		if ahead < 50*time.Minute || lease < 125*time.Second || lease > 135*time.Second {
			t.Errorf("event %d was claimed %s ahead of our clock, for %s", id, ahead, lease)
		}
	}
	g.release()
	finished(t, db)
	if db.status(contact) != "sent" || db.status(document) != "sent" {
		t.Errorf("the contact is %s, the document %s", db.status(contact), db.status(document))
	}
}

// What the administrator of the database has set for it counts less than what
// the protocol needs.
func TestSession_SettingsDoNotDependOnTheDatabasesDefaults(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	for set, want := range map[string]string{"off": "on", "local": "local", "remote_write": "remote_write", "on": "on"} {
		pool, err := store.Open(db.address + "&synchronous_commit=" + set + "&default_transaction_isolation=serializable")
		if err != nil {
			t.Fatal(err)
		}
		var got, isolation string
		if err := pool.QueryRow(`select current_setting('synchronous_commit'), current_setting('transaction_isolation')`).Scan(&got, &isolation); err != nil {
			t.Fatal(err)
		}
		if got != want || isolation != "read committed" {
			t.Errorf("synchronous_commit %s became %s, %s was expected; transactions are %s", set, got, want, isolation)
		}
		_ = pool.Close()
	}
}
