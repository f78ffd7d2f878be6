package integration_test

import (
	"testing"
	"time"

	"github.com/recordengine/webhooks/store"
)

// auditVolume writes pending audit entries, and counts from then on what each
// statement that updates the outbox changes.
func auditVolume(db *database, entries int) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, data) select 'audit.log', '{"action": "login"}' from generate_series(1, $1)`, entries)
	db.exec(`create table public.statements (n bigserial, changed bigint)`)
	db.exec(`create function public.note() returns trigger language plpgsql as $$ begin
		insert into public.statements (changed) select count(*) from changed;
		return null; end $$`)
	db.exec(`create trigger note after update on webhook.outbox referencing new table as changed for each statement execute function public.note()`)
}

func TestSkip_HundredThousandRowsInBoundedBatches(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	const entries, batch = 100_000, 2000
	auditVolume(db, entries)
	db.exec(`update webhook.channels set enabled = false where name in ('audit_log', 'documents')`)
	others := map[string]int64{"contact": db.publish("contact.created", `{}`), "document": db.document("42"), "test": insertTest(db, "audit.log")}
	a := newAttempter(t, db, time.Hour)
	if n, err := a.store.Skip(t.Context()); n != entries || err != nil {
		t.Fatalf("%d were skipped: %v", n, err)
	}
	if n := db.count(`select count(*) from webhook.outbox where event = 'audit.log' and status = 'skipped' and finished_at is not null and attempts = 0 and error is null`); n != entries {
		t.Errorf("%d are skipped", n)
	}
	for name, id := range others {
		if db.status(id) != "pending" {
			t.Errorf("%s is %s", name, db.status(id))
		}
	}
	if most := db.count(`select max(changed) from public.statements`); most > batch {
		t.Errorf("one statement changed %d rows", most)
	}
	if statements := db.count(`select count(*) from public.statements`); statements > entries/batch+5 {
		t.Errorf("%d statements for %d rows", statements, entries)
	}
	if n := db.count(`select sum(events) from webhook.volume where channel = 'audit_log' and status = 'skipped'`); n != entries {
		t.Errorf("volume shows %d of them", n)
	}
	before := db.everything()
	if n, err := a.store.Skip(t.Context()); n != 0 || err != nil || db.everything() != before {
		t.Errorf("with nothing to skip, %d: %v", n, err)
	}
}

// The fifth of fifty batches waits in the middle of its work. Meanwhile
// every other channel flows, and applications write.
func TestSkip_DelaysNoOtherEvent(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	auditVolume(db, 100_000)
	db.exec(`update webhook.channels set enabled = false where name = 'audit_log'`)
	db.exec(`create function public.hold_up() returns trigger language plpgsql as $$ begin
		if (select count(*) from public.statements where changed > 1000) = 5 then
			perform set_config('lock_timeout', '0', true);
			perform pg_advisory_xact_lock(5);
		end if;
		return null; end $$`)
	db.exec(`create trigger then_hold_up after update on webhook.outbox for each statement execute function public.hold_up()`)
	release := db.locked(`select pg_advisory_xact_lock(5)`)
	defer release()
	startWorker(t, quick(db.address))
	// Only the skipping changes more than a thousand rows in a statement, so it is
	// what waits; the others' statements pass the trigger, since their transactions
	// do not see the fifth batch.
	db.waitsForLock()
	for _, event := range []string{"contact.created", "case.created", "rule.executed"} {
		id := db.publish(event, `{}`)
		eventually(t, event+" is sent while the skipping stands still", func() bool { return db.status(id) == "sent" })
	}
	document, late := db.document("42"), db.publish("audit.log", `{}`)
	eventually(t, "a document is sent while the skipping stands still", func() bool { return db.status(document) == "sent" })
	var died int64 // in one statement: a worker runs
	if err := db.Get(&died, `insert into webhook.outbox (event, data, status, attempts, claim_id, claimed_by, claimed_at, leased_until)
		values ('contact.created', '{}', 'sending', 1, gen_random_uuid(), 'host:7', now(), now() - interval '1 minute') returning id`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ten-second cycle runs while the skipping waits: a lease expires", func() bool { return db.status(died) == "failed" })
	if n := db.count(`select count(*) from webhook.outbox where event = 'audit.log' and status = 'skipped'`); n != 4*2000 {
		t.Errorf("%d were skipped meanwhile: the skipping did not stand still", n)
	}
	release()
	eventually(t, "all of them are skipped in the end", func() bool {
		return db.status(late) == "skipped" && db.count(`select count(*) from webhook.outbox where event = 'audit.log' and status = 'pending'`) == 0
	})
}

// The fifth batch waits, the channel is turned on, and the batch goes on:
// what it had begun is done, and nothing after the switch.
func TestSkip_StopsWhenTheChannelIsTurnedOn(t *testing.T) {
	t.Parallel()
	for name, flip := range map[string]string{
		"channel on":   `update webhook.channels set enabled = true where name = 'audit_log'`,
		"Offline Mode": `update webhook.settings set offline_mode = true`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			auditVolume(db, 30_000)
			db.exec(`update webhook.channels set enabled = false where name = 'audit_log'`)
			db.exec(`create function public.hold_up() returns trigger language plpgsql as $$ begin
				if (select count(*) from public.statements) = 5 then
					perform set_config('lock_timeout', '0', true);
					perform pg_advisory_xact_lock(5);
				end if;
				return null; end $$`)
			db.exec(`create trigger then_hold_up after update on webhook.outbox for each statement execute function public.hold_up()`)
			release := db.locked(`select pg_advisory_xact_lock(5)`)
			pool, err := store.Open(db.address)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			skipped := make(chan int, 1)
			go func() {
				n, err := store.New(pool, time.Hour).Skip(t.Context())
				if err != nil {
					t.Error(err)
				}
				skipped <- n
			}()
			waiting := func(n int) func() bool {
				return func() bool {
					return db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == n
				}
			}
			eventually(t, "the fifth batch waits", waiting(1))
			switched := make(chan error, 1)
			go func() {
				_, err := db.Exec(flip)
				switched <- err
			}()
			eventually(t, "the switch waits for the batch", waiting(2))
			release()
			if err := <-switched; err != nil {
				t.Fatal(err)
			}
			atCommit := db.count(`select count(*) from webhook.outbox where status = 'skipped'`)
			n := <-skipped
			after := db.count(`select count(*) from webhook.outbox where status = 'skipped'`)
			if after != atCommit || n != after || after < 10_000 || after == 30_000 {
				t.Errorf("%d were skipped when the switch had committed, %d in the end, Skip says %d", atCommit, after, n)
			}
		})
	}
}
