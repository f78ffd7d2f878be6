package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/recordengine/webhooks/store"
)

// migrateCommand is `webhooks migrate`.
var migrateCommand = command{
	name: "migrate", group: groupRun,
	about: "apply the schema, show it, or say whether it is applied",
	text:  "It is safe on a live system, and changes nothing where the schema is up to date.",
	exits: "1 when it failed, or with --check when the schema is not applied",
	examples: []string{
		"apply the schema, with roles for others: webhooks migrate --roles",
		"read it first: webhooks migrate --print | less",
	},
	flags: migrateFlags,
}

func migrateFlags(f *flags) action {
	p := f.p
	database := f.database()
	show := f.Bool("print", false, "show schema.sql instead")
	check := f.Bool("check", false, "only say whether it is applied: exit status 0 if so, else 1")
	roles := f.Bool("roles", false, "also create the roles webhook_producer, webhook_reader, webhook_worker and webhook_admin with their privileges")
	return func(ctx, _ context.Context, _ []string) error {
		if *show {
			_, err := fmt.Fprint(p.Stdout, p.Schema.Full)
			return err
		}
		db, err := f.open(*database)
		if err != nil {
			return err
		}
		defer db.Close()
		if *check {
			return checkSchema(ctx, p, db)
		}
		if err := applySchema(ctx, p, db); err != nil || !*roles {
			return err
		}
		return createRoles(ctx, p, db)
	}
}

func checkSchema(ctx context.Context, p Process, db *sqlx.DB) error {
	notice, err := store.CompareSchema(ctx, db, p.Schema)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout, cmp.Or(notice, "the schema is up to date"))
	return err
}

func applySchema(ctx context.Context, p Process, db *sqlx.DB) error {
	applied, err := store.Migrate(ctx, db, p.Schema)
	for _, file := range applied {
		fmt.Fprintln(p.Stdout, file+" is applied")
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(applied) > 0 {
		_, err = fmt.Fprintln(p.Stdout, "next: webhooks set CHANNEL --url https://… --enabled, then webhooks run; to see how it is: webhooks status")
		return err
	}
	notice, err := store.CompareSchema(ctx, db, p.Schema)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout, "nothing to do: "+cmp.Or(notice, "the schema is up to date"))
	return err
}

// createRoles grants what it can. If this database's user lacks the privilege, it
// prints the statements for a user who has it.
func createRoles(ctx context.Context, p Process, db *sqlx.DB) error {
	err := grantRoles(ctx, db)
	if err == nil {
		_, err = fmt.Fprintln(p.Stdout, "the roles webhook_producer, webhook_reader, webhook_worker and webhook_admin have their privileges; grant them to your own, for example: grant webhook_producer to app")
		return err
	}
	if pq.As(err, pqerror.InsufficientPrivilege) == nil {
		return fmt.Errorf("create the roles: %w", err)
	}
	var statements []string
	if err := db.SelectContext(ctx, &statements, `select webhook.create_roles(only_print => true)`); err != nil {
		return fmt.Errorf("create the roles: %w", err)
	}
	for _, s := range statements {
		fmt.Fprintln(p.Stdout, s+";")
	}
	return fmt.Errorf("create the roles: %w; run the statements above as a user with CREATEROLE", err)
}

// grantRoles waits for another migration longer than a session's lock_timeout.
func grantRoles(ctx context.Context, db *sqlx.DB) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `set local lock_timeout = '10s'; select webhook.create_roles()`); err != nil {
		return err
	}
	return tx.Commit()
}
