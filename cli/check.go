package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// errAttention is the result of a check that found something.
var errAttention = errors.New("check: needs attention, see BAD above")

// runCheck is `webhooks check`: everything that can be known without sending.
func runCheck(_, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "check", "")
	cfg, database := f.worker(), f.database()
	if err := f.parse(args, 0); err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}
	db, err := f.open(*database)
	if err != nil {
		return err
	}
	defer db.Close()
	d := doctor{db: db, w: p.Stdout}
	for _, name := range f.unknownSettings() {
		d.warn("setting %s is unknown", name)
	}
	if d.database(stop, p) {
		d.privileges(stop)
		d.channels(stop, newSender(cfg))
	}
	if d.failed {
		return errAttention
	}
	return nil
}

// doctor prints one line for each thing that it checks.
type doctor struct {
	db     *sqlx.DB
	w      io.Writer
	failed bool
}

func (d *doctor) ok(format string, args ...any) {
	fmt.Fprintf(d.w, "ok    "+format+"\n", args...)
}

func (d *doctor) warn(format string, args ...any) {
	fmt.Fprintf(d.w, "warn  "+format+"\n", args...)
}

func (d *doctor) bad(format string, args ...any) {
	d.failed = true
	fmt.Fprintf(d.w, "BAD   "+format+"\n", args...)
}

// database reports whether the rest can be checked at all.
func (d *doctor) database(ctx context.Context, p Process) bool {
	var about struct {
		Version string
		Number  int
		Commit  string
	}
	err := d.db.GetContext(ctx, &about, `
		select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
		       current_setting('synchronous_commit') as commit`)
	if err != nil {
		d.bad("database: %v", err)
		return false
	}
	if about.Number < 130000 {
		d.bad("database: PostgreSQL %s is too old, 13 is the oldest that is supported", about.Version)
	} else {
		d.ok("database: PostgreSQL %s", about.Version)
	}
	notice, err := store.CompareSchema(ctx, d.db, p.Schema)
	if err != nil {
		d.bad("%v", err)
		return false
	}
	d.ok("schema: %s", cmp.Or(notice, "up to date"))
	return true
}

// privileges are those of the worker; see webhook.create_roles.
func (d *doctor) privileges(ctx context.Context) {
	var missing []string
	err := d.db.SelectContext(ctx, &missing, `
		select what from (values
		  ('select on webhook.outbox', has_table_privilege('webhook.outbox', 'select')),
		  ('update of what a worker records on webhook.outbox', (
		     select bool_and(has_column_privilege('webhook.outbox', name, 'update'))
		       from unnest(array['status', 'due_at', 'attempts', 'claim_id', 'claimed_by', 'claimed_at', 'leased_until', 'finished_at', 'synced_at',
		                         'http_status', 'failure', 'received', 'error', 'response']) as name)),
		  ('select, insert, update, delete on webhook.attempts', has_table_privilege('webhook.attempts', 'select') and has_table_privilege('webhook.attempts', 'insert')
		     and has_table_privilege('webhook.attempts', 'update') and has_table_privilege('webhook.attempts', 'delete')),
		  ('select and update (updated_at) on webhook.channels', has_table_privilege('webhook.channels', 'select') and has_column_privilege('webhook.channels', 'updated_at', 'update')),
		  ('select and update (updated_at) on webhook.settings', has_table_privilege('webhook.settings', 'select') and has_column_privilege('webhook.settings', 'updated_at', 'update')),
		  ('execute on webhook.prune', has_function_privilege('webhook.prune(interval, int)', 'execute'))
		) as needed (what, granted) where not granted`)
	switch {
	case err != nil:
		d.bad("privileges: %v", err)
	case len(missing) == 0:
		d.ok("privileges: this user can be the worker")
	}
	for _, what := range missing {
		d.bad("privileges: missing %s (grant webhook_worker to this user; see webhooks migrate --roles)", what)
	}
}

// channels connects to the endpoints of the channels that are on.
func (d *doctor) channels(ctx context.Context, s *sender.Sender) {
	var rows []struct {
		Name, URL, Token string
		Enabled, Offline bool
		Problem          *string
	}
	err := d.db.SelectContext(ctx, &rows, `
		select c.name, coalesce(c.url, '') as url, case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end as token,
		       c.enabled, s.offline_mode as offline, webhook.channel_problem(c, s) as problem
		  from webhook.channels c cross join webhook.settings s order by c.position`)
	if err != nil {
		d.bad("channels: %v", err)
		return
	}
	for _, r := range rows {
		switch {
		case !r.Enabled:
			d.ok("%s: off", r.Name)
		case r.Problem != nil:
			d.bad("%s: on, but cannot be called: %s", r.Name, *r.Problem)
		default:
			if err := s.Probe(ctx, r.URL, r.Token); err != nil {
				d.bad("%s: %v", r.Name, err)
			} else {
				d.ok("%s: its endpoint can be reached", r.Name)
			}
		}
	}
	if len(rows) > 0 && rows[0].Offline {
		d.warn("Offline Mode is on: nothing is delivered")
	}
}
