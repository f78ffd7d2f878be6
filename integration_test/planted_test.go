package integration_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// A role without any other privilege may own a schema that others have in their search_path: public, up to
// PostgreSQL 14. There it plants, for every function and operator that our SQL calls, each form of it that wins over
// the built-in one: the same types where its schema comes first, and else the exact match for a call that pg_catalog
// serves by an implicit cast or for any type. A planted function notes that it was called, by a sequence, which no
// rollback resets.

// plainTypes are the types of our SQL, with the types that become them by an implicit cast.
var plainTypes = map[string][]string{
	"boolean": nil, "integer": {"smallint"}, "bigint": {"integer", "smallint"}, "numeric": {"integer", "bigint"}, "double precision": {"integer", "bigint", "numeric"},
	"text": {"name", "varchar"}, "name": nil, "timestamp with time zone": {"date"}, "timestamp without time zone": nil, "interval": nil, "uuid": nil,
	"json": nil, "jsonb": nil, "oid": {"regclass", "integer", "bigint"}, "regclass": nil, "bytea": nil,
	"text[]": nil, "integer[]": nil, "bigint[]": nil, "aclitem[]": nil, "name[]": nil, `"char"`: nil,
}

// elements are what a polymorphic function or "any" is planted for.
var elements = []string{"text", "integer", "bigint", "boolean", "timestamp with time zone", "json", "uuid"}

// builtIn is a function or an operator of pg_catalog.
type builtIn struct {
	Name     string
	Operator bool
	Args     pq.StringArray
	Result   string
	Set      bool
	Variadic bool
}

