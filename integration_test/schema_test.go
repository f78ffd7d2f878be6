package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// schemaText is schema.sql, and the number in its first line.
func schemaText(t testing.TB) (text string, version int) {
	t.Helper()
	b, err := os.ReadFile("../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if version, err = store.SchemaVersion(string(b)); err != nil {
		t.Fatal(err)
	}
	return string(b), version
}

// schemaSteps are the steps of schema.sql, each one statement.
func schemaSteps(t testing.TB) (steps []string) {
	t.Helper()
	text, _ := schemaText(t)
	for _, step := range strings.Split(text, "\n-- Step ")[1:] {
		steps = append(steps, "-- Step "+step)
	}
	return steps
}

func TestAnUnknownEventOrABodyThatIsNoObjectIsRefusedInWords(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	for _, c := range []struct{ event, data, constraint, message, hint string }{
		{"document.deleted", `{}`, "outbox_event_is_known", `unknown event "document.deleted"`, "document.exported, contact.created"},
		{"Contact.Created", `{}`, "outbox_event_is_known", `unknown event "Contact.Created"`, "audit.log"},
		{"", `{}`, "outbox_event_is_known", `unknown event ""`, "audit.log"},
		{"contact.created ", `{}`, "outbox_event_is_known", `unknown event "contact.created "`, "audit.log"},
		{"contact.created", `[]`, "outbox_data_is_an_object", "data is a JSON array, an object was expected", "row_to_json"},
		{"contact.created", `"x"`, "outbox_data_is_an_object", "data is a JSON string, an object was expected", "row_to_json"},
		{"contact.created", `7`, "outbox_data_is_an_object", "data is a JSON number, an object was expected", "row_to_json"},
		{"contact.created", `null`, "outbox_data_is_an_object", "data is a JSON null, an object was expected", "row_to_json"},
		{"document.exported", `true`, "outbox_data_is_an_object", "data is a JSON boolean, an object was expected", "row_to_json"},
	} {
		for _, write := range []string{`select webhook.publish($1, $2)`, `insert into webhook.outbox (event, data) values ($1, $2)`} {
			_, err := db.Exec(write, c.event, c.data)
			pe, _ := err.(*pq.Error) //nolint:errorlint // nil if it is none
			if pe == nil || pe.Code != "23514" || pe.Constraint != c.constraint || !strings.Contains(pe.Message, c.message) || !strings.Contains(pe.Hint, c.hint) {
				t.Errorf("%s, %q %s: %v", write, c.event, c.data, err)
			}
		}
	}
	for statement, code := range map[string]string{
		`select webhook.publish(null, '{}')`:                                               "23502",
		`select webhook.publish('contact.created', null)`:                                  "23502",
		`insert into webhook.outbox (event) values ('contact.created')`:                    "23502",
		`select webhook.publish('contact.created', '{"a": ')`:                              "22P02",
		`insert into webhook.outbox (id, event, data) values (1, 'contact.created', '{}')`: "428C9",
	} {
		_, err := db.Exec(statement)
		if pe, _ := err.(*pq.Error); pe == nil || string(pe.Code) != code { //nolint:errorlint // nil if it is none
			t.Errorf("%s: %v, SQLSTATE %s was expected", statement, err, code)
		}
	}
}

