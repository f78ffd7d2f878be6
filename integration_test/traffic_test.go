package integration_test

import (
	"fmt"
	"testing"
	"time"
)

// produce writes transactions of a document and another event until stop is closed, rolls back one
// in five, and returns how many it committed.
func produce(db *database, stop <-chan struct{}) (committed int) {
	events := oneAttempts()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return committed
		default:
		}
		tx := db.MustBegin()
		_, err := tx.Exec(`select webhook.publish('document.exported', json_build_object('id', $1::int, 'status', 'Export')),
			webhook.publish($2, json_build_object('name', $3::text))`, n, events[n%len(events)], fmt.Sprint("n", n))
		if err != nil {
			db.t.Error(err)
			return committed
		}
		if n%5 == 4 {
			_ = tx.Rollback()
			continue
		}
		if err := tx.Commit(); err != nil {
			db.t.Error(err)
			return committed
		}
		committed++
		time.Sleep(time.Millisecond) // the rate of the traffic; no result depends on it
	}
}

// checkProduced: every committed event was sent and received, one-attempt events once, documents
// with the same bytes each time; of a transaction that was rolled back nothing was received.
func checkProduced(t *testing.T, db *database, rcv *receiver, committed int) {
	t.Helper()
	got := map[int64][]receipt{}
	for _, r := range rcv.all() {
		got[r.id()] = append(got[r.id()], r)
	}
	rows := db.rows()
	if len(rows) != 2*committed {
		t.Errorf("%d rows, %d events were committed", len(rows), 2*committed)
	}
	for _, r := range rows {
		isDocument, answered := r.Event == "document.exported", false
		for _, one := range got[r.ID] {
			answered = answered || counted(one.answered)
			if one.body != got[r.ID][0].body {
				t.Errorf("event %d was sent with different bytes", r.ID)
			}
		}
		if r.Status != "sent" || !answered || isDocument != (r.SyncedAt != nil) || !isDocument && len(got[r.ID]) > 1 {
			t.Errorf("event %d (%s): %s, synced_at %v, received %d times, answered with success: %t",
				r.ID, r.Event, r.Status, r.SyncedAt, len(got[r.ID]), answered)
		}
		delete(got, r.ID)
	}
	for id := range got {
		t.Errorf("event %d was received, but its transaction was never committed", id)
	}
}

func counted(status int) bool { return status == 200 || status == 201 || status == 204 }