// ourSQL is the text of every statement: the schema, and the sources that hold the rest.
func ourSQL(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"../schema.sql", "../upgrades/*.sql", "../store/*.go", "../cli/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

var (
	calledName = regexp.MustCompile(`([a-z_0-9]+)\(`)
	operator   = regexp.MustCompile(`[-+*/<>=~!@#%^&|?]+`)
)

// behind are functions and operators that SQL calls by a syntax of its own: extract, like, at time zone, in, ...
var behind = []string{"extract", "date_part", "timezone", "like_escape", "position", "overlay", "btrim", "ltrim", "rtrim", "=", "<>", "<", ">", "<=", ">=", "~~", "!~~"}

// called is what pg_catalog has under the names that our SQL calls.
func called(t *testing.T, db *database) (all []builtIn) {
	t.Helper()
	text := ourSQL(t)
	names := slices.Clone(behind)
	for _, m := range calledName.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	names = append(names, operator.FindAllString(text, -1)...)
	slices.Sort(names)
	if err := db.Select(&all, `
		select p.proname as name, false as operator, array(select format_type(a.t, null) from unnest(p.proargtypes) with ordinality a (t, n) order by n) as args,
		       format_type(p.prorettype, null) as result, p.proretset as set, p.provariadic <> 0 as variadic
		  from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = any ($1) and p.prokind in ('f', 'a')
		union all
		select o.oprname, true, array[format_type(o.oprleft, null), format_type(o.oprright, null)], format_type(o.oprresult, null), false, false
		  from pg_operator o where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprname = any ($1) and o.oprleft <> 0
		order by 1`, pq.Array(slices.Compact(names))); err != nil {
		t.Fatal(err)
	}
	return all
}

// exact are the argument types of every exact match: the declared ones, those that are cast to them, and for each
// polymorphic one the elements.
func (b builtIn) exact() (forms [][]string) {
	args := slices.Clone([]string(b.Args))
	if b.Variadic && len(args) > 0 { // one to three arguments in place of the last
		head, last := args[:len(args)-1], strings.TrimSuffix(args[len(args)-1], "[]")
		for n := range 3 {
			one := builtIn{Args: append(slices.Clone(head), slices.Repeat([]string{last}, n+1)...)}
			forms = append(forms, one.exact()...)
		}
		return forms
	}
	forms = [][]string{{}}
	for _, e := range elements {
		one := [][]string{{}}
		polymorphic := false
		for _, a := range args {
			choices := append([]string{a}, plainTypes[a]...)
			switch _, plain := plainTypes[a]; {
			case a == "anyelement" || a == "anynonarray" || a == "anycompatible" || a == "anycompatiblenonarray":
				choices, polymorphic = []string{e}, true
			case a == "anyarray" || a == "anycompatiblearray":
				choices, polymorphic = []string{e + "[]"}, true
			case a == `"any"`:
				choices, polymorphic = elements[:4], true
			case !plain:
				return nil // a type that our SQL does not have
			}
			var longer [][]string
			for _, f := range one {
				for _, c := range choices {
					longer = append(longer, append(slices.Clone(f), c))
				}
			}
			one = longer
		}
		forms = append(forms, one...)
		if !polymorphic {
			return one
		}
	}
	return forms[1:]
}

// result is the type that a planted form returns.
func (b builtIn) result(form []string) string {
	switch {
	case strings.HasPrefix(b.Result, "any") && strings.HasSuffix(b.Result, "array"):
		for _, t := range form {
			if strings.HasSuffix(t, "[]") {
				return t
			}
		}
		return form[0] + "[]"
	case strings.HasPrefix(b.Result, "any"):
		return strings.TrimSuffix(form[0], "[]")
	}
	return b.Result
}

// planted plants everything in a schema; what was called since is asked of the returned func.
func planted(t *testing.T, db *database, planter *login, schema string) (caught func() string) {
	t.Helper()
	var script strings.Builder
	fmt.Fprintf(&script, `create sequence %[1]s.caught minvalue 0; grant update on sequence %[1]s.caught to public; create table %[1]s.forms (n int primary key, form text);`, schema)
	var seen []string
	done := map[string]bool{}
	for _, b := range called(t, db) {
		if slices.Contains([]string{"void", "trigger", "internal", "record", "cstring", "event_trigger"}, b.Result) {
			continue
		}
		for _, form := range b.exact() {
			signature := b.Name + "(" + strings.Join(form, ", ") + ")"
			if done[signature] {
				continue
			}
			done[signature] = true
			seen = append(seen, signature)
			name, set, value := b.Name, "", "return null;"
			if b.Operator {
				name = fmt.Sprintf("operator_%d", len(seen))
			}
			if b.Set {
				set, value = "setof ", "return;"
			}
			fmt.Fprintf(&script, `create function %s.%s(%s) returns %s%s language plpgsql immutable set search_path = pg_catalog, pg_temp as $$ begin perform setval('%s.caught', %d); %s end $$;`+"\n",
				schema, pq.QuoteIdentifier(name), strings.Join(form, ", "), set, b.result(form), schema, len(seen), value)
			if b.Operator {
				fmt.Fprintf(&script, `create operator %s.%s (leftarg = %s, rightarg = %s, function = %s.%s);`+"\n", schema, b.Name, form[0], form[1], schema, name)
			}
		}
	}
	planter.exec(script.String())
	for _, must := range []string{"cardinality(integer[])", "||(text, bigint)", "!~*(text, text)", "format(text, text)", "format(text, bigint, text)", "pg_has_role(name, oid, text)", "set_config(text, text, boolean)", "to_timestamp(numeric)", "array_position(integer[], integer)"} {
		if !slices.Contains(seen, must) {
			t.Errorf("%s is not planted", must)
		}
	}
	t.Logf("planted in %s: %d forms", schema, len(seen))
	return func() string {
		var state struct {
			N  int  `db:"last_value"`
			Is bool `db:"is_called"`
		}
		if err := db.Get(&state, `select last_value, is_called from `+schema+`.caught`); err != nil {
			t.Fatal(err)
		}
		db.exec(`alter sequence ` + schema + `.caught restart`)
		if !state.Is {
			return ""
		}
		return seen[state.N-1]
	}
}

// asRole is a role's session in its own search_path.
func (db *database) asRole(path string, granted ...string) *login {
	l := loginRole(db.t, db, granted...)
	db.exec(`alter role ` + l.name + ` set search_path = ` + path)
	return l
}

// everyRole runs what each role can, and reports each statement that called something planted.
func everyRole(t *testing.T, db, plain *database, path string, owner *login, caught func() string) {
	t.Helper()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.Contains(r.body, "refuse me") {
			return 503
		}
		return 200
	})
	run := func(by *login, args ...string) {
		out, errs, _ := runProgram(t, quick(by.address), nil, args...)
		if c := caught(); c != "" || strings.Contains(errs, "permission denied for schema") {
			t.Errorf("webhooks %v calls %s: %s%s", args, c, out, errs)
		}
	}
	var said strings.Builder
	sql := func(by *login, statements ...string) {
		for _, s := range statements {
			said.WriteString(s)
			_, err := by.Exec(s)
			if c := caught(); c != "" || err != nil {
				t.Errorf("%s, as %s, calls %q: %s", s, by.name, c, complaintOf(err))
			}
		}
	}
	run(owner, "migrate")
	run(owner, "migrate", "--roles")
	producer, reader, worker, admin := plain.asRole(path, "webhook_producer"), plain.asRole(path, "webhook_reader"), plain.asRole(path, "webhook_worker"), plain.asRole(path, "webhook_admin")
	for _, by := range []*login{owner, admin} {
		sql(by, `update webhook.channels set url = '`+rcv.URL+`', enabled = true, accept_status = '{200,202}', max_in_flight = 7, max_per_second = 1000, send_traceparent = true`,
			`update webhook.settings set document_base_url = 'https://re.example', auth = 'bearer', bearer_token = 'geheim'`)
	}
	sql(owner, `update webhook.channels set example = '{"id": 42, "status": "Export"}'`)
	for _, by := range []*login{owner, producer} {
		for _, event := range []string{"document.exported", "contact.created", "audit.log"} {
			sql(by, `select webhook.publish('`+event+`', '{"id": 42, "status": "Export", "notes": "a\u0000b"}')`, `select webhook.publish('`+event+`', '{"id": 43}'::json, '2026-03-22')`, `select webhook.publish('`+event+`', '{"id": 44}'::jsonb, traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')`,
				`select * from webhook.outcome(1)`,
				`insert into webhook.outbox (event, data, occurred_at) values ('`+event+`', '{"id": "caf\u00e9\ud800", "notes": "refuse me"}', '2026-03-22T08:30:00Z') returning id`)
		}
	}
	for _, refused := range []string{`insert into webhook.outbox (event, data) values ('x', '{}')`, `insert into webhook.outbox (event, data) values ('audit.log', '[]')`, `insert into webhook.outbox (event, data) values ('audit.log', null)`,
		`select webhook.publish(null, '{}')`} {
		if _, err := producer.Exec(refused); err == nil || caught() != "" {
			t.Errorf("%s: %v", refused, err)
		}
	}
	for _, refused := range []string{`update webhook.channels set max_in_flight = 0`, `update webhook.settings set bearer_token = E'a\nb'`, `select webhook.retry(0)`, `select webhook.cancel(0)`, `select webhook.discard('x')`, `select webhook.prune(null)`} {
		if _, err := admin.Exec(refused); err == nil || caught() != "" {
			t.Errorf("%s: %v", refused, err)
		}
	}
	db.missingWorker("lost-host:7")
	process := startWorker(t, alerting(worker.address, newReceiver(t, nil)))
	eventually(t, "a document that is sent", func() bool { return db.count(`select count(*) from webhook.outbox where status = 'sent'`) > 1 })
	eventually(t, "runs of attempts", func() bool { return db.count(`select count(*) from webhook.attempts where attempts > 1`) > 0 })
	eventually(t, "what finished is counted", func() bool { return db.count(`select count(*) from webhook.tally where latency > 0`) > 0 })
	eventually(t, "the endpoints were looked at", func() bool { return db.count(`select count(*) from webhook.endpoints where looked_at is null`) == 0 })
	eventually(t, "an alert was sent", func() bool { return db.count(`select count(*) from webhook.alerts where sent_at is not null`) > 0 })
	process.terminate()
	process.exit(t)
	if c := caught(); c != "" {
		t.Errorf("the worker calls %s", c)
	}
	db.exec(`insert into webhook.outbox (event, data, status, attempts, claim_id, claimed_by, claimed_at, leased_until)
		values ('audit.log', '{}', 'sending', 1, gen_random_uuid(), 'w', now(), now() - interval '1 minute')`)
	failed := db.publish("audit.log", `{}`)
	db.become(failed, states["failed"])
	for _, by := range []*login{owner, reader, worker, admin} {
		run(by, "status")
		run(by, "check")
		for id := range failed + 1 {
			run(by, "show", fmt.Sprint(id))
			sql(by, fmt.Sprintf(`select webhook.explain(%d)`, id))
			if id > 4 {
				break
			}
		}
		sql(by, `select * from webhook.status`, `select * from webhook.workers`, `select webhook.hint('timeout', 1, 'maybe')`, `select webhook.webhook_id(o) from webhook.outbox o`, `select webhook.utc('2026-03-22')`, `select webhook.trimmed(U&' a\200b')`, `select webhook.unseen(U&'a\200bb')`,
			`select webhook.url_problem('https://u:p@[::1]:80/%20')`, `select webhook.url_host('https://u:p@h:80/%20')`)
	}
	for _, by := range []*login{owner, reader, admin} {
		sql(by, `select * from webhook.problems`, `select * from webhook.volume`, `select * from webhook.outbox`, `select * from webhook.attempts`)
	}
	for _, by := range []*login{owner, admin} {
		sql(by, fmt.Sprintf(`select webhook.mark_delivered(%d, 'seen there')`, failed), fmt.Sprintf(`select webhook.retry(%d)`, failed), fmt.Sprintf(`select webhook.cancel(%d)`, failed), fmt.Sprintf(`select webhook.retry(%d)`, failed), `select webhook.retry_failed(dry_run => true)`,
			`select webhook.retry_failed(since => '2020-01-01', http_status => 503, failure => 'server_error', error_like => '%')`, `select webhook.discard(dry_run => true)`, `select webhook.send_test('contacts')`,
			`select webhook.discard('cases', 'infinity')`, `select webhook.prune('1 hour')`, `select webhook.prune('0')`, `set webhook.actor = ' Jane'`,
			`insert into webhook.secrets (kind, secret) values ('hmac', ' whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')`, `update webhook.secrets set ends_at = '2100-01-01'`, `select webhook.secret_problem('ed25519', 'whsk_x')`, `select webhook.actor()`,
			`update webhook.channels set url = '`+rcv.URL+`/x', max_in_flight = 8, max_per_second = null`, `update webhook.settings set offline_mode = true, bearer_token = 'other', min_retention = '2 days'`,
			`select * from webhook.preview_resend('audit_log', 'failed', 'server_error', null, 'HTTP', '2020-01-01', '2120-01-01', true)`, `select webhook.first_resends('audit_log', 'failed')`, `select * from webhook.preview_resend(document => '42')`,
			`select webhook.advance_operation(webhook.start_resend('audit_log', error_text => 'none', until => '2120-01-01'))`, `select webhook.stop_operation(webhook.start_resend())`,
			`select webhook.advance_operation(webhook.start_release('{cases}'))`, `select * from webhook.hourly`, `select webhook.latency_of(latency) from webhook.tally`, `select * from webhook.operations`, `select * from webhook.alerts`)
		db.become(db.publish("audit.log", `{}`), states["failed"])
		failed = db.count64(`select max(id) from webhook.outbox where status = 'failed'`)
	}
	page := startPage(t, settings{"DATABASE_URL": plain.asRole(path, "webhook_reader", "webhook_admin").address})
	page.doEverything(t, []int64{failed, db.publish("contact.created", `{}`), 1}, func(what string, status int, text string) {
		if c := caught(); c != "" || status >= 500 {
			t.Errorf("the page, %s: calls %s: status %d: %s", what, c, status, text)
		}
	})
	page.terminate()
	page.exit(t)
	sql(worker, `select webhook.prune('30 days')`)
	sql(owner, `select webhook.create_roles()`, `select webhook.create_roles(only_print => true)`, `analyze webhook.outbox`, `analyze webhook.channels`, `vacuum (full) webhook.outbox`, `reindex schema webhook`)
	run(worker, "run", "--once")
	statements := said.String() + ourViews(db) + pageSQL(t) // by a role, by a view, by the page, or by the worker and what an insert calls
	for _, name := range []string{"at_least_once", "document_id", "document_id_beside_bad_escapes", "accepted_document_id",
		"state_is_possible", "refuse_event", "refuse_data", "refuse_null", "refuse_state", "rate_left", "take_rate", "latency_bucket", "sent_traceparent"} {
		statements += "webhook." + name + "("
	}
	var names []string
	if err := db.Select(&names, `select distinct p.proname from pg_proc p cross join aclexplode(p.proacl) a where p.pronamespace = 'webhook'::regnamespace and a.grantee <> p.proowner`); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if !strings.Contains(statements, "webhook."+n+"(") {
			t.Errorf("webhook.%s was not called", n)
		}
	}
}

