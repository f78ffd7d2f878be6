package integration_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/recordengine/webhooks/store"
)

// shipped is the schema of the repository, and its version.
func shipped(t testing.TB) (schema store.Schema, version int) {
	t.Helper()
	text, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	schema = store.Schema{Full: string(text), Upgrades: os.DirFS("..")}
	if version, err = schema.Version(); err != nil {
		t.Fatal(err)
	}
	return schema, version
}

// release is a version that a test makes: what its file does, and the same in schema.sql.
type release struct {
	upgrade   string
	minWorker int
	present   func(schema string) string
}

// released is the schema after some more releases.
func released(t testing.TB, releases ...release) store.Schema {
	t.Helper()
	schema, _ := shipped(t)
	return releasedOn(t, schema, releases...)
}

// releasedOn is a schema after some more releases.
func releasedOn(t testing.TB, schema store.Schema, releases ...release) store.Schema {
	t.Helper()
	version, err := schema.Version()
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	names, err := fs.Glob(schema.Upgrades, "upgrades/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(schema.Upgrades, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	for _, r := range releases {
		schema.Full = replaced(t, schema.Full, fmt.Sprintf(", version %d.\n", version), fmt.Sprintf(", version %d.\n", version+1))
		version++
		worker := max(r.minWorker, 1)
		schema.Full = replaced(t, schema.Full, "insert into webhook.schema_versions (version, min_worker) values\n", fmt.Sprintf("insert into webhook.schema_versions (version, min_worker) values\n  (%d, %d),\n", version, worker))
		if r.present != nil {
			schema.Full = r.present(schema.Full)
		}
		files[fmt.Sprintf("upgrades/%04d_of_a_test.sql", version)] = &fstest.MapFile{Data: fmt.Appendf(nil, "-- min_worker: %d\n%s", worker, r.upgrade)}
	}
	schema.Upgrades = files
	return schema
}

// replaced replaces what a text must have exactly once.
func replaced(t testing.TB, text, old, with string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q is there %d times", old, n)
	}
	return strings.Replace(text, old, with, 1)
}

// note adds a column to the outbox, which needs its lock.
func note(t testing.TB) release {
	const column, comment = "note text", "comment on column webhook.outbox.note is 'Of a test.';\n"
	return release{
		upgrade: "alter table webhook.outbox add column " + column + ";\n" + comment,
		present: func(schema string) string {
			schema = replaced(t, schema, "\n  traceparent   text     -- of any form", "\n  traceparent   text,\n  "+column+"     -- of any form")
			return replaced(t, schema, "\n-- What a claim reads, channel by channel", "\n"+comment+"\n-- What a claim reads, channel by channel")
		},
	}
}

// invoices is another channel.
func invoices(t testing.TB) release {
	const insert = `insert into webhook.channels (position, name, event, example) values (99, 'invoices', 'invoice.created', '{"invoice_id": 9}');`
	present := func(schema string) string {
		schema = replaced(t, schema, "']) then false", "', 'invoice.created']) then false")
		return replaced(t, schema, "\ncreate table webhook.settings (", "\n"+insert+"\n\ncreate table webhook.settings (")
	}
	schema, _ := shipped(t)
	_, rest, _ := strings.Cut(present(schema.Full), "create function webhook.at_least_once(")
	function, _, _ := strings.Cut(rest, "\ncomment on ")
	return release{present: present, upgrade: "create or replace function webhook.at_least_once(" + function + "\n" + insert + "\n"}
}

// atVersion is a database with the schema of a released version, all channels on and pointing at url; of version 0, an
// empty one. testdata has version 1, the upgrades make the later ones of it.
func atVersion(t testing.TB, version int, url string) *database {
	t.Helper()
	db := open(t, emptyDatabase(t))
	if version == 0 {
		return db
	}
	first, err := os.ReadFile("testdata/schema_v1.sql")
	if err != nil {
		t.Fatal(err)
	}
	db.exec(string(first))
	schema, _ := shipped(t)
	files := fstest.MapFS{}
	for n := 2; n <= version; n++ {
		names, _ := fs.Glob(schema.Upgrades, fmt.Sprintf("upgrades/%04d_*.sql", n))
		text, err := fs.ReadFile(schema.Upgrades, names[0])
		if err != nil {
			t.Fatal(err)
		}
		files[names[0]] = &fstest.MapFile{Data: text}
	}
	db.upgrade(store.Schema{Full: fmt.Sprintf("-- As it was, version %d.\n", version), Upgrades: files})
	db.exec(`update webhook.channels set url = $1 || '/' || name, enabled = true`, url)
	db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai', auth = 'bearer', bearer_token = 'kept'`)
	if n := db.version(); n != version {
		t.Fatalf("it is version %d", n)
	}
	return db
}

