package integration_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// longAttempts are settings with attempts long enough to be held open by a test.
func longAttempts(address string) settings {
	s := quick(address)
	s["WEBHOOK_TIMEOUT"], s["WEBHOOK_LEASE"] = "60s", "130s"
	return s
}

// turnstile holds requests open, by the path they came to, and counts them.
type turnstile struct {
	mu      sync.Mutex
	held    map[string]int // now
	most    map[string]int // at any time
	release chan struct{}  // each value lets one request go; closed: all
	opened  sync.Once
}

func newTurnstile() *turnstile {
	return &turnstile{held: map[string]int{}, most: map[string]int{}, release: make(chan struct{})}
}

// hold counts a request, and lets go of it before it is answered: what the
// worker starts after the answer is never counted beside it.
func (g *turnstile) hold(key string) {
	g.mu.Lock()
	g.held[key]++
	g.most[key] = max(g.most[key], g.held[key])
	g.mu.Unlock()
	<-g.release
	g.mu.Lock()
	g.held[key]--
	g.mu.Unlock()
}

func (g *turnstile) now(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held[key]
}

func (g *turnstile) peak(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most[key]
}

// open lets all requests go, now and from now on.
func (g *turnstile) open() { g.opened.Do(func() { close(g.release) }) }

// slots is the default of max_in_flight.
const slots = 128

func TestLanes_DeadEndpointCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	for _, dead := range outbox.Channels() {
		t.Run(dead.Name, func(t *testing.T) {
			t.Parallel()
			g := newTurnstile()
			rcv := newReceiver(t, func(r receipt) int {
				if r.path == "/"+dead.Name {
					g.hold(r.path) // accepts and never answers
				}
				return 200
			})
			defer g.open()
			db := ready(t, rcv.URL)
			db.exec(`insert into webhook.outbox (event, data) select $1, json_build_object('id', n, 'status', 'Export') from generate_series(1, 200) n`, dead.Event)
			startWorker(t, longAttempts(db.address))
			eventually(t, "the dead endpoint has all it can take", func() bool { return g.now("/"+dead.Name) == slots })
			db.exec(`insert into webhook.outbox (event, data) select event, json_build_object('id', n, 'status', 'Export')
			           from webhook.channels, generate_series(1, 100) n where event <> $1`, dead.Event)
			eventually(t, "the other channels deliver all of theirs", func() bool {
				return db.count(`select count(*) from webhook.outbox where event <> $1 and status <> 'sent'`, dead.Event) == 0
			})
			if n := db.count(`select count(*) from webhook.outbox where event = $1 and finished_at is not null`, dead.Event); n != 0 {
				t.Errorf("%d events of the dead endpoint are finished", n)
			}
		})
	}
}

func TestLanes_BacklogOfADeadChannelDelaysNoOther(t *testing.T) {
	t.Parallel()
	g := newTurnstile()
	rcv := newReceiver(t, func(r receipt) int {
		if r.path == "/documents" || r.path == "/audit_log" {
			g.hold(r.path)
		}
		return 200
	})
	defer g.open()
	db := ready(t, rcv.URL)
	db.exec(`insert into webhook.outbox (event, data) select event, json_build_object('id', n, 'status', 'Export')
	           from generate_series(1, 10000) n, unnest(array['document.exported', 'audit.log']) event`)
	db.exec(`analyze webhook.outbox`)
	startWorker(t, longAttempts(db.address))
	eventually(t, "both dead lanes are full", func() bool { return g.now("/documents") == slots && g.now("/audit_log") == slots })
	db.exec(`insert into webhook.outbox (event, data) select event, '{}' from webhook.channels, generate_series(1, 50)
	          where name not in ('documents', 'audit_log')`)
	eventually(t, "the other channels deliver all of theirs", func() bool {
		return db.count(`select count(*) from webhook.outbox where event not in ('document.exported', 'audit.log') and status <> 'sent'`) == 0
	})
	if documents, audits := g.peak("/documents"), g.peak("/audit_log"); documents > slots || audits > slots {
		t.Errorf("%d documents and %d audit entries were in flight at once", documents, audits)
	}
}

