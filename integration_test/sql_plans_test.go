package integration_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// millions are many finished rows, for a database that must not read them:
// 180,000 here, of any number the statements must find their few by an index.
func millions(db *database) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, data, status, http_status, failure, received, error, attempts, finished_at, occurred_at)
		select event, '{}', status, case status when 'sent' then 200 when 'failed' then 500 end, case status when 'failed' then 'server_error' end,
		       case status when 'sent' then 'yes' when 'failed' then 'no' end, case status when 'failed' then 'HTTP 500' end, 1, at, at
		  from (select e.event, case when n % 500 = 0 then 'failed' when e.event = 'audit.log' then 'skipped' else 'sent' end as status,
		               now() - interval '20 days' + n * interval '10 seconds' as at
		          from generate_series(1, 70000) n cross join (values ('contact.created'), ('audit.log')) e (event)) x`)
	db.exec(`insert into webhook.outbox (event, data, status, http_status, received, attempts, finished_at, synced_at)
		select 'document.exported', json_build_object('id', n % 20000), 'sent', 200, 'yes', 1, now() - interval '1 day', now() - interval '1 day' from generate_series(1, 40000) n`)
	for range 20 {
		db.inState("pending", "contact.created", `{}`)
		db.inState("pending", "audit.log", `{}`)
		db.inState("refused", "document.exported", fmt.Sprintf(`{"id": "W-%s"}`, uuid.NewString()))
	}
	db.exec(`vacuum analyze webhook.outbox`)
}

// touched is what a session has read of the outbox, and has not handed in to the statistics yet.
type touched struct {
	SeqScans int64 `db:"seq_scan"`
	Rows     int64
}

func touchedBy(t *testing.T, tx *sqlx.Tx) (is touched) {
	t.Helper()
	if err := tx.Get(&is, `select seq_scan, coalesce(idx_tup_fetch, 0) + seq_tup_read as rows from pg_stat_xact_user_tables where relid = 'webhook.outbox'::regclass`); err != nil {
		t.Fatal(err)
	}
	return is
}

func TestPlans_NothingThatAPersonAsksReadsFinishedRows(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	millions(db)
	contact := db.count(`select max(id) from webhook.outbox where event = 'contact.created' and status = 'failed'`)
	document := db.count(`select max(id) from webhook.outbox where event = 'document.exported' and status = 'sent'`)
	pending := db.count(`select max(id) from webhook.outbox where event = 'audit.log' and status = 'pending'`)
	for _, c := range []struct {
		statement string
		most      int64 // rows that may be fetched
	}{
		{fmt.Sprintf(`select webhook.explain(%d)`, contact), 10},
		{fmt.Sprintf(`select webhook.explain(%d)`, document), 10},
		{fmt.Sprintf(`select webhook.explain(%d)`, pending), 10},
		{fmt.Sprintf(`select webhook.retry(%d)`, contact), 20},
		{fmt.Sprintf(`select webhook.cancel(%d)`, pending), 20},
		{`select * from webhook.status`, 400},
		{`select * from webhook.problems`, 400},
		{`select * from webhook.problems where channel = 'contacts' limit 5`, 100},
		{`select webhook.retry_failed(dry_run => true, max_rows => 10)`, 100},
		{`select webhook.retry_failed(max_rows => 10)`, 200},
		{`select webhook.retry_failed('contacts', since => now() - interval '20 days', http_status => 500)`, 1000},
		{`select webhook.retry_failed('audit_log', error_like => 'dns:%')`, 300},
		{`select webhook.retry_failed('audit_log', failure => 'dns')`, 300},
		{`select webhook.discard(dry_run => true)`, 200},
		{`select webhook.discard(max_rows => 10)`, 100},
		{`select webhook.discard('documents')`, 200},
		{`select webhook.prune('30 days')`, 100},
		{`select webhook.prune('19 days', 100)`, 1500},
		{`select webhook.prune('1 hour', 100)`, 1500},
		{`select webhook.send_test('cases')`, 0},
		{`select * from webhook.preview_resend(status => 'failed')`, 400},
		{`select * from webhook.preview_resend('contacts', 'failed', error_text => 'no such')`, 300},
		{`select * from webhook.preview_resend('contacts', 'sent', since => now() - interval '1 day', until => now() - interval '23 hours')`, 1000},
		{`select * from webhook.preview_resend()`, 25000}, // 20,000, whatever there is; some documents have a later export
		{`select * from webhook.preview_resend('documents', include_received => true)`, 45000},
		{`select * from webhook.preview_resend(document => '42', include_received => true)`, 20},
		{`select webhook.first_resends()`, 25000},
		{`select webhook.first_resends('contacts', 'failed')`, 300},
		{`select webhook.advance_operation(webhook.start_resend('contacts', 'failed'), 10)`, 500},
		{`select webhook.advance_operation(webhook.start_resend(document => '42', include_received => true))`, 50},
		{`update webhook.settings set offline_mode = true; select webhook.advance_operation(webhook.start_release('{contacts,cases}'), 10)`, 200},
		{`select * from webhook.hourly`, 0},
		{`select webhook.publish('contact.created', '{}')`, 0},
		{`select status, synced_at from webhook.outbox where document_id = '42' order by id desc limit 1`, 5},
	} {
		for _, planning := range []string{"auto", "force_generic_plan"} {
			tx := db.MustBegin()
			tx.MustExec(`set local plan_cache_mode = ` + planning)
			before := touchedBy(t, tx)
			tx.MustExec(c.statement)
			after := touchedBy(t, tx)
			if after.SeqScans != before.SeqScans || after.Rows-before.Rows > c.most {
				t.Errorf("%s (%s): %d sequential scans, %d rows were fetched, at most %d were expected", c.statement, planning, after.SeqScans-before.SeqScans, after.Rows-before.Rows, c.most)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPlans_VolumeReadsOneIndex(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	millions(db)
	db.exec(`update webhook.outbox set due_at = now() where status = 'pending'; delete from webhook.outbox where finished_at > now() - interval '13 days'`)
	db.exec(`vacuum analyze webhook.outbox`)
	tx := db.MustBegin()
	defer tx.Rollback()
	before := touchedBy(t, tx)
	tx.MustExec(`select * from webhook.volume`)
	if after := touchedBy(t, tx); after.SeqScans != before.SeqScans || after.Rows-before.Rows > 200 {
		t.Errorf("from %+v to %+v, although all finished rows are older than seven days", before, after)
	}
}

// Above jit_above_cost PostgreSQL compiles a query first, which takes these
// longer than anything else they do.
func TestPlans_NoViewOfAnOrdinaryOutboxIsCompiledFirst(t *testing.T) {
	t.Parallel()
	const jitAboveCost = 100_000 // the default
	for name, db := range map[string]*database{"empty": open(t, newDatabase(t)), "upgraded": atVersion(t, 1, "https://re.example")} {
		db.migrated()
		for _, view := range []string{"status", "problems", "volume"} {
			plan := query[string](t, db.address, `explain (format json) select * from webhook.`+view)
			cost := regexp.MustCompile(`"Total Cost": ([0-9.]+)`).FindStringSubmatch(plan) // the first is that of the whole
			if cost == nil {
				t.Fatalf("no cost in %s", plan)
			}
			if n, err := strconv.ParseFloat(cost[1], 64); err != nil || n > jitAboveCost {
				t.Errorf("%s, %s: a cost of %s", name, view, cost[1])
			}
		}
	}
}

func TestPlans_NoStatementOfAWorkerReadsFinishedRows(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	millions(db)
	db.exec(`update webhook.channels set enabled = false where name = 'audit_log'`)
	totals := func() (is struct {
		touched
		Updated int64
	}) {
		err := db.Get(&is, `select seq_scan, coalesce(idx_tup_fetch, 0) + seq_tup_read as rows, n_tup_upd as updated from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	db.exec(`update webhook.outbox set due_at = now() where status = 'pending'`)
	seen := int64(60 + 20) // inState updates a row, this the pending ones again
	eventually(t, "the statistics have arrived", func() bool { return totals().Updated >= seen })
	before := totals()

	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(pool, time.Millisecond)
	var outcomes []outbox.Outcome
	for range 30 { // most of them find nothing
		attempt := uuid.NewString()
		var lanes []outbox.Capacity
		for _, c := range outbox.Channels() {
			lanes = append(lanes, outbox.Capacity{Channel: c.Name})
		}
		events, err := s.Claim(t.Context(), attempt, lanes)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			outcomes = append(outcomes, outbox.Outcome{EventID: e.ID, ClaimID: attempt, Verdict: outbox.Failed, Result: outbox.Result{Failure: outbox.FailureServerError, Received: outbox.ReceivedNo, Status: 500, Error: "HTTP 500"}})
			if e.Channel == "documents" {
				outcomes[len(outcomes)-1].Verdict = outbox.Retry
			}
		}
	}
	if len(outcomes) != 40 {
		t.Fatalf("%d events were claimed", len(outcomes))
	}
	if _, err := s.Record(t.Context(), outcomes[:30]); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := s.Expired(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := expireAll(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Skip(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Tally(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.NoteEndpoints(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.BeginLooks(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.LookUpClaim(t.Context(), uuid.NewString()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReleaseClaims(t.Context(), []string{uuid.NewString()}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	pool.Close() // a session hands in its statistics at the latest when it ends
	eventually(t, "the statistics have arrived", func() bool { return totals().Updated >= before.Updated+40+40+20 })
	after := totals()
	if after.SeqScans != before.SeqScans {
		t.Errorf("%d sequential scans", after.SeqScans-before.SeqScans)
	}
	if rows := after.Rows - before.Rows; rows > 15000 { // of these 10 times 100 sent and 100 failed of each of three channels, for webhook.endpoints
		t.Errorf("%d rows were fetched for 60 events", rows)
	}
}
