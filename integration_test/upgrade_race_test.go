package integration_test

import (
	"errors"
	"testing"

	"github.com/recordengine/webhooks/store"
)

// A newer binary migrates while an older one waits for its turn: what the older one then finds may need a
// newer worker.
func TestMigrate_ANewerMigrationThatWasFirstIsChecked(t *testing.T) {
	t.Parallel()
	_, version := shipped(t)
	db := atVersion(t, version, "https://re.example")
	older, newer := released(t, note(t)), released(t, note(t), release{upgrade: "select 1;\n", minWorker: version + 2})
	db.upgrade(older)
	db.exec(`delete from webhook.schema_versions where version > $1`, version)
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`select pg_advisory_xact_lock(hashtext('webhook.schema'))`)

	ended := make(chan error, 1)
	go func() {
		_, err := db.tryUpgrade(older)
		ended <- err
	}()
	db.waitsForLock()
	tx.MustExec(`insert into webhook.schema_versions (version, min_worker) values ($1, 1), ($2, $2)`, version+1, version+2)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, store.ErrSchema) {
		t.Errorf("the older binary: %v", err)
	}
	if err := store.CheckSchema(t.Context(), db.DB, newer); err != nil {
		t.Errorf("the newer binary: %v", err)
	}
}
