package store

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// backgroundBatch bounds what one statement locks.
const backgroundBatch = 2000

// unhurried is the rest after a batch of a long clean-up, as a multiple of what the batch took: on two
// cores it then costs the delivery beside it a tenth.
const unhurried = 4

// ReleaseClaims returns to pending what is leased under these claims. The caller gave them up before it
// sent any of their events.
func (s *Store) ReleaseClaims(ctx context.Context, claimIDs []string) (int, error) {
	return s.execCounting(ctx, "release claims", `
		-- $1 claim ids
		with released as (
		  update webhook.outbox
		     set status = 'pending', leased_until = null
		   where claim_id = any ($1) and claim_id is not null and leased_until is not null
		  returning id
		)
		select count(*) from released`, pq.Array(claimIDs))
}

// maxExpired bounds how many claims one cycle ends.
const maxExpired = 5000

// Expired returns the claims whose leases are over.
func (s *Store) Expired(ctx context.Context) (claimIDs []string, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		return tx.SelectContext(ctx, &claimIDs, `
			-- $1 claims at most
			select distinct claim_id::text from webhook.outbox
			 where leased_until < clock_timestamp() and leased_until is not null and claim_id is not null
			 limit $1`, maxExpired)
	})
	if err != nil {
		return nil, s.failed("read expired leases", err)
	}
	return claimIDs, nil
}

// ExpireLeases ends the leases of these claims that are over. An event that is delivered at least once
// is due again at once; of the others it is unknown whether their POST arrived, so they fail. The runs
// are kept as in recordSQL.
func (s *Store) ExpireLeases(ctx context.Context, claimIDs []string) (all []outbox.ExpiredLeases, err error) {
	for {
		var batch []outbox.ExpiredLeases
		err := s.inTx(ctx, func(tx *sqlx.Tx) error {
			return tx.SelectContext(ctx, &batch, expireSQL, backgroundBatch, pq.Array(claimIDs), s.self.Environment, s.self.schema())
		})
		if err != nil {
			return all, s.failed("expire leases", err)
		}
		n := 0
		for _, leases := range batch {
			n += leases.Events
		}
		all = append(all, batch...)
		if n < backgroundBatch {
			return all, nil
		}
	}
}

const expireSQL = `
-- $1 rows at most, $2 claim ids, $3 environment (null: none), $4 the version of the worker's schema (null: any)
with expired as (
  update webhook.outbox o
     set status       = case when o.at_least_once then 'pending' else 'failed' end,
         finished_at  = case when o.at_least_once then null else clock_timestamp() end,
         due_at       = case when o.at_least_once then clock_timestamp() else o.due_at end,
         leased_until = null,
         http_status  = null,
         failure      = 'interrupted',
         received     = 'maybe',
         error        = 'interrupted: outcome unknown',
         response     = null
    from (select ctid from webhook.outbox
           where claim_id = any ($2) and leased_until < clock_timestamp() and leased_until is not null
             and exists (select from webhook.settings s where s.environment is not distinct from $3)
             and not exists (select from webhook.schema_versions v where v.min_worker > $4)
           limit $1 for update skip locked) over
   where o.ctid = over.ctid
  returning o.id, o.event, o.at_least_once, o.failure, o.received, o.error
), newest as (
  select e.*, a.run, a.failure = e.failure and a.http_status is null and a.error is not distinct from e.error as same
    from expired e
    left join lateral (select run, failure, http_status, error from webhook.attempts
                        where outbox_id = e.id order by run desc limit 1) a on true
   where e.at_least_once
), longer as (
  update webhook.attempts a
     set attempts = a.attempts + 1, last_at = clock_timestamp(), received = n.received
    from newest n
   where a.outbox_id = any (array[n.id]) and a.run = n.run and n.same
), dropped as (
  delete from webhook.attempts a
   using newest n
   where a.outbox_id = any (array[n.id]) and not n.same and a.run > 1 and a.run <= n.run - 99
), begun as (
  insert into webhook.attempts (outbox_id, run, failure, received, error, first_at, last_at)
  select id, coalesce(run, 0) + 1, failure, received, error, clock_timestamp(), clock_timestamp()
    from newest
   where same is not true
)
select c.name as channel, e.at_least_once as atleastonce, count(*) as events
  from expired e
  join webhook.channels c on c.event = e.event
 group by 1, 2`

