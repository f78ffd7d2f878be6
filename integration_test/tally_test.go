package integration_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// settle makes everything that has finished old enough to be counted, and tallies it.
func settle(a *attempter) {
	a.db.t.Helper()
	a.db.exec(`set session_replication_role = replica; update webhook.outbox set finished_at = finished_at - interval '10 seconds' where finished_at > now() - interval '5 seconds'; reset session_replication_role`)
	if err := a.store.Tally(a.db.t.Context()); err != nil {
		a.db.t.Fatal(err)
	}
}

// untallied lets a tally begin at this age.
func (db *database) untallied(since string) {
	db.t.Helper()
	db.exec(`update webhook.maintenance set tallied_until = now() - $1::interval`, since)
}

// tally is what was counted: "contacts sent 2".
func (db *database) tally() string {
	db.t.Helper()
	return db.ask(`select string_agg(format('%s %s %s', channel, status, n), ', ' order by channel, status)
		from (select channel, status, sum(events) as n from webhook.tally group by 1, 2) x`)
}

func TestTally_CountsWhatFinishedOnce(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	db.untallied("1 minute")
	for state, n := range map[string]int{"sent": 3, "failed": 2, "skipped": 1, "cancelled": 2, "pending": 5, "leased": 1} {
		for range n {
			if state != "leased" {
				db.inState(state, "contact.created", `{}`)
			} else {
				db.inState(state, "document.exported", `{"id": 1}`)
			}
		}
	}
	db.inState("superseded", "document.exported", `{"id": 42}`)
	test := int64(db.number(`select webhook.send_test('contacts')`))
	db.become(test, states["sent"])
	settle(a)
	want := "contacts cancelled 2, contacts failed 2, contacts sent 3, contacts skipped 1, documents superseded 1"
	if got := db.tally(); got != want {
		t.Errorf("counted is %s", got)
	}

	// Again at once nothing is due; later only what is new.
	again := db.inState("failed", "contact.created", `{}`)
	settle(a)
	if got := db.tally(); got != want {
		t.Errorf("within five seconds: %s", got)
	}
	db.exec(`update webhook.maintenance set tallied_until = tallied_until - interval '8 seconds'`)
	db.exec(`set session_replication_role = replica; update webhook.outbox set finished_at = now() - interval '1 hour' where finished_at is not null; update webhook.outbox set finished_at = (select tallied_until from webhook.maintenance) where id = ` + fmt.Sprint(again) + `; reset session_replication_role`)
	if err := a.store.Tally(t.Context()); err != nil {
		t.Fatal(err)
	}
	want = strings.Replace(want, "failed 2", "failed 3", 1)
	if got := db.tally(); got != want {
		t.Errorf("later: %s", got)
	}

	// It shows what happened: a resend does not change it.
	db.exec(`select webhook.retry($1)`, again)
	db.untallied("10 seconds")
	settle(a)
	if got := db.tally(); got != want {
		t.Errorf("after a resend: %s", got)
	}
}

func TestTally_HasTheLatencyOfFirstAttempts(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	db.untallied("1 minute")
	for i, c := range []string{
		`due_at = now() - interval '20 seconds' - interval '100 ms'`, `due_at = now() - interval '20 seconds' - interval '104 ms'`, // one bucket: 90 to 107 ms
		`due_at = now() - interval '20 seconds' - interval '30 s'`,
		`attempts = 2, due_at = now() - interval '2 hours'`, `claim_id = null`, // a retry; marked as delivered
	} {
		id := db.publish("contact.created", `{}`)
		db.become(id, states["sent"]+`, claim_id = gen_random_uuid(), finished_at = now() - interval '20 seconds', `+c)
		if i == 0 {
			db.become(db.publish("contact.created", `{}`), states["failed"]+`, finished_at = now() - interval '20 seconds'`)
		}
	}
	settle(a)
	if got := db.ask(`select string_agg(format('%s %s %s', status, latency, events), ', ' order by status, latency) from webhook.tally`); got != "failed 0 1, sent 0 2, sent 27 2, sent 60 1" {
		t.Errorf("counted is %s", got)
	}
	if got := db.ask(`select concat_ws(' ', channel, hour = date_trunc('hour', now() - interval '20 seconds', 'UTC'), delivered, failed, skipped, p50, p99) from webhook.hourly`); got != "contacts t 5 1 0 00:00:00.098701 00:00:30.048388" {
		t.Errorf("webhook.hourly has %s", got)
	}
}

