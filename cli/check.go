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
	d.all(stop, p, cfg)
	if d.failed {
		return errAttention
	}
	return nil
}

// all checks what the role of this command is for: a worker, an administrator or an owner sees all, a
// reader what it may read.
func (d *doctor) all(ctx context.Context, p Process, cfg *workerConfig) {
	if !d.database(ctx) {
		return
	}
	role := d.privileges(ctx)
	if role.Exists && !role.Reads || !d.schema(ctx, p) {
		return
	}
	if role.Absent != "" {
		d.bad("%v", absent(role))
		return
	}
	if role.SeesURLs {
		d.channels(ctx, newSender(cfg))
	} else {
		d.readableChannels(ctx)
	}
	d.workers(ctx, cfg, role.Missing == "")
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
func (d *doctor) database(ctx context.Context) bool {
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
	return true
}

// schema reports whether the database has the schema of this binary.
func (d *doctor) schema(ctx context.Context, p Process) bool {
	notice, err := store.CompareSchema(ctx, d.db, p.Schema)
	if err != nil {
		d.bad("%v", err)
		return false
	}
	d.ok("schema: %s", cmp.Or(notice, "up to date"))
	return true
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
