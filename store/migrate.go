package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// A transaction of a migration waits two seconds at most for each lock, so that the
// application's transactions never queue behind it for longer, and is repeated a
// second later.
const (
	migrateTries = 60
	migratePause = time.Second
)

// beginMigration is the first message of each transaction. The lock is awaited
// before anything is read, since a statement does not see what was committed
// while it waited. A file is one message without a statement_timeout: what limits
// it is limits.network of its connection.
const beginMigration = `
	set local search_path = pg_catalog, pg_temp;
	set local standard_conforming_strings = on;
	set local statement_timeout = 0;
	set local lock_timeout = '2s';
	select pg_advisory_xact_lock(hashtext('webhook.schema'))`

// Migrate brings the database to the schema of this binary: a new one by
// schema.sql, an older one by each upgrade that it lacks, each file in a
// transaction of its own. It returns the files that were applied; with an error,
// those before it. A database that lacks nothing is only read.
func Migrate(ctx context.Context, db *sqlx.DB, schema Schema) (applied []string, err error) {
	upgrades, err := schema.upgrades()
	if err != nil {
		return nil, err
	}
	have, err := readVersions(ctx, db)
	if err != nil {
		return nil, err
	}
	for have.newest() <= len(upgrades) { // the newest version is one more than there are files
		file, err := repeatLocked(ctx, func() (string, error) { return applyNext(ctx, db, schema.Full, upgrades) })
		if err != nil {
			return applied, err
		}
		if file != "" { // else another migration was first, perhaps that of a newer binary
			applied = append(applied, file)
		}
		if have, err = readVersions(ctx, db); err != nil {
			return applied, err
		}
	}
	return applied, have.check(upgrades)
}

// repeatLocked repeats a transaction that met a lock.
func repeatLocked(ctx context.Context, apply func() (string, error)) (file string, err error) {
	for try := 1; ; try++ {
		file, err = apply()
		if !lockMissed(err) || try == migrateTries {
			return file, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(migratePause):
		}
	}
}

// applyNext applies the next file that the database lacks and returns its name;
// "" if there is none.
func applyNext(ctx context.Context, db *sqlx.DB, full string, upgrades []upgrade) (file string, err error) {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return "", fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, beginMigration); err != nil {
		return "", fmt.Errorf("wait for another migration: %w", err)
	}
	have, err := readVersions(ctx, tx)
	if err != nil {
		return "", err
	}
	switch newest := have.newest(); {
	case newest == 0:
		file, err = "schema.sql", create(ctx, tx, full, upgrades)
	case newest <= len(upgrades):
		if err := have.check(upgrades); err != nil {
			return "", err
		}
		next := upgrades[newest-1]
		file, err = next.file, next.apply(ctx, tx)
	default:
		return "", nil
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return file, nil
}

// endOfGuard ends the statement of schema.sql that refuses unsuitable databases.
const endOfGuard = "\n$guard$;\n"

// create makes the schema of a new database. The guard goes first, in a message
// of its own: the rest can be neither parsed by an old server nor converted to
// another encoding. The versions get the checksums of the files that schema.sql
// stands for.
func create(ctx context.Context, tx *sqlx.Tx, full string, upgrades []upgrade) error {
	guard, rest, _ := strings.Cut(full, endOfGuard)
	if _, err := tx.ExecContext(ctx, guard+endOfGuard); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, rest); err != nil {
		return err
	}
	for _, u := range upgrades {
		if _, err := tx.ExecContext(ctx, `update webhook.schema_versions set checksum = $2 where version = $1`, u.version, u.checksum); err != nil {
			return err
		}
	}
	return nil
}

// apply runs an upgrade and records it.
func (u upgrade) apply(ctx context.Context, tx *sqlx.Tx) error {
	if _, err := tx.ExecContext(ctx, u.text); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `insert into webhook.schema_versions (version, min_worker, checksum) values ($1, $2, $3)`, u.version, u.minWorker, u.checksum)
	return err
}
