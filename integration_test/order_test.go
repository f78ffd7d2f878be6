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

func TestOrder_NewestExportIsSentAndOlderAreSuperseded(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	var exports []int64
	for range 5 {
		exports = append(exports, db.document("42"))
	}
	other := db.document("43")
	startWorker(t, quick(db.address))
	last := exports[4]
	eventually(t, "every export is finished", func() bool {
		return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
	})
	for i, id := range exports[:4] {
		want := fmt.Sprintf("superseded: row %d is a later export of this document; this one was never sent", exports[i+1])
		if r := db.row(id); r.Status != "superseded" || value(r.Error) != want || r.SyncedAt != nil || r.Attempts != 0 {
			t.Errorf("export %d: %s, attempts %d, error %q; want superseded with %q", id, r.Status, r.Attempts, value(r.Error), want)
		}
	}
	for _, id := range []int64{last, other} {
		if db.status(id) != "sent" {
			t.Errorf("export %d is %s", id, db.status(id))
		}
	}
	if n := len(rcv.all()); n != 2 {
		t.Errorf("%d requests, one for each document was expected", n)
	}
}

func TestOrder_SupersededExportSaysWhetherItMayHaveArrived(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if r.id() == 1 {
			return 500
		}
		return 200
	})
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	first := db.document("42")
	eventually(t, "the first export was rejected", func() bool { return db.row(first).Error != nil })
	second := db.document("42")
	eventually(t, "both are finished", func() bool { return db.row(first).FinishedAt != nil && db.row(second).FinishedAt != nil })
	want := fmt.Sprintf("superseded: row %d is a later export of this document; an attempt of this one may have arrived", second)
	if r := db.row(first); r.Status != "superseded" || value(r.Error) != want {
		t.Errorf("the first export: %s, error\n got %s\nwant %s", r.Status, value(r.Error), want)
	}
	if db.status(second) != "sent" {
		t.Errorf("the second export is %s", db.status(second))
	}
}

func TestOrder_SentExportSupersedesAnOlderOne(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	// The older export's transaction commits after the newer one was sent.
	tx := db.MustBegin()
	var older int64
	if err := tx.Get(&older, `select webhook.publish('document.exported', '{"id": 42, "status": "Export", "notes": "old"}')`); err != nil {
		t.Fatal(err)
	}
	newer := db.document("42")
	eventually(t, "the newer export is sent", func() bool { return db.status(newer) == "sent" })
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the older export is finished", func() bool { return db.row(older).FinishedAt != nil })
	if db.status(older) != "superseded" || len(rcv.of(older)) != 0 {
		t.Errorf("the older export is %s, received %d times", db.status(older), len(rcv.of(older)))
	}
}

// An application that does not change the document's row first may commit a
// lower id after a higher one. Wherever the newer export stands by then, the
// older is never sent after it.
func TestOrder_LowerIDThatCommitsLaterIsNeverSentAfterTheNewer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, newer string // the state of the newer export when the older commits
		answer      int
	}{
		{"while the newer waits for its next attempt", "refused", 503},
		{"while the newer is being sent", "leased", 200},
		{"while the newer is pending", "pending", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newTurnstile()
			defer g.open()
			var answered atomic.Bool
			rcv := newReceiver(t, func(receipt) int {
				if c.newer == "leased" {
					g.hold("42")
				}
				if answered.Swap(true) {
					return 200
				}
				return c.answer
			})
			db := ready(t, rcv.URL)
			tx := db.MustBegin()
			defer tx.Rollback()
			var older int64
			if err := tx.Get(&older, `select webhook.publish('document.exported', '{"id": 42, "status": "Export", "notes": "old"}')`); err != nil {
				t.Fatal(err)
			}
			newer := db.document("42")
			if c.newer != "pending" {
				startWorker(t, longAttempts(db.address))
				eventually(t, "the newer is "+c.newer, func() bool {
					return c.newer == "leased" && g.now("42") == 1 || c.newer == "refused" && db.row(newer).Error != nil
				})
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if c.newer == "pending" {
				startWorker(t, longAttempts(db.address))
			}
			g.open()
			eventually(t, "both are finished", func() bool { return db.row(older).FinishedAt != nil && db.row(newer).FinishedAt != nil })
			if db.status(older) != "superseded" || len(rcv.of(older)) != 0 || db.status(newer) != "sent" {
				t.Errorf("the older export is %s and was received %d times, the newer is %s", db.status(older), len(rcv.of(older)), db.status(newer))
			}
		})
	}
}

