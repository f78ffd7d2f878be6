package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jmoiron/sqlx"
)

// runShow is `webhooks show ID`: webhook.explain for a terminal.
func runShow(_, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "show", "ID")
	return withDatabase(stop, p, f, args, 1, func(db *sqlx.DB) error {
		id, err := strconv.ParseInt(f.rest[0], 10, 64)
		if err != nil {
			return usagef("show: %q is no event id, such as 1001", f.rest[0])
		}
		var known bool
		if err := db.GetContext(stop, &known, `select exists (select from webhook.outbox where id = $1)`, id); err != nil {
			return fmt.Errorf("show: %w", err)
		}
		if err := printText(stop, p, db, `select webhook.explain($1)`, id); err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("show: event %d is not in webhook.outbox", id)
		}
		return printText(stop, p, db, `select 'webhook-id: ' || webhook.webhook_id(o) from webhook.outbox o where id = $1`, id)
	})
}

// runSendTest is `webhooks send-test CHANNEL`.
func runSendTest(_, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "send-test", "CHANNEL")
	return withDatabase(stop, p, f, args, 1, func(db *sqlx.DB) error {
		var id int64
		if err := db.GetContext(stop, &id, `select webhook.send_test($1)`, f.rest[0]); err != nil {
			return fmt.Errorf("send-test: %w", err)
		}
		_, err := fmt.Fprintf(p.Stdout, "queued test event %d; to see its outcome: webhooks show %d\n", id, id)
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
