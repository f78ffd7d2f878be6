package integration_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// traffic is an application that writes in a hundred sessions at once, and a
// worker that claims and records as fast as it can. The first error of either
// ends all of it.
type traffic struct {
	sessions           int
	written, delivered atomic.Int64
	slowest            atomic.Int64 // an application's transaction, in nanoseconds
	failed             chan error
	stop               context.CancelFunc
	wait               sync.WaitGroup
}

// startTraffic begins it. An application's session gives up on a lock after
// five seconds, and a worker of its own accord much sooner: none must.
func startTraffic(t *testing.T, db *database) *traffic {
	t.Helper()
	app := db.impatient("5s")
	if got := query[string](t, app.address, `show lock_timeout`); got != "5s" {
		t.Fatalf("the application waits %s for a lock", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sessions := min(100, query[int](t, shared.url, `select current_setting('max_connections')::int - 60`)) // 60 for the tests beside this one
	tr := &traffic{sessions: sessions, failed: make(chan error, 1), stop: cancel}
	for n := range tr.sessions {
		tr.wait.Go(func() {
			for ctx.Err() == nil {
				begun := time.Now()
				if err := writeTwo(app, n); err != nil {
					tr.fail(fmt.Errorf("an application's transaction: %w", err))
					return
				}
				tr.written.Add(2)
				for took := int64(time.Since(begun)); ; {
					if was := tr.slowest.Load(); took <= was || tr.slowest.CompareAndSwap(was, took) {
						break
					}
				}
			}
		})
	}
	tr.wait.Go(func() {
		pool, err := store.Open(db.address)
		if err != nil {
			tr.fail(err)
			return
		}
		defer pool.Close()
		worker := store.New(pool, time.Hour) // it claims, and records successes
		defer worker.Close()
		for ctx.Err() == nil {
			n, err := deliver(worker)
			if err != nil {
				tr.fail(fmt.Errorf("the worker: %w", err))
				return
			}
			tr.delivered.Add(int64(n))
		}
	})
	t.Cleanup(tr.end)
	return tr
}

func (tr *traffic) fail(err error) {
	select {
	case tr.failed <- err:
	default:
	}
	tr.stop()
}

// end stops all of it.
func (tr *traffic) end() {
	tr.stop()
	tr.wait.Wait()
}

// flows waits until every session has written again and the worker has delivered some.
func (tr *traffic) flows(t *testing.T, what string) {
	t.Helper()
	from, sent := tr.written.Load(), tr.delivered.Load()
	eventually(t, what, func() bool {
		tr.check(t)
		return tr.written.Load() > from+int64(4*tr.sessions) && tr.delivered.Load() > sent+100
	})
}

// check fails the test with the first error of an application or the worker.
func (tr *traffic) check(t *testing.T) {
	t.Helper()
	select {
	case err := <-tr.failed:
		t.Fatal(err)
	default:
	}
}

// TestMigrate_UnderAHundredTransactionsDisturbsNone upgrades from each released version while an application and a
// worker run; and then prunes, as an operator and as the worker does. One after the other: each takes more than half
// of a server's connections.
func TestMigrate_UnderAHundredTransactionsDisturbsNone(t *testing.T) {
	t.Parallel()
	_, newest := shipped(t)
	schema := released(t, note(t), invoices(t))
	for version := 1; version <= newest; version++ {
		t.Run(fmt.Sprintf("from version %d", version), func(t *testing.T) {
			db := atVersion(t, version, "https://re.example")
			traffic := startTraffic(t, db)
			traffic.flows(t, "all sessions write")
			ended := make(chan error, 3)
			for range cap(ended) - 1 {
				go func() {
					_, err := db.tryUpgrade(schema)
					ended <- err
				}()
			}
			go func() {
				_, err := db.Exec(`select webhook.create_roles()`)
				ended <- err
			}()
			for range cap(ended) {
				if err := <-ended; err != nil {
					t.Errorf("one of two migrations and the roles: %v", err)
				}
			}
			traffic.flows(t, "all sessions go on after two migrations at once")
			pool, err := store.Open(db.address)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			pruned := 0
			for range 3 {
				pruned += db.number(`select webhook.prune('0')`)
				n, err := store.New(pool, time.Hour).Prune(t.Context(), 0)
				if err != nil {
					t.Fatalf("the nightly clean-up: %v", err)
				}
				pruned += n
			}
			traffic.flows(t, "all sessions go on after the clean-up")
			traffic.end()
			traffic.check(t)
			if db.version() != newest+2 || pruned == 0 {
				t.Errorf("it is version %d, %d events were pruned", db.version(), pruned)
			}
			written, slowest := traffic.written.Load(), time.Duration(traffic.slowest.Load())
			if kept := int64(db.count(`select count(*) from webhook.outbox`) + pruned); kept != written {
				t.Errorf("%d events were written, %d are there or were pruned", written, kept)
			}
			t.Logf("%d events, %d of them pruned; the slowest transaction took %s", written, pruned, slowest)
		})
	}
}

// writeTwo is an application's transaction.
func writeTwo(app *database, n int) error {
	tx, err := app.Beginx()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`select webhook.publish('contact.created', json_build_object('contact_id', $1::int))`, n); err != nil {
		return err
	}
	if _, err := tx.Exec(`insert into webhook.outbox (event, data) values ('document.exported', json_build_object('id', $1::text, 'status', 'Export'))`, uuid.NewString()); err != nil {
		return err
	}
	return tx.Commit()
}

// deliver claims what there is, and records that it has arrived.
func deliver(s *store.Store) (int, error) {
	var lanes []outbox.Capacity
	for _, c := range outbox.Channels() {
		lanes = append(lanes, outbox.Capacity{Channel: c.Name})
	}
	events, err := s.Claim(context.Background(), uuid.NewString(), lanes)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	var outcomes []outbox.Outcome
	for _, e := range events {
		outcomes = append(outcomes, outbox.Outcome{EventID: e.ID, ClaimID: e.ClaimID, Verdict: outbox.Sent, Result: outbox.Result{Received: outbox.ReceivedYes, Status: 200}})
	}
	_, err = s.Record(context.Background(), outcomes)
	return len(events), err
}
