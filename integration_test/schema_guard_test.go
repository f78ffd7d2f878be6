package integration_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// psql runs a file as a DBA does.
func (db *database) psql(file string, args ...string) (said string, err error) {
	db.t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		missing(db.t, "not tested by hand: no psql; to install it: apt install postgresql-client")
	}
	args = append(args, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file, "--dbname="+db.address)
	out, err := exec.CommandContext(db.t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

func (db *database) namespaces() string {
	db.t.Helper()
	return db.ask(`select string_agg(concat_ws(' ', n.nspname, c.relname), ', ' order by 1) from pg_namespace n left join pg_class c on c.relnamespace = n.oid
		where n.nspname !~ '^(pg_|information_schema)'`)
}

func TestSchema_ByHandIsThatOfMigrateAndRunsOnce(t *testing.T) {
	t.Parallel()
	want := open(t, emptyDatabase(t))
	want.migrated()
	db := open(t, emptyDatabase(t))
	if said, err := db.psql("../schema.sql"); err == nil || !strings.Contains(said, "schema.sql must run in one transaction") || db.namespaces() != "public" {
		t.Errorf("without -1: %v, %s; there is %s", err, said, db.namespaces())
	}
	if said, err := db.psql("../schema.sql", "--single-transaction"); err != nil || said != "" {
		t.Fatalf("psql: %v\n%s", err, said)
	}
	sameCatalog(t, "psql -1", db.catalog(), want.catalog())
	if said, err := db.psql("../schema.sql", "--single-transaction"); err == nil || !strings.Contains(said, "this database has the webhook schema already, version ") || !strings.Contains(said, "webhooks migrate") {
		t.Errorf("again: %v, %s", err, said)
	}
	with(t, "migrate", migrate(db), "0 nothing to do: the schema is up to date")
}

func TestSchema_RefusesASchemaThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		made  string
		parts []string
	}{
		"a table":            {`create schema webhook create table endpoints (id int) create table deliveries (id int)`, []string{"it belongs to the role %[1]s and has the table deliveries"}},
		"schema_versions":    {`create schema webhook create table schema_versions (version int)`, []string{"has the table schema_versions"}},
		"a view":             {`create schema webhook create view hooks as select 1`, []string{"has the table hooks"}},
		"a function":         {`create schema webhook; create function webhook.publish() returns int language sql as 'select 1'`, []string{"it belongs to the role %[1]s and has no table"}},
		"another role's own": {`create schema webhook; alter schema webhook owner to pg_monitor`, []string{"it belongs to the role pg_monitor and has no table"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, emptyDatabase(t))
			db.exec(c.made)
			before := db.namespaces()
			said := migrate(db)
			with(t, "migrate", said, "1 webhooks: migrate: schema.sql: ", `the schema "webhook" of this database is not the one of this program`, "hint: Use another database, or rename that schema")
			for _, p := range c.parts {
				if strings.Contains(p, "%") {
					p = fmt.Sprintf(p, db.user())
				}
				with(t, "migrate", said, p)
			}
			if db.namespaces() != before {
				t.Errorf("there was %s, there is %s", before, db.namespaces())
			}
		})
	}
}

func TestSchema_UsesAnEmptySchemaOfTheSameRole(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	db.exec(`create schema webhook; grant all on schema webhook to public`)
	db.migrated()
	sameCatalog(t, "in an empty schema", db.catalog(), open(t, newDatabase(t)).catalog())
}

func TestSchema_RefusesADatabaseThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		name := randomName("test")
		if _, err := shared.admin.ExecContext(t.Context(), fmt.Sprintf(`create database %s template template0 encoding %s lc_collate 'C' lc_ctype 'C'`, pq.QuoteIdentifier(name), pq.QuoteLiteral(encoding))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := dropDatabase(name); err != nil {
				t.Error(err)
			}
		})
		db := open(t, databaseURL(name))
		with(t, encoding, migrate(db), "1 webhooks: migrate: schema.sql: ", "the database "+name+" has the encoding "+encoding+": UTF8 is needed", "hint: create database")
		if db.namespaces() != "public" {
			t.Errorf("there is %s", db.namespaces())
		}
	}
}

