package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// earlier are the versions that a database may have, before this binary's.
var earlier = []int{1, 2, 3}

// fromEach runs a test from each earlier version, beside the others.
func fromEach(t *testing.T, test func(t *testing.T, version int)) {
	t.Parallel()
	for _, version := range earlier {
		t.Run(fmt.Sprintf("from version %d", version), func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// atVersion is a database with the schema of an earlier version, all channels
// on and pointing at url; of version 0, an empty one.
func atVersion(t testing.TB, version int, url string) *database {
	t.Helper()
	db := open(t, emptyDatabase(t))
	if version == 0 {
		return db
	}
	schema, err := os.ReadFile(fmt.Sprintf("testdata/schema_v%d.sql", version))
	if err != nil {
		t.Fatal(err)
	}
	db.exec(string(schema))
	db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true`, url)
	db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai', auth = 'bearer', bearer_token = 'kept'`)
	if n := db.count(`select webhook.schema_version()`); n != version {
		t.Fatalf("it is version %d", n)
	}
	return db
}

// migrate runs `webhooks migrate` and returns what it printed with its exit status before it.
func migrate(db *database, args ...string) string {
	db.t.Helper()
	out, errs, status := runProgram(db.t, settings{"DATABASE_URL": db.address}, nil, append([]string{"migrate"}, args...)...)
	return fmt.Sprintf("%d %s%s", status, out, errs)
}

func (db *database) migrated() {
	db.t.Helper()
	if said := migrate(db); !strings.HasPrefix(said, "0 ") {
		db.t.Fatalf("migrate: %s", said)
	}
}

// inEveryState are events of two channels in every state that they can have, by state.
func inEveryState(db *database) map[string]int64 {
	ids := map[string]int64{}
	for state := range states {
		switch state {
		case "leased", "expired", "superseded":
		default:
			ids["contact "+state] = db.inState(state, "contact.created", `{"name": "x", "amount": 12500.00}`)
		}
		switch state {
		case "sending", "died", "failed", "unknown", "skipped":
		default:
			ids["document "+state] = db.inState(state, "document.exported", fmt.Sprintf(`{"id": "D-%s", "status": "Export"}`, state))
		}
	}
	ids["test"] = insertTest(db, "case.created")
	return ids
}

func TestAnUpgradeLeavesEveryRowAndEverySettingAsItWas(t *testing.T) {
	fromEach(t, leavesEveryRowAsItWas)
}

func leavesEveryRowAsItWas(t *testing.T, version int) {
	rcv := newReceiver(t, nil)
	db := atVersion(t, version, rcv.URL)
	ids := inEveryState(db)
	beside := `''` // the tables that came with version 2
	if version >= 2 {
		db.exec(`insert into webhook.attempts (outbox_id, run, http_status, error, first_at, last_at, attempts) values ($1, 1, 503, 'HTTP 503', now(), now(), 7)`, ids["document refused"])
		ids["contact resent"], ids["document resent"] = db.inState("failed", "contact.created", `{}`), db.inState("sent", "document.exported", `{"id": "D-resent", "status": "Export"}`)
		db.exec(`select webhook.retry($1), webhook.retry($2)`, ids["contact resent"], ids["document resent"])
		db.exec(`select webhook.cancel($1)`, db.publish("contact.created", `{}`))
		beside = `(select string_agg(a::text, e'\n' order by outbox_id, run) from webhook.attempts a) || (select string_agg(i::text, e'\n' order by id) from webhook.interventions i)`
	}
	rows := func() string {
		return query[string](t, db.address, `select string_agg(xmin || o::text, e'\n' order by id) || (select string_agg(c::text, e'\n' order by position) from webhook.channels c) ||
			(select s::text from webhook.settings s) || pg_relation_filenode('webhook.outbox') || `+beside+` from webhook.outbox o`)
	}
	before := rows()
	with(t, "--check before", migrate(db, "--check"), "1 ", fmt.Sprintf("this database has version %d and this binary needs 4; run: webhooks migrate", version))
	with(t, "migrate", migrate(db), "0 schema.sql is applied")
	with(t, "--check after", migrate(db, "--check"), "0 the schema is up to date")
	with(t, "migrate again", migrate(db), "0 nothing to do")
	if after := rows(); after != before {
		t.Errorf("something has changed, or was rewritten:\n%s\n%s", before, after)
	}
	if got := query[string](t, db.address, `select string_agg(version || ' ' || applied_by, ', ' order by version) from webhook.schema_versions`); got != fmt.Sprintf("%d %s, 4 %[2]s", version, db.user()) {
		t.Errorf("the versions are %s", got)
	}

	// The worker goes on with what it finds.
	startWorker(t, quick(db.address))
	for name, want := range map[string]string{
		"contact pending": "sent", "document pending": "sent", "document refused": "sent", "test": "sent",
		"contact died": "failed", "document expired": "sent",
	} {
		eventually(t, name+" becomes "+want, func() bool { return db.status(ids[name]) == want })
	}
	for name, id := range ids {
		if _, state, _ := strings.Cut(name, " "); state == "sending" || state == "sent" || state == "failed" || state == "skipped" || state == "superseded" || state == "cancelled" {
			if got := db.status(id); got != state || len(rcv.of(id)) != 0 {
				t.Errorf("%s is %s, received %d times", name, got, len(rcv.of(id)))
			}
		}
	}
	if version >= 2 {
		for _, name := range []string{"contact resent", "document resent"} {
			eventually(t, name+" becomes sent", func() bool { return db.status(ids[name]) == "sent" })
		}
		with(t, "explain", db.ask(`select webhook.explain($1)`, ids["document refused"]), "was delivered at", "7 × HTTP 503")
	}
	db.ask(`select webhook.retry($1)`, ids["contact failed"])
	eventually(t, "what the earlier version left as failed is sent again by a person", func() bool { return db.status(ids["contact failed"]) == "sent" })
	with(t, "a finished row", db.ask(`update webhook.outbox set data = '{}' where id = $1 returning id`, ids["contact sent"]), "ERROR 23001", "it does not change")
}

// catalog is the whole schema as the database has it, one line an object: what
// two ways to the same version must have in common.
func (db *database) catalog() string {
	db.t.Helper()
	return query[string](db.t, db.address, `
		select string_agg(line, e'\n' order by line) from (
		  select format('relation %s %s %s %s %s %s', c.relname, c.relkind, c.relpersistence, c.reloptions, array(select a::text from unnest(c.relacl) a order by 1), obj_description(c.oid, 'pg_class')) as line
		    from pg_class c where c.relnamespace = 'webhook'::regnamespace
		  union all
		  select format('column %s.%s %s %s %s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
		                array(select x::text from unnest(a.attacl) x order by 1), pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
		    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
		   where c.relnamespace = 'webhook'::regnamespace
		  union all
		  select format('view %s %s', c.relname, pg_get_viewdef(c.oid)) from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind = 'v'
		  union all
		  select format('index %s', pg_get_indexdef(c.oid)) from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind = 'i'
		  union all
		  select format('constraint %s.%s %s %s %s', c.conrelid::regclass, c.conname, c.convalidated, pg_get_constraintdef(c.oid), obj_description(c.oid, 'pg_constraint')) from pg_constraint c where c.connamespace = 'webhook'::regnamespace
		  union all
		  select format('trigger %s %s %s', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
		    from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'webhook'::regnamespace and not t.tgisinternal
		  union all
		  select format('function %s %s %s', pg_get_functiondef(p.oid), p.proacl, obj_description(p.oid, 'pg_proc')) from pg_proc p where p.pronamespace = 'webhook'::regnamespace
		  union all
		  select format('schema %s %s', n.nspacl, obj_description(n.oid, 'pg_namespace')) from pg_namespace n where n.nspname = 'webhook') x`)
}

// sameCatalog shows the first lines that differ.
func sameCatalog(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	seen := map[string]int{}
	for _, line := range strings.Split(got, "\n") {
		seen[line]++
	}
	for _, line := range strings.Split(want, "\n") {
		if seen[line]--; seen[line] < 0 {
			t.Errorf("%s: missing is %s", what, line)
		}
	}
	for line, n := range seen {
		if n > 0 {
			t.Errorf("%s: too much is %s", what, line)
		}
	}
}

func TestAnUpgradedSchemaIsThatOfANewDatabaseWhicheverWayItWasApplied(t *testing.T) {
	t.Parallel()
	want := open(t, newDatabase(t)).catalog()
	text, _ := schemaText(t)
	for name, apply := range map[string]func(db *database){
		"webhooks migrate": func(db *database) { db.migrated() },
		"one message":      func(db *database) { db.exec(text) },
		"--print | psql":   printIntoPsql,
	} {
		for _, from := range append([]int{0}, earlier...) {
			t.Run(fmt.Sprintf("%s from version %d", name, from), func(t *testing.T) {
				t.Parallel()
				db := atVersion(t, from, "https://re.example")
				apply(db)
				sameCatalog(t, "applied", db.catalog(), want)
				apply(db)
				sameCatalog(t, "applied twice", db.catalog(), want)
			})
		}
	}
}

// printIntoPsql is what a DBA does.
func printIntoPsql(db *database) {
	db.t.Helper()
	text, _, _ := runProgram(db.t, nil, nil, "migrate", "--print")
	path, err := exec.LookPath("psql")
	if err != nil {
		db.t.Fatalf("the test of `webhooks migrate --print | psql` needs psql (apt-get install postgresql-client): %v", err)
	}
	cmd := exec.CommandContext(db.t.Context(), path, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+db.address) //nolint:gosec // our own database
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "ERROR") {
		db.t.Fatalf("psql: %v\n%s", err, out)
	}
}

func TestAnUpgradeThatWasEndedAfterAnyStepIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	want := open(t, newDatabase(t)).catalog()
	steps := schemaSteps(t)
	for done := range len(steps) + 1 {
		for _, from := range append([]int{0}, earlier...) {
			t.Run(fmt.Sprintf("%d steps from version %d", done, from), func(t *testing.T) {
				t.Parallel()
				db := atVersion(t, from, "https://re.example")
				applySteps(db, steps[:done])
				if done < len(steps) {
					with(t, "--check", migrate(db, "--check"), "1 ", "run: webhooks migrate")
				}
				db.migrated()
				sameCatalog(t, "completed", db.catalog(), want)
			})
		}
	}
}