// pageSQL is the text of the page's statements: each of its routes was asked.
func pageSQL(t *testing.T) (all string) {
	t.Helper()
	files, err := filepath.Glob("../store/admin*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		all += text(t, file)
	}
	return all
}

func ourViews(db *database) string {
	return db.ask(`select string_agg(pg_get_viewdef(oid), ' ') from pg_class where relkind = 'v' and relnamespace = 'webhook'::regnamespace`)
}

func (db *database) count64(query string) (n int64) {
	db.t.Helper()
	if err := db.Get(&n, query); err != nil {
		db.t.Fatal(err)
	}
	return n
}

func TestPlanted_InPublicNothingIsCalled(t *testing.T) {
	t.Parallel()
	nothingPlantedIsCalled(t, "public", `"$user", public`)
}

func TestPlanted_InASchemaBeforeTheCatalogNothingIsCalled(t *testing.T) {
	t.Parallel()
	nothingPlantedIsCalled(t, "trap", `trap, public, pg_catalog`)
}

func nothingPlantedIsCalled(t *testing.T, schema, path string) {
	plain := open(t, emptyDatabase(t))
	db := open(t, plain.addressWith("search_path", "pg_catalog")) // what the test itself looks up
	planter := loginRole(t, db)
	db.exec(`create schema if not exists ` + schema + `; grant create on schema ` + schema + ` to ` + planter.name + `; grant usage on schema ` + schema + ` to public`)
	caught := planted(t, db, planter, schema)
	owner := plain.asRole(path)
	db.exec(`alter role ` + owner.name + ` superuser`)

	// The trap works: the same call without a path of ours is caught.
	if _, err := owner.Exec(`select cardinality(array[1])`); err != nil {
		t.Fatal(err)
	}
	if c := caught(); c != "cardinality(integer[])" {
		t.Fatalf("caught is %q", c)
	}
	everyRole(t, db, plain, path, owner, caught)
}

