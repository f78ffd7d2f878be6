package integration_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var oneAttemptEvents = []string{"contact.created", "folder.created", "case.created", "notification.created", "rule.executed", "audit.log"}

// ledger is what an application knows to have committed.
type ledger struct {
	mu          sync.Mutex
	documents   []int64
	oneAttempts []int64
}

// produce writes events in transactions until stop is closed: documents of
// their own ids and the six others, one in five rolled back.
func (l *ledger) produce(db *database, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		tx := db.MustBegin()
		var doc, one int64
		err := tx.Get(&doc, `select webhook.publish('document.exported', json_build_object('id', $1::int, 'status', 'Export'))`, n)
		if err == nil {
			err = tx.Get(&one, `select webhook.publish($1, json_build_object('name', $2::text))`, oneAttemptEvents[n%6], fmt.Sprint("n", n))
		}
		if err != nil {
			db.t.Error(err)
			return
		}
		if n%5 == 4 {
			_ = tx.Rollback()
			continue
		}
		if err := tx.Commit(); err != nil {
			db.t.Error(err)
			return
		}
		l.mu.Lock()
		l.documents, l.oneAttempts = append(l.documents, doc), append(l.oneAttempts, one)
		l.mu.Unlock()
		time.Sleep(time.Millisecond) // the rate of the traffic; nothing is decided by it
	}
}

// TestKillNineUnderTrafficLosesNoDocumentAndDoublesNoOneAttemptEvent kills
// workers at random instants while an application writes, twice: with one
// worker, and with two on the same database.
func TestKillNineUnderTrafficLosesNoDocumentAndDoublesNoOneAttemptEvent(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			var calm atomic.Bool
			rcv := newReceiver(t, func(receipt) int {
				time.Sleep(rand.N(4 * time.Millisecond)) // so that kills find requests under way
				if calm.Load() {
					return 200
				}
				return []int{200, 200, 200, 200, 200, 204, 500}[rand.N(7)]
			})
			db := ready(t, rcv.URL)
			env := quick(db.address)

			books, stop := &ledger{}, make(chan struct{})
			var writing sync.WaitGroup
			writing.Go(func() { books.produce(db, stop) })
			running := make([]*worker, workers)
			for i := range running {
				running[i] = startWorker(t, env)
			}
			for kill := range 30 {
				before := len(rcv.all())
				eventually(t, "traffic flows between kills", func() bool { return len(rcv.all()) >= before+200 })
				time.Sleep(rand.N(30 * time.Millisecond)) // the instant of the kill
				running[kill%workers].kill()
				running[kill%workers] = startWorker(t, env)
			}
			close(stop)
			writing.Wait()
			calm.Store(true)

			eventually(t, "every row is finished", func() bool {
				return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
			})
			for _, w := range running {
				w.terminate()
				if status := w.exit(t); status != 0 {
					t.Errorf("a worker that was asked to stop ended with status %d", status)
				}
			}
			checkBooks(t, db, rcv, books)
		})
	}
}

// checkBooks holds the database and the receipts against what was committed.
func checkBooks(t *testing.T, db *database, rcv *receiver, books *ledger) {
	t.Helper()
	got := map[int64][]receipt{}
	for _, r := range rcv.all() {
		got[r.id()] = append(got[r.id()], r)
	}
	committed := map[int64]bool{}
	for _, id := range append(append([]int64(nil), books.documents...), books.oneAttempts...) {
		committed[id] = true
	}
	for id := range got {
		if !committed[id] {
			t.Errorf("event %d was received, but its transaction was never committed", id)
		}
	}
	sent := 0
	for _, id := range books.oneAttempts {
		r := db.row(id)
		if len(got[id]) > 1 {
			t.Errorf("one-attempt event %d was received %d times", id, len(got[id]))
		}
		switch {
		case r.Status == "sent" && !(len(got[id]) == 1 && counted(got[id][0].answered)):
			t.Errorf("event %d is sent without a counted receipt", id)
		case r.Status == "failed" && r.HTTPStatus != nil && !(len(got[id]) == 1 && got[id][0].answered == *r.HTTPStatus):
			t.Errorf("event %d failed with status %d, which no receipt has", id, *r.HTTPStatus)
		case r.Status == "failed" && r.HTTPStatus == nil && !strings.Contains(value(r.Error), "outcome unknown") && !strings.Contains(value(r.Error), "nothing was sent"):
			t.Errorf("event %d failed and does not say whether it may have arrived: %s", id, value(r.Error))
		case r.Status != "sent" && r.Status != "failed":
			t.Errorf("event %d ended as %s", id, r.Status)
		}
		if r.Status == "sent" {
			sent++
		}
	}
	for _, id := range books.documents {
		r, success := db.row(id), false
		for _, rec := range got[id] {
			success = success || counted(rec.answered)
			if rec.body != got[id][0].body {
				t.Errorf("document event %d was sent with different bytes", id)
			}
		}
		if r.Status != "sent" || r.SyncedAt == nil || !success {
			t.Errorf("document event %d: status %s, synced_at %v, received with success: %t", id, r.Status, r.SyncedAt, success)
		}
	}
	if share := float64(sent) / float64(len(books.oneAttempts)); share < 0.4 {
		t.Errorf("only %.0f %% of the one-attempt events were sent: this run proves little", share*100)
	}
	t.Logf("%d documents and %d one-attempt events (%d sent), %d receipts", len(books.documents), len(books.oneAttempts), sent, len(rcv.all()))
}

func counted(status int) bool { return status == 200 || status == 201 || status == 204 }