// inAll has an open transaction touch the channels too: from version 3 on an
// upgrade needs no lock on the outbox.
const inAll = `with c as (update webhook.channels set url = url where name = 'rules') `

func TestAnUpgradeThatIsKilledWhileItWaitsIsCompletedByTheNext(t *testing.T) {
	fromEach(t, completesAfterAKill)
}

func completesAfterAKill(t *testing.T, version int) {
	db := atVersion(t, version, "https://re.example")
	id := db.publish("contact.created", `{}`)
	release := db.locked(inAll+`update webhook.outbox set response = 'open transaction' where id = $1`, id)
	cmd := program(t, settings{"DATABASE_URL": db.address}, "migrate")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	db.waitsForLock()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	release()
	db.migrated()
	sameCatalog(t, "completed", db.catalog(), open(t, newDatabase(t)).catalog())
}

func TestAnUpgradeWaitsForAnOpenTransactionAndLetsOthersWriteMeanwhile(t *testing.T) {
	fromEach(t, waitsForAnOpenTransaction)
}

func waitsForAnOpenTransaction(t *testing.T, version int) {
	db := atVersion(t, version, "https://re.example")
	release := db.locked(inAll + `select webhook.publish('contact.created', '{}')`)
	ended := make(chan string, 1)
	go func() { ended <- migrate(db) }()
	db.waitsForLock()
	inserted := 0
	eventually(t, "it gave way three times", func() bool { // each time others get in between
		if _, err := db.Exec(`set lock_timeout = '10s'; insert into webhook.outbox (event, data) values ('audit.log', '{}')`); err != nil {
			t.Fatalf("an application's insert failed while the migration waits: %v", err)
		}
		inserted++
		select {
		case said := <-ended:
			t.Fatalf("it has ended although the transaction is open: %s", said)
		default:
		}
		return db.count(`select coalesce(max(deadlocks), 0) + max(xact_rollback) from pg_stat_database where datname = current_database()`) >= 3
	})
	release()
	if said := <-ended; !strings.HasPrefix(said, "0 ") {
		t.Errorf("it ended with %s", said)
	}
	if n := db.count(`select count(*) from webhook.outbox`); n != inserted {
		t.Errorf("%d events, %d were inserted", n, inserted)
	}
}

func TestTwoUpgradesAtOnceBothSucceed(t *testing.T) {
	fromEach(t, fourAtOnce)
}

func fourAtOnce(t *testing.T, version int) {
	db := atVersion(t, version, "https://re.example")
	ended := make(chan string, 4)
	for range cap(ended) {
		go func() { ended <- migrate(db, "--roles") }()
	}
	for range cap(ended) {
		if said := <-ended; !strings.HasPrefix(said, "0 ") {
			t.Errorf("one ended with %s", said)
		}
	}
	if n := db.count(`select count(*) from webhook.schema_versions where version = 4`); n != 1 {
		t.Errorf("version 4 was stamped %d times", n)
	}
}

func TestANewerVersionIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	db.exec(`insert into webhook.schema_versions (version) values (5)`)
	before := db.catalog()
	for _, args := range [][]string{{}, {"--check"}, {"--roles"}} {
		with(t, fmt.Sprint(args), migrate(db, args...), "1 ", "this database has version 5, newer than the 4 this binary knows; use the newer binary")
	}
	text, _ := schemaText(t)
	db.exec(text) // psql asks nobody, but the steps themselves do
	sameCatalog(t, "after schema.sql of version 4", db.catalog(), before)
}