// What a session puts into its own pg_temp: relations of the catalog and types, found before those of pg_catalog
// unless pg_temp is named last.
func TestPlanted_InPgTempNothingIsCalled(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	db.exec(`create schema trap; grant usage on schema trap to public;
		create sequence trap.caught; grant update on sequence trap.caught to public;
		create function trap.hit() returns boolean language plpgsql set search_path = pg_catalog as $$ begin perform setval('trap.caught', 1); return true; end $$`)
	sent, failed := db.inState("sent", "contact.created", `{}`), db.inState("failed", "contact.created", `{}`)
	db.inState("failed", "audit.log", `{}`)
	waiting := db.publish("contact.created", `{}`)
	for role, statements := range map[string][]string{
		"webhook_producer": {`select webhook.publish('document.exported', '{"id": "caf\u00e9\ud800", "a": "\u0000"}')`, `insert into webhook.outbox (event, data) values ('audit.log', '{}') returning id`},
		"webhook_reader": {`select * from webhook.hourly`, `select * from webhook.status`, `select * from webhook.problems`, `select * from webhook.volume`, fmt.Sprintf(`select webhook.explain(%d)`, failed),
			`select webhook.url_host('https://u:p@h/')`, `select webhook.url_problem('https://[::1]/')`, `select webhook.hint('timeout')`},
		"webhook_worker": {fmt.Sprintf(`select webhook.explain(%d)`, waiting), `select webhook.prune('1 day')`, `select * from webhook.status`},
		"webhook_admin": {`update webhook.channels set url = 'https://h/', enabled = true, accept_status = '{200}', max_in_flight = 1`, `update webhook.settings set auth = 'bearer', bearer_token = 'a', document_base_url = 'https://h'`,
			`select * from webhook.preview_resend()`, `select webhook.advance_operation(webhook.start_resend('audit_log'))`, `update webhook.settings set offline_mode = true`, `select webhook.start_release('{cases}')`,
			fmt.Sprintf(`select webhook.retry(%d)`, failed), fmt.Sprintf(`select webhook.cancel(%d)`, failed), `select webhook.retry_failed()`, `select webhook.discard()`, `select webhook.send_test('contacts')`, `select webhook.prune('1 hour')`},
	} {
		conn, err := loginRole(t, db, role).Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		run := func(statement string) error { _, err := conn.ExecContext(t.Context(), statement); return err }
		for _, catalog := range []string{"pg_class", "pg_attribute", "pg_namespace", "pg_proc", "pg_roles"} {
			columns := db.ask(`select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = $1::regclass and atttypid <> 'anyarray'::regtype and not attisdropped`, "pg_catalog."+catalog)
			err = cmp.Or(err, run(`create temp view `+catalog+` as select `+columns+` from pg_catalog.`+catalog+` where trap.hit()`))
		}
		for _, relation := range append(slices.Clone(tables), views...) {
			err = cmp.Or(err, run(`create temp table `+relation+` ()`))
		}
		for _, kind := range []string{"text", "json", "jsonb", "uuid", "timestamptz", "regclass", "name", "oid", "date"} {
			err = cmp.Or(err, run(`create domain pg_temp.`+kind+` as pg_catalog.`+kind+` check (trap.hit())`))
		}
		if err = cmp.Or(err, run(`set search_path = pg_temp, trap, pg_catalog`)); err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			if err := run(s); err != nil {
				t.Errorf("%s: %s: %s", role, s, complaintOf(err))
			}
			if db.count(`select count(*) from trap.caught where is_called`) > 0 {
				t.Errorf("%s: %s calls what is in pg_temp", role, s)
				db.exec(`alter sequence trap.caught restart`)
			}
		}
		if role == "webhook_worker" { // with a catalog of its own that says that it owns the outbox
			for _, s := range []string{`drop view pg_temp.pg_class`, `create temp table pg_class as select oid, (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user) as relowner from pg_catalog.pg_class`, `set webhook.resending = 'on'`} {
				if err := run(s); err != nil {
					t.Fatal(err)
				}
			}
			with(t, "a finished row", complaintOf(run(fmt.Sprintf(`update webhook.outbox set status = 'pending', finished_at = null, http_status = null, received = null where id = %d`, sent))), "23001", "does not change")
		}
		_ = conn.Close()
	}
}

