package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/store"
)

// withDatabase parses a command of some arguments, opens the database, sees
// that it has the schema, and runs the rest of the command.
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

// runShow is `webhooks show ID`: webhook.explain for a terminal.
func runShow(ctx, _ context.Context, p Process, args []string) error {
	f := newFlags(p, "show", "ID")
	return withDatabase(ctx, p, f, args, 1, func(db *sqlx.DB) error {
		id, err := strconv.ParseInt(f.rest[0], 10, 64)
		if err != nil {
			return usagef("show: %q is no event id, such as 1001", f.rest[0])
		}
		var known bool
		if err := db.GetContext(ctx, &known, `select exists (select from webhook.outbox where id = $1)`, id); err != nil {
			return fmt.Errorf("show: %w", err)
		}
		if err := printText(ctx, p, db, `select webhook.explain($1)`, id); err != nil || known {
			return err
		}
		return fmt.Errorf("show: event %d is not in webhook.outbox", id)
	})
}

// runSendTest is `webhooks send-test CHANNEL`.
func runSendTest(ctx, _ context.Context, p Process, args []string) error {
	f := newFlags(p, "send-test", "CHANNEL")
	return withDatabase(ctx, p, f, args, 1, func(db *sqlx.DB) error {
		var id int64
		if err := db.GetContext(ctx, &id, `select webhook.send_test($1)`, f.rest[0]); err != nil {
			return fmt.Errorf("send-test: %w", err)
		}
		_, err := fmt.Fprintf(p.Stdout, "queued test event %d; see what became of it: webhooks show %d\n", id, id)
		return err
	})
}

func printText(ctx context.Context, p Process, db *sqlx.DB, query string, args ...any) error {
	var text string
	if err := db.GetContext(ctx, &text, query, args...); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.Stdout, text)
	return err
}
