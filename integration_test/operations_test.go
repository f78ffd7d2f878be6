package integration_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// operation is what the page shows of one.
type operation struct {
	Expected, Done int64
	More           bool
	LeftOut        int64 `db:"left_out"`
	Ended, Stopped bool
	Problem        string
}

func (db *database) operation(id int) (op operation) {
	db.t.Helper()
	if err := db.Get(&op, `select expected, done, expected_more as more, left_out, finished_at is not null as ended, stopped_at is not null as stopped, coalesce(problem, '') as problem
		from webhook.operations where id = $1`, id); err != nil {
		db.t.Fatal(err)
	}
	return op
}

// advance does an operation in steps of so many, and returns how many steps that took.
func (db *database) advance(id, maxRows int) (steps int) {
	db.t.Helper()
	for more := true; more; steps++ {
		if err := db.Get(&more, `select webhook.advance_operation($1, $2)`, id, maxRows); err != nil {
			db.t.Fatal(err)
		}
		if steps > 100_000 { // one that another session holds is a step, too
			db.t.Fatalf("operation %d does not end: %+v", id, db.operation(id))
		}
	}
	return steps
}

// resent are the events that were sent again, in that order.
func (db *database) resent() string {
	db.t.Helper()
	return db.ask(`select string_agg(outbox_id::text, ' ' order by id) from webhook.interventions where action = 'retry'`)
}

func (db *database) preview(filter string) string {
	db.t.Helper()
	return db.ask(`select string_agg(format('%s: %s (%s %s %s%s)', channel, would_send, overtaken, received, tests, case when capped then ' +' end), ', ') from webhook.preview_resend(` + filter + `)`)
}

// finishedAt lets finished events have finished in this order, a minute apart and up to now.
func finishedAt(db *database, ids ...int64) {
	db.t.Helper()
	for i, id := range ids {
		db.exec(fmt.Sprintf(`set session_replication_role = replica; update webhook.outbox set finished_at = now() - interval '%d minutes' where id = %d; reset session_replication_role`, len(ids)-i, id))
	}
}

