package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/temppg"
)

// stalling is a server of the test's own, whose commits hang while a standby is required that does not
// exist: what they have written is not visible, and no timeout of a session ends them.
func stalling(t *testing.T, url string) (*database, *temppg.Server) {
	t.Helper()
	server := durableServer(t)
	if err := applySchema(t.Context(), server.DSN("postgres")); err != nil {
		t.Fatal(err)
	}
	db := open(t, server.DSN("postgres"))
	db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true`, url)
	db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)
	return db, server
}

// stall returns once a commit hangs. The server's checkpointer is what makes them hang, some time after
// the reload: on a busy machine the next commits would still succeed.
func (db *database) stall() {
	db.t.Helper()
	db.exec(`alter system set synchronous_standby_names = 'nobody'`)
	db.exec(`select pg_reload_conf()`)
	eventually(db.t, "a commit hangs", func() bool {
		committed := make(chan struct{})
		go func() {
			defer close(committed)
			_, _ = db.Exec(`select pg_logical_emit_message(true, 'stall', '')`)
		}()
		for {
			select {
			case <-committed:
				return false
			case <-time.After(5 * time.Millisecond):
			}
			if db.count(`select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep' and query like '%emit_message%'`) > 0 {
				<-committed
				return true
			}
		}
	})
}

func (db *database) commitAgain() {
	db.t.Helper()
	db.exec(`alter system reset synchronous_standby_names`)
	db.exec(`select pg_reload_conf()`)
}

// hangingClaims are the sessions of a worker that hang in the commit of a claim.
func (db *database) hangingClaims(worker string) int {
	db.t.Helper()
	return db.count(`select count(*) from pg_stat_activity
	                  where application_name = $1 and wait_event = 'SyncRep' and query like '%with capacity as%'`, worker)
}

func stallSettings(t *testing.T, db *database, worker string) settings {
	env := quick(withParameter(t, db.address, "application_name", worker))
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "3s", "8s"
	return env
}

// TestStall_NoEventFailsThatWasNotSent: commits hang for longer than three leases under a backlog. Each
// worker waits for its one claim and then releases it; neither worker fails what was never sent, nor what
// the other one has sent and not recorded.
func TestStall_NoEventFailsThatWasNotSent(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { time.Sleep(20 * time.Millisecond); return 200 })
	db, _ := stalling(t, rcv.URL)
	db.exec(`select webhook.publish('contact.created', '{"contact_id": 7}') from generate_series(1, 5000)`)
	for _, worker := range []string{"first", "second"} {
		startWorker(t, stallSettings(t, db, worker))
	}
	eventually(t, "deliveries flow", func() bool { return len(rcv.all()) >= 200 })
	db.stall()
	stalled := 0
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		for _, worker := range []string{"first", "second"} {
			n := db.hangingClaims(worker)
			if n > 1 {
				t.Fatalf("%d claims of the %s worker hang", n, worker)
			}
			stalled = max(stalled, n)
		}
	}
	if stalled == 0 {
		t.Error("no claim has hung: this run proves nothing")
	}
	sent := len(rcv.all())
	db.commitAgain()
	eventually(t, "every event is finished", func() bool {
		return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
	})
	received := map[int64]int{}
	for _, r := range rcv.all() {
		received[r.id()]++
	}
	unsent, twice := 0, 0
	for _, r := range db.rows() {
		if r.Status != "sent" && received[r.ID] == 0 {
			unsent++
		}
		if received[r.ID] > 1 {
			twice++
		}
	}
	if unsent > 0 || twice > 0 {
		t.Errorf("%d events failed that were never sent, %d were sent twice", unsent, twice)
	}
	if n := db.count(`select count(*) from webhook.outbox where status <> 'sent'`); n > 0 {
		t.Errorf("%d events that were delivered are not recorded as sent, %d of 5000 were received before the commits went on", n, sent)
	}
}

// TestStall_SIGTERMEndsAWorkerWhoseClaimIsUnknown: within an attempt and five seconds, with a true
// sentence. At most one server session hangs.
func TestStall_SIGTERMEndsAWorkerWhoseClaimIsUnknown(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db, _ := stalling(t, rcv.URL)
	w := startWorker(t, stallSettings(t, db, "first"))
	db.publish("contact.created", `{"contact_id": 7}`)
	finished(t, db)
	db.stall()
	go func() { _, _ = db.Exec(`select webhook.publish('contact.created', '{"contact_id": 8}')`) }()
	// The application's commit hangs, too, and is invisible until it is cancelled.
	eventually(t, "the application's commit hangs", func() bool {
		return db.count(`select count(*) from pg_stat_activity where wait_event = 'SyncRep' and query like '%webhook.publish%'`) == 1
	})
	db.count(`select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep' and query like '%webhook.publish%'`)
	eventually(t, "its claim hangs", func() bool { return db.hangingClaims("first") == 1 })
	time.Sleep(3 * time.Second)
	if n := db.hangingClaims("first"); n != 1 {
		t.Errorf("%d claims hang", n)
	}
	began := time.Now()
	w.terminate()
	if status := w.exit(t); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it ended after %s", took)
	}
	if said := w.log.String(); !strings.Contains(said, "it is unknown whether the newest claim was committed") {
		t.Errorf("it does not say that a claim is unknown:\n%s", said)
	}
	db.commitAgain()
}

// TestStall_ClaimWhoseWaitWasEndedIsNotSentYet: no standby acknowledges a claim, and an administrator ends its
// wait. It is committed then, and visible, and a failover may lose it: a POST now could be the first of two.
func TestStall_ClaimWhoseWaitWasEndedIsNotSentYet(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"pg_cancel_backend", "pg_terminate_backend"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, nil)
			db, _ := stalling(t, rcv.URL)
			env := stallSettings(t, db, "first")
			env["WEBHOOK_LEASE"] = "30s" // a claim that is found is sent, and not released, for five seconds
			startWorker(t, env)
			db.publish("contact.created", `{"contact_id": 7}`)
			finished(t, db)
			db.stall()
			endWaits := func(statement string) int {
				return db.count(`select count(`+end+`(pid)) from pg_stat_activity where wait_event = 'SyncRep' and query like $1`, statement)
			}
			go func() { _, _ = db.Exec(`select webhook.publish('contact.created', '{"contact_id": 8}')`) }()
			eventually(t, "the event is visible", func() bool { return endWaits("%webhook.publish%") == 1 })
			eventually(t, "its claim hangs", func() bool { return endWaits("%with capacity as%") == 1 })
			eventually(t, "its claim is visible", func() bool {
				return db.count(`select count(*) from webhook.outbox where status = 'sending'`) == 1
			})
			eventually(t, "the worker waits for a standby, too", func() bool {
				if n := len(rcv.all()); n != 1 {
					t.Fatal("an event was sent under a claim that no standby has")
				}
				return db.count(`select count(*) from pg_stat_activity where application_name = 'first' and wait_event = 'SyncRep' and query ilike 'commit%'`) > 0
			})
			db.commitAgain()
			finished(t, db)
			checkEachSentOnce(t, db, rcv)
		})
	}
}
