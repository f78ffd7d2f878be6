package integration_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
)

// Two workers, in this process, and a receiver that answers 429 with Retry-After to what is sent within
// two seconds after its limit was reached.
func TestPause_RetryAfterPausesTheChannelOfAllWorkers(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	db.exec(`update webhook.channels set max_in_flight = 1 where name = 'audit_log'`)
	audits(db, 40)
	var accepted atomic.Int64
	refuse := rudeSender(func(outbox.Request) outbox.Result {
		time.Sleep(time.Millisecond)
		if n := accepted.Add(1); n%10 == 0 {
			return outbox.Result{Failure: outbox.FailureRateLimited, Received: outbox.ReceivedNo, Status: 429, Error: "HTTP 429", RetryAfter: 2 * time.Second, Took: time.Millisecond}
		}
		return outbox.Result{Received: outbox.ReceivedYes, Status: 200, Took: time.Millisecond}
	})
	for range 2 {
		d := outbox.New(workersStore(t, db.address), refuse, zap.NewNop(), outbox.Options{PollInterval: 20 * time.Millisecond, Timeout: 30 * time.Second, Lease: 90 * time.Second})
		stop, stopNow := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = d.Run(context.Background(), stop) }()
		t.Cleanup(func() { stopNow(); <-ended })
	}
	began := time.Now()
	eventually(t, "all are finished", func() bool { return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0 })
	if lost := db.count(`select count(*) from webhook.outbox where status = 'failed'`); lost != 4 {
		t.Errorf("%d of 40 failed, 4 were answered with 429", lost)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("three pauses of 2 s, of which two may overlap, were over after %s", took)
	}
}

func TestPause_IsShownByStatusAndExplain(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	id := db.publish("audit.log", `{}`)
	if err := workersStore(t, db.address).Pause(t.Context(), "audit_log", 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	if n := db.count(`select count(*) from webhook.status where paused_until > now() + interval '4 minutes'`); n != 1 {
		t.Errorf("%d channels are paused", n)
	}
	if is := query[string](t, db.address, `select webhook.explain($1)`, id); strings.Count(is, "the channel audit_log is paused until") != 1 {
		t.Errorf("explain: %s", is)
	}
	db.exec(`update webhook.channels set max_per_second = 5; update webhook.pacing set paused_until = null`)
	if is := query[string](t, db.address, `select webhook.explain($1)`, id); strings.Count(is, "at most 5 POSTs a second") != 1 {
		t.Errorf("explain: %s", is)
	}
}

// A receiver asks for a pause on its own behalf.
func TestPause_EndsWithAnotherURL(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://receiver.example")
	db.exec(`update webhook.pacing set paused_until = now() + interval '5 minutes' where channel in ('audit_log', 'rules')`)
	paused := func() string {
		return db.ask(`select coalesce(string_agg(channel, ', '), '') from webhook.status where paused_until > now()`)
	}
	db.exec(`set role webhook_admin; update webhook.channels set enabled = true, url = url where name = 'audit_log'; reset role`)
	if is := paused(); is != "rules, audit_log" {
		t.Errorf("after an update with the same URL these are paused: %s", is)
	}
	db.exec(`set role webhook_admin; update webhook.channels set url = 'https://other.example' where name = 'audit_log'; reset role`)
	if is := paused(); is != "rules" {
		t.Errorf("after an update with another URL these are paused: %s", is)
	}
}

// What cannot be seen at the ends of a setting is not stored.
func TestSettings_AreStoredTrimmed(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	db.exec(`update webhook.channels set url = U&'\FEFF https://h/\200E' || E'\n' where name = 'rules';
	         update webhook.settings set bearer_token = E' abc\n', document_base_url = U&'\00A0https://re.example\200B'`)
	if is := db.ask(`select url || '|' || bearer_token || '|' || document_base_url from webhook.channels, webhook.settings where name = 'rules'`); is != "https://h/|abc|https://re.example" {
		t.Errorf("stored: %q", is)
	}
}
