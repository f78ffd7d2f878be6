package cli

import (
	"context"

	"github.com/recordengine/webhooks/store"
)

// privileges judges a role by what it is for, as its own privileges show: a role that publishes, reads
// or administers is no worker and needs none of the worker's privileges.
func (d *doctor) privileges(ctx context.Context) store.Privileges {
	p, err := store.ReadPrivileges(ctx, d.db)
	switch {
	case err != nil:
		d.bad("privileges", "%v", err)
	case !p.Exists: // schema says so
	case p.Missing == "" && !p.Probes:
		d.warn("privileges", "the role %s can be the worker; it polls more often, since it may not read the newest id: run webhooks migrate --roles, or grant select on sequence webhook.outbox_id_seq to webhook_worker", p.Role)
	case p.Missing == "":
		d.ok("privileges", "the role %s can be the worker", p.Role)
	case p.Works || p.Member:
		d.bad("privileges", "the role %s cannot run the worker, it lacks: %s; %s", p.Role, p.Missing, grantWorker(p))
	case p.Admin:
		d.ok("privileges", "the role %s can administer; the worker runs as another role", p.Role)
	case p.Reads:
		d.ok("privileges", "the role %s can read; the worker runs as another role", p.Role)
	case p.Writes:
		d.ok("privileges", "the role %s can publish, and may read nothing that is checked here", p.Role)
	case p.Begins:
		d.bad("privileges", "the role %s cannot publish: webhook.publish inserts with its caller's rights, and it lacks some of them; run: grant webhook_producer to %s",
			p.Role, store.QuoteIdentifier(p.Role))
	default:
		d.bad("privileges", "the role %s may do nothing in the schema webhook; run: grant webhook_producer (to publish), webhook_reader, webhook_admin or webhook_worker to %s",
			p.Role, store.QuoteIdentifier(p.Role))
	}
	return p
}