func TestOrder_NewerExportWaitsForTheAttemptUnderWay(t *testing.T) {
	t.Parallel()
	g := newTurnstile()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.Contains(r.body, `"id":42`) {
			g.hold("42")
		}
		return 200
	})
	defer g.open()
	db := ready(t, rcv.URL)
	startWorker(t, longAttempts(db.address))
	startWorker(t, longAttempts(db.address))
	first := db.document("42")
	eventually(t, "the first attempt is under way", func() bool { return g.now("42") == 1 })
	newer := db.document("42")
	for n := range 20 { // claims go by
		id := db.document(fmt.Sprint(100 + n))
		eventually(t, "other documents flow", func() bool { return db.status(id) == "sent" })
	}
	if r := db.row(newer); r.Status != "pending" || r.Attempts != 0 {
		t.Errorf("the newer export is %s after %d attempts, while the first is under way", r.Status, r.Attempts)
	}
	g.open()
	eventually(t, "both are sent", func() bool { return db.status(first) == "sent" && db.status(newer) == "sent" })
	if g.peak("42") != 1 {
		t.Errorf("%d attempts of one document at once", g.peak("42"))
	}
}

func TestOrder_CancelledExportSupersedesNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.settings set offline_mode = true`)
	first, second, third := db.document("42"), db.document("42"), db.document("42")
	db.exec(`update webhook.outbox set status = 'cancelled', finished_at = now() where id in ($1, $2)`, second, third)
	db.exec(`update webhook.settings set offline_mode = false`)
	startWorker(t, quick(db.address))
	eventually(t, "the first export is finished", func() bool { return db.row(first).FinishedAt != nil })
	if db.status(first) != "sent" {
		t.Errorf("it is %s: %s", db.status(first), value(db.row(first).Error))
	}
	for _, id := range []int64{second, third} {
		if db.status(id) != "cancelled" || len(rcv.of(id)) != 0 {
			t.Errorf("a cancelled export is %s and was received %d times", db.status(id), len(rcv.of(id)))
		}
	}
}

// watchman checks, request by request, that exports of one document arrive one
// at a time and never an older one after a newer.
type watchman struct {
	mu     sync.Mutex
	busy   map[string]bool
	newest map[string]int64
	faults []string
}

func (w *watchman) begin(document string, id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[document] {
		w.faults = append(w.faults, fmt.Sprintf("two attempts of document %s at once, the second is of row %d", document, id))
	}
	if id < w.newest[document] {
		w.faults = append(w.faults, fmt.Sprintf("row %d of document %s arrived after row %d", id, document, w.newest[document]))
	}
	w.busy[document], w.newest[document] = true, max(id, w.newest[document])
}

func (w *watchman) end(document string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[document] = false
}

func (w *watchman) seen(document string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest[document]
}

// soon is eventually for goroutines beside the test's own.
func soon(holds func() bool) bool {
	for limit := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			return false
		}
	}
	return true
}

func TestOrder_TwoWorkersKeepIt(t *testing.T) {
	t.Parallel()
	const documents, bursts = 12, 25
	w := &watchman{busy: map[string]bool{}, newest: map[string]int64{}}
	rcv := newReceiver(t, func(r receipt) int {
		_, rest, _ := strings.Cut(r.body, `"document":{"id":`)
		document, _, _ := strings.Cut(rest, ",")
		w.begin(document, r.id())
		defer w.end(document)
		for range rand.IntN(3000) { // an answer takes a while, not always the same
			_ = r.id()
		}
		return []int{200, 200, 200, 503}[rand.IntN(4)]
	})
	db := ready(t, rcv.URL)
	startWorker(t, longAttempts(db.address))
	startWorker(t, longAttempts(db.address))
	var writing sync.WaitGroup
	for d := range documents {
		writing.Go(func() {
			for range bursts {
				var first int64
				err := db.Get(&first, `select min(webhook.publish('document.exported', json_build_object('id', $1::int, 'status', 'Export'))) from generate_series(1, $2)`,
					d, 1+rand.IntN(3))
				if err != nil {
					t.Error(err)
					return
				}
				// The next burst is written while an attempt of this one is under way.
				if !soon(func() bool { return w.seen(fmt.Sprint(d)) >= first }) {
					t.Errorf("nothing of a burst of document %d was received", d)
					return
				}
			}
		})
	}
	writing.Wait()
	eventually(t, "every export is finished", func() bool {
		return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
	})
	for _, fault := range w.faults {
		t.Error(fault)
	}
	if n := db.count(`select count(*) from webhook.outbox o where status <> 'sent' and id = (select max(id) from webhook.outbox l where l.document_id = o.document_id)`); n != 0 {
		t.Errorf("the newest export of %d documents was not sent", n)
	}
	if n := db.count(`select count(*) from webhook.outbox where status = 'sent'`); n < 4*documents {
		t.Errorf("only %d exports were sent: this run proves little", n)
	}
}
