package store

import (
	"context"
	"time"
)

// sweepBatch bounds what one statement locks.
const sweepBatch = 2000

// unhurried is how long one rests after a batch that nobody waits for, as a multiple
// of what the batch took: on two cores it then costs a drain beside it a tenth.
const unhurried = 4

// ExpireLeases ends the leases that have run out. A document is due again at once; of
// a one-attempt event nobody knows whether its POST has arrived, so it fails.
func (s *Store) ExpireLeases(ctx context.Context) (int, error) {
	return s.repeat(ctx, "sweep leases", 0, `
		with swept as (
		  update webhook.outbox o
		     set status       = case o.status when 'sending' then 'failed' else 'pending' end,
		         finished_at  = case o.status when 'sending' then clock_timestamp() end,
		         due_at       = case o.status when 'sending' then o.due_at else clock_timestamp() end,
		         leased_until = null,
		         http_status  = null,
		         response     = null,
		         failure      = 'interrupted',
		         received     = 'maybe',
		         error        = 'interrupted: outcome unknown'
		    from (select id from webhook.outbox
		           where leased_until < clock_timestamp() and leased_until is not null
		           limit $1 for update skip locked) dead
		   where o.id = dead.id
		  returning o.id, o.status, o.failure, o.received, o.http_status, o.error
		), failure as (
		  select id, failure, received, http_status, error from swept where status = 'pending'
		)`+recordRuns+`
		select count(*) from swept`)
}

// Skip finishes the pending one-attempt events of channels that are off, without haste. Like a
// claim it holds the switches in share mode, so that none is skipped after its
// channel was turned on; see claimSQL.
func (s *Store) Skip(ctx context.Context) (int, error) {
	return s.repeat(ctx, "skip", unhurried, `
		with off as (
		  select p.id
		    from webhook.channels c
		   cross join webhook.settings s
		   cross join lateral (
		         select id from webhook.outbox o
		          where o.event = c.event and o.status = 'pending' and o.leased_until is null and `+turn+` > 0
		          order by `+turn+`, o.due_at, o.id limit $1 for update skip locked) p
		   where not c.enabled and not s.offline_mode and not c.at_least_once
		     for share of s, c skip locked
		), skipped as (
		  update webhook.outbox o
		     set status = 'skipped', finished_at = clock_timestamp()
		    from off
		   where o.id = off.id
		  returning o.id
		)
		select count(*) from skipped`)
}

// Prune deletes finished events that are older than this, without haste.
func (s *Store) Prune(ctx context.Context, olderThan time.Duration) (int, error) {
	return s.repeat(ctx, "prune", unhurried, `select webhook.prune($2 * interval '1 second', $1)`, olderThan.Seconds())
}

// repeat runs a statement whose $1 bounds its rows until it finds fewer: what
// is written meanwhile waits for the next cycle. After each it rests for so many
// times as long as the statement took.
func (s *Store) repeat(ctx context.Context, doing string, rest float64, query string, args ...any) (int, error) {
	for total := 0; ; {
		began := time.Now()
		n, err := s.count(ctx, doing, query, append([]any{sweepBatch}, args...)...)
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
		select {
		case <-time.After(time.Duration(rest * float64(time.Since(began)))):
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
}

// count runs a statement that returns how many rows it changed. All of them may
// be repeated by database/sql after a lost reply: they change a row once.
func (s *Store) count(ctx context.Context, doing, query string, args ...any) (n int, err error) {
	if err := s.db.GetContext(ctx, &n, query, args...); err != nil {
		return 0, s.failed(doing, err)
	}
	return n, nil
}
