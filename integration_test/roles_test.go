package integration_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/temppg"
)

// The four roles belong to the whole server, so tests that run at once share
// them; they are created where they are missing and never dropped. What logs in is
// a role of one test.

// login is a role of one test that may log in.
type login struct {
	*database
	name string
}

// loginRole makes a login role with these roles granted, which goes with the test.
func loginRole(t testing.TB, db *database, granted ...string) *login {
	t.Helper()
	name, password := "webhooks_test_"+strings.ToLower(rand.Text()[:12]), strings.ToLower(rand.Text())
	verifier, err := temppg.Verifier(password)
	if err != nil {
		t.Fatal(err)
	}
	db.exec(`create role ` + name + ` login password '` + verifier + `'`)
	t.Cleanup(func() {
		for _, statement := range []string{`reassign owned by ` + name + ` to current_user`, `drop owned by ` + name, `drop role ` + name} {
			// Its session may be ending, and dropping what it had in pg_temp, at this very moment.
			eventually(t, statement, func() bool { _, err := db.Exec(statement); return err == nil })
		}
	})
	if len(granted) > 0 {
		db.exec(`grant ` + strings.Join(granted, ", ") + ` to ` + name)
	}
	u, err := url.Parse(db.address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return &login{database: open(t, u.String()), name: name}
}

// withRoles is a database with the schema and the four roles, as `webhooks migrate --roles` makes them.
func withRoles(t *testing.T, endpoint string) *database {
	t.Helper()
	db := ready(t, endpoint)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim'`)
	if said := migrate(db, "--roles"); !strings.HasPrefix(said, "0 ") || !strings.Contains(said, "have their privileges") {
		t.Fatalf("migrate --roles: %s", said)
	}
	return db
}

// may sees that each statement runs; what it changes is rolled back.
func (l *login) may(statements ...string) {
	l.t.Helper()
	for _, s := range statements {
		tx := l.MustBegin()
		if _, err := tx.Exec(s); err != nil {
			l.t.Errorf("it may not %s: %s", s, complaintOf(err))
		}
		_ = tx.Rollback()
	}
}

// mayNot sees that each statement is refused for want of a privilege.
func (l *login) mayNot(statements ...string) {
	l.t.Helper()
	for _, s := range statements {
		tx := l.MustBegin()
		_, err := tx.Exec(s)
		_ = tx.Rollback()
		var pe *pq.Error
		if !errors.As(err, &pe) || pe.Code != "42501" {
			l.t.Errorf("it may %s: %s", s, complaintOf(err))
		}
	}
}

// Everything in the schema, as statements that read or run it.
var (
	tables    = []string{"outbox", "channels", "settings", "schema_versions", "attempts", "interventions", "workers", "maintenance", "endpoints", "tally", "operations", "alerts"}
	views     = []string{"status", "problems", "volume", "hourly"}
	functions = []string{
		`webhook.publish('contact.created', '{}')`, `webhook.retry(1)`, `webhook.cancel(1)`, `webhook.retry_failed()`, `webhook.discard()`, `webhook.send_test('contacts')`,
		`webhook.prune('30 days')`, `webhook.explain(1)`, `webhook.hint('rejected', 404)`, `webhook.sent_traceparent('h')`, `webhook.url_host('https://h')`, `webhook.url_problem('https://h')`, `webhook.trimmed('h')`, `webhook.unseen('h')`,
		`webhook.at_least_once('contact.created')`, `webhook.document_id('{}')`, `webhook.event_of('contacts')`, `webhook.utc(now())`, `webhook.create_roles()`, `webhook.refuse_batch(1, true)`,
		`webhook.publish('contact.created', '{}'::text)`, `webhook.publish('contact.created', '{}'::jsonb)`, `webhook.publish('contact.created', '{}'::json)`, `webhook.mark_delivered(1, 'x')`, `webhook.outcome(1)`,
		`webhook.webhook_id(null)`, `webhook.worker_problem(null, null)`, `webhook.actor()`, `webhook.latency_bucket('1 s')`, `webhook.latency_of(1::smallint)`, `webhook.preview_resend()`, `webhook.first_resends()`,
		`webhook.start_resend()`, `webhook.start_release()`, `webhook.advance_operation(1)`, `webhook.stop_operation(1)`, `webhook.resend_filter(null, null, null, null, null, null, null, true)`,
		`webhook.examine(null, 'audit.log', 'sent', 1)`, `webhook.resend_ranges(null)`, `webhook.advance_resend(null, 1)`, `webhook.advance_release(null, 1)`, `webhook.url_change('URL', 'a', 'b')`,
	}
)

// allBut are the functions that are not among these, as statements.
func allBut(granted ...string) (rest []string) {
	for _, f := range functions {
		name, _, _ := strings.Cut(strings.TrimPrefix(f, "webhook."), "(")
		if !slices.Contains(granted, name) {
			rest = append(rest, `select `+f)
		}
	}
	return rest
}

func TestRoles_PublicCanDoNothing(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	db.inState("failed", "contact.created", `{}`)
	other := loginRole(t, db)
	other.mayNot(allBut()...)
	for _, relation := range append(slices.Clone(tables), views...) {
		other.mayNot(`select from webhook.`+relation, `update webhook.`+relation+` set x = 1`, `delete from webhook.`+relation, `insert into webhook.`+relation+` default values`,
			`lock table webhook.`+relation+` in access share mode`)
	}
	other.mayNot(`create table webhook.x ()`, `create function webhook.x() returns int language sql as 'select 1'`)
	if n := other.count(`select count(*) from pg_stats where schemaname = 'webhook'`); n != 0 {
		t.Errorf("%d columns are seen in the statistics", n)
	}
}

func TestRoles_AProducerCanPublishAndNothingElse(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := withRoles(t, rcv.URL)
	app := loginRole(t, db, "webhook_producer")
	published := app.publish("contact.created", `{"contact_id": 7}`)
	var inserted, dated int64
	for id, statement := range map[*int64]string{
		&inserted: `insert into webhook.outbox (event, data) values ('document.exported', '{"id": 42, "status": "Export", "notes": "a\u0000b"}') returning id`,
		&dated:    `insert into webhook.outbox (event, data, occurred_at) values ('audit.log', '{}', '2026-03-22T08:30:00Z') returning id`,
	} {
		if err := app.Get(id, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	app.may(`select id from webhook.outbox`, `select webhook.publish('audit.log', '{}', now())`)
	with(t, "an unknown event", app.ask(`select webhook.publish('x', '{}')`), "23514", `unknown event "x"`)
	with(t, "an unknown event", app.ask(`insert into webhook.outbox (event, data) values ('x', '{}') returning id`), "23514", `unknown event "x"`)
	with(t, "no object", app.ask(`insert into webhook.outbox (event, data) values ('audit.log', '[]') returning id`), "23514", `JSON array`)

	app.mayNot(allBut("publish", "document_id", "at_least_once", "outcome")...)
	for _, column := range []string{"event", "data", "occurred_at", "status", "error", "response", "document_id", "synced_at", "*"} {
		app.mayNot(`select ` + column + ` from webhook.outbox`)
	}
	app.mayNot(`update webhook.outbox set data = '{}'`, `update webhook.outbox set status = 'sent'`, `delete from webhook.outbox`, `truncate webhook.outbox`,
		`select id from webhook.outbox for update`, `select id from webhook.outbox where status = 'sent'`,
		`insert into webhook.outbox (event, data, is_test) values ('audit.log', '{}', true)`, `insert into webhook.outbox (event, data, status) values ('audit.log', '{}', 'sent')`,
		`insert into webhook.outbox (event, data, due_at) values ('audit.log', '{}', now())`, `insert into webhook.outbox (event, data) values ('audit.log', '{}') returning data`,
		`alter table webhook.outbox add x int`, `create trigger x before insert on webhook.outbox for each row execute function suppress_redundant_updates_trigger()`)
	for _, relation := range append(slices.Clone(tables[1:]), views...) {
		app.mayNot(`select * from webhook.` + relation)
	}

	db.once()
	for _, id := range []int64{published, inserted, dated} {
		if db.status(id) != "sent" {
			t.Errorf("event %d is %s", id, db.status(id))
		}
	}
}

func TestRoles_AReaderSeesEverythingExceptTokensAndURLs(t *testing.T) {
	t.Parallel()
	const endpoint = "https://geheim:geheim@re.example/geheim?key=geheim"
	db := withRoles(t, endpoint)
	db.exec(`update webhook.channels set url = $1`, endpoint)
	db.exec(`analyze`)
	var ids []int64
	for state := range states {
		if state != "leased" && state != "expired" && state != "superseded" && state != "refused" {
			ids = append(ids, db.inState(state, "contact.created", `{"name": "seen"}`))
		}
	}
	db.inState("refused", "document.exported", `{"id": 42}`)
	ids = append(ids, 987654321)
	reader := loginRole(t, db, "webhook_reader")

	for _, relation := range append([]string{"outbox", "attempts", "interventions", "schema_versions", "workers", "maintenance", "endpoints", "tally", "operations", "alerts"}, views...) {
		reader.may(`select * from webhook.` + relation)
	}
	reader.may(`select name, event, position, at_least_once, enabled, accept_status, max_in_flight, updated_at, example from webhook.channels`,
		`select offline_mode, auth, instance_id, environment, updated_at from webhook.settings`)
	reader.mayNot(`select url from webhook.channels`, `select * from webhook.channels`, `select c from webhook.channels c`, `select count(url) from webhook.channels`, `select name from webhook.channels where url like 'h%'`,
		`select name from webhook.channels order by url`, `select webhook.url_host(url) from webhook.channels`, `select webhook.channel_problem(c, null) from webhook.channels c`,
		`select bearer_token from webhook.settings`, `select * from webhook.settings`, `select s::text from webhook.settings s`, `select document_base_url from webhook.settings`,
		`select true from webhook.settings where bearer_token > 'a'`, `copy webhook.settings to stdout`)
	var seen strings.Builder
	for _, statement := range []string{`select string_agg(s::text, e'\n') from webhook.status s`, `select string_agg(p::text, e'\n') from webhook.problems p`, `select string_agg(v::text, e'\n') from webhook.volume v`,
		`select string_agg(o::text, e'\n') from webhook.outbox o`, `select string_agg(s::text, e'\n') from pg_stats s where schemaname = 'webhook'`,
		`select string_agg(i::text, e'\n') from webhook.interventions i`, `select string_agg(n::text, e'\n') from webhook.endpoints n`,
		`select string_agg(pg_get_viewdef(c.oid), e'\n') from pg_class c where relkind = 'v' and relnamespace = 'webhook'::regnamespace`} {
		seen.WriteString(reader.ask(statement))
	}
	for _, id := range ids {
		seen.WriteString(reader.ask(`select webhook.explain($1)`, id))
	}
	with(t, "what a reader sees", seen.String(), "re.example", "seen", "HTTP 503", "is being sent now", "There is no event")
	if strings.Contains(seen.String(), secret) {
		t.Errorf("a reader sees a secret:\n%s", seen.String())
	}

	reader.mayNot(allBut("explain", "hint", "url_host", "url_problem", "trimmed", "unseen", "at_least_once", "outcome", "webhook_id", "utc", "worker_problem", "latency_of")...)
	for _, table := range tables {
		reader.mayNot(`delete from webhook.`+table, `insert into webhook.`+table+` default values`)
	}
	reader.mayNot(`update webhook.outbox set status = 'sent'`, `select from webhook.outbox for update`, `update webhook.channels set enabled = true`, `update webhook.settings set offline_mode = true`)
	for _, command := range [][]string{{"status"}, {"show", fmt.Sprint(ids[0])}, {"migrate", "--check"}} {
		if out, errs, status := runProgram(t, quick(reader.address), nil, command...); status != 0 || strings.Contains(out+errs, secret) {
			t.Errorf("%v: exit status %d: %s %s", command, status, out, errs)
		}
	}
}

func TestRoles_TheRealWorkerNeedsNoMoreThanItsRole(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.Contains(r.body, "refuse me") {
			return 503
		}
		return 200
	})
	db := withRoles(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	role := loginRole(t, db, "webhook_worker")
	older := db.document("42")
	newer := db.document("42")
	want := map[int64]string{
		older: "superseded", newer: "sent",
		db.publish("contact.created", `{}`):                                                     "sent",
		db.publish("contact.created", `{"name": "refuse me"}`):                                  "failed",
		db.publish("rule.executed", `{}`):                                                       "skipped",
		db.inState("died", "case.created", `{}`):                                                "failed",
		db.inState("expired", "document.exported", `{"id": 43, "status": "Export"}`):            "sent",
		int64(db.number(`select webhook.send_test('rules')`)):                                   "sent",
		db.publish("document.exported", `{"id": 44, "status": "Approved", "notes": "a\u0000"}`): "pending",
	}
	refused := db.publish("document.exported", `{"id": 45, "status": "Export", "notes": "refuse me"}`)
	worker := startWorker(t, quick(role.address))
	for id, status := range want {
		eventually(t, fmt.Sprintf("event %d is %s", id, status), func() bool { return db.status(id) == status && (status != "pending" || db.row(id).Error != nil) })
	}
	eventually(t, "the refusal is kept", func() bool { return len(db.runs(refused)) == 1 })
	db.exec(`update webhook.outbox set due_at = now() where id = $1`, refused)
	eventually(t, "two refusals are one run", func() bool { return len(db.runs(refused)) == 1 && !strings.HasPrefix(db.runs(refused)[0], "1: 1 ×") })
	worker.terminate()
	if status := worker.exit(t); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
	if said := worker.log.String(); strings.Contains(said, "permission denied") || strings.Contains(said, `"level":"error"`) {
		t.Errorf("it complains:\n%s", said)
	}
	a := newAttempter(t, role.database, time.Hour)
	if n, err := a.store.Prune(t.Context(), 24*time.Hour); n != 0 || err != nil {
		t.Errorf("the clean-up deletes %d: %v", n, err)
	}
	db.exec(`update webhook.settings set min_retention = '0'`)
	if n, err := a.store.Prune(t.Context(), 0); n != 8 || err != nil { // all that is finished
		t.Errorf("the nightly clean-up deletes %d: %v", n, err)
	}
	if n, err := a.store.ReleaseClaims(t.Context(), nil); n != 0 || err != nil {
		t.Error(err)
	}
	out, errs, _ := runProgram(t, quick(role.address), nil, "check")
	with(t, "webhooks check", out+errs, "ok    privileges: the role "+role.name+" can be the worker")
	for _, command := range [][]string{{"status"}, {"show", fmt.Sprint(refused)}, {"migrate", "--check"}, {"migrate"}} {
		if out, errs, status := runProgram(t, quick(role.address), nil, command...); status != 0 {
			t.Errorf("%v: exit status %d: %s %s", command, status, out, errs)
		}
	}

	sent := db.inState("sent", "contact.created", `{}`)
	with(t, "a finished row", role.ask(`set webhook.resending = 'on'; update webhook.outbox set status = 'pending', finished_at = null where id = `+fmt.Sprint(sent)), "23001")
	role.mayNot(`insert into webhook.outbox (event, data) values ('audit.log', '{}')`, `delete from webhook.outbox`, `update webhook.channels set enabled = true`, `update webhook.channels set url = 'https://evil.example'`,
		`update webhook.settings set offline_mode = false`, `update webhook.settings set bearer_token = null`, `select webhook.retry(1)`, `select webhook.discard()`, `select webhook.send_test('contacts')`, `select webhook.create_roles()`)
}

func TestRoles_AnAdminConfiguresAndActsOnEvents(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	admin := loginRole(t, db, "webhook_admin")
	failed := db.inState("failed", "contact.created", `{}`)
	waiting := db.publish("contact.created", `{}`)
	db.inState("failed", "audit.log", `{}`)
	admin.may(
		`update webhook.channels set url = 'https://new.example', enabled = false, accept_status = '{202}', max_in_flight = 7 where name = 'contacts'`,
		`update webhook.settings set offline_mode = true, auth = 'bearer', bearer_token = 'new', document_base_url = 'https://x.example', environment = 'test'`,
		`select * from webhook.channels`, `select * from webhook.settings`, `select * from webhook.status`, `select * from webhook.problems`, `select * from webhook.volume`, `select * from webhook.outbox`,
		`select * from webhook.attempts`, `select * from webhook.interventions`,
		fmt.Sprintf(`select webhook.retry(%d)`, failed), fmt.Sprintf(`select webhook.cancel(%d)`, waiting), `select webhook.retry_failed()`, `select webhook.discard()`, `select webhook.send_test('contacts')`,
		`select webhook.prune('30 days')`, fmt.Sprintf(`select webhook.explain(%d)`, failed), `select webhook.hint('rejected', 404)`, `select webhook.url_host('https://h')`,
		`select * from webhook.endpoints`, `select * from webhook.hourly`, `select webhook.latency_of(latency) from webhook.tally`, `select * from webhook.operations`, `select * from webhook.preview_resend(status => 'failed')`, `select webhook.first_resends(status => 'failed')`,
		`select webhook.advance_operation(webhook.start_resend(status => 'failed'))`, `select webhook.stop_operation(webhook.start_resend())`,
		`update webhook.settings set offline_mode = true; select webhook.advance_operation(webhook.start_release('{contacts}'))`)
	admin.may(`insert into webhook.alerts (kind, since, until) values ('no_worker', now(), now())`, `update webhook.alerts set given_up_at = now()`)
	loginRole(t, db, "webhook_reader").mayNot(`insert into webhook.alerts (kind, since, until) values ('no_worker', now(), now())`, `update webhook.alerts set given_up_at = now()`)
	admin.mayNot(`delete from webhook.alerts`, `update webhook.alerts set kind = 'no_worker'`, `update webhook.endpoints set failing_since = null`, `insert into webhook.operations (kind) values ('resend')`, `update webhook.operations set actor = 'x'`, `delete from webhook.tally`,
		`insert into webhook.interventions (action, note) values ('settings', 'x')`, `update webhook.maintenance set tallied_until = now()`,
		`update webhook.outbox set status = 'cancelled', finished_at = now()`, `delete from webhook.outbox`, `insert into webhook.outbox (event, data) values ('audit.log', '{}')`,
		`update webhook.channels set name = 'x'`, `update webhook.channels set event = 'x'`, `delete from webhook.channels`, `insert into webhook.settings default values`, `update webhook.settings set instance_id = gen_random_uuid()`,
		`delete from webhook.interventions`, `update webhook.interventions set actor = 'x'`, `delete from webhook.attempts`, `select webhook.create_roles()`)
	admin.ask(`select webhook.retry($1)`, failed)
	if got := db.trace(failed); len(got) != 1 || !strings.HasPrefix(got[0], "retry by "+admin.name+": was failed") {
		t.Errorf("the trace is %q", got)
	}
	admin.exec(`update webhook.channels set enabled = false where name = 'contacts'`)
	for _, command := range [][]string{{"status"}, {"send-test", "contacts"}} {
		if out, errs, status := runProgram(t, quick(admin.address), nil, command...); status != 0 {
			t.Errorf("%v: exit status %d: %s %s", command, status, out, errs)
		}
	}
}

// What an event is, an application has said. The worker records what became of it.
func TestRoles_AWorkerChangesNoEventAndKeepsWhatIsRecent(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	role := loginRole(t, db, "webhook_worker")
	waiting := db.document("42")
	for _, column := range []string{"data = '{}'", "event = 'audit.log'", "occurred_at = now()", "is_test = true", "id = default", "document_id = default", "at_least_once = default"} {
		role.mayNot(fmt.Sprintf(`update webhook.outbox set %s where id = %d`, column, waiting), fmt.Sprintf(`update webhook.outbox set status = 'cancelled', finished_at = now(), %s where id = %d`, column, waiting))
	}
	role.mayNot(`delete from webhook.outbox`, `truncate webhook.outbox`, `lock table webhook.outbox in access exclusive mode`, `update webhook.settings set min_retention = '0'`)

	finished := db.inState("sent", "contact.created", `{}`)
	db.exec(`set session_replication_role = replica; update webhook.outbox set finished_at = now() - interval '23 hours' where id = ` + fmt.Sprint(finished) + `; reset session_replication_role`)
	role.mayNot(`select webhook.prune('0')`, `select webhook.prune('23 hours')`, `select webhook.prune('1 day' - interval '1 microsecond')`)
	with(t, "the refusal", role.ask(`select webhook.prune('1 hour')`), "older_than is 01:00:00", "the role "+role.name, "1 day", "min_retention")
	role.may(`select webhook.prune('1 day')`, `select webhook.prune('30 days')`)
	db.exec(`update webhook.settings set min_retention = '22 hours'`)
	if got := role.ask(`select webhook.prune('22 hours')`); got != "1" {
		t.Errorf("it prunes %s", got)
	}
	db.inState("sent", "contact.created", `{}`)
	for who, by := range map[string]*database{"an administrator": loginRole(t, db, "webhook_admin").database, "one who is both": loginRole(t, db, "webhook_worker", "webhook_admin").database, "the owner": db} {
		if got := by.ask(`select webhook.prune('0', 0)`); got != "0" {
			t.Errorf("%s: %s", who, got)
		}
	}
}

// A producer chooses the search path that publish is called with, and can create objects on it.
func TestPublish_IgnoresTheSearchPathOfItsCaller(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	app := loginRole(t, db, "webhook_producer")
	db.exec(`create schema trap; grant usage, create on schema trap to ` + app.name + `; grant temporary on database ` + pq.QuoteIdentifier(query[string](t, db.address, `select current_database()`)) + ` to ` + app.name)
	trap := `begin raise exception 'trapped, with the rights of %', current_user; end`
	conn, err := app.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{
		`create function trap.now() returns timestamptz language plpgsql as $$ ` + trap + ` $$`,
		`create function trap.json_typeof(json) returns text language plpgsql as $$ ` + trap + ` $$`,
		`create function trap.length(text) returns int language plpgsql as $$ ` + trap + ` $$`,
		`create function trap.eq(text, text) returns boolean language plpgsql as $$ ` + trap + ` $$`,
		`create operator trap.= (leftarg = text, rightarg = text, function = trap.eq)`,
		`create temporary table outbox (id bigint, event text, data json, occurred_at timestamptz)`,
		`create function pg_temp.now() returns timestamptz language plpgsql as $$ ` + trap + ` $$`,
		`create function pg_temp.document_id(json) returns text language plpgsql as $$ ` + trap + ` $$`,
		`set search_path = pg_temp, trap, pg_catalog`,
		`select webhook.publish('document.exported', '{"id": 42, "notes": "\u0000"}', null)`,
		`select webhook.publish('contact.created', '{}', '2026-03-22T08:30:00Z')`,
	} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if got := query[string](t, db.address, `select string_agg(concat_ws(' ', event, document_id, status), ', ' order by id) from webhook.outbox`); got != "document.exported 42 pending, contact.created pending" {
		t.Errorf("published is %s", got)
	}
}

// An owner without CREATEROLE, as many hosts have it, on a server that lacks the roles.
func TestRoles_WithoutCreateRoleTheStatementsArePrinted(t *testing.T) {
	t.Parallel()
	server, err := temppg.StartAny(t.Context(), temppg.Options{InMemory: true})
	if err != nil {
		t.Fatalf("this test needs a server of its own, since roles belong to the whole server: %v", err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	super := open(t, server.DSN("postgres"))
	owner := loginRole(t, super)
	super.exec(`grant create on database postgres to ` + owner.name)
	if said := migrate(owner.database); !strings.HasPrefix(said, "0 ") {
		t.Fatalf("an owner who is no superuser cannot migrate: %s", said)
	}

	out, errs, status := runProgram(t, settings{"DATABASE_URL": owner.address}, nil, "migrate", "--roles")
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
	with(t, "the error", errs, "create the roles: ", "permission denied to create role", "run the statements above as a user with CREATEROLE")
	if n := super.count(`select count(*) from pg_roles where rolname like 'webhook\_%'`); n != 0 {
		t.Errorf("%d roles were made", n)
	}
	_, statements, _ := strings.Cut(out, "\n") // the first line says that the schema is up to date
	if strings.Count(statements, "create role webhook_") != 4 || strings.Count(statements, ";\n") < 15 {
		t.Fatalf("the statements are\n%s", statements)
	}
	super.exec(statements)
	reader := loginRole(t, super, "webhook_reader")
	reader.may(`select * from webhook.status`)
	reader.mayNot(`select url from webhook.channels`)

	// The roles exist: now the owner can grant, and what would be printed creates none.
	with(t, "the second time", migrate(owner.database, "--roles"), "0 ", "have their privileges")
	printed := query[string](t, owner.address, `select string_agg(s, e';\n') from webhook.create_roles(only_print => true) s`)
	if strings.Contains(printed, "create role") || !strings.Contains(printed, "grant usage on schema webhook") {
		t.Errorf("it would print\n%s", printed)
	}
	id := owner.publish("contact.created", `{}`)
	owner.become(id, states["failed"])
	with(t, "a resend without a superuser", owner.ask(`select webhook.retry($1)`, id), "Sent again by "+owner.name)
}

func TestRoles_ManyDatabasesOfOneServerCreateThemAtOnce(t *testing.T) {
	t.Parallel()
	said := make(chan string, 6)
	for range 2 {
		db := open(t, newDatabase(t))
		for range 3 {
			go func() { said <- migrate(db, "--roles") }()
		}
	}
	for range cap(said) {
		if s := <-said; !strings.HasPrefix(s, "0 ") {
			t.Errorf("one ended with %s", s)
		}
	}
}
