package cli

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// database is the DSN, which every command that needs one must have.
func (f *flags) database() *string {
	return f.FlagSet.String("database-url", "", "PostgreSQL, as a lib/pq URL or DSN (DATABASE_URL; better there or in DATABASE_URL_FILE, since others can see flags)")
}

// open prepares the database of the flag, or of the environment.
func (f *flags) open(flagValue string) (*sqlx.DB, error) {
	dsn := flagValue
	if dsn == "" {
		dsn = f.secret("DATABASE_URL")
	}
	if err := errors.Join(f.errs...); err != nil {
		return nil, usageError{err.Error()}
	}
	if dsn == "" {
		return nil, usagef("%s: DATABASE_URL is not set; for example DATABASE_URL=postgres://user:password@localhost/recordengine?sslmode=disable", f.Name())
	}
	db, err := store.Open(dsn)
	if err != nil {
		return nil, usagef("DATABASE_URL: %v", err)
	}
	return db, nil
}

// withDatabase parses a command of some arguments, opens the database, checks its
// schema, and runs the rest of the command.
func withDatabase(ctx context.Context, p Process, f *flags, args []string, arguments int, do func(*sqlx.DB) error) error {
	database := f.database()
	if err := f.parse(args, arguments); err != nil {
		return err
	}
	db, err := f.open(*database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := store.CheckSchema(ctx, db, p.Schema); err != nil {
		return err
	}
	return do(db)
}

// waitForDatabase repeats try until it succeeds, ctx ends, or an error shows that
// waiting cannot help: a wrong password or database name, another schema.
func waitForDatabase(ctx context.Context, log *zap.Logger, try func() error) error {
	for failures := 0; ; failures++ {
		err := try()
		if err == nil || !store.Transient(err) || ctx.Err() != nil {
			return err
		}
		if failures == 0 {
			log.Warn("database unavailable at startup, retrying", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(outbox.Backoff(failures)):
		}
	}
}

// ensureSchema applies the schema, or only checks that the database has it.
func ensureSchema(ctx context.Context, p Process, db *sqlx.DB, migrate bool) error {
	if migrate {
		_, err := store.Migrate(ctx, db, p.Schema)
		return err
	}
	return store.CheckSchema(ctx, db, p.Schema)
}
