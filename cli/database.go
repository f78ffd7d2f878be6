package cli

import (
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
	f.fromEnv("WEBHOOK_DATABASES_FILE", func(path string) error { f.list = path; return nil })
	f.setting("databases-file", "file", "a list of databases, a name and a URL on each line (WEBHOOK_DATABASES_FILE)", func(path string) error { f.list = path; return nil })
	f.StringVar(&f.instance, "instance", "", "the `name` of one of them")
	return f.String("database-url", "", "PostgreSQL, as a `URL` or key=value pairs (DATABASE_URL; better there or in DATABASE_URL_FILE, since others can see flags)")
}

// open prepares the database of the flag, or of the environment.
func (f *flags) open(flagValue string) (*sqlx.DB, error) {
	return f.openFor(store.DefaultLease, flagValue)
}

// openFor is open for a worker with that lease.
func (f *flags) openFor(lease time.Duration, flagValue string) (*sqlx.DB, error) {
	return f.openSource(lease, f.databaseOf(flagValue))
}

// dsnSource is where a DSN stands: in a setting, or in the file that the setting's _FILE names, which wins,
// or in the list of databases.
type dsnSource struct {
	name, value, file string
	list, instance    string
}

// databaseOf is the DSN of the flag, or of the environment.
func (f *flags) databaseOf(flagValue string) dsnSource {
	if flagValue != "" {
		return dsnSource{name: "DATABASE_URL", value: flagValue}
	}
	return dsnSource{name: "DATABASE_URL", value: f.env("DATABASE_URL"), file: f.env("DATABASE_URL_FILE"), list: f.list, instance: f.instance}
}

func (f *flags) openSource(lease time.Duration, s dsnSource) (*sqlx.DB, error) {
	if err := f.checkSource(s); err != nil {
		return nil, err
	}
	read := func() (string, error) { return s.value, nil }
	switch {
	case s.list != "":
		read = func() (string, error) { return urlOf(s.list, s.instance) }
	case s.file != "":
		read = fileOf(s.name+"_FILE", s.file)
	}
	switch dsn, err := read(); {
	case err != nil:
		return nil, usageError{err.Error()}
	case dsn == "" && s.file != "":
		return nil, usagef("%s_FILE: %s is empty", s.name, s.file)
	case dsn == "":
		return nil, usagef("%s: DATABASE_URL is not set; for example DATABASE_URL=postgres://user:password@localhost/recordengine?sslmode=disable", f.name)
	}
	db, err := store.OpenFor(lease, read)
	if err != nil {
		return nil, usagef("%s: %v", s.name, err)
	}
	return db, nil
}

// withDatabase opens the database, checks its schema, and does the rest of the command.
func withDatabase(ctx context.Context, f *flags, database string, do func(*sqlx.DB) error) error {
	db, err := f.open(database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := store.CheckSchema(ctx, db, f.p.Schema); err != nil {
		return withGrant(ctx, db, f, err)
	}
	return withGrant(ctx, db, f, do(db))
}

// fileOf reads the file that a setting names, each time anew.
func fileOf(setting, path string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile(path)
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
