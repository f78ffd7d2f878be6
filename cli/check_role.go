package cli

import (
	"context"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/store"
)

// privileges judges a role by what it is for, as its own privileges show: a role that publishes, reads
// or administers is no worker and needs none of the worker's privileges.
func (d *doctor) privileges(ctx context.Context) store.Privileges {
	p, err := store.ReadPrivileges(ctx, d.db)
	switch {
	case err != nil:
		d.bad("privileges: %v", err)
	case !p.Exists: // schema says so
	case p.Missing == "":
		d.ok("privileges: the role %s can be the worker", p.Role)
	case p.Works || p.Member:
		d.bad("privileges: the role %s cannot run the worker, it lacks: %s; %s", p.Role, p.Missing, grantWorker(p))
	case p.Admin:
		d.ok("privileges: the role %s can administer; the worker runs as another role", p.Role)
	case p.Reads:
		d.ok("privileges: the role %s can read; the worker runs as another role", p.Role)
	case p.Writes:
		d.ok("privileges: the role %s can publish, and may read nothing that is checked here", p.Role)
	default:
		d.bad("privileges: the role %s may do nothing in the schema webhook; run: grant webhook_producer (to publish), webhook_reader, webhook_admin or webhook_worker to %s",
			p.Role, store.QuoteIdentifier(p.Role))
	}
	return p
}

// readableChannels are the channels for a role that sees no URL.
func (d *doctor) readableChannels(ctx context.Context) {
	var rows []struct {
		Channel string
		Enabled bool
		Problem *string
	}
	if err := d.db.SelectContext(ctx, &rows, `select channel, enabled, problem from webhook.status`); err != nil {
		d.bad("channels: %v", err)
		return
	}
	for _, r := range rows {
		switch {
		case r.Problem != nil:
			d.bad("%s: on, but cannot be called: %s", r.Channel, *r.Problem)
		case r.Enabled:
			d.ok("%s: on; its endpoint is not tried, this role may not read its URL", r.Channel)
		default:
			d.ok("%s: off", r.Channel)
		}
	}
}

// workers are those that run on this database, and the one that would run with these settings.
func (d *doctor) workers(ctx context.Context, cfg *workerConfig, would bool) {
	var state struct {
		Workers     int
		Problems    pq.StringArray
		Environment *string
	}
	err := d.db.GetContext(ctx, &state, `
		select (select max(workers) from webhook.status) as workers,
		       array(select problem from webhook.problems where kind = 'worker') as problems,
		       (select environment from webhook.settings) as environment`)
	if err != nil {
		d.bad("workers: %v", err)
		return
	}
	for _, problem := range state.Problems {
		d.bad("workers: %s", problem)
	}
	switch {
	case state.Workers > 0:
		d.ok("workers: %d running", state.Workers)
	case len(state.Problems) == 0:
		d.warn("workers: none is running")
	}
	if would && text(state.Environment) != text(cfg.environment) {
		d.bad("environment: WEBHOOK_ENVIRONMENT is %s here, webhook.settings.environment is %s: a worker with these settings delivers nothing",
			text(cfg.environment), text(state.Environment))
	}
}
