package integration_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
)

// A claim has locked an export, and its server process stands still before the
// lease is written: a page comes from a slow disk, here a trigger waits.
// Meanwhile a later export is written, claimed by another worker, sent and
// recorded. The simulation found that the older one then went out after it.
func TestClaim_FrozenClaimNeverSendsAnOlderExportAfterANewer(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	older := db.document("42")
	db.exec(`create table public.standstill as select $1::bigint as id`, older)
	db.exec(`create function public.stand_still() returns trigger language plpgsql as $$
	         begin
	           while exists (select from public.standstill where id = new.id) loop
	             perform pg_sleep(0.005);
	           end loop;
	           return new;
	         end $$`)
	db.exec(`create trigger stand_still before update on webhook.outbox for each row execute function public.stand_still()`)

	lanes := []outbox.Capacity{{Channel: "documents"}}
	slow, quick := workersStore(t, db.address), workersStore(t, db.address)
	type answer struct {
		events []outbox.Event
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		events, err := slow.Claim(context.Background(), uuid.NewString(), lanes)
		answers <- answer{events, err}
	}()
	eventually(t, "the claim stands still", func() bool {
		return db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`) == 1
	})
	newer := db.document("42")
	events, err := quick.Claim(t.Context(), uuid.NewString(), lanes)
	if err != nil || len(events) != 1 || events[0].ID != newer {
		t.Fatalf("the other worker claimed %+v, error %v; the newer export was expected", events, err)
	}
	sent := outbox.Outcome{EventID: newer, ClaimID: events[0].ClaimID, Verdict: outbox.Sent, Result: outbox.Result{Received: outbox.ReceivedYes, Status: 200}}
	if _, err := quick.Record(t.Context(), []outbox.Outcome{sent}); err != nil {
		t.Fatal(err)
	}
	db.exec(`delete from public.standstill`)
	if a := <-answers; a.err != nil || len(a.events) != 1 || !a.events[0].Superseded {
		t.Errorf("the claim that stood still returned %+v, error %v", a.events, a.err)
	}
	if r := db.row(older); r.Status != "superseded" || r.Attempts != 0 {
		t.Errorf("the older export is %s after %d attempts", r.Status, r.Attempts)
	}
}
