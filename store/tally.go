package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// tallyFor bounds the statements of one cycle that catch up.
const tallyFor = 5 * time.Second

// A statement that counts takes about so long: where there is a gap, the time that it covers follows from how
// long the last one took.
const (
	tallyQuick = 20 * time.Millisecond
	tallySlow  = 200 * time.Millisecond
)

// Tally counts what has finished into webhook.tally, up to two seconds ago: an outcome commits later
// than its finished_at. After a gap the statements are made without haste, each for a minute at least and
// an hour at most, until all is counted or the cycle is over. What finished more than a day ago is not
// counted any more.
func (s *Store) Tally(ctx context.Context) error {
	span := time.Minute
	for end := time.Now().Add(tallyFor); time.Now().Before(end); {
		began := time.Now()
		more, err := s.tallyOnce(ctx, span)
		if err != nil || !more {
			return err
		}
		took := time.Since(began)
		switch {
		case took < tallyQuick:
			span = min(2*span, time.Hour)
		case took > tallySlow:
			span = max(span/2, time.Minute)
		}
		select {
		case <-time.After(unhurried * took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// tallyOnce counts what finished in the next span of time and reports whether there is more. Each event
// and status is a range of the index outbox_finished; the subquery with its own group stays one look-up
// per range. One worker counts at a time, and nothing is counted anew within five seconds, so that more
// workers do not cost more. Where the clock has been set back, it goes on from there.
func (s *Store) tallyOnce(ctx context.Context, span time.Duration) (more bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		return tx.GetContext(ctx, &more, `
			-- $1 seconds
			with due as (
			  select greatest(m.tallied_until, clock_timestamp() - interval '1 day') as since, clock_timestamp() - interval '2 seconds' as settled
			    from webhook.maintenance m
			   where m.tallied_until not between clock_timestamp() - interval '7 seconds' and clock_timestamp()
			     for update skip locked
			), span as (
			  select d.since, d.settled, least(d.since + $1 * interval '1 second', d.settled) as until from due d
			), counted as (
			  insert into webhook.tally as t (channel, hour, status, latency, events)
			  select c.name, n.hour, s.status, n.latency, n.events
			    from span
			   cross join webhook.channels c
			   cross join (values ('sent'), ('failed'), ('skipped'), ('superseded'), ('cancelled')) as s (status)
			   cross join lateral (
			         select date_trunc('hour', o.finished_at, 'UTC') as hour,
			                case when s.status = 'sent' and o.attempts = 1 and o.claim_id is not null
			                     then webhook.latency_bucket(o.finished_at - o.due_at) else 0 end as latency,
			                count(*) as events
			           from webhook.outbox o
			          where o.event = c.event and o.status = s.status and o.finished_at is not null and not o.is_test
			            and o.finished_at >= span.since and o.finished_at < span.until
			          group by 1, 2) n
			      on conflict (channel, hour, status, latency) do update set events = t.events + excluded.events
			), moved as (
			  update webhook.maintenance m set tallied_until = span.until from span where m.only_row
			  returning span.until < span.settled as more
			)
			select coalesce(bool_or(more), false) from moved`, span.Seconds())
	})
	if err != nil {
		return false, s.failed("count what finished", err)
	}
	return more, nil
}

// PruneTally deletes the hours that are older than webhook.tally promises.
func (s *Store) PruneTally(ctx context.Context) error {
	_, err := s.execCounting(ctx, "prune the tally", `
		with pruned as (
		  delete from webhook.tally where hour < clock_timestamp() - interval '8 days' returning hour
		)
		select count(*) from pruned`)
	return err
}
