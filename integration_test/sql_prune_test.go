package integration_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/store"
)

func TestPrune_DeletesWhatWasFinishedLongerAgoAndNothingElse(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	var gone, kept []int64
	for _, state := range []string{"pending", "refused", "leased", "expired"} {
		kept = append(kept, db.inState(state, "document.exported", fmt.Sprintf(`{"id": "D-%s"}`, state)))
	}
	for _, state := range []string{"pending", "sending", "died"} {
		kept = append(kept, db.inState(state, "contact.created", `{}`))
	}
	db.exec(`update webhook.outbox set occurred_at = now() - interval '2 years', due_at = now() - interval '2 years'`) // however old
	for _, age := range []string{"31 days", "29 days"} {
		for _, event := range []string{"contact.created", "document.exported", "audit.log"} {
			for _, state := range []string{"sent", "failed", "skipped", "superseded", "cancelled"} {
				document := event == "document.exported"
				if document && (state == "failed" || state == "skipped") || !document && state == "superseded" {
					continue // the schema has no such rows
				}
				id := db.publish(event, fmt.Sprintf(`{"id": "P-%s-%s"}`, state, age))
				db.become(id, states[state]+`, finished_at = now() - interval '`+age+`'`)
				if age == "31 days" {
					gone = append(gone, id)
				} else {
					kept = append(kept, id)
				}
			}
		}
	}
	for _, table := range []string{
		`insert into webhook.attempts (outbox_id, run, failure, received, error, first_at, last_at) select id, 1, 'dns', 'no', 'dns: x', now(), now() from webhook.outbox`,
		`insert into webhook.interventions (outbox_id, action, was_status) select id, 'retry', 'failed' from webhook.outbox`,
	} {
		db.exec(table)
	}
	if n := db.number(`select webhook.prune('30 days')`); n != len(gone) {
		t.Errorf("it says %d, want %d", n, len(gone))
	}
	if n := db.number(`select webhook.prune('30 days')`); n != 0 {
		t.Errorf("a second call says %d", n)
	}
	for _, table := range []string{`select id from webhook.outbox order by 1`, `select outbox_id from webhook.attempts order by 1`, `select outbox_id from webhook.interventions where outbox_id is not null order by 1`} {
		var left []int64
		if err := db.Select(&left, table); err != nil {
			t.Fatal(err)
		}
		slices.Sort(kept)
		if !slices.Equal(left, kept) {
			t.Errorf("%s: %d are left, want %d", table, len(left), len(kept))
		}
	}
}

func TestPrune_DeletesAtMostMaxRowsAndIsRepeatedUntilZero(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, status, finished_at) select e, '{}', 'skipped', now() - interval '1 day'
		from generate_series(1, 30), unnest(array['contact.created', 'audit.log']) e`)
	for _, want := range []int{25, 25, 10, 0} {
		before := db.count(`select count(*) from webhook.outbox`)
		if n := db.number(`select webhook.prune('1 hour', 25)`); n != want || db.count(`select count(*) from webhook.outbox`) != before-want {
			t.Errorf("it returned %d, want %d", n, want)
		}
	}
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db.exec(`insert into webhook.outbox (event, data, status, finished_at) select 'audit.log', '{}', 'skipped', now() - interval '1 day' from generate_series(1, 4500)`)
	if n, err := store.New(pool, time.Hour).Prune(t.Context(), time.Hour); n != 4500 || err != nil {
		t.Errorf("the worker's clean-up deleted %d: %v", n, err)
	}
}

// A person may send a finished export again, but not one that a later one has followed. So the later one stays as
// long as the older, in whatever order they were finished.
func TestPrune_NeverDeletesAnExportBeforeTheOlderOnesOfItsDocument(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	const documents, exports = 12, 8
	random := rand.New(rand.NewPCG(7, 7)) // the same on every run
	for range exports {
		for d := range documents {
			state := []string{"sent", "superseded", "cancelled", "pending"}[random.IntN(4)]
			if state == "pending" && d%3 != 0 {
				state = "sent"
			}
			id := db.publish("document.exported", fmt.Sprintf(`{"id": %d}`, d))
			if state != "pending" {
				db.become(id, states[state]+fmt.Sprintf(`, finished_at = now() - interval '%d hours'`, 1+random.IntN(48)))
			}
		}
	}
	eligible := `finished_at < now() - interval '24 hours' and not exists (select from webhook.outbox e
		where e.document_id = o.document_id and e.id < o.id and (e.finished_at is null or e.finished_at >= now() - interval '24 hours'))`
	for size := 1; ; size = size%5 + 1 {
		want := db.count(`select count(*) from webhook.outbox o where ` + eligible)
		n := db.number(`select webhook.prune('24 hours', $1)`, size)
		if n > size || n == 0 && want != 0 {
			t.Fatalf("at most %d of %d: it returned %d", size, want, n)
		}
		if bad := db.count(`select count(*) from webhook.outbox older where exists (
			select from generate_series(older.id + $1, $1 * $2, $1) later where not exists (select from webhook.outbox o where o.id = later))`, documents, exports); bad != 0 {
			t.Fatalf("%d exports have lost a later one", bad)
		}
		if n == 0 {
			break
		}
	}
}

func TestPrune_KeepsTheLaterExportOfOneThatIsBeingSentAgain(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	older := db.inState("cancelled", "document.exported", `{"id": 42}`)
	later := db.inState("cancelled", "document.exported", `{"id": 42}`)
	other := db.inState("sent", "document.exported", `{"id": 43}`)
	tx := db.MustBegin()
	tx.MustExec(`select webhook.retry($1)`, older) // allowed: the later one is cancelled
	if n := db.impatient("20s").number(`select webhook.prune('0')`); n != 1 {
		t.Errorf("%d were deleted, one was expected: that of the other document", n)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := db.number(`select webhook.prune('0')`); n != 0 {
		t.Errorf("%d were deleted although the older export waits", n)
	}
	var left []int64
	if err := db.Select(&left, `select id from webhook.outbox order by id`); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(left, []int64{older, later}) {
		t.Errorf("left are %v, not %d", left, other)
	}
}

func TestPrune_DeletesAThousandExportsOfOneDocument(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, status, error, finished_at)
		select 'document.exported', '{"id": 42}', 'superseded', 'superseded: row 1', now() - interval '2 days' - n * interval '1 second' from generate_series(1, 3000) n`)
	db.exec(`analyze webhook.outbox`)
	for _, want := range []int{2000, 1000, 0} { // the newest are finished first here
		if n := db.number(`select webhook.prune('1 day', 2000)`); n != want {
			t.Errorf("it returned %d, want %d", n, want)
		}
	}
}

func TestExplain_SaysOfWhatWasPrunedThatItIsGone(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	id := db.inState("sent", "contact.created", `{}`)
	db.number(`select webhook.prune('0')`)
	if got := db.ask(`select webhook.explain($1)`, id); !strings.Contains(got, "There is no event") || !strings.Contains(got, "pruned") {
		t.Errorf("explain says %s", got)
	}
}
