package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// channelStatus is a row of webhook.status.
type channelStatus struct {
	Channel       string
	Enabled       bool
	OfflineMode   bool `db:"offline_mode"`
	Host          *string
	Problem       *string
	Pending       int64
	OldestPending *time.Time `db:"oldest_pending"`
	InFlight      int64      `db:"in_flight"`
	LastSuccess   *time.Time `db:"last_success"`
	LastError     *string    `db:"last_error"`
	LastErrorAt   *time.Time `db:"last_error_at"`
}

// runStatus is `webhooks status`: the view webhook.status for a terminal.
func runStatus(_, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "status", "")
	return withDatabase(stop, p, f, args, 0, func(db *sqlx.DB) error { return printStatus(stop, db, p.Stdout) })
}

func printStatus(ctx context.Context, db *sqlx.DB, w io.Writer) error {
	var rows []channelStatus
	if err := db.SelectContext(ctx, &rows, `
		select channel, enabled, offline_mode, host, problem, pending, oldest_pending, in_flight, last_success, last_error, last_error_at
		  from webhook.status`); err != nil {
		return fmt.Errorf("read webhook.status: %w", err)
	}
	if len(rows) > 0 && rows[0].OfflineMode {
		fmt.Fprintln(w, "Offline Mode is on: nothing is delivered.")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHANNEL\tON\tHOST\tPENDING\tOLDEST\tIN FLIGHT\tLAST SUCCESS\tLAST ERROR")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%d\t%s\t%s\n", r.Channel, onOff(r.Enabled), text(r.Host),
			r.Pending, when(r.OldestPending), r.InFlight, when(r.LastSuccess), text(r.LastError))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Problem != nil {
			fmt.Fprintf(w, "! %s waits: %s\n", r.Channel, *r.Problem)
		}
	}
	return printWorkers(ctx, db, w)
}

// printWorkers prints how many workers there are, and what is wrong with them.
func printWorkers(ctx context.Context, db *sqlx.DB, w io.Writer) error {
	var state struct {
		Workers  int
		Problems pq.StringArray
	}
	err := db.GetContext(ctx, &state, `
		select (select max(workers) from webhook.status) as workers,
		       array(select problem from webhook.problems where kind = 'worker') as problems`)
	if err != nil {
		return fmt.Errorf("read webhook.problems: %w", err)
	}
	for _, problem := range state.Problems {
		fmt.Fprintf(w, "! %s\n", problem)
	}
	_, err = fmt.Fprintf(w, "Workers running: %d\n", state.Workers)
	return err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
