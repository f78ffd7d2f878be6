package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/recordengine/webhooks/store"
)

// database reports whether the rest can be checked at all.
func (d *doctor) database(ctx context.Context) bool {
	var about struct {
		Version  string
		Number   int
		Standby  bool
		Encoding string
	}
	err := d.db.GetContext(ctx, &about, `
		select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
		       pg_is_in_recovery() as standby, current_setting('server_encoding') as encoding`)
	switch {
	case err != nil:
		d.unreachable(err)
		return false
	case about.Number < 130000:
		d.bad("database", "PostgreSQL %s is too old, 13 is the oldest that is supported", about.Version)
		return false
	case about.Encoding != "UTF8":
		d.bad("database", "its encoding is %s, UTF8 is needed", about.Encoding)
		d.fix("make another database: create database … encoding 'UTF8' template template0")
		return false
	case about.Standby:
		d.bad("database", "PostgreSQL %s is a standby, which accepts no writes", about.Version)
		d.fix("name the primary in DATABASE_URL, or all hosts with target_session_attrs=read-write")
	default:
		d.ok("database", "PostgreSQL %s", about.Version)
	}
	return true
}

// unreachable says why the database does not answer, and what to do about it.
func (d *doctor) unreachable(err error) {
	connect := &store.ConnectError{Err: err}
	if errors.As(err, &connect) {
		err = fmt.Errorf("%s: %w", visible(connect.Database), connect)
	}
	d.bad("database", "%v", err)
	if hint := connect.Hint(); hint != "" {
		d.fix("%s", hint)
	}
}

// longTransaction is from when on an open transaction is named: as long as it lasts, vacuum removes no version of a
// row that it could still see.
const longTransaction = 10 * time.Minute

// server is what slows deliveries down without a fault of theirs.
func (d *doctor) server(ctx context.Context, role string) {
	d.transactions(ctx, role)
	d.slots(ctx)
	d.vacuum(ctx)
	d.triggers(ctx)
}

func (d *doctor) transactions(ctx context.Context, role string) {
	var seesAll bool
	err := d.db.GetContext(ctx, &seesAll, `select pg_has_role('pg_read_all_stats', 'usage')`)
	if err == nil && !seesAll {
		d.unknown("transactions", "this role cannot see other sessions' transactions, so long ones go unnoticed")
		d.fix("grant pg_read_all_stats to %s", store.QuoteIdentifier(role))
		return
	}
	var open []struct {
		PID   int
		User  string
		State string
		Since time.Time
	}
	if err == nil {
		err = d.db.SelectContext(ctx, &open, `
			select pid, coalesce(usename, '') as user, coalesce(state, '') as state, xact_start as since
			  from pg_stat_activity
			 where datname = current_database() and xact_start < clock_timestamp() - $1 * interval '1 second' and backend_type = 'client backend'
			 union all
			select 0, owner, 'prepared: ' || gid, prepared from pg_prepared_xacts
			 where database = current_database() and prepared < clock_timestamp() - $1 * interval '1 second'
			 order by 4 limit 5`, longTransaction.Seconds())
	}
	if err != nil {
		d.bad("transactions", "%v", err)
		return
	}
	if len(open) == 0 {
		d.ok("transactions", "none is open for longer than %s", brief(longTransaction))
	}
	for _, t := range open {
		if t.PID == 0 {
			d.warn("transactions", "the transaction of %s is open since %s (%s)", t.User, when(&t.Since), visible(t.State))
			d.fix("commit prepared or rollback prepared, as the application meant it")
			continue
		}
		d.warn("transactions", "the session %d of %s has a transaction open since %s (%s)", t.PID, t.User, when(&t.Since), t.State)
		d.fix("if it is forgotten: select pg_terminate_backend(%d)", t.PID)
	}
}

// slots hold back vacuum in the same way while their consumer is absent.
func (d *doctor) slots(ctx context.Context) {
	var idle []string
	err := d.db.SelectContext(ctx, &idle, `
		select slot_name from pg_replication_slots
		 where not active and (xmin is not null or catalog_xmin is not null or restart_lsn is not null) and (database is null or database = current_database())
		 order by 1`)
	if err != nil {
		return // a managed service may hide them; nothing depends on it
	}
	for _, name := range idle {
		d.warn("replication", "the slot %s has no consumer: it keeps the write-ahead log, and may keep dead rows", visible(name))
		d.fix("start its consumer, or: select pg_drop_replication_slot('%s')", name)
	}
}

