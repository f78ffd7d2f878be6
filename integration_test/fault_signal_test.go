package integration_test

import (
	"syscall"
	"testing"
	"time"
)

func (w *worker) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestSignal_FirstFinishesWhatIsInFlight: one SIGTERM. What was sent is recorded, what
// was written meanwhile is left alone, the exit status is 0.
func TestSignal_FirstFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 2)
	p := newProxy(t, db.address)
	var claims watch
	p.onRequest(func(x *exchange) action { claims.note(x); return pass })
	w := startWorker(t, patient(p.address))
	inFlight(t, rcv, 4)

	w.terminate()
	eventually(t, "the worker claims no more", func() bool {
		before := claims.count()
		time.Sleep(time.Second) // fifty polls of a worker that had not stopped
		return claims.count() == before
	})
	late := []int64{db.publish("contact.created", `{"contact_id": 8}`), db.document("8")}
	g.release()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := db.count(`select count(*) from webhook.outbox where status = 'sent' and leased_until is null`); n != 4 {
		t.Errorf("%d of the 4 events in flight were recorded", n)
	}
	for _, id := range late {
		if r := db.row(id); r.Status != "pending" || r.Attempts != 0 || len(rcv.of(id)) != 0 {
			t.Errorf("an event written after the signal: %s", asText(db, id))
		}
	}
}

// TestSignal_EndsAWorkerWhoseDatabaseIsUnavailable: SIGTERM while the outcomes cannot be
// recorded, and while a lost claim cannot be looked up. The worker ends by
// itself, and says with its exit status that something is open.
func TestSignal_EndsAWorkerWhoseDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]string{"an outcome is held": recordStatement, "a claim is looked up": claimStatement} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, nil)
			db := ready(t, rcv.URL)
			publishBoth(db, 1)
			p := newProxy(t, db.address)
			var first once
			p.onAnswer(func(x *exchange) action {
				if x.runs(lost) && (x.rows > 0 || lost == recordStatement) && first.first() {
					p.setMode(cutting)
					go p.cutAll()
					return cut
				}
				return pass
			})
			w := startWorker(t, quick(p.address))
			eventually(t, "the worker tries again in vain", func() bool { return p.turnedAway() >= 3 })
			w.terminate()
			if status := w.exit(t); status != 1 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// TestSignal_SecondEndsAtOnce: the second signal ends a worker in mid-flight, as
// kill -9 does. Another worker clears up when the leases have run out: the
// document is sent again, the one-attempt event is failed and not sent again.
func TestSignal_SecondEndsAtOnce(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	contact, document := db.publish("contact.created", `{"contact_id": 7}`), db.document("1")
	env := quick(db.address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "30s", "61s" // the attempt itself does not end
	w := startWorker(t, env)
	inFlight(t, rcv, 2)
	w.signal(t, syscall.SIGTERM)
	w.signal(t, syscall.SIGINT) // another one: two of a kind may become one
	if status := w.exit(t); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if r := db.row(contact); r.Status != "sending" || r.LeasedUntil == nil {
		t.Errorf("the contact after the second signal: %s", asText(db, contact))
	}
	if r := db.row(document); r.Status != "pending" || r.LeasedUntil == nil {
		t.Errorf("the document after the second signal: %s", asText(db, document))
	}

	db.exec(`update webhook.outbox set leased_until = clock_timestamp() + interval '1 second'`) // not to wait for 61 s
	g.release()
	startWorker(t, quick(db.address))
	finished(t, db)
	checkInterrupted(t, db, rcv, contact)
	if r := db.row(document); r.Status != "sent" || r.Attempts != 2 || len(rcv.of(document)) != 2 {
		t.Errorf("the document, received %d times: %s", len(rcv.of(document)), asText(db, document))
	}
}

// checkInterrupted: the one-attempt event was received once, and its row says that it may have been.
func checkInterrupted(t *testing.T, db *database, rcv *receiver, id int64) {
	t.Helper()
	r := db.row(id)
	if r.Status != "failed" || value(r.Error) != "interrupted: outcome unknown" || r.HTTPStatus != nil || r.LeasedUntil != nil {
		t.Errorf("the interrupted event: %s", asText(db, id))
	}
	if failure, received := db.newestAttempt(id); failure != "interrupted" || received != "maybe" {
		t.Errorf("the interrupted event has failure %q and received %q", failure, received)
	}
	if n := len(rcv.of(id)); n != 1 {
		t.Errorf("the interrupted event was received %d times", n)
	}
}

// TestLease_WorkerFrozenBeyondIt: a worker is frozen in the middle of its POSTs for
// longer than its lease, and another one clears up. Thawed, the first one's
// outcomes change nothing.
func TestLease_WorkerFrozenBeyondIt(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	contact, document := db.publish("contact.created", `{"contact_id": 7}`), db.document("1")
	env := quick(db.address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "10s", "21s"
	frozen := startWorker(t, env)
	inFlight(t, rcv, 2)
	frozen.signal(t, syscall.SIGSTOP)
	db.exec(`update webhook.outbox set leased_until = clock_timestamp()`) // not to wait for 21 s

	startWorker(t, quick(db.address))
	eventually(t, "the other worker expires the leases, and sends the document", func() bool {
		return db.status(contact) == "failed" && len(rcv.of(document)) == 2
	})
	before := asText(db, contact)
	g.release()
	finished(t, db)
	sent := asText(db, document)
	frozen.signal(t, syscall.SIGCONT)
	frozen.terminate()
	if status := frozen.exit(t); status != 0 {
		t.Errorf("the thawed worker's exit status is %d", status)
	}
	checkInterrupted(t, db, rcv, contact)
	if after := asText(db, contact); after != before {
		t.Errorf("the contact was\n%s\nand is\n%s", before, after)
	}
	if after := asText(db, document); after != sent || db.row(document).Attempts != 2 {
		t.Errorf("the document was\n%s\nand is\n%s", sent, after)
	}
}
