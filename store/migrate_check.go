package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/outbox"
)

// ErrSchema says that this binary cannot work with the schema of the database.
var ErrSchema = errors.New("schema")

// CheckSchema returns nil if this binary can work with the schema of the
// database, else an error that says what to do (ErrSchema). It only reads.
func CheckSchema(ctx context.Context, db *sqlx.DB, schema Schema) error {
	_, err := CompareSchema(ctx, db, schema)
	return err
}

// CompareSchema is CheckSchema with a notice for people, which is not empty if
// the database is newer than this binary and compatible with it.
func CompareSchema(ctx context.Context, db *sqlx.DB, schema Schema) (notice string, err error) {
	upgrades, err := schema.upgrades()
	if err != nil {
		return "", err
	}
	have, err := readVersions(ctx, db)
	if err != nil {
		return "", err
	}
	want := 1 + len(upgrades)
	switch newest := have.newest(); {
	case newest == 0:
		return "", fmt.Errorf("%w: %w", ErrSchema, outbox.ErrNoSchema)
	case newest < want:
		return "", fmt.Errorf("%w: this database has version %d and this binary needs %d; run: webhooks migrate", ErrSchema, newest, want)
	case newest > want:
		notice = fmt.Sprintf("this database has schema version %d, newer than the %d of this binary and compatible with it", newest, want)
	}
	return notice, have.check(upgrades)
}

// appliedVersion is a row of webhook.schema_versions.
type appliedVersion struct {
	Version   int
	MinWorker int `db:"min_worker"`
	Checksum  *string
	AppliedAt time.Time `db:"applied_at"`
}

// versions are those of one database, in their order; none for a new one.
type versions []appliedVersion

// readVersions also finds none where a schema of that name is not ours, which
// schema.sql refuses. It reads the catalog's tables: after a wait for a lock
// to_regclass may still answer from the session's cache.
func readVersions(ctx context.Context, q sqlx.QueryerContext) (have versions, err error) {
	var exists bool
	err = sqlx.GetContext(ctx, q, &exists, `
		select exists (select from pg_catalog.pg_attribute a
		                 join pg_catalog.pg_class c on c.oid = a.attrelid
		                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		                where n.nspname = 'webhook' and c.relname = 'schema_versions' and a.attname = 'min_worker')`)
	if err == nil && exists {
		err = sqlx.SelectContext(ctx, q, &have, `select version, min_worker, checksum, applied_at from webhook.schema_versions order by version`)
	}
	var unconnected *ConnectError
	switch {
	case errors.As(err, &unconnected):
		return nil, unconnected
	case err != nil:
		return nil, fmt.Errorf("read the version of the schema: %w", err)
	}
	return have, nil
}

func (have versions) newest() int {
	if len(have) == 0 {
		return 0
	}
	return have[len(have)-1].Version
}

// check returns an error if a file was edited after it was applied, or if the
// database has a version that needs a newer worker.
func (have versions) check(upgrades []upgrade) error {
	binary := 1 + len(upgrades)
	for _, v := range have {
		if v.MinWorker > binary {
			return fmt.Errorf("%w: this database has version %d, which needs a binary of schema version %d or newer, and this one has %d; use a newer binary",
				ErrSchema, v.Version, v.MinWorker, binary)
		}
		if v.Checksum == nil || v.Version < 2 || v.Version > binary {
			continue
		}
		if u := upgrades[v.Version-2]; u.checksum != *v.Checksum {
			return fmt.Errorf("%w: %s was edited after it was applied to this database at %s; restore it, and put the change into a new file",
				ErrSchema, u.file, v.AppliedAt.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