// A predicate of the reader's own may be evaluated before the view's, on whatever it is given.
func TestPlanted_AReadersFunctionsSeeNoSecret(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://user:geheim@re.example/geheim?key=geheim")
	db.exec(`update webhook.settings set document_base_url = null; update webhook.channels set enabled = false where name = 'rules'; update webhook.channels set url = 'https://geheim geheim/' where name = 'cases'; analyze`)
	for state := range states {
		if state != "leased" && state != "expired" && state != "superseded" && state != "refused" {
			db.inState(state, "contact.created", `{}`)
		}
	}
	reader := loginRole(t, db, "webhook_reader")
	db.exec(`create schema trap; create table trap.seen (what text); grant all on schema trap to ` + reader.name + `; grant insert on trap.seen to ` + reader.name)
	reader.exec(`create function trap.peek(anyelement) returns boolean language plpgsql cost 0.0000001 as $$ begin insert into trap.seen values ($1::text); return true; end $$`)
	for _, relation := range append([]string{"outbox", "attempts", "interventions", "endpoints", "tally", "operations", "alerts"}, views...) {
		var columns []string
		if err := db.Select(&columns, `select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum`, "webhook."+relation); err != nil {
			t.Fatal(err)
		}
		for _, c := range append(columns, "*") {
			reader.exec(fmt.Sprintf(`select from webhook.%s x where trap.peek(x.%s)`, relation, c))
			reader.exec(fmt.Sprintf(`select from webhook.%s x order by trap.peek(x.%s)`, relation, c))
		}
	}
	if seen := db.ask(`select string_agg(distinct what, e'\n') from trap.seen`); strings.Contains(seen, secret) || !strings.Contains(seen, "re.example") {
		t.Errorf("a reader sees\n%s", seen)
	}
}