// fromEach runs a test from each released version, beside the others.
func fromEach(t *testing.T, test func(t *testing.T, version int)) {
	t.Parallel()
	_, newest := shipped(t)
	for version := 1; version <= newest; version++ {
		t.Run(fmt.Sprintf("from version %d", version), func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

func (db *database) version() int {
	db.t.Helper()
	return db.count(`select max(version) from webhook.schema_versions`)
}

// tryUpgrade migrates to a schema that this binary does not have, in sessions as `webhooks migrate` has them.
func (db *database) tryUpgrade(schema store.Schema) (applied []string, err error) {
	db.t.Helper()
	pool, err := store.Open(db.address)
	if err != nil {
		db.t.Fatal(err)
	}
	defer pool.Close()
	return store.Migrate(db.t.Context(), pool, schema)
}

func (db *database) upgrade(schema store.Schema) {
	db.t.Helper()
	if _, err := db.tryUpgrade(schema); err != nil {
		db.t.Fatalf("upgrade: %v", err)
	}
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

// Version 1 has no upgrade file: testdata keeps it, for databases that have it.
func TestMigrate_TheFirstVersionIsKept(t *testing.T) {
	t.Parallel()
	schema, version := shipped(t)
	first, err := os.ReadFile("testdata/schema_v1.sql")
	if err != nil {
		t.Fatal(err)
	}
	if version == 1 && string(first) != schema.Full {
		t.Error("as long as version 1 is not released: cp schema.sql integration_test/testdata/schema_v1.sql")
	}
}

func TestMigrate_AnUpgradedDatabaseIsLikeANewOne(t *testing.T) {
	t.Parallel()
	for name, releases := range map[string][]release{
		"this version": {}, "a column": {note(t)}, "a channel": {invoices(t)}, "a column and a channel": {note(t), invoices(t)},
	} {
		schema := released(t, releases...)
		want := open(t, emptyDatabase(t))
		want.upgrade(schema)
		_, newest := shipped(t)
		for version := 0; version <= newest; version++ {
			t.Run(fmt.Sprintf("%s, from version %d", name, version), func(t *testing.T) {
				t.Parallel()
				db := atVersion(t, version, "https://re.example")
				db.upgrade(schema)
				sameCatalog(t, "upgraded", db.catalog(), want.catalog())
				if applied, err := db.tryUpgrade(schema); len(applied) != 0 || err != nil {
					t.Errorf("again: %v, %v", applied, err)
				}
			})
		}
	}
}

func TestMigrate_RecordsTheChecksumsOfUpgradedAndNewDatabases(t *testing.T) {
	t.Parallel()
	schema := released(t, note(t), release{upgrade: "select 1;", minWorker: 2})
	_, version := shipped(t)
	fresh, upgraded := open(t, emptyDatabase(t)), open(t, newDatabase(t))
	fresh.upgrade(schema)
	upgraded.upgrade(schema)
	const rows = `select string_agg(concat_ws(' ', version, min_worker, length(checksum), applied_by), ', ' order by version) from webhook.schema_versions where version > $1`
	want := fmt.Sprintf("%d 1 64 %s, %d 2 64 %[2]s", version+1, fresh.user(), version+2)
	for _, db := range []*database{fresh, upgraded} {
		if got := db.ask(rows, version); got != want {
			t.Errorf("the versions are %s, want %s", got, want)
		}
	}
	const sums = `select string_agg(checksum, ' ' order by version) from webhook.schema_versions where version > $1`
	if one, other := fresh.ask(sums, version), upgraded.ask(sums, version); one != other {
		t.Errorf("a new database has the checksums %s, an upgraded one %s", one, other)
	}
}

func TestMigrate_RefusesAFileThatWasEditedAfterItWasApplied(t *testing.T) {
	t.Parallel()
	_, version := shipped(t)
	edited := release{upgrade: "select 2;"}
	for name, db := range map[string]*database{"new": open(t, emptyDatabase(t)), "upgraded": open(t, newDatabase(t))} {
		db.upgrade(released(t, release{upgrade: "select 1;"}))
		for _, schema := range []store.Schema{released(t, edited), released(t, edited, note(t))} {
			applied, err := db.tryUpgrade(schema)
			with(t, name, fmt.Sprint(err), fmt.Sprintf("schema: upgrades/%04d_of_a_test.sql was edited after it was applied to this database at 20", version+1), "put the change into a new file")
			if len(applied) != 0 || db.version() != version+1 {
				t.Errorf("%s: applied %v, it is version %d", name, applied, db.version())
			}
		}
	}
}

func TestMigrate_AWorkerMayBeRolledBackToMinWorker(t *testing.T) {
	t.Parallel()
	_, version := shipped(t)
	rcv := newReceiver(t, nil)
	for minWorker, compatible := range map[int]bool{version: true, version + 1: false} {
		db := ready(t, rcv.URL)
		db.upgrade(released(t, release{upgrade: note(t).upgrade, minWorker: minWorker}))
		before := db.catalog()
		id := db.publish("contact.created", `{}`)
		for _, args := range [][]string{{"migrate"}, {"migrate", "--check"}, {"run", "--once"}, {"run", "--migrate", "--once"}, {"check"}, {"status"}} {
			out, errs, status := runProgram(t, quick(db.address), nil, args...)
			says := map[bool]string{true: fmt.Sprintf("this database has schema version %d, newer than the %d of this binary and compatible with it", version+1, version),
				false: fmt.Sprintf("this database has version %d, which needs a binary of schema version %[1]d or newer, and this one has %d; use a newer binary", version+1, version)}[compatible]
			if args[0] == "status" && compatible {
				says = "contacts"
			}
			with(t, fmt.Sprint(args), out+errs, says)
			if ok := status == 0 || args[0] == "check"; ok != compatible && args[0] != "check" {
				t.Errorf("%v, compatible %t: exit status %d: %s %s", args, compatible, status, out, errs)
			}
		}
		if want := map[bool]string{true: "sent", false: "pending"}[compatible]; db.status(id) != want {
			t.Errorf("compatible %t: the event is %s", compatible, db.status(id))
		}
		sameCatalog(t, "the older binary", db.catalog(), before)
	}
}

func TestMigrate_AnUpgradeThatFailsIsUndoneAndResumed(t *testing.T) {
	t.Parallel()
	_, version := shipped(t)
	db := open(t, newDatabase(t))
	broken := release{upgrade: "alter table webhook.channels add column half text; select 1 / 0;"}
	applied, err := db.tryUpgrade(released(t, note(t), broken, invoices(t)))
	with(t, "the error", fmt.Sprint(err), fmt.Sprintf("upgrades/%04d_of_a_test.sql: ", version+2), "division by zero")
	if len(applied) != 1 || path.Base(applied[0]) != fmt.Sprintf("%04d_of_a_test.sql", version+1) || db.version() != version+1 {
		t.Errorf("applied are %v, it is version %d", applied, db.version())
	}
	fixed := release{upgrade: "select 1;"}
	whole := released(t, note(t), fixed, invoices(t))
	if applied, err = db.tryUpgrade(whole); len(applied) != 2 || err != nil {
		t.Errorf("applied are %v: %v", applied, err)
	}
	want := open(t, emptyDatabase(t))
	want.upgrade(whole)
	sameCatalog(t, "resumed", db.catalog(), want.catalog())
}

func TestMigrate_ManyAtOnceAllSucceed(t *testing.T) {
	t.Parallel()
	schema := released(t, note(t), invoices(t))
	for _, db := range []*database{open(t, emptyDatabase(t)), open(t, newDatabase(t))} {
		files := make(chan []string, 4)
		for range cap(files) {
			go func() {
				applied, err := db.tryUpgrade(schema)
				if err != nil {
					t.Error(err)
				}
				files <- applied
			}()
		}
		counts := map[string]int{}
		for range cap(files) {
			for _, file := range <-files {
				counts[file]++
			}
		}
		for file, n := range counts {
			if n != 1 {
				t.Errorf("%s was applied %d times", file, n)
			}
		}
		if len(counts) == 0 {
			t.Error("nothing was applied")
		}
	}
}

func TestMigrate_ProgramsAtOnceOnANewDatabaseAllSucceed(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	said := make(chan string, 4)
	for range cap(said) {
		go func() { said <- migrate(db, "--roles") }()
	}
	for range cap(said) {
		if s := <-said; !strings.HasPrefix(s, "0 ") {
			t.Errorf("one ended with %s", s)
		}
	}
	if _, version := shipped(t); db.version() != version {
		t.Errorf("it is version %d", db.version())
	}
}

// inEveryState are events of two channels in every state that they can have, by state.
func inEveryState(db *database) map[string]int64 {
	ids := map[string]int64{}
	for _, state := range slices.Sorted(maps.Keys(states)) {
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

func TestMigrate_LeavesEveryRowAndEverySettingAsItWas(t *testing.T) {
	fromEach(t, leavesEveryRowAsItWas)
}

func leavesEveryRowAsItWas(t *testing.T, version int) {
	rcv := newReceiver(t, nil)
	db := atVersion(t, version, rcv.URL)
	ids := inEveryState(db)
	db.exec(`insert into webhook.attempts (outbox_id, run, http_status, failure, received, error, first_at, last_at, attempts) values ($1, 1, 503, 'server_error', 'no', 'HTTP 503', now(), now(), 7)`, ids["document refused"])
	ids["contact resent"], ids["document resent"] = db.inState("failed", "contact.created", `{}`), db.inState("sent", "document.exported", `{"id": "D-resent", "status": "Export"}`)
	db.exec(`select webhook.retry($1), webhook.retry($2)`, ids["contact resent"], ids["document resent"])
	db.exec(`select webhook.cancel($1)`, db.publish("contact.created", `{}`))
	channels := db.ask(`select string_agg(quote_literal(name), ', ') from webhook.channels`)
	rows := func() string {
		return query[string](t, db.address, `select concat_ws(e'\n', pg_relation_filenode('webhook.outbox'), (select string_agg(xmin || (to_jsonb(o) - 'note')::text, e'\n' order by id) from webhook.outbox o),
			(select string_agg(c::text, e'\n' order by position) from webhook.channels c where name in (`+channels+`)), (select s::text from webhook.settings s),
			(select string_agg(a::text, e'\n' order by outbox_id, run) from webhook.attempts a), (select string_agg(i::text, e'\n' order by id) from webhook.interventions i))`)
	}
	before := rows()
	db.upgrade(released(t, note(t), invoices(t)))
	if after := rows(); after != before {
		t.Errorf("something has changed, or was rewritten:\n%s\n%s", before, after)
	}

	// The worker of the version before continues with what it finds.
	startWorker(t, quick(db.address))
	for name, want := range map[string]string{
		"contact pending": "sent", "document pending": "sent", "document refused": "sent", "test": "sent",
		"contact died": "failed", "document expired": "sent", "contact resent": "sent", "document resent": "sent",
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
	with(t, "explain", db.ask(`select webhook.explain($1)`, ids["document refused"]), "was delivered at", "7 × HTTP 503")
	db.ask(`select webhook.retry($1)`, ids["contact failed"])
	eventually(t, "what the earlier version left as failed is sent again by a person", func() bool { return db.status(ids["contact failed"]) == "sent" })
	with(t, "a finished row", db.ask(`update webhook.outbox set data = '{}' where id = $1 returning id`, ids["contact sent"]), "ERROR 23001", "does not change")
	if id := db.publish("invoice.created", `{}`); db.status(id) != "pending" {
		t.Errorf("an event of the new channel is %s", db.status(id))
	}
}