func TestResend_DoesWhatItsPreviewSays(t *testing.T) {
	t.Parallel()
	type c = struct{ filter, preview, resent string }
	for _, c := range []c{
		{``, "documents: 0 (0 2 0), contacts: 4 (0 2 1), audit_log: 1 (0 0 0)", "contact audit again skipped cancelled"},
		{`include_received => true`, "documents: 1 (1 0 0), contacts: 6 (0 0 1), audit_log: 1 (0 0 0)", "sent contact maybe audit again skipped cancelled new"},
		{`'contacts', 'failed'`, "contacts: 2 (0 1 1)", "contact again"},
		{`status => 'failed', error_text => 'internal SERVER error'`, "contacts: 2 (0 0 1), audit_log: 1 (0 0 0)", "contact audit again"},
		{`error_text => '%'`, "", ""},
		{`failure => 'interrupted', include_received => true`, "contacts: 1 (0 0 0)", "maybe"},
		{`failure => 'dns'`, "", ""},
		{`status => 'skipped'`, "contacts: 1 (0 0 0)", "skipped"},
		{`document => '42', include_received => true`, "documents: 1 (1 0 0)", "new"},
		{`document => '42', status => 'superseded', include_received => true`, "", ""},
		{`'contacts', document => '42'`, "", ""},
		{`document => 'x'`, "", ""},
		{`status => 'failed', since => now() - interval '7 minutes 30 seconds', until => now() - interval '5 minutes 30 seconds'`, "contacts: 0 (0 1 0), audit_log: 1 (0 0 0)", "audit"},
	} {
		t.Run(c.filter, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			id := map[string]int64{
				"old": db.inState("sent", "document.exported", `{"id": 42}`), "sent": db.inState("sent", "contact.created", `{}`), "contact": db.inState("failed", "contact.created", `{}`),
				"maybe": db.inState("unknown", "contact.created", `{}`), "audit": db.inState("failed", "audit.log", `{}`), "again": db.inState("failed", "contact.created", `{}`),
				"skipped": db.inState("skipped", "contact.created", `{}`), "cancelled": db.inState("cancelled", "contact.created", `{}`), "new": db.inState("sent", "document.exported", `{"id": 42}`),
				"test": int64(db.number(`select webhook.send_test('contacts')`)),
			}
			db.become(id["test"], states["failed"])
			db.publish("contact.created", `{}`) // neither what waits nor what a worker holds is touched
			db.inState("sending", "audit.log", `{}`)
			db.inState("refused", "document.exported", `{"id": 43}`)
			finishedAt(db, id["old"], id["sent"], id["contact"], id["maybe"], id["audit"], id["again"], id["skipped"], id["cancelled"], id["new"], id["test"])
			untouched := db.ask(`select string_agg(o.xmin || o::text, e'\n' order by id) from webhook.outbox o where finished_at is null`)
			if got := db.preview(c.filter); got != c.preview {
				t.Errorf("preview:  %s\nexpected: %s", got, c.preview)
			}
			op := db.number(`select webhook.start_resend(` + c.filter + `)`)
			db.advance(op, 2)
			var want []string
			for _, name := range strings.Fields(c.resent) {
				want = append(want, fmt.Sprint(id[name]))
			}
			if got := db.resent(); got != strings.Join(want, " ") {
				t.Errorf("resent are %s, expected %v, of %v", got, want, id)
			}
			leftOut := db.count(`select coalesce(sum(overtaken + received + tests), 0) from webhook.preview_resend(` + c.filter + `)`)
			if got := db.operation(op); got.Expected != int64(len(want)) || got.Done != int64(len(want)) || !got.Ended || got.More || got.LeftOut != int64(leftOut) {
				t.Errorf("%+v, %d are left out", got, leftOut)
			}
			if n := db.count(`select count(*) from webhook.outbox where status = 'pending' and finished_at is null and http_status is null and failure is null and synced_at is null
				and id in (select outbox_id from webhook.interventions where was_finished_at is not null)`); n != len(want) {
				t.Errorf("%d are due again", n)
			}
			if got := db.ask(`select string_agg(o.xmin || o::text, e'\n' order by id) from webhook.outbox o where finished_at is null and id not in (select outbox_id from webhook.interventions where action = 'retry')`); got != untouched {
				t.Errorf("what was not finished has changed from\n%s\nto\n%s", untouched, got)
			}
		})
	}
}

func TestResend_RefusesAFilterInWords(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	for filter, parts := range map[string][]string{
		`'contact'`:            {`22023: unknown channel "contact"`, "One of documents, contacts, "},
		`status => 'lost'`:     {`22023: unknown status "lost"`, "One of sent, failed, skipped, superseded, cancelled."},
		`status => 'pending'`:  {"22023: events that are pending are not sent again: they are not finished", "One of sent, "},
		`failure => 'offline'`: {`22023: unknown failure "offline"`, "blocked_address"},
		`since => '2026-03-02', until => '2026-03-01'`: {"22023: since (2026-03-02 00:00:00Z) is not before until (2026-03-01 00:00:00Z)"},
		`include_received => null`:                     {"22023: include_received is null"},
	} {
		for _, function := range []string{"preview_resend", "start_resend"} {
			with(t, function+" "+filter, db.ask(`select webhook.`+function+`(`+filter+`)::text`), parts...)
		}
	}
	with(t, "steps of none", db.ask(`select webhook.advance_operation(1, 0)`), "22023: max_rows is 0")
	with(t, "an operation that does not exist", db.ask(`select webhook.advance_operation(7)`), "operation 7 does not exist")
	with(t, "an operation that does not exist", db.ask(`select webhook.stop_operation(7)`), "operation 7 does not exist")
}

