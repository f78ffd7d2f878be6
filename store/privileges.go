package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// withGrant adds to "permission denied" the role, which PostgreSQL does not name, and the remedy.
func (s *Store) withGrant(err error) error { return WithGrant(s.self.Role, err) }

// WithGrant is withGrant for a role.
func WithGrant(role string, err error) error {
	if !Denied(err) || role == "" {
		return err
	}
	return fmt.Errorf("the role %s lacks a privilege: %w; grant webhook_worker to %s", role, err, QuoteIdentifier(role))
}

// Denied reports "permission denied".
func Denied(err error) bool { return code(err) == "42501" }

// Privileges are what a role may do in the schema webhook.
type Privileges struct {
	Exists   bool   // there is such a schema; else the rest is without meaning
	Role     string // the current user
	Missing  string // what it lacks of what a worker needs, with ", " between; "" if nothing
	Absent   string // the tables that a worker needs and that do not exist, likewise
	Member   bool   // of webhook_worker
	Works    bool   // it is meant to be the worker: it has one of the worker's own privileges
	Admin    bool
	Reads    bool
	Writes   bool // it publishes
	Begins   bool // it has a privilege of those that publishing needs
	SeesURLs bool `db:"sees_urls"` // and the token
	Probes   bool // it may read the newest id, see Store.Newest
}

// ReadPrivileges reads those of the current user. The look-ups are by oid: by name they fail where the
// role may not use the schema.
func ReadPrivileges(ctx context.Context, db *sqlx.DB) (p Privileges, err error) {
	err = db.GetContext(ctx, &p, `
		with relation as (
		  select c.relname as name, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'webhook'
		), needed (name, privilege, own) as (
		  values ('outbox', 'select', false), ('attempts', 'select', false), ('attempts', 'insert', true),
		         ('attempts', 'update', true), ('attempts', 'delete', true), ('workers', 'select', false), ('workers', 'insert', true),
		         ('workers', 'update', true), ('workers', 'delete', true), ('maintenance', 'select', false), ('maintenance', 'update', true),
		         ('schema_versions', 'select', false), ('channels', 'select', false), ('settings', 'select', false), ('secrets', 'select', false), ('pacing', 'select', false),
		         ('endpoints', 'select', false), ('endpoints', 'update', true), ('tally', 'select', false), ('tally', 'insert', true),
		         ('tally', 'update', true), ('tally', 'delete', true),
		         ('alerts', 'select', false), ('alerts', 'insert', false), ('alerts', 'update', false), ('alerts', 'delete', false)
		), granted as (
		  select format('%s on webhook.%s', n.privilege, n.name) as what, n.own, has_table_privilege(r.oid, n.privilege) as held
		    from needed n join relation r using (name)
		   union all
		  select 'update of the outcome on webhook.outbox', true, (
		         select bool_and(has_column_privilege(r.oid, name, 'update'))
		           from unnest(array['status', 'due_at', 'attempts', 'claim_id', 'claimed_by', 'claimed_at', 'leased_until', 'finished_at',
		                             'synced_at', 'http_status', 'failure', 'received', 'error', 'response']) as name)
		    from relation r where r.name = 'outbox'
		   union all
		  select format('update (updated_at) on webhook.%s', r.name), false, has_column_privilege(r.oid, 'updated_at', 'update')
		    from relation r where r.name in ('channels', 'settings')
		   union all
		  select 'update (paused_until) on webhook.pacing', false, has_column_privilege(r.oid, 'paused_until', 'update')
		    from relation r where r.name = 'pacing'
		   union all
		  select format('execute on webhook.%s', p.proname), false, has_function_privilege(p.oid, 'execute')
		    from pg_proc p where p.pronamespace = (select oid from pg_namespace where nspname = 'webhook')
		     and p.proname in ('prune', 'channel_problem', 'worker_problem', 'rate_left', 'take_rate', 'latency_bucket', 'sent_traceparent')
		   union all
		  select 'usage on schema webhook', false, has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'webhook'
		), publishing (own, held) as (
		  select false, has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'webhook'
		   union all
		  select true, has_column_privilege(r.oid, c.name, 'insert')
		    from relation r, unnest(array['event', 'data', 'occurred_at', 'traceparent']) as c (name) where r.name = 'outbox'
		   union all
		  select false, has_column_privilege(r.oid, 'id', 'select') from relation r where r.name = 'outbox'
		   union all
		  select p.proname = 'publish', has_function_privilege(p.oid, 'execute')
		    from pg_proc p where p.pronamespace = (select oid from pg_namespace where nspname = 'webhook')
		     and p.proname in ('publish', 'at_least_once', 'accepted_document_id', 'document_id', 'document_id_beside_bad_escapes', 'state_is_possible')
		)
		select current_user as role, coalesce(string_agg(what, ', ' order by what) filter (where not held), '') as missing,
		       (select coalesce(string_agg(n.name, ', ' order by n.name), '')
		          from (select distinct 'webhook.' || name as name from needed where name not in (select r.name from relation r)) n) as absent,
		       coalesce(bool_or(held and own), false) as works,
		       coalesce((select bool_or(has_function_privilege(p.oid, 'execute')) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
		                  where n.nspname = 'webhook' and p.proname = 'retry'), false) as admin,
		       coalesce((select bool_and(has_table_privilege(oid, 'select')) from relation where name in ('status', 'problems', 'schema_versions')), false)
		         and coalesce((select has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'webhook'), false) as reads,
		       coalesce((select bool_and(has_table_privilege(oid, 'select')) from relation where name in ('channels', 'settings')), false) as sees_urls,
		       coalesce((select has_sequence_privilege(oid, 'select') from relation where name = 'outbox_id_seq'), false) as probes,
		       exists (select from relation where name = 'schema_versions') as exists,
		       exists (select from pg_roles r where r.rolname = 'webhook_worker' and pg_has_role(r.oid, 'member')) as member,
		       coalesce((select bool_and(held) from publishing), false) as writes,
		       coalesce((select bool_or(held) from publishing where own), false) as begins
		  from granted`)
	if err != nil {
		return p, fmt.Errorf("read the privileges: %w", err)
	}
	return p, nil
}

// QuoteIdentifier is a name as SQL has it; a plain one stays as it is.
func QuoteIdentifier(name string) string {
	plain := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == ""
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
