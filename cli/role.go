package cli

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/store"
)

// workerRole is the database role of this worker. An error names what it lacks.
func workerRole(ctx context.Context, db *sqlx.DB, log *zap.Logger) (string, error) {
	var p store.Privileges
	err := waitForDatabase(ctx, log, func() (err error) {
		p, err = store.ReadPrivileges(ctx, db)
		return err
	})
	if err == nil {
		err = lacking(p)
	}
	return p.Role, err
}

// lacking is the error of a role that cannot run the worker.
func lacking(p store.Privileges) error {
	switch {
	case p.Absent != "":
		return absent(p)
	case p.Missing != "":
		return fmt.Errorf("the role %s cannot run the worker, it lacks: %s; %s", p.Role, p.Missing, grantWorker(p))
	}
	return nil
}

// absent says that tables were dropped. The version of the schema is right, so nothing would
// create them again.
func absent(p store.Privileges) error {
	return fmt.Errorf("schema: %s was dropped; restore it from a backup, or create it as in webhooks migrate --print, then webhooks migrate --roles", p.Absent)
}

// withRole adds the role and the remedy to "permission denied".
func withRole(ctx context.Context, db *sqlx.DB, err error) error {
	p, unread := store.ReadPrivileges(ctx, db)
	if unread != nil || !store.Denied(err) {
		return err
	}
	if p.Member {
		return fmt.Errorf("the role %s: %w; %s", p.Role, err, grantWorker(p))
	}
	return store.WithGrant(p.Role, err)
}

// grantWorker is the remedy. A member of webhook_worker lacks something where that role was not granted
// what a newer schema has, or where the membership does not inherit.
func grantWorker(p store.Privileges) string {
	if p.Member {
		return "it is a member of webhook_worker: run webhooks migrate --roles, and alter role " + store.QuoteIdentifier(p.Role) + " inherit"
	}
	return "run: grant webhook_worker to " + store.QuoteIdentifier(p.Role) + " (webhooks migrate --roles makes that role)"
}