func TestTally_BucketsAreTheInverseOfEachOther(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	if got := db.ask(`select string_agg(b::text, ' ') from generate_series(1, 106) b where webhook.latency_bucket(webhook.latency_of(b::smallint)) <> b`); got != "" {
		t.Errorf("not its own inverse: %s", got)
	}
	if got := db.ask(`select string_agg(ms::text, ' ') from generate_series(1, 100000, 7) ms
		where abs(extract(epoch from webhook.latency_of(webhook.latency_bucket(ms * interval '1 ms'))) * 1000 / ms - 1) > 0.095`); got != "" {
		t.Errorf("off by more than 9 %%: %s", got)
	}
	if got := db.ask(`select concat_ws(' ', webhook.latency_bucket(null), webhook.latency_bucket('-1 hour'), webhook.latency_bucket('0'), webhook.latency_bucket('1 day'), webhook.latency_bucket('10 years'), webhook.latency_of(0::smallint) is null)`); got != "0 1 1 106 106 t" {
		t.Errorf("the ends are %s", got)
	}
}

func TestTally_ManyWorkersAtOnceCountOnce(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.untallied("3 minutes")
	db.exec(`insert into webhook.outbox (event, data, status, finished_at) select 'audit.log', '{}', 'skipped', now() - n * interval '1 second' from generate_series(10, 170) n`)
	var all sync.WaitGroup
	for range 4 {
		a := newAttempter(t, db, time.Hour)
		all.Go(func() {
			for range 5 {
				if err := a.store.Tally(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := db.tally(); got != "audit_log skipped 161" {
		t.Errorf("counted is %s", got)
	}
}

func TestTally_CatchesUpADayAndNoMore(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, status, finished_at) select 'audit.log', '{}', 'skipped', now() - n * interval '1 hour' from generate_series(1, 40) n`)
	db.untallied("1000 days")
	a := newAttempter(t, db, time.Hour)
	eventually(t, "it has caught up", func() bool {
		if err := a.store.Tally(t.Context()); err != nil {
			t.Fatal(err)
		}
		return db.count(`select count(*) from webhook.maintenance where tallied_until > now() - interval '1 minute'`) == 1
	})
	if got := db.tally(); got != "audit_log skipped 23" && got != "audit_log skipped 24" {
		t.Errorf("counted is %s", got)
	}
	db.exec(`update webhook.maintenance set tallied_until = now() + interval '1 hour'`) // by a clock that was set back
	if err := a.store.Tally(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := db.count(`select count(*) from webhook.maintenance where tallied_until < now()`); n != 1 {
		t.Error("it waits for a clock that was set back")
	}
	db.exec(`insert into webhook.tally values ('cases', now() - interval '9 days', 'sent', 0, 1)`)
	db.exec(`update webhook.maintenance set pruned_at = null`)
	db.once()
	if got := db.tally(); strings.Contains(got, "cases") {
		t.Errorf("the clean-up leaves %s", got)
	}
}

func TestTally_IsKeptByTheWorker(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	db.publish("contact.created", `{}`)
	db.document("42")
	eventually(t, "both are counted", func() bool { return db.tally() == "contacts sent 1, documents sent 1" })
	if got := db.ask(`select string_agg(channel, ' ' order by channel) from webhook.hourly where delivered = 1 and p50 between '1 ms' and '10 s' and p99 = p50`); got != "contacts documents" {
		t.Errorf("with a latency: %s", got)
	}
}