// deadRows is from how many dead rows on vacuum is named, if they outnumber the others.
const deadRows = 1000000

func (d *doctor) vacuum(ctx context.Context) {
	var state struct {
		On       bool
		Dead     int64
		Live     int64
		Vacuumed *time.Time
	}
	err := d.db.GetContext(ctx, &state, `
		select current_setting('autovacuum')::boolean
		         and not coalesce((select 'autovacuum_enabled=false' = any (c.reloptions) from pg_class c where c.oid = s.relid), false) as on,
		       s.n_dead_tup as dead, s.n_live_tup as live, greatest(s.last_autovacuum, s.last_vacuum) as vacuumed
		  from pg_stat_user_tables s where s.relid = 'webhook.outbox'::regclass`)
	switch {
	case err != nil:
		d.bad("vacuum", "%v", err)
	case !state.On:
		d.bad("vacuum", "autovacuum is off, so that dead rows slow every claim down")
		d.fix("alter system set autovacuum = on; select pg_reload_conf(); alter table webhook.outbox reset (autovacuum_enabled)")
	case state.Dead > deadRows && state.Dead > state.Live:
		d.warn("vacuum", "webhook.outbox has %d dead rows and %d live ones, it was vacuumed %s", state.Dead, state.Live, when(state.Vacuumed))
		d.fix("vacuum webhook.outbox; if it does not help, a transaction or replication slot holds it back")
	default:
		d.ok("vacuum", "webhook.outbox has %d dead rows", state.Dead)
	}
}

// triggers names those that others have added to the outbox: they run in every claim and outcome.
func (d *doctor) triggers(ctx context.Context) {
	var foreign []string
	err := d.db.SelectContext(ctx, &foreign, `
		select t.tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
		 where t.tgrelid = 'webhook.outbox'::regclass and not t.tgisinternal and t.tgenabled <> 'D'
		   and p.pronamespace <> (select oid from pg_namespace where nspname = 'webhook')
		 order by 1`)
	if err != nil {
		d.bad("triggers", "%v", err)
	}
	for _, name := range foreign {
		d.warn("triggers", "%s on webhook.outbox is none of this schema: it runs in each claim, and an error of it stops them", visible(name))
		d.fix("drop trigger %s on webhook.outbox", store.QuoteIdentifier(name))
	}
	d.disabledTriggers(ctx)
}

// disabledTriggers names those of the schema that do not fire as it says: the rules of the outbox hold in every session,
// one that replicates included. A restore with --disable-triggers leaves them so.
func (d *doctor) disabledTriggers(ctx context.Context) {
	var disabled []struct {
		Place string // "TRIGGER on TABLE"
		Fix   string
	}
	err := d.db.SelectContext(ctx, &disabled, `
		select format('%s on webhook.%s', t.tgname, c.relname) as place,
		       format('alter table webhook.%I enable %strigger %I', c.relname, case when w.always then 'always ' else '' end, t.tgname) as fix
		  from pg_trigger t
		  join pg_class c on c.oid = t.tgrelid and c.relnamespace = 'webhook'::regnamespace
		  join pg_proc p on p.oid = t.tgfoid and p.pronamespace = c.relnamespace,
		       lateral (select p.proname in ('accept_event', 'refuse_impossible', 'compute_again') as always) w
		 where not t.tgisinternal and t.tgenabled <> case when w.always then 'A' else 'O' end
		 order by 1`)
	if err != nil {
		d.bad("triggers", "%v", err)
	}
	for _, t := range disabled {
		d.bad("triggers", "%s does not fire as the schema says: rows that break its rule are accepted", t.Place)
		d.fix("%s", t.Fix)
	}
}

// cleanUpOverdue is from when on a clean-up is missed that runs once a day.
const cleanUpOverdue = 50 * time.Hour

func (d *doctor) cleanUp(ctx context.Context, workers bool) {
	var ran *time.Time
	if err := d.db.GetContext(ctx, &ran, `select pruned_at from webhook.maintenance`); err != nil || !workers || ran == nil {
		return // without a worker that is what is said; a new installation has not had its first one
	}
	if time.Since(*ran) < cleanUpOverdue {
		d.ok("clean-up", "finished events older than the retention were deleted %s", when(ran))
		return
	}
	d.warn("clean-up", "it did not complete since %s", when(ran))
	d.fix("read the workers' logs for \"clean-up failed\"; at once: webhooks prune")
}