// CheckWrite commits a write that changes no row.
func (s *Store) CheckWrite(ctx context.Context) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error { return s.checkWrite(ctx, tx) })
	if err != nil {
		return s.failed("check writes", err)
	}
	return nil
}

var errWriteHangs = errors.New("the commit of an earlier check hangs: a standby that does not acknowledge, or a disk that does not answer")

// checkWrite writes a message into the log, so that the commit of the transaction waits for what every
// commit before it waits for: disk and standby. While commits hang each would leave a session that
// hangs, so a check holds a lock until it has committed, and the next one fails.
func (s *Store) checkWrite(ctx context.Context, tx *sqlx.Tx) error {
	var free bool
	err := tx.GetContext(ctx, &free, `
		-- $1 the lock
		select case when pg_try_advisory_xact_lock($1) then pg_logical_emit_message(true, 'webhooks', 'check') is not null else false end`, s.writeLock)
	if err == nil && !free {
		err = errWriteHangs
	}
	return err
}

// Skip finishes the pending events of channels that are off, except where they are delivered at least
// once, and without haste. Like a claim it locks the switches in share mode, so that no event is skipped
// after its channel was turned on; see claimSQL.
func (s *Store) Skip(ctx context.Context) (int, error) {
	return s.repeat(ctx, "skip events", unhurried, `
		-- $1 rows of each channel at most, $2 environment (null: none), $3 the version of the worker's schema (null: any)
		with off as (
		  select p.ctid
		    from webhook.channels c
		   cross join webhook.settings s
		   cross join lateral (
		         select o.ctid from webhook.outbox o
		          where o.event = c.event and o.status = 'pending' and o.leased_until is null
		            and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end > 0
		          order by case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end, o.due_at, o.id
		          limit $1 for update skip locked) p
		   where not c.enabled and not c.at_least_once and not s.offline_mode and s.environment is not distinct from $2
		     and not exists (select from webhook.schema_versions v where v.min_worker > $3)
		     for share of s, c skip locked
		), skipped as (
		  update webhook.outbox o
		     set status = 'skipped', finished_at = clock_timestamp()
		    from off
		   where o.ctid = off.ctid
		  returning o.id
		)
		select count(*) from skipped`, s.self.Environment, s.self.schema())
}

// Prune deletes finished events that are older than this, without haste.
func (s *Store) Prune(ctx context.Context, olderThan time.Duration) (int, error) {
	return s.repeat(ctx, "prune events", unhurried, `select webhook.prune($2 * interval '1 second', $1)`, olderThan.Seconds())
}

// repeat runs a statement, whose $1 bounds its rows, until it finds fewer. Each run is atomic; an error
// leaves the earlier ones committed, and they are counted. What is written meanwhile waits
// for the next cycle. After each it rests for so many times as long as the statement took.
func (s *Store) repeat(ctx context.Context, doing string, rest float64, query string, args ...any) (int, error) {
	for total := 0; ; {
		began := time.Now()
		n, err := s.execCounting(ctx, doing, query, append([]any{backgroundBatch}, args...)...)
		total += n
		if err != nil || n < backgroundBatch {
			return total, err
		}
		select {
		case <-time.After(time.Duration(rest * float64(time.Since(began)))):
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
}

// execCounting runs a statement that returns how many rows it changed. Each may be run again after a
// lost reply: it changes a row once.
func (s *Store) execCounting(ctx context.Context, doing, query string, args ...any) (n int, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &n, query, args...) })
	if err != nil {
		return 0, s.failed(doing, err)
	}
	return n, nil
}

// inTx runs statements in a transaction of its own, with the planner set up for it.
func (s *Store) inTx(ctx context.Context, do func(*sqlx.Tx) error) error {
	defer s.network.endWith(ctx)()
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if !s.network.instance {
		if _, err := tx.ExecContext(ctx, plannerSettings(true)); err != nil {
			return err
		}
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