// What a database or a role presets must not change what the schema means.
func TestSchema_IsTheSameWhateverTheDatabasePresets(t *testing.T) {
	t.Parallel()
	want := open(t, newDatabase(t)).catalog()
	for _, preset := range []string{
		`standard_conforming_strings = off`, `search_path = ''`, `search_path = public, pg_catalog`, `default_transaction_isolation = 'serializable'`,
		`lock_timeout = '1ms'`, `check_function_bodies = off`, `row_security = off`,
	} {
		db := open(t, emptyDatabase(t))
		name := pq.QuoteIdentifier(db.ask(`select current_database()`))
		db.exec(`alter database ` + name + ` set ` + preset)
		fresh := open(t, db.address)
		fresh.migrated()
		db.exec(`alter database ` + name + ` reset lock_timeout`) // the rest may wait longer
		fresh = open(t, db.address)
		sameCatalog(t, preset, fresh.catalog(), want)
		id := fresh.publish("document.exported", `{"id": "caf\u00e9\\", "notes": "a\u0000b"}`)
		if got := fresh.ask(`select document_id from webhook.outbox where id = $1`, id); got != `café\` {
			t.Errorf("%s: the document's id is %q", preset, got)
		}
		if got := fresh.ask(`select webhook.url_problem('https://user:p%40ss@[2001:db8::1]:8443/a?b=%20')`); got != "" {
			t.Errorf("%s: a URL: %s", preset, got)
		}
		with(t, preset, fresh.ask(`select webhook.explain($1)`, id), "of document café\\, of 20")
	}
}

// Where everybody may create in public, a role without privileges can plant an exact match for a function or an
// operator that pg_catalog has for any type only, and wait for a superuser to call it.
func TestSchema_CallsNothingThatAnotherRoleHasPlanted(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	planter := loginRole(t, db)
	db.exec(`grant create on schema public to ` + planter.name)
	const trap = `language plpgsql as $$ begin raise exception 'planted code ran with the rights of %', current_user; end $$`
	for _, statement := range []string{
		`create function public.cardinality(int[]) returns int ` + trap,
		`create function public.cardinality(bigint[]) returns int ` + trap,
		`create function public.array_ndims(int[]) returns int ` + trap,
		`create function public.array_position(int[], int) returns int ` + trap,
		`create function public.format(text, bigint) returns text ` + trap,
		`create function public.format(text, text) returns text ` + trap,
		`create function public.concat_text(text, bigint) returns text ` + trap,
		`create function public.coalesce_text(text, text) returns text ` + trap,
		`create operator public.|| (leftarg = text, rightarg = bigint, function = public.concat_text)`,
		`create function public.any_text(text, text[]) returns boolean ` + trap,
		`create function public.int_timestamp(int, interval) returns interval ` + trap,
		`create operator public.* (leftarg = int, rightarg = interval, function = public.int_timestamp)`,
		`create function public.json_text(json, text) returns json ` + trap,
		`create operator public.-> (leftarg = json, rightarg = text, function = public.json_text)`,
		`create function public.array_agg(bigint) returns bigint[] ` + trap,
		`create function public.unnest(bigint[]) returns bigint ` + trap,
	} {
		planter.exec(statement)
	}
	for _, path := range []string{`"$user", public`, `public, pg_catalog`} {
		db.exec(`alter database ` + pq.QuoteIdentifier(db.ask(`select current_database()`)) + ` set search_path = ` + path)
		fresh := open(t, db.address)
		fresh.migrated()
		fresh.exec(`update webhook.channels set url = 'https://re.example', enabled = true, accept_status = '{202}' where name = 'contacts'`)
		fresh.exec(`update webhook.settings set document_base_url = 'https://re.example'`)
		var ids []int64
		for _, e := range []string{"contact.created", "document.exported"} {
			ids = append(ids, fresh.publish(e, `{"id": 42}`))
			fresh.exec(`insert into webhook.outbox (event, data) values ('` + e + `', '{"id": 42, "x": "\u0000"}')`)
		}
		fresh.become(ids[0], states["failed"])
		for _, statement := range []string{
			`select webhook.explain($1)`, `select webhook.retry($1)`, `select webhook.cancel($1)`,
			`select count(*) from webhook.status where $1 > 0`, `select count(*) from webhook.problems where $1 > 0`, `select count(*) from webhook.volume where $1 > 0`,
			`select webhook.retry_failed() where $1 > 0`, `select webhook.retry_failed(dry_run => true) where $1 > 0`, `select webhook.discard() where $1 > 0`,
			`select webhook.send_test('contacts') where $1 > 0`, `select webhook.prune('0') where $1 > 0`,
		} {
			if said := fresh.ask(statement, ids[0]); strings.Contains(said, "ERROR") {
				t.Errorf("search_path %s, %s: %s", path, statement, said)
			}
		}
		fresh.exec(`drop schema webhook cascade`)
	}
}

func TestSchema_EveryFunctionHasAFixedSearchPath(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	var loose []string
	if err := db.Select(&loose, `
		select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'webhook'::regnamespace
		   and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)`); err != nil {
		t.Fatal(err)
	}
	qualified := []string{"accept_event", "accepted_document_id", "at_least_once", "document_id", "publish", "publish", "publish", "refuse_overtaken", "state_is_possible"} // called for each row
	var names []string
	for _, signature := range loose {
		name, _, _ := strings.Cut(strings.TrimPrefix(signature, "webhook."), "(")
		names = append(names, name)
		for _, found := range unqualified(db.ask(`select prosrc from pg_proc where oid = $1::regprocedure`, signature)) {
			t.Errorf("%s has no fixed search_path, and names %q without its schema", signature, found)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, qualified) {
		t.Errorf("without: %v", names)
	}
	if privileged := db.ask(`
		select coalesce(string_agg(p.oid::regprocedure::text, ', '), '') from pg_proc p where p.pronamespace = 'webhook'::regnamespace
		   and p.prosecdef and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)`); privileged != "" {
		t.Errorf("with the rights of their owner and the search_path of their caller: %s", privileged)
	}
}

// unqualified are the operators and functions of a body that are looked up in the caller's search_path.
func unqualified(body string) []string {
	for _, known := range []string{`--[^\n]*`, `'[^']*'`, `::pg_catalog\.\w+`, `(?:operator\(pg_catalog\.[^)]*\)|(?:pg_catalog|webhook)\.[\w.]+\(?)`, `:=`, `\b(?:not|and|or|any|all|when) \(`, `;`} {
		body = regexp.MustCompile(known).ReplaceAllString(body, " ")
	}
	return regexp.MustCompile(`[-+*/<>=~!@#%^&|?]+|\w+\(|::|\b(?:in|between|like|ilike|similar|distinct|nullif|greatest|least)\b`).FindAllString(body, -1)
}

func TestSchema_TheCheckOfQualifiedNamesFindsThoseThatAreNot(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`begin return a operator(pg_catalog.=) 'x = y' and not (b is null); end`: "",
		`begin return a = 'x'; end`:           "=",
		`begin return length(a); end`:         "length(",
		`begin return a in ('x'); end`:        "in",
		`begin return a::text; end`:           "::",
		`begin return a is distinct from b;`:  "distinct",
		`begin return pg_catalog.length(a) ;`: "",
	} {
		if got := strings.Join(unqualified(body), " "); got != want {
			t.Errorf("%s: %q, %q was expected", body, got, want)
		}
	}
}