func TestTheSevenChannelsAndTheSettingsCannotBeRemoved(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	for statement, hint := range map[string]string{
		`delete from webhook.channels where name = 'rules'`: "enabled = false",
		`truncate webhook.channels`:                         "enabled = false",
		`delete from webhook.settings`:                      "offline_mode = true",
		`truncate webhook.settings`:                         "offline_mode = true",
	} {
		_, err := db.Exec(statement)
		pe, _ := err.(*pq.Error) //nolint:errorlint // nil if it is none
		if pe == nil || pe.Code != "23001" || !strings.Contains(pe.Message, "cannot be removed") || !strings.Contains(pe.Hint, hint) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if channels, settings := db.count(`select count(*) from webhook.channels`), db.count(`select count(*) from webhook.settings`); channels != 7 || settings != 1 {
		t.Errorf("%d channels and %d rows of settings are left", channels, settings)
	}
}

func TestTheDatabaseRefusesWhatMayNotBe(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	const (
		document = "document.exported"
		contact  = "contact.created"
		claimed  = "attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'w', claimed_at = now(), leased_until = now()"
		sent     = "status = 'sent', finished_at = now(), http_status = 200"
	)
	for _, c := range []struct {
		event, set string
		isTest     bool
		constraint string // "" means: may be
	}{
		{event: document, set: claimed},
		{event: document, set: sent + ", synced_at = now()"},
		{event: document, set: "status = 'superseded', finished_at = now()"},
		{event: document, set: "status = 'cancelled', finished_at = now()"},
		{event: document, set: "error = 'x', http_status = 500, attempts = 3"},
		{event: contact, set: "status = 'sending', " + claimed},
		{event: contact, set: sent},
		{event: contact, set: "status = 'failed', finished_at = now(), error = 'x'"},
		{event: contact, set: "status = 'skipped', finished_at = now()"},
		{event: document, isTest: true, set: "status = 'sending', " + claimed},
		{event: document, isTest: true, set: "status = 'failed', finished_at = now()"},
		{event: document, isTest: true, set: sent + ", synced_at = now()"},

		{event: contact, set: "status = 'done'", constraint: "outbox_status_is_known"},
		{event: contact, set: "status = 'Sent'", constraint: "outbox_status_is_known"},
		{event: contact, set: "attempts = -1", constraint: "outbox_attempts_is_a_count"},
		{event: document, set: "status = 'sending', " + claimed, constraint: "outbox_document_stays_pending"},
		{event: document, set: "status = 'failed', finished_at = now()", constraint: "outbox_document_stays_pending"},
		{event: document, set: "status = 'skipped', finished_at = now()", constraint: "outbox_document_stays_pending"},
		{event: contact, set: "status = 'superseded', finished_at = now()", constraint: "outbox_only_a_document_is_superseded"},
		{event: document, isTest: true, set: "status = 'superseded', finished_at = now()", constraint: "outbox_only_a_document_is_superseded"},
		{event: contact, set: "status = 'sending'", constraint: "outbox_sending_is_leased"},
		{event: contact, set: claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: document, isTest: true, set: claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "attempts = 1", "attempts = 0", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "gen_random_uuid()", "null", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "'w'", "null", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "claimed_at = now()", "claimed_at = null", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: contact, set: sent + ", " + claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: sent + ", synced_at = now(), " + claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: contact, set: "status = 'sent', http_status = 200", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "status = 'failed'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "status = 'skipped'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "status = 'cancelled'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: document, set: "status = 'superseded'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "finished_at = now()", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: document, set: sent, constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: document, set: "synced_at = now()", constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: contact, set: sent + ", synced_at = now()", constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: document, set: "status = 'cancelled', finished_at = now(), synced_at = now()", constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: contact, set: "status = 'sent', finished_at = now()", constraint: "outbox_sent_has_an_answer"},
		{event: contact, set: sent + ", error = 'x'", constraint: "outbox_sent_has_an_answer"},
	} {
		tx := db.MustBegin()
		var id int64
		if err := tx.Get(&id, `insert into webhook.outbox (event, data, is_test) values ($1, '{"id": 1}', $2) returning id`, c.event, c.isTest); err != nil {
			t.Fatal(err)
		}
		_, err := tx.Exec(`update webhook.outbox set `+c.set+` where id = $1`, id)
		if got := refusal(err); got != c.constraint {
			t.Errorf("%s (test: %t) set %s: refused by %q, %q was expected (%v)", c.event, c.isTest, c.set, got, c.constraint, err)
		}
		_ = tx.Rollback()

		tx = db.MustBegin()
		columns, values := assigned(c.set)
		_, err = tx.Exec(`insert into webhook.outbox (event, data, is_test, `+columns+`) values ($1, '{"id": 1}', $2, `+values+`)`, c.event, c.isTest)
		if got := refusal(err); got != c.constraint {
			t.Errorf("%s (test: %t) inserted with %s: refused by %q, %q was expected (%v)", c.event, c.isTest, c.set, got, c.constraint, err)
		}
		_ = tx.Rollback()
	}
}

// assigned makes the two lists of an insert out of the one of an update.
func assigned(set string) (columns, values string) {
	var to, what []string
	for one := range strings.SplitSeq(set, ", ") {
		column, value, _ := strings.Cut(one, " = ")
		to, what = append(to, column), append(what, value)
	}
	return strings.Join(to, ", "), strings.Join(what, ", ")
}

func TestWhatAnUpdateMakesOfTheFactsIsRefusedToo(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	id := db.document("42")
	for set, constraint := range map[string]string{
		`data = '[]'`:            "outbox_data_is_an_object",
		`event = 'no.such'`:      "outbox_event_is_known",
		`data = '{"id": "new"}'`: "",
	} {
		if _, err := db.Exec(`update webhook.outbox set `+set+` where id = $1`, id); refusal(err) != constraint {
			t.Errorf("%s: %v", set, err)
		}
	}
}

func TestTwoExportsOfADocumentAreNeverHeldAtOnce(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	const hold = `update webhook.outbox set attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'w', claimed_at = now(), leased_until = now() where id = $1`
	first, other := db.document("42"), db.document("43")
	db.exec(hold, first)
	db.exec(hold, other)
	second := db.document(`"42"`)
	if _, err := db.Exec(hold, second); refusal(err) != "outbox_one_attempt_per_document" {
		t.Errorf("the second one: %v", err)
	}
}

func TestEverythingInTheSchemaHasAComment(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	var bare []string
	if err := db.Select(&bare, `
		select format('%s %s', case c.relkind when 'r' then 'table' when 'v' then 'view' else c.relkind::text end, c.relname)
		  from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind in ('r', 'v', 'm', 'p')
		   and obj_description(c.oid, 'pg_class') is null
		union all
		select format('column %s.%s', c.relname, a.attname)
		  from pg_class c join pg_attribute a on a.attrelid = c.oid
		 where c.relnamespace = 'webhook'::regnamespace and c.relkind in ('r', 'v', 'm', 'p') and a.attnum > 0 and not a.attisdropped
		   and col_description(c.oid, a.attnum) is null
		union all
		select format('function %s', p.oid::regprocedure)
		  from pg_proc p where p.pronamespace = 'webhook'::regnamespace and obj_description(p.oid, 'pg_proc') is null
		union all
		select format('index %s', i.indexrelid::regclass)
		  from pg_index i join pg_class c on c.oid = i.indrelid
		 where c.relnamespace = 'webhook'::regnamespace and obj_description(i.indexrelid, 'pg_class') is null
		   and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
		union all
		select format('constraint %s', k.conname)
		  from pg_constraint k where k.connamespace = 'webhook'::regnamespace and k.contype not in ('p', 'u', 'n') and obj_description(k.oid, 'pg_constraint') is null
		union all
		select format('trigger %s of %s', t.tgname, c.relname)
		  from pg_trigger t join pg_class c on c.oid = t.tgrelid
		 where c.relnamespace = 'webhook'::regnamespace and not t.tgisinternal and obj_description(t.oid, 'pg_trigger') is null
		union all
		select 'the schema' where obj_description('webhook'::regnamespace, 'pg_namespace') is null
		order by 1`); err != nil {
		t.Fatal(err)
	}
	for _, b := range bare {
		t.Errorf("no comment: %s", b)
	}
	if n := db.count(`select count(*) from pg_class where relnamespace = 'webhook'::regnamespace`); n < 10 {
		t.Errorf("only %d relations were looked at", n)
	}
}

func TestPublicHasNoPrivileges(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	var granted []string
	if err := db.Select(&granted, `
		select format('%s on %s', privilege_type, c.relname)
		  from pg_class c cross join lateral aclexplode(c.relacl) a
		 where c.relnamespace = 'webhook'::regnamespace and a.grantee = 0
		union all
		select format('%s on column %s.%s', privilege_type, c.relname, att.attname)
		  from pg_class c join pg_attribute att on att.attrelid = c.oid cross join lateral aclexplode(att.attacl) a
		 where c.relnamespace = 'webhook'::regnamespace and a.grantee = 0
		union all
		select format('%s on %s', privilege_type, p.oid::regprocedure)
		  from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
		 where p.pronamespace = 'webhook'::regnamespace and a.grantee = 0
		union all
		select format('%s on the schema', privilege_type)
		  from pg_namespace n cross join lateral aclexplode(n.nspacl) a
		 where n.oid = 'webhook'::regnamespace and a.grantee = 0`); err != nil {
		t.Fatal(err)
	}
	for _, g := range granted {
		t.Errorf("PUBLIC may %s", g)
	}
}

func TestTheSchemaMayBeAppliedAgainInAnyWay(t *testing.T) {
	t.Parallel()
	text, version := schemaText(t)
	for name, apply := range map[string]func(db *database){
		"in one message":         func(db *database) { db.exec(text) },
		"statement by statement": func(db *database) { applySteps(db, schemaSteps(t)) },
		"by webhooks migrate": func(db *database) {
			if out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "migrate"); status != 0 {
				t.Fatalf("exit status %d: %s %s", status, out, errs)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, emptyDatabase(t))
			apply(db)
			id := db.document("42")
			instance := query[string](t, db.address, `select instance_id from webhook.settings`)
			db.exec(`update webhook.channels set url = 'https://kept.example', enabled = true`)
			apply(db)
			apply(db)
			if got := query[string](t, db.address, `select instance_id from webhook.settings`); got != instance {
				t.Error("the instance_id has changed")
			}
			if db.status(id) != "pending" || db.count(`select count(*) from webhook.channels where enabled and url = 'https://kept.example'`) != 7 {
				t.Error("events or settings have changed")
			}
			if got := db.count(`select webhook.schema_version()`); got != version {
				t.Errorf("it is version %d, %d was expected", got, version)
			}
		})
	}
}

