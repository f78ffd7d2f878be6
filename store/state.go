package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/metrics"
)

// StateReader reads what the metrics show. It implements metrics.Source; one read at a time.
type StateReader struct {
	store        *Store
	counts       []waitingRow // the newest
	countedAt    time.Time
	waitingFrom  time.Time // until then what waits is not counted
	transactions firstSeen
}

// What waits is ordinarily counted in a few milliseconds, see waitingTime. Nothing waits for this count,
// so it may take longer than that of the page; and one that takes too long does not at once end an alert.
const (
	countingTime = time.Second
	countsKept   = time.Minute
)

// State reads what the metrics show, over this store.
func (s *Store) State() *StateReader { return &StateReader{store: s} }

// State implements metrics.Source. Nothing in it is a finished event: one statement reads the few rows of
// the channels, one the index of what waits, up to a limit and for a limited time, and one the
// transactions that are open.
func (r *StateReader) State(ctx context.Context) (state metrics.State, err error) {
	defer r.store.network.endWith(ctx)()
	if state, err = r.channels(ctx); err != nil {
		return state, r.store.failed("read the channels' state", err)
	}
	if err = r.waiting(ctx, state.Channels); err != nil {
		return state, r.store.failed("count what waits", err)
	}
	if state.OldestTransaction, err = r.oldestTransaction(ctx); err != nil {
		return state, r.store.failed("read the open transactions", err)
	}
	return state, nil
}

func (r *StateReader) channels(ctx context.Context) (state metrics.State, err error) {
	var rows []struct {
		Name            string
		Enabled         bool
		Misconfigured   bool
		OfflineMode     bool       `db:"offline_mode"`
		FailingSince    *time.Time `db:"failing_since"`
		SucceededAt     *time.Time `db:"succeeded_at"`
		CertificateEnds *time.Time `db:"certificate_ends"`
	}
	err = r.store.db.SelectContext(ctx, &rows, `
		select c.name, c.enabled, c.enabled and webhook.channel_problem(c, s) is not null as misconfigured, s.offline_mode,
		       e.failing_since, e.succeeded_at, e.certificate_ends
		  from webhook.channels c
		 cross join webhook.settings s
		  left join webhook.endpoints e on e.channel = c.name
		 order by c.position`)
	for _, row := range rows {
		state.OfflineMode = row.OfflineMode
		state.Channels = append(state.Channels, metrics.ChannelState{
			Name: row.Name, Enabled: row.Enabled, Misconfigured: row.Misconfigured,
			FailingSince: row.FailingSince, LastSuccess: row.SucceededAt, CertificateEnds: row.CertificateEnds,
		})
	}
	return state, err
}

// waiting adds what waits to the channels. Where counting takes too long that is done without for a while,
// and what was counted before is left out once it is old.
func (r *StateReader) waiting(ctx context.Context, channels []metrics.ChannelState) error {
	if err := r.count(ctx); err != nil {
		return err
	}
	if time.Since(r.countedAt) > countsKept {
		return nil
	}
	for _, row := range r.counts {
		for i := range channels {
			if channels[i].Name == row.Name {
				channels[i].Waiting = &metrics.Waiting{Pending: row.Pending, Overdue: row.Overdue, Oldest: asDuration(max(row.Oldest, 0))}
			}
		}
	}
	return nil
}

// count counts what waits, unless that has just taken too long. For the order of what is counted see
// overviewWaiting.
func (r *StateReader) count(ctx context.Context) error {
	if time.Now().Before(r.waitingFrom) {
		return nil
	}
	began := time.Now()
	var rows []waitingRow
	err := r.limited(ctx, func(tx *sqlx.Tx) error { return tx.SelectContext(ctx, &rows, waitingSQL, metrics.MaxCounted) })
	switch {
	case tookTooLong(ctx, err), lockTimedOut(err):
		r.waitingFrom = time.Now().Add(waitingRest)
		return nil
	case err == nil:
		r.counts, r.countedAt = rows, began
	}
	return err
}

