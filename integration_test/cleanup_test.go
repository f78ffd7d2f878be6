package integration_test

import (
	"strings"
	"testing"
)

// old writes finished events that are older than the retention of 30 days.
func old(db *database, events int) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, data, status, finished_at) select 'audit.log', '{}', 'skipped', now() - interval '31 days' from generate_series(1, $1)`, events)
}

func (db *database) finishedLeft() int {
	return db.count(`select count(*) from webhook.outbox where finished_at is not null`)
}

func TestCleanUp_RunsShortlyAfterAStartIfNoneRanForADay(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	old(db, 5000) // more than one batch
	w := startWorker(t, quick(db.address))
	eventually(t, "everything old is deleted", func() bool { return db.finishedLeft() == 0 })
	recorded := func() bool {
		return db.count(`select count(*) from webhook.maintenance where pruned_at > now() - interval '1 minute' and pruning_by is null`) == 1
	}
	eventually(t, "the database has when", recorded)
	w.terminate()
	w.exit(t)

	// Not again within a day, whichever worker starts; after that it runs.
	old(db, 1)
	startWorker(t, quick(db.address))
	eventually(t, "a cycle has run", func() bool {
		return db.count(`select count(*) from webhook.workers where seen_at > started_at + interval '5 s'`) == 1
	})
	if db.finishedLeft() != 1 {
		t.Error("it ran twice within a day")
	}
	db.exec(`update webhook.maintenance set pruned_at = now() - interval '25 hours'`)
	eventually(t, "it runs after a day", func() bool { return db.finishedLeft() == 0 })
	eventually(t, "the database has when, again", recorded)
	old(db, 1)
	db.exec(`update webhook.maintenance set pruned_at = now() + interval '25 hours'`) // by a clock that was set back
	eventually(t, "it runs although the last one is in the future", func() bool { return db.finishedLeft() == 0 })
}

func TestCleanUp_RunsWithOnceUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	for range 2 { // a scheduler may start it often
		old(db, 4500)
		kept := db.inState("sent", "contact.created", `{}`)
		db.once()
		if n := db.finishedLeft(); n == 0 || db.status(kept) != "sent" || db.count(`select count(*) from webhook.outbox where status = 'skipped'`) != 0 {
			t.Errorf("%d are left", n)
		}
	}
}

func TestCleanUp_RunsOnOneWorkerAtATime(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	old(db, 1)
	db.exec(`insert into webhook.workers (id, name, version, settings) values ('00000000-0000-0000-0000-000000000001', 'other:7', '1', '{}')`)
	db.exec(`update webhook.maintenance set pruning_by = '00000000-0000-0000-0000-000000000001'`)
	db.once()
	if db.finishedLeft() != 1 {
		t.Error("two workers clean up at once")
	}
	db.exec(`update webhook.workers set seen_at = now() - interval '2 minutes'`) // it was killed meanwhile
	db.once()
	if db.finishedLeft() != 0 {
		t.Error("no worker continues after one that was killed")
	}
}

func TestCleanUp_WhatFailsRunsAgain(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	old(db, 1)
	db.exec(`create function fail() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
		create trigger fail before delete on webhook.outbox for each row execute function fail()`)
	w := startWorker(t, quick(db.address))
	eventually(t, "the failure is logged", func() bool { return strings.Contains(w.log.String(), "not now") })
	db.exec(`drop trigger fail on webhook.outbox`)
	eventually(t, "the next cycle deletes it", func() bool { return db.finishedLeft() == 0 })
}