func applySteps(db *database, steps []string) {
	db.t.Helper()
	for _, step := range steps {
		db.exec(step)
	}
}

func TestAnUpToDateDatabaseIsMigratedUnderAnyLock(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	text, _ := schemaText(t)
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`lock table webhook.outbox, webhook.channels, webhook.settings in access exclusive mode`)
	for _, args := range [][]string{{"migrate"}, {"migrate", "--check"}} {
		if out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, args...); status != 0 || !strings.Contains(out, "up to date") {
			t.Errorf("%v: exit status %d: %s %s", args, status, out, errs)
		}
	}
	// The same by psql: whatever touched the locked tables would end here.
	db.exec(`set statement_timeout = '20s'; set lock_timeout = '20s'; ` + text)
}

func TestTwoMigrationsOfAnEmptyDatabaseBothSucceed(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	_, version := schemaText(t)
	statuses := make(chan string, 3)
	for range 3 {
		go func() {
			out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "migrate")
			statuses <- fmt.Sprintf("%d %s%s", status, out, errs)
		}()
	}
	for range 3 {
		if s := <-statuses; !strings.HasPrefix(s, "0 ") {
			t.Errorf("a migration ended with %s", s)
		}
	}
	if got := db.count(`select webhook.schema_version()`); got != version {
		t.Errorf("it is version %d", got)
	}
	if n := db.count(`select count(*) from webhook.channels`); n != 7 {
		t.Errorf("%d channels", n)
	}
}