// limited runs a statement in a read-only transaction, for countingTime at most.
func (r *StateReader) limited(ctx context.Context, do func(*sqlx.Tx) error) error {
	tx, err := r.store.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, plannerSettings(true)); err != nil {
		return err
	}
	if err := limitTime(ctx, tx, countingTime); err != nil {
		return err
	}
	return do(tx)
}

type waitingRow struct {
	Name    string
	Pending int64
	Overdue int64
	Oldest  float64 // seconds
}

const waitingSQL = `
-- $1 how many events of a channel are counted
select c.name, pending.events as pending, overdue.events as overdue,
       coalesce(date_part('epoch', clock_timestamp()) - date_part('epoch', oldest.at), 0) as oldest
  from webhook.channels c
 cross join webhook.settings s
  left join webhook.pacing g on g.channel = c.name
 cross join lateral (
       select count(*) as events
         from (select from webhook.outbox o
                where o.event >= c.event and o.event <= c.event and o.status = 'pending' and o.leased_until is null
                order by o.event limit $1) o) pending
 cross join lateral (
       select count(*) as events
         from (select from (values (0), (1), (2)) as p (priority)
                cross join lateral (
                      select from webhook.outbox o
                       where o.event = c.event and o.status = 'pending' and o.leased_until is null
                         and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = p.priority
                         and o.due_at < now() - interval '10 seconds'
                       order by o.due_at, o.id limit $1) o
                where (c.enabled or p.priority = 0) and not s.offline_mode and webhook.channel_problem(c, s) is null
                  and (g.paused_until is null or g.paused_until <= now())
                limit $1) o) overdue
 cross join lateral ( -- of the retries, which are in the order of their next attempts, a hundred are looked at
       select min(o.occurred_at) filter (where o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z') as at
         from (values (0, 1), (1, 100), (2, 1)) as p (priority, rows)
        cross join lateral (
              select o.occurred_at from webhook.outbox o
               where o.event = c.event and o.status = 'pending' and o.leased_until is null
                 and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = p.priority
               order by o.due_at, o.id limit p.rows) o) oldest`

// oldestTransaction is for how long a transaction of any client has been open in this database. When one
// of another role began, a role without pg_read_all_stats may not see; the lock that each transaction
// holds on its own number, it may. Then the age is counted from the first read that has seen it. What
// autovacuum does has no user.
func (r *StateReader) oldestTransaction(ctx context.Context) (time.Duration, error) {
	var rows []struct {
		Key string
		Age *float64
	}
	err := r.store.db.SelectContext(ctx, &rows, `
		select l.virtualtransaction as key, date_part('epoch', clock_timestamp() - a.xact_start) as age
		  from pg_locks l
		  join pg_stat_activity a on a.pid = l.pid
		 where l.locktype = 'virtualxid' and l.granted and a.datname = current_database() and a.usesysid is not null and a.pid <> pg_backend_pid()
		 union all
		select p.gid, date_part('epoch', clock_timestamp() - p.prepared) from pg_prepared_xacts p where p.database = current_database()`)
	if err != nil {
		return 0, err
	}
	now, oldest, seen := time.Now(), time.Duration(0), firstSeen{}
	for _, row := range rows {
		if row.Age != nil {
			oldest = max(oldest, asDuration(*row.Age))
			continue
		}
		since := r.transactions.since(row.Key, now)
		seen[row.Key] = since
		oldest = max(oldest, now.Sub(since))
	}
	r.transactions = seen
	return oldest, nil
}

// firstSeen is when each open transaction was first seen.
type firstSeen map[string]time.Time

func (f firstSeen) since(key string, now time.Time) time.Time {
	if at, known := f[key]; known {
		return at
	}
	return now
}

var _ metrics.Source = (*StateReader)(nil)
