package cli

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/store"
)

// The roles of webhooks migrate --roles that commands need.
const (
	readerRole = "webhook_reader"
	adminRole  = "webhook_admin"
)

// withGrant adds to "permission denied" who lacks the privilege, and the remedy.
func withGrant(ctx context.Context, db *sqlx.DB, f *flags, err error) error {
	needs := f.role
	if !store.Denied(err) {
		return err
	}
	var role struct {
		Name   string
		Member bool
	}
	unread := db.GetContext(ctx, &role, `
		-- $1 the role that is needed
		select current_user as name, exists (select from pg_roles r where r.rolname = $1 and pg_has_role(r.oid, 'member')) as member`, needs)
	name := store.QuoteIdentifier(role.Name)
	if pe := pq.As(err); pe != nil {
		err = fmt.Errorf("%s: %s", f.name, pe.Message)
	}
	switch {
	case unread != nil:
		return err
	case role.Member:
		return fmt.Errorf("the role %s lacks a privilege: %w; it is a member of %s: run webhooks migrate --roles, and alter role %s inherit", role.Name, err, needs, name)
	}
	return fmt.Errorf("the role %s lacks a privilege: %w; run: grant %s to %s (webhooks migrate --roles makes that role)", role.Name, err, needs, name)
}
