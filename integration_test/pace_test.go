package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// limited is a receiver that answers 429 to what exceeds its limit in any one second.
type limited struct {
	mu         sync.Mutex
	arrived    []time.Time
	accepted   []time.Time
	limit      int
	retryAfter string // header of each 429; empty: none
}

func (l *limited) respond(w http.ResponseWriter, _ receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.arrived = append(l.arrived, now)
	n := 0
	for _, at := range l.accepted {
		if now.Sub(at) < time.Second {
			n++
		}
	}
	if n >= l.limit {
		if l.retryAfter != "" {
			w.Header().Set("Retry-After", l.retryAfter)
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	l.accepted = append(l.accepted, now)
}

// most is the highest number of requests in any one second.
func (l *limited) most() (most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, at := range l.arrived {
		n := 0
		for _, other := range l.arrived[:i+1] {
			if at.Sub(other) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func audits(db *database, n int) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, data) select 'audit.log', json_build_object('audit_id', n) from generate_series(1, $1) n`, n)
}

// mostClaimsOfASecond is how many events were claimed in any one second, by the database's clock.
const mostClaimsOfASecond = `
	select max(n) from (select count(*) over (order by claimed_at range between current row and interval '999 milliseconds' following) as n from webhook.outbox) w`

// lateness measures by how much this machine is behind: the most that a sleep of five milliseconds took longer.
func lateness(t *testing.T) func() time.Duration {
	t.Helper()
	var most atomic.Int64
	ctx := t.Context()
	go func() {
		for ctx.Err() == nil {
			began := time.Now()
			time.Sleep(5 * time.Millisecond)
			most.Store(max(most.Load(), int64(time.Since(began)-5*time.Millisecond)))
		}
	}()
	return func() time.Duration { return time.Duration(most.Load()) }
}

func TestPace_NoEventIsLostAtAReceiversLimit(t *testing.T) {
	t.Parallel()
	for workers := 1; workers <= 2; workers++ {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			l := &limited{limit: 30}
			db := ready(t, newResponder(t, l.respond).URL)
			db.exec(`update webhook.channels set max_per_second = 30 where name = 'audit_log'`)
			audits(db, 149)
			db.exec(`select webhook.send_test('audit_log')`) // tests count, too
			began, late := time.Now(), lateness(t)
			for range workers {
				startWorker(t, quick(db.address))
			}
			eventually(t, "all are finished", func() bool { return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0 })
			if most := db.count(mostClaimsOfASecond); most > 30 {
				t.Errorf("%d were claimed in one second", most)
			}
			// A POST that the machine holds up for longer than another may meet the next ones at the receiver.
			if sent := db.count(`select count(*) from webhook.outbox where status = 'sent'`); late() < 75*time.Millisecond && (sent != 150 || l.most() > 30) {
				t.Errorf("%d of 150 were sent, %d in one second", sent, l.most())
			}
			if took := time.Since(began); took < 4*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestPace_IdlePollOfAPacedChannelTakesNothing(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	db.exec(`update webhook.channels set max_per_second = 30`)
	startPolling(t, db)
	id := db.publish("contact.created", `{}`)
	eventually(t, "a contact is sent", func() bool { return db.status(id) == "sent" })
	taken := db.count(`select last_value from webhook.rate_contacts`)
	time.Sleep(2 * time.Second)
	if now := db.count(`select last_value from webhook.rate_contacts`); taken == 0 || now != taken {
		t.Errorf("the next POST was allowed from %d on, after idle polls from %d", taken, now)
	}
}

func TestPace_ResentEventsAlternateWithFreshOnes(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set max_per_second = 20 where name = 'contacts'`)
	failedContacts(db, 300)
	db.exec(`select webhook.retry_failed('contacts')`)
	startWorker(t, quick(db.address))
	eventually(t, "some resent events are sent", func() bool { return len(rcv.all()) >= 10 })
	freshAfterAFew(t, db, rcv, 8)
}

// failedContacts writes contacts that have failed.
func failedContacts(db *database, n int) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, data, status, attempts, http_status, failure, received, error, finished_at)
	         select 'contact.created', '{}', 'failed', 1, 500, 'server_error', 'no', 'HTTP 500', now() from generate_series(1, $1)`, n)
}

// freshAfterAFew publishes a fresh contact: at most so many requests arrive before it.
func freshAfterAFew(t *testing.T, db *database, rcv *receiver, most int) {
	t.Helper()
	before := len(rcv.all())
	id := db.publish("contact.created", `{}`)
	eventually(t, "the fresh event arrives", func() bool { return len(rcv.of(id)) > 0 })
	if at := slices.IndexFunc(rcv.all(), func(r receipt) bool { return r.id() == id }); at-before > most {
		t.Errorf("%d requests arrived before the fresh event", at-before)
	}
}

func TestLanes_ResentEventsDoNotDelayFreshOnes(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d slots", slots), func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, func(receipt) int { time.Sleep(50 * time.Millisecond); return 200 })
			db := ready(t, rcv.URL)
			db.exec(`update webhook.channels set max_in_flight = $1`, slots)
			failedContacts(db, 2000)
			db.exec(`select webhook.retry_failed('contacts')`)
			startWorker(t, quick(db.address))
			eventually(t, "some resent events are sent", func() bool { return len(rcv.all()) >= 2*slots })
			for range 5 {
				freshAfterAFew(t, db, rcv, 3*slots+3)
			}
			if db.count(`select count(*) from webhook.outbox where status = 'pending'`) == 0 {
				t.Error("nothing was left to resend")
			}
		})
	}
}

// TestPace_OnceDeliversAllThatIsDue: a scheduler runs it, and a pace is no reason to leave events behind.
func TestPace_OnceDeliversAllThatIsDue(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, nil).URL)
	db.exec(`update webhook.channels set max_per_second = 20 where name = 'audit_log'`)
	audits(db, 30)
	if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--once"); status != 0 {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	if sent := db.count(`select count(*) from webhook.outbox where status = 'sent'`); sent != 30 {
		t.Errorf("%d of 30 were sent", sent)
	}
}