func TestLanes_MaxInFlightIsNeverExceeded(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"contact.created", "document.exported"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			g := newTurnstile()
			rcv := newReceiver(t, func(receipt) int { g.hold("all"); return 200 })
			defer g.open()
			db := ready(t, rcv.URL)
			limit := func(n int) { db.exec(`update webhook.channels set max_in_flight = $1`, n) }
			limit(3)
			db.exec(`insert into webhook.outbox (event, data) select $1, json_build_object('id', n, 'status', 'Export') from generate_series(1, 200) n`, event)
			startWorker(t, longAttempts(db.address))
			for range 30 {
				eventually(t, "all three slots are in use", func() bool { return g.now("all") == 3 })
				g.release <- struct{}{}
			}
			if most := g.peak("all"); most != 3 {
				t.Fatalf("%d requests at once, 3 are allowed", most)
			}
			limit(7)
			eventually(t, "a higher limit takes effect", func() bool { return g.now("all") == 7 })
			for range 10 {
				g.release <- struct{}{}
				eventually(t, "all seven slots are in use", func() bool { return g.now("all") == 7 })
			}
			if most := g.peak("all"); most != 7 {
				t.Fatalf("%d requests at once, 7 are allowed", most)
			}
			limit(2)
			for range 5 {
				g.release <- struct{}{}
			}
			eventually(t, "the lower limit is reached", func() bool { return g.now("all") == 2 })
			for range 30 {
				eventually(t, "both slots are in use", func() bool { return g.now("all") >= 2 })
				if n := g.now("all"); n > 2 {
					t.Fatalf("%d requests at once, 2 are allowed now", n)
				}
				g.release <- struct{}{}
			}
		})
	}
}

func TestLanes_RetriesHoldAtMostHalfOfTheSlots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ slots, retries int }{{8, 4}, {5, 2}, {1, 1}} {
		t.Run(fmt.Sprintf("%d slots", c.slots), func(t *testing.T) {
			t.Parallel()
			g := newTurnstile()
			rcv := newReceiver(t, func(r receipt) int {
				if r.id() <= 100 {
					g.hold("retries")
				}
				return 200
			})
			defer g.open()
			db := ready(t, rcv.URL)
			db.exec(`update webhook.channels set max_in_flight = $1`, c.slots)
			// A hundred documents that were rejected before and are due again.
			db.exec(`insert into webhook.outbox (event, data, attempts, error) select 'document.exported', json_build_object('id', n, 'status', 'Export'), 1, 'HTTP 500'
			           from generate_series(1, 100) n`)
			startWorker(t, longAttempts(db.address))
			eventually(t, "retries have their half", func() bool { return g.now("retries") == c.retries })
			if c.slots > 1 {
				for n := range 40 {
					id := db.document(fmt.Sprint(1000 + n))
					eventually(t, "a fresh document gets through", func() bool { return db.status(id) == "sent" })
				}
			}
			for range 20 {
				g.release <- struct{}{}
				eventually(t, "retries have their half again", func() bool { return g.now("retries") == c.retries })
			}
			if most := g.peak("retries"); most != c.retries {
				t.Errorf("%d retries at once, %d of %d slots are for them", most, c.retries, c.slots)
			}
		})
	}
}

func TestLanes_FreshDocumentsDoNotStarveRetries(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { time.Sleep(time.Millisecond); return 200 }) // so that the backlog lasts
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set max_in_flight = 2`)
	db.exec(`insert into webhook.outbox (event, data) select 'document.exported', json_build_object('id', n, 'status', 'Export') from generate_series(1, 3000) n`)
	db.exec(`insert into webhook.outbox (event, data, attempts, error) select 'document.exported', json_build_object('id', -n, 'status', 'Export'), 1, 'HTTP 500'
	           from generate_series(1, 20) n`)
	startWorker(t, longAttempts(db.address))
	eventually(t, "the retries are sent", func() bool {
		return db.count(`select count(*) from webhook.outbox where id > 3000 and status = 'sent'`) == 20
	})
	if db.count(`select count(*) from webhook.outbox where status = 'pending'`) == 0 {
		t.Error("they were sent after everything else")
	}
}
