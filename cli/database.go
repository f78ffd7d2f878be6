package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// database is the DSN, which every command that needs one must have.
func (f *flags) database() *string {
	return f.FlagSet.String("database-url", "", "PostgreSQL, as a URL or key=value pairs (DATABASE_URL; better there or in DATABASE_URL_FILE, since others can see flags)")
}

// open prepares the database of the flag, or of the environment.
func (f *flags) open(flagValue string) (*sqlx.DB, error) {
	return f.openFor(store.DefaultLease, flagValue)
}

// openFor is open for a worker with that lease.
func (f *flags) openFor(lease time.Duration, flagValue string) (*sqlx.DB, error) {
	read := func() (string, error) { return cmp.Or(flagValue, f.env("DATABASE_URL")), nil }
	if path := f.env("DATABASE_URL_FILE"); path != "" && flagValue == "" {
		read = fileOf("DATABASE_URL_FILE", path)
	}
	switch dsn, err := read(); {
	case err != nil:
		return nil, usageError{err.Error()}
	case dsn == "" && flagValue == "" && f.env("DATABASE_URL_FILE") != "":
		return nil, usagef("DATABASE_URL_FILE: %s is empty", f.env("DATABASE_URL_FILE"))
	case dsn == "":
		return nil, usagef("%s: DATABASE_URL is not set; for example DATABASE_URL=postgres://user:password@localhost/recordengine?sslmode=disable", f.Name())
	}
	db, err := store.OpenFor(lease, read)
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

// fileOf reads the file that a setting names, each time anew.
func fileOf(setting, path string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return "", fmt.Errorf("%s: %w", setting, err)
		}
		return strings.TrimSpace(string(text)), nil
	}
}

// stillWaitingEvery is how often it is logged that a worker waits for its database.
const stillWaitingEvery = time.Minute

// waitForDatabase repeats try until it succeeds, ctx ends, or an error shows that
// waiting cannot help: a wrong password or database name, another schema.
func waitForDatabase(ctx context.Context, log *zap.Logger, try func() error) error {
	began := time.Now()
	for failures, logged := 0, began; ; failures++ {
		err := try()
		var usage usageError
		if err == nil || errors.As(err, &usage) || !store.Transient(err) || ctx.Err() != nil {
			return err
		}
		switch {
		case failures == 0:
			log.Warn("database unavailable at startup, retrying", zap.Error(err))
		case time.Since(logged) >= stillWaitingEvery:
			logged = time.Now()
			log.Warn("still waiting for the database", zap.Error(err), zap.Time("since", began))
		}
		select {
		case <-ctx.Done():
		case <-time.After(outbox.Backoff(failures + 1)):
		}
	}
}

// ensureSchema applies the schema, or only checks that the database has it. Its connections have the
// limits of a command: a migration may last for longer than the lease of a worker.
func (f *flags) ensureSchema(ctx context.Context, database string, migrate bool, log *zap.Logger) error {
	db, err := f.open(database)
	if err != nil {
		return err
	}
	defer db.Close()
	if migrate {
		_, err = store.Migrate(ctx, db, f.p.Schema)
	} else {
		err = store.CheckSchema(ctx, db, f.p.Schema)
	}
	if err != nil {
		return withRole(ctx, db, err)
	}
	if notice, err := store.CompareSchema(ctx, db, f.p.Schema); err == nil && notice != "" {
		log.Warn("schema newer than this binary", zap.String("notice", notice))
	}
	return nil
}