func TestAMigrationWaitsOutALockAndGivesItsWayMeanwhile(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	steps := schemaSteps(t)
	applySteps(db, steps[:2]) // the tables are there, the rest is not
	tx := db.MustBegin()
	tx.MustExec(`lock table webhook.outbox in access exclusive mode`)
	ended := make(chan string, 1)
	go func() {
		out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "migrate")
		ended <- fmt.Sprintf("%d %s%s", status, out, errs)
	}()
	var first, again string
	waiting := func(at *string, but string) bool {
		err := db.Get(at, `select xact_start::text from pg_stat_activity a where a.datname = current_database()
			and exists (select from pg_locks l where l.pid = a.pid and not l.granted and l.locktype = 'relation')`)
		return err == nil && *at != but
	}
	clock := func(at *string, but string) func() bool {
		return func() bool {
			select {
			case how := <-ended:
				t.Fatalf("the migration has ended although the lock is held: %s", how)
			default:
			}
			return waiting(at, but)
		}
	}
	eventually(t, "a step waits for the lock", clock(&first, ""))
	eventually(t, "it gave way, and tries again in another transaction", clock(&again, first))
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if how := <-ended; !strings.HasPrefix(how, "0 ") {
		t.Errorf("it ended with %s", how)
	}
	db.publish("contact.created", `{}`)
}

