package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/store"
)

func TestMigrate_AnUpToDateDatabaseIsOnlyRead(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`lock table webhook.outbox, webhook.channels, webhook.settings in access exclusive mode; select pg_advisory_xact_lock(hashtext('webhook.schema'))`)
	for _, args := range [][]string{{}, {"--check"}} {
		with(t, fmt.Sprint(args), migrate(db, args...), "0 ", "up to date")
	}
}

func TestMigrate_WaitsForAnotherMigration(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	release := db.locked(`select pg_advisory_xact_lock(hashtext('webhook.schema'))`)
	ended := make(chan string, 1)
	go func() { ended <- migrate(db) }()
	db.waitsForLock()
	if n := db.count(`select count(*) from pg_namespace where nspname = 'webhook'`); n != 0 {
		t.Error("it has made the schema")
	}
	release()
	with(t, "migrate", <-ended, "0 schema.sql is applied")
}

func TestMigrate_WaitsForAnOpenTransactionAndLetsOthersWriteMeanwhile(t *testing.T) {
	fromEach(t, waitsForAnOpenTransaction)
}

func waitsForAnOpenTransaction(t *testing.T, version int) {
	db := atVersion(t, version, "https://re.example")
	release := db.locked(`select webhook.publish('contact.created', '{}')`)
	ended := make(chan error, 1)
	schema := released(t, note(t))
	go func() {
		_, err := db.tryUpgrade(schema)
		ended <- err
	}()
	db.waitsForLock()
	inserted := 0
	eventually(t, "it gave way twice", func() bool { // each time others get in between
		if _, err := db.Exec(`set lock_timeout = '10s'; insert into webhook.outbox (event, data) values ('audit.log', '{}')`); err != nil {
			t.Fatalf("an application's insert failed while the migration waits: %v", err)
		}
		inserted++
		select {
		case err := <-ended:
			t.Fatalf("it has ended although the transaction is open: %v", err)
		default:
		}
		return db.count(`select xact_rollback from pg_stat_database where datname = current_database()`) >= 2
	})
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := db.count(`select count(*) from webhook.outbox`); n != inserted {
		t.Errorf("%d events, %d were inserted", n, inserted)
	}
	if db.version() != version+1 && version == db.version() {
		t.Errorf("it is version %d", db.version())
	}
}

// The application's transaction waits for the migration, which then waits for it: one of the two is ended.
func TestMigrate_IsRepeatedAfterADeadlock(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	tx := db.MustBegin()
	tx.MustExec(`set local deadlock_timeout = '1min'; lock table webhook.outbox in row exclusive mode`)
	ended := make(chan error, 1)
	schema := released(t, release{upgrade: "alter table webhook.channels add column note text; " + note(t).upgrade})
	go func() {
		_, err := db.tryUpgrade(schema)
		ended <- err
	}()
	db.waitsForLock()
	tx.MustExec(`update webhook.channels set enabled = false`)
	if err := tx.Commit(); err != nil {
		t.Errorf("the application's transaction: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the migration: %v", err)
	}
}

func TestMigrate_EndedWhileItWaitsIsCompletedByTheNext(t *testing.T) {
	fromEach(t, completesAfterAKill)
}

func completesAfterAKill(t *testing.T, version int) {
	schema := released(t, invoices(t), note(t))
	db := atVersion(t, version, "https://re.example")
	id := db.publish("contact.created", `{}`)
	release := db.locked(`update webhook.outbox set response = 'open transaction' where id = $1`, id)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		pool, err := store.Open(db.address)
		if err == nil {
			defer pool.Close()
			_, err = store.Migrate(ctx, pool, schema)
		}
		ended <- err
	}()
	db.waitsForLock()
	cancel()
	if err := <-ended; err == nil {
		t.Error("it has succeeded")
	}
	release()
	db.upgrade(schema)
	want := open(t, emptyDatabase(t))
	want.upgrade(schema)
	sameCatalog(t, "completed", db.catalog(), want.catalog())
}

func TestMigrate_KilledOnANewDatabaseIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	release := db.locked(`select pg_advisory_xact_lock(hashtext('webhook.schema'))`)
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

func TestMigrate_RunRefusesADatabaseWithoutTheSchema(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	for _, args := range [][]string{{"run"}, {"run", "--once"}, {"migrate", "--check"}, {"status"}} {
		out, errs, status := runProgram(t, quick(db.address), nil, args...)
		if status != 1 || !strings.Contains(errs, "this database has no webhook schema; run: webhooks migrate") {
			t.Errorf("%v: exit status %d: %s %s", args, status, out, errs)
		}
	}
	if out, errs, status := runProgram(t, quick(db.address), nil, "run", "--migrate", "--once"); status != 0 {
		t.Errorf("run --migrate: exit status %d: %s %s", status, out, errs)
	}
	db.document("42")
}

func TestMigrate_AnOlderDatabaseIsNamedByItsVersion(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	_, version := shipped(t)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	with(t, "CheckSchema", fmt.Sprint(store.CheckSchema(t.Context(), pool, released(t, note(t)))), fmt.Sprintf("schema: this database has version %d and this binary needs %d; run: webhooks migrate", version, version+1))
}

func TestMigrate_PrintsTheSchemaThatTheTestsRead(t *testing.T) {
	t.Parallel()
	schema, _ := shipped(t)
	if out, errs, status := runProgram(t, nil, nil, "migrate", "--print"); out != schema.Full || status != 0 {
		t.Errorf("exit status %d, %d bytes, %s", status, len(out), errs)
	}
}
