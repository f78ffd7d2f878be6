package store

import "context"

// sweepBatch bounds what one statement locks.
const sweepBatch = 5000

// Sweep ends the leases that have run out. A document is due again at once; of
// a one-attempt event nobody knows whether its POST has arrived, so it fails.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	return s.repeat(ctx, "sweep leases", `
		update webhook.outbox o
		   set status       = case o.status when 'sending' then 'failed' else 'pending' end,
		       finished_at  = case o.status when 'sending' then clock_timestamp() end,
		       due_at       = case o.status when 'sending' then o.due_at else clock_timestamp() end,
		       leased_until = null,
		       http_status  = null,
		       response     = null,
		       error        = 'interrupted: outcome unknown'
		  from (select id from webhook.outbox
		         where leased_until < clock_timestamp() and leased_until is not null
		         limit $1 for update skip locked) dead
		 where o.id = dead.id`)
}

// Skip finishes the pending one-attempt events of channels that are off. Like a
// claim it holds the switches in share mode, so that none is skipped after its
// channel was turned on; see claimOnce.
func (s *Store) Skip(ctx context.Context) (int, error) {
	return s.repeat(ctx, "skip", `
		with off as (
		  select p.id
		    from webhook.channels c
		   cross join webhook.settings s
		   cross join lateral (
		         select id from webhook.outbox o
		          where o.event = c.event and o.status = 'pending' and o.leased_until is null and `+turn+` > 0
		          order by `+turn+`, o.due_at, o.id limit $1 for update skip locked) p
		   where not c.enabled and not s.offline_mode and c.name <> 'documents'
		     for share of s, c skip locked
		)
		update webhook.outbox o
		   set status = 'skipped', finished_at = clock_timestamp()
		  from off
		 where o.id = off.id`)
}

// repeat runs a statement whose $1 bounds its rows until it finds no more.
func (s *Store) repeat(ctx context.Context, doing, query string) (int, error) {
	for total := 0; ; {
		n, err := s.count(ctx, doing, query, sweepBatch)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// count runs a statement and returns how many rows it changed. All of them may
// be repeated by database/sql after a lost reply: they change a row once.
func (s *Store) count(ctx context.Context, doing, query string, args ...any) (int, error) {
	result, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, s.failed(doing, err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