func TestRunRefusesADatabaseWithoutTheWholeSchema(t *testing.T) {
	t.Parallel()
	steps := schemaSteps(t)
	for applied := range steps { // all of them would be the whole
		db := open(t, emptyDatabase(t))
		applySteps(db, steps[:applied])
		for _, args := range [][]string{{"run"}, {"run", "--once"}, {"migrate", "--check"}, {"status"}} {
			out, errs, status := runProgram(t, quick(db.address), nil, args...)
			if status != 1 || !strings.Contains(errs, "webhooks migrate") {
				t.Errorf("%v after %d steps: exit status %d: %s %s", args, applied, status, out, errs)
			}
		}
		if out, errs, status := runProgram(t, quick(db.address), nil, "run", "--migrate", "--once"); status != 0 {
			t.Errorf("run --migrate after %d steps: exit status %d: %s %s", applied, status, out, errs)
		}
		db.document("42")
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	db.exec(`insert into webhook.schema_versions (version) values (99)`)
	for _, args := range [][]string{{"run"}, {"run", "--migrate"}, {"migrate"}, {"migrate", "--check"}} {
		_, errs, status := runProgram(t, quick(db.address), nil, args...)
		if status != 1 || !strings.Contains(errs, "version 99, newer than") {
			t.Errorf("%v: exit status %d: %s", args, status, errs)
		}
	}
}

func TestMigratePrintsTheSchemaThatTheTestsRead(t *testing.T) {
	t.Parallel()
	text, _ := schemaText(t)
	if out, errs, status := runProgram(t, nil, nil, "migrate", "--print"); out != text || status != 0 {
		t.Errorf("exit status %d, %d bytes, %s", status, len(out), errs)
	}
}

func TestDocumentIDNeverRaises(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	long := strings.Repeat("x", 9<<10)
	for _, c := range []struct {
		name, data string
		want       any
	}{
		{"a number", `{"id": 42}`, "42"},
		{"a number with a fraction", `{"id": 42.50}`, "42.50"},
		{"a negative number", `{"id": -1}`, "-1"},
		{"a number of many digits", `{"id": 123456789012345678901234567890}`, "123456789012345678901234567890"},
		{"a string", `{"id": "A-7"}`, "A-7"},
		{"a string in Chinese", `{"id": "发票"}`, "发票"},
		{"a string with escapes", `{"id": "a\u0041\"b"}`, `aA"b`},
		{"a string that looks like a number", `{"id": "42"}`, "42"},
		{"a blank string", `{"id": " "}`, " "},
		{"200 characters", `{"id": "` + strings.Repeat("发", 200) + `"}`, strings.Repeat("发", 200)},
		{"201 characters", `{"id": "` + strings.Repeat("x", 201) + `"}`, nil},
		{"9 KB", `{"id": "` + long + `"}`, nil},
		{"a number of 9 KB", `{"id": ` + strings.Repeat("9", 9<<10) + `}`, nil},
		{"an empty string", `{"id": ""}`, nil},
		{"null", `{"id": null}`, nil},
		{"true", `{"id": true}`, nil},
		{"an object", `{"id": {"id": 42}}`, nil},
		{"an array", `{"id": [42]}`, nil},
		{"missing", `{"name": "x"}`, nil},
		{"nothing at all", `{}`, nil},
		{"only nested", `{"document": {"id": 42}}`, nil},
		{"in capitals", `{"ID": 42}`, nil},
		{"twice: the last counts", `{"id": 1, "id": 2}`, "2"},
		{"twice, the last null", `{"id": 1, "id": null}`, nil},
		{"NUL in another field", `{"id": 42, "notes": "a\u0000b"}`, "42"},
		{"NUL in another field, before", `{"notes": "a\u0000b", "id": "A-7"}`, "A-7"},
		{"NUL in a key", `{"a\u0000b": 1, "id": 42}`, "42"},
		{"NUL in the id", `{"id": "a\u0000b"}`, "a\ufffdb"},
		{"an escape in the id beside a NUL", `{"id": "caf\u00e9 \ud83d\ude00", "notes": "\u0000"}`, "café 😀"},
		{"backslashes in the id beside a NUL", `{"id": "a\\u0000\\\"\/", "notes": "\u0000"}`, `a\u0000\"/`},
		{"a key with an escape beside a NUL", `{"\u0069d": 42, "notes": "\u0000"}`, "42"},
		{"half a surrogate before the key", `{"id": 42, "\ud800id": 7}`, "42"},
		{"three surrogates", `{"id": "\ud83d\ud83d\ude00\ude00"}`, "\ufffd😀\ufffd"},
		{"201 characters beside a NUL", `{"id": "` + strings.Repeat(`\u00e9`, 201) + `", "notes": "\u0000"}`, nil},
		{"a lone high surrogate in another field", `{"id": 42, "notes": "\ud800"}`, "42"},
		{"a lone low surrogate in another field", `{"id": 42, "notes": "\udc00 x"}`, "42"},
		{"a high surrogate before another escape", `{"id": 42, "notes": "\ud800\n"}`, "42"},
		{"a lone surrogate in the id", `{"id": "\ud800"}`, "\ufffd"},
		{"a lone surrogate, nested", `{"id": 42, "a": {"b": ["\udfff"]}}`, "42"},
		{"a backslash before u0000 is text", `{"id": 42, "notes": "\\u0000"}`, "42"},
		{"backslashes and a NUL", `{"id": 42, "notes": "\\\\\\\u0000\\"}`, "42"},
		{"a quote escaped beside a NUL", `{"notes": "\",\"id\":7,\u0000", "id": 42}`, "42"},
		{"nested deeply", `{"id": 42, "a": ` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `}`, "42"},
		{"9 KB beside it", `{"notes": "` + long + `", "id": 42}`, "42"},
	} {
		var got sql.NullString
		id := db.publish("document.exported", c.data)
		if err := db.Get(&got, `select document_id from webhook.outbox where id = $1`, id); err != nil {
			t.Fatal(err)
		}
		want, is := c.want.(string)
		if got.Valid != is || got.String != want {
			t.Errorf("%s: %q (set: %t), want %v", c.name, got.String, got.Valid, c.want)
		}
		db.publish("contact.created", c.data) // nor does any of it harm another event
	}
	if n := db.count(`select count(*) from webhook.outbox where event <> 'document.exported' and document_id is not null`); n != 0 {
		t.Errorf("%d events that are no documents have a document_id", n)
	}
}

// hosts, users, ports and tails make up the URLs that SQL and Go must agree on.
var (
	schemes = []string{"http://", "https://", "HTTPS://"}
	users   = []string{"", "user@", "user:pass@", "us%65r:p%40ss@", "a@b@", "@", ":@", "a:b:c@", "user:p$!&'()*+,;=@", "ü@", "u%zz@", "u/x@", "u[@", `u"@`}
	hosts   = []string{"example.com", "EXAMPLE.com", "localhost", "127.0.0.1", "a_b.example", "-a-.example", "example.com.", "[::1]", "[2001:db8::1]",
		"", "[::1", "::1", "[]", "[:::::]", "[1.2.3.4]", "[fe80::1%25eth0]", "[::1]x", "a b", "a!b", "%41b", "b%41", "a\\b", "exämple.com", "例え.jp", "a<b", `a"b`, "a,b", "a;b", "..", "a:b", "a:b:c", "%", "%zz"}
	ports = []string{"", ":80", ":8443", ":65535", ":", ":0", ":00080", ":000", ":65536", ":99999", ":999999", ":80x", ":-1", ":８０"}
	tails = []string{"", "/", "/hook", "/hook?key=1&b=%zz", "?x", "#f", "/a%20b", "/ä", "/a//b", "/%", "/%4", "/%zz", "/a?%zz#ok", "/a#%zz", "/a#b?%zz", "?a#b?%zz", "/a?b?%z#%41",
		"/a b", " ", "\t", "\n", "\u00a0", "\u3000", "\u2003", "\u0085", "\u200b", "/x\u007f", "/[x]", "/{x}", "/a^b|c", "/a\\b", "/\u2028"}
)

func TestWhatSQLCallsAUsableURLTheSenderCanCall(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	urls := []string{"", " ", "http", "http:", "http:/", "http:/a", "http//a", "://a", "ftp://a", "javascript:1", "mailto:a@b", "//a", "/a", " http://a", "http://a\nb"}
	for _, scheme := range schemes {
		for _, user := range users {
			for _, host := range hosts {
				for _, port := range ports {
					urls = append(urls, scheme+user+host+port, scheme+user+host+port+"/x")
				}
			}
		}
		for _, user := range users[:4] {
			for _, tail := range tails {
				urls = append(urls, scheme+user+"example.com"+tail, scheme+user+"example.com:8443"+tail)
			}
		}
	}
	rows := []struct {
		URL     string
		Problem *string
	}{}
	if err := db.Select(&rows, `select url, webhook.url_problem(url) as problem from unnest($1::text[]) url`, pq.Array(urls)); err != nil {
		t.Fatal(err)
	}
	fine, refused := 0, 0
	wrong := map[string][]string{} // what the sender says → URLs
	for _, r := range rows {
		err := sender.Check(r.URL, "")
		switch {
		case r.Problem == nil && err == nil:
			fine++
		case r.Problem == nil:
			wrong[err.Error()] = append(wrong[err.Error()], r.URL)
		default:
			refused++
		}
	}
	for why, all := range wrong {
		t.Errorf("SQL finds no problem in %d URLs, the sender says %q: %.500q", len(all), why, all)
	}
	t.Logf("of %d URLs, %d are fine for both, SQL refuses %d", len(rows), fine, refused)
}

func TestSQLRefusesNoOrdinaryURL(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	for _, u := range []string{
		"https://hook.eu1.make.com/abcdefghijklmnopqrstuvwxyz012345", "http://localhost:8080/webhooks", "http://127.0.0.1:9000",
		"https://user:pass@example.com/x?y=z#f", "http://[::1]:8080/", "https://[2001:db8::1]/a", "https://a-b_c.example.co.uk:443/p/a/t/h?x=%20&y=a+b",
		"HTTPS://EXAMPLE.COM/", "https://example.com?token=a/b@c", "https://example.com/ä/发票", "https://xn--nxasmq6b/", "https://open.feishu.cn/anycross/trigger/callback/MDA0==",
		"https://example.com./", "https://example.com/a(b)c;d=1,2", "https://example.com/?q=%E4%B8%8A",
	} {
		if _, err := url.Parse(u); err != nil {
			t.Fatal(err)
		}
		var problem *string
		if err := db.Get(&problem, `select webhook.url_problem($1)`, u); err != nil {
			t.Fatal(err)
		}
		if problem != nil || sender.Check(u, "") != nil {
			t.Errorf("%s: SQL says %q, the sender %v", u, value(problem), sender.Check(u, ""))
		}
	}
}

func TestAStepWaitsForAnotherMigration(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), `select pg_advisory_lock(hashtext('webhook.schema'))`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() {
		_, _, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "migrate")
		ended <- status
	}()
	eventually(t, "the migration waits", func() bool {
		return db.count(`select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`) == 1
	})
	if n := db.count(`select count(*) from pg_namespace where nspname = 'webhook'`); n != 0 {
		t.Error("it did not wait with its changes")
	}
	if _, err := conn.ExecContext(t.Context(), `select pg_advisory_unlock_all()`); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}