func TestResend_SurvivesItsPageAndStops(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	page := loginRole(t, db, "webhook_admin")
	var ids []int64
	for range 9 {
		ids = append(ids, db.inState("failed", "contact.created", `{}`))
	}
	finishedAt(db, ids...)
	tx := page.MustBegin()
	tx.MustExec(`select set_config('webhook.actor', 'Jane', true)`)
	var op int
	if err := tx.Get(&op, `select webhook.start_resend(status => 'failed')`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	step := func() string { return page.ask(`select webhook.advance_operation($1, 4)`, op) }
	if more := step(); more != "true" {
		t.Errorf("one step: %s", more)
	}
	// What it has sent fails again: that is not for this operation.
	db.become(ids[0], states["failed"])
	release := db.locked(`select from webhook.operations for update`)
	if more := step(); more != "true" {
		t.Errorf("while another session does a step: %s", more)
	}
	release()
	release = db.locked(`select from webhook.outbox where id = $1 for update`, ids[5])
	if more := step(); more != "true" {
		t.Errorf("the second step: %s", more)
	}
	release()
	if got := db.operation(op); got.Done != 7 || got.LeftOut != 1 || got.Expected != 9 || got.Ended {
		t.Errorf("after two steps: %+v", got)
	}
	stop := page.MustBegin()
	stop.MustExec(`select set_config('webhook.actor', 'Tom', true)`)
	var stopped bool
	if err := stop.Get(&stopped, `select webhook.stop_operation($1)`, op); err != nil || !stopped {
		t.Errorf("not stopped: %v", err)
	}
	if err := stop.Commit(); err != nil {
		t.Fatal(err)
	}
	if more := step(); more != "false" || db.status(ids[8]) != "failed" {
		t.Errorf("it goes on after it was stopped: %s", more)
	}
	if again := page.ask(`select webhook.stop_operation($1)`, op); again != "false" {
		t.Errorf("stopped twice: %s", again)
	}
	if got := db.ask(`select concat_ws(' ', actor, role, stopped_by) from webhook.operations`); got != "Jane "+page.name+" Tom" {
		t.Errorf("by whom: %s", got)
	}
	if got := db.ask(`select string_agg(distinct actor || ' ' || role, ', ') from webhook.interventions where action = 'retry'`); got != "Jane "+page.name {
		t.Errorf("the events were resent by %s", got)
	}
}

func TestResend_ManySessionsAtOnceResendEachEventOnce(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, status, failure, received, finished_at)
		select event, '{}', 'failed', 'dns', 'no', now() - interval '1 hour' -- all at once
		  from generate_series(1, 400) n cross join (values ('contact.created'), ('audit.log'), ('case.created')) e (event)`)
	op := db.number(`select webhook.start_resend()`)
	var all sync.WaitGroup
	for range 4 {
		other := open(t, db.address)
		all.Go(func() { other.advance(op, 50) })
	}
	all.Wait()
	if got := db.operation(op); got.Done != 1200 || got.LeftOut != 0 || !got.Ended {
		t.Errorf("%+v", got)
	}
	if n := db.count(`select count(*) from (select outbox_id from webhook.interventions group by 1 having count(*) = 1) x`); n != 1200 {
		t.Errorf("%d were resent once", n)
	}
}

func TestResend_AStepIsBoundedHoweverLittleMatches(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	millions(db)
	wanted := db.publish("audit.log", `{}`)
	db.become(wanted, states["failed"]+`, error = 'one of many'`)
	filter := `status => 'sent', include_received => true, since => now() - interval '20 days'`
	op := db.number(`select webhook.start_resend(` + filter + `)`)
	if got := db.operation(op); !got.More || got.Expected == 0 {
		t.Errorf("of more than it counts: %+v", got)
	}
	db.exec(`select webhook.stop_operation($1)`, op)

	rare := db.number(`select webhook.start_resend(error_text => 'of MANY')`)
	if n := db.advance(rare, 100); n > 20 || db.resent() != fmt.Sprint(wanted) {
		t.Errorf("%d steps, resent is %s", n, db.resent())
	}
	for _, statement := range []string{`select webhook.advance_operation($1)`, `select count(*) from webhook.preview_resend(error_text => 'of MANY') where $1 > 0`} {
		op := db.number(`select webhook.start_resend(error_text => 'of MANY')`)
		tx := db.MustBegin()
		before := touchedBy(t, tx)
		tx.MustExec(statement, op)
		if after := touchedBy(t, tx); after.SeqScans != before.SeqScans || after.Rows-before.Rows > 36000 {
			t.Errorf("%s: from %+v to %+v", statement, before, after)
		}
		_ = tx.Rollback()
	}
}

func TestRelease_DiscardsWhatWaitsThenTurnsOfflineModeOff(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	with(t, "in vain", db.ask(`select webhook.start_release()`), "55000: Offline Mode is off")
	db.exec(`update webhook.settings set offline_mode = true`)
	with(t, "no such channel", db.ask(`select webhook.start_release('{cases,x}')`), `22023: unknown channel "x"`)
	offline := func() bool { return db.ask(`select offline_mode from webhook.settings`) == "true" }
	var discarded, kept []int64
	for range 5 {
		discarded = append(discarded, db.publish("contact.created", `{}`), db.document("42"))
		kept = append(kept, db.publish("audit.log", `{}`))
	}
	finished := db.inState("failed", "contact.created", `{}`)
	op := db.number(`select webhook.start_release('{contacts,documents}')`)
	with(t, "a second one", db.ask(`select webhook.start_release()`), fmt.Sprintf("being turned off already, by operation %d", op))
	kept = append(kept, db.publish("contact.created", `{}`)) // after it was started
	if more := db.ask(`select webhook.advance_operation($1, 4)`, op); more != "true" || !offline() {
		t.Errorf("after a step: %s, offline %t", more, offline())
	}
	release := db.locked(`select from webhook.outbox where id = $1 for update`, discarded[9])
	for range 5 {
		if more := db.ask(`select webhook.advance_operation($1, 4)`, op); more != "true" || !offline() {
			t.Errorf("while one is locked: %s, offline %t", more, offline())
		}
	}
	release()
	db.exec(`begin; select set_config('webhook.actor', 'Tom', true); commit`)
	db.advance(op, 4)
	if offline() {
		t.Error("Offline Mode is still on")
	}
	for _, id := range discarded {
		if got := db.trace(id); db.status(id) != "cancelled" || len(got) != 1 || !strings.HasPrefix(got[0], "discard by ") {
			t.Errorf("event %d is %s: %q", id, db.status(id), got)
		}
	}
	for _, id := range kept {
		if db.status(id) != "pending" {
			t.Errorf("event %d is %s", id, db.status(id))
		}
	}
	if got := db.operation(op); db.status(finished) != "failed" || got.Done != 10 || got.Expected != 10 || !got.Ended {
		t.Errorf("%+v", got)
	}

	// Where nothing waits, or nothing is discarded, it is off at once; who turned it off is known.
	db.exec(`update webhook.settings set offline_mode = true`)
	tx := db.MustBegin()
	tx.MustExec(`select set_config('webhook.actor', 'Jane', true)`)
	tx.MustExec(`select webhook.start_release()`)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := db.ask(`select concat_ws(': ', actor, note) from webhook.interventions order by id desc limit 1`); offline() || got != "Jane: Offline Mode turned off" {
		t.Errorf("offline %t, %s", offline(), got)
	}

	// Turned off by a person meanwhile: what may be under way by now is not cancelled.
	db.exec(`update webhook.settings set offline_mode = true`)
	op = db.number(`select webhook.start_release('{audit_log}')`)
	db.exec(`update webhook.settings set offline_mode = false`)
	db.advance(op, 2)
	if got := db.operation(op); got.Done != 0 || !got.Ended || !strings.Contains(got.Problem, "turned off meanwhile") || db.status(kept[0]) != "pending" {
		t.Errorf("%+v", got)
	}
	if n := db.number(`select count(*) from webhook.operations where created_at > now() - $1 * interval '1 second'`, (time.Hour).Seconds()); n != 3 {
		t.Errorf("%d operations", n)
	}
}
