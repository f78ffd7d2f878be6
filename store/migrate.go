package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// ErrSchema says that the database does not have the schema of this binary.
var ErrSchema = errors.New("schema")

// lockTries is how often a step that met a lock is repeated, a second apart.
const lockTries = 60

var versionLine = regexp.MustCompile(`(?m)^-- .*Schema version (\d+)\.$`)

// SchemaVersion is the version of a schema.sql, from its first line.
func SchemaVersion(schema string) (int, error) {
	m := versionLine.FindStringSubmatch(schema)
	if m == nil {
		return 0, fmt.Errorf("%w: schema.sql does not say its version in its first line", ErrSchema)
	}
	return strconv.Atoi(m[1])
}

// CheckSchema returns nil if the database has exactly this schema, and an error
// that says what to do (ErrSchema) if not.
func CheckSchema(ctx context.Context, db *sqlx.DB, schema string) error {
	want, err := SchemaVersion(schema)
	if err != nil {
		return err
	}
	have, err := stamp(ctx, db)
	switch {
	case err != nil:
		return err
	case have == 0:
		return fmt.Errorf("%w: this database has no (complete) webhook schema; run: webhooks migrate", ErrSchema)
	case have < want:
		return fmt.Errorf("%w: this database has version %d and this binary needs %d; run: webhooks migrate", ErrSchema, have, want)
	case have > want:
		return newer(have, want)
	}
	return nil
}

// Migrate applies schema.sql step by step. An up-to-date database is only read;
// a newer one is refused. It reports whether anything was applied.
func Migrate(ctx context.Context, db *sqlx.DB, schema string) (applied bool, err error) {
	want, err := SchemaVersion(schema)
	if err != nil {
		return false, err
	}
	have, err := stamp(ctx, db)
	switch {
	case err != nil:
		return false, err
	case have == want:
		return false, nil
	case have > want:
		return false, newer(have, want)
	}
	for i, step := range steps(schema) {
		if err := applyStep(ctx, db, step); err != nil {
			return false, fmt.Errorf("schema.sql, step %d: %w", i, err)
		}
	}
	return true, nil
}

func newer(have, want int) error {
	return fmt.Errorf("%w: this database has version %d, newer than the %d this binary knows; use the newer binary", ErrSchema, have, want)
}

// stamp reads the version of the database; 0 where there is none.
func stamp(ctx context.Context, db *sqlx.DB) (version int, err error) {
	var exists bool
	if err := db.GetContext(ctx, &exists, `select to_regprocedure('webhook.schema_version()') is not null`); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	if !exists {
		return 0, nil
	}
	if err := db.GetContext(ctx, &version, `select webhook.schema_version()`); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

// steps cuts schema.sql where a line "-- Step N: …" begins. Each step is one statement.
func steps(schema string) []string {
	return strings.Split(schema, "\n-- Step ")[1:]
}

// applyStep runs a step in a transaction of its own, again and again while it
// meets a lock. Each waits two seconds at most, so that the application's
// transactions never queue behind it for longer.
func applyStep(ctx context.Context, db *sqlx.DB, step string) error {
	for try := 1; ; try++ {
		err := runStep(ctx, db, "-- Step "+step)
		if code(err) != "55P03" || try == lockTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func runStep(ctx context.Context, db *sqlx.DB, step string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Another migrate is waited for, without a limit until the step sets its own.
	// The wait is a statement of its own: one that began before the wait would not
	// see what the other has made.
	if _, err := tx.ExecContext(ctx, `set local statement_timeout = 0; set local lock_timeout = 0;
		select pg_advisory_xact_lock(hashtext('webhook.schema'))`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, step); err != nil {
		return err
	}
	return tx.Commit()
}
