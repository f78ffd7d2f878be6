package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/alert"
)

// NoticeAlerts implements alert.Store. Nothing is noticed where the environment is not that of the settings.
func (s *Store) NoticeAlerts(ctx context.Context, by alert.Observer) (seen alert.Noticed, err error) {
	seen.Workers = 1 // where another process looks, this one has seen no absence
	err = s.inAlerts(ctx, func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &seen.GivenUp, giveUpAlertsSQL, s.self.Environment); err != nil {
			return err
		}
		return tx.QueryRowxContext(ctx, noticeAlertsSQL, by.Interval.Milliseconds(), by.Absent, s.self.Environment, by.Worker).Scan(&seen.Workers, &seen.New)
	})
	if err != nil {
		return alert.Noticed{}, s.failed("notice alerts", err)
	}
	return seen, nil
}

const giveUpAlertsSQL = `
-- $1 environment (null: none)
with given_up as (
  update webhook.alerts a set given_up_at = clock_timestamp(), leased_until = null
    from webhook.settings s
   where a.sent_at is null and a.given_up_at is null and a.created_at < clock_timestamp() - interval '1 day'
     and (a.leased_until < clock_timestamp() or a.leased_until is null) and s.environment is not distinct from $1
  returning a.id
)
select count(*) from given_up`

// noticeAlertsSQL compares the state with the newest alerts, which are the memory of what was announced.
//
// A channel fails, since webhook.endpoints says so, for 15 s: what a retry at the next ten-second mark repairs
// is no alert, nor is one failure among the successes of a busy channel. It has recovered when a success is
// newer than the failure that was announced; of another URL, too, only then.
//
// Lost is what has failed of events that are delivered at most once, up to two seconds ago, as in
// webhook.tally: an outcome commits later than its finished_at. The next alert of the channel goes on from
// there. What failed before alerts were turned on is looked back upon for an hour and the interval.
//
// A worker is missing as webhook.worker_problem has it. When a process has seen none at all for a minute, or
// the last one has been missing for as long, and events wait, none is there.
const noticeAlertsSQL = `
-- $1 at most one of a kind and channel in so many ms, $2 no worker was seen for a minute, $3 environment (null: none),
-- $4 a worker asks
with instant as (
  select clock_timestamp() as now, clock_timestamp() - $1 * interval '1 millisecond' as spaced
    from webhook.settings s where s.environment is not distinct from $3
), channel as (
  select c.name, c.event, c.enabled, c.at_least_once, e.failing_since, e.succeeded_at,
         failing.since as announced_since, failing.created_at as failing_at, coalesce(failing.id > coalesce(recovered.id, 0), false) as announced,
         lost.created_at as lost_at, lost.until as lost_until
    from instant
   cross join webhook.channels c
    join webhook.endpoints e on e.channel = c.name
    left join lateral (select a.id, a.since, a.created_at from webhook.alerts a where a.kind = 'channel_failing' and a.channel = c.name order by a.id desc limit 1) failing on true
    left join lateral (select a.id from webhook.alerts a where a.kind = 'channel_recovered' and a.channel = c.name order by a.id desc limit 1) recovered on true
    left join lateral (select a.created_at, a.until from webhook.alerts a where a.kind = 'events_lost' and a.channel = c.name order by a.id desc limit 1) lost on true
), worker as (
  select greatest(count(*) filter (where w.seen_at > i.now - interval '1 minute'), $4::boolean::int)::int as alive, max(w.seen_at) as newest,
         (array_agg(w.name order by w.seen_at desc))[1] as name
    from instant i left join webhook.workers w on true
), missing as (
  select count(*) as workers, min(w.seen_at) as since, max(w.seen_at) as until, (array_agg(w.name order by w.seen_at desc))[1] as name
    from instant i
   cross join webhook.workers w
   where w.seen_at <= i.now - interval '1 minute'
     and w.seen_at > greatest(i.spaced - interval '1 hour',
                              (select max(x.until) from (select a.until from webhook.alerts a where a.kind = 'worker_missing' order by a.id desc limit 1) x),
                              (select max(x.until) from (select a.until from webhook.alerts a where a.kind = 'no_worker' order by a.id desc limit 1) x))
), none as (
  select coalesce(absent.id > coalesce(back.id, 0), false) as announced, absent.since, absent.created_at
    from instant
    left join lateral (select a.id, a.since, a.created_at from webhook.alerts a where a.kind = 'no_worker' order by a.id desc limit 1) absent on true
    left join lateral (select a.id from webhook.alerts a where a.kind = 'worker_back' order by a.id desc limit 1) back on true
), noticed as (
  insert into webhook.alerts (kind, channel, since, until, events, event_id, failure, http_status, received, worker, workers)
  select 'channel_failing', n.name, n.failing_since, i.now, least(failed.events + waiting.events, 10001),
         example.id, example.failure, example.http_status, example.received, null::text, null::int
    from instant i
   cross join channel n
   cross join lateral (select count(*) as events
                         from (select o.id from webhook.outbox o
                                where o.event = n.event and o.status = 'failed' and o.finished_at is not null and not o.is_test
                                  and o.finished_at >= n.failing_since limit 10001) f) failed
   cross join lateral (select count(*) as events
                         from (select o.id from webhook.outbox o
                                where o.event = n.event and o.status = 'pending' and o.leased_until is null limit 10001) w) waiting
    left join lateral (
         select x.* from (
           (select o.id, o.failure, o.http_status, o.received, o.finished_at as at from webhook.outbox o
             where o.event = n.event and o.status = 'failed' and o.finished_at is not null
             order by o.finished_at desc limit 1)
            union all
           (select o.id, o.failure, o.http_status, o.received, o.claimed_at from webhook.outbox o
             where o.event = n.event and o.status = 'pending' and o.leased_until is null
               and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 1 and o.failure is not null
             order by o.due_at desc, o.id desc limit 1)) x
          order by x.at desc limit 1) example on true
   where n.enabled and n.failing_since <= i.now - interval '15 seconds' and not n.announced
     and (n.failing_at > i.spaced) is not true
   union all
  select 'channel_recovered', n.name, n.announced_since, n.succeeded_at, waiting.events, null, null, null, null, null, null
    from channel n
   cross join lateral (select count(*) as events
                         from (select o.id from webhook.outbox o
                                where o.event = n.event and o.status = 'pending' and o.leased_until is null limit 10001) w) waiting
   where n.announced and n.failing_since is null and n.succeeded_at > n.announced_since
   union all
  select 'events_lost', n.name, lost.since, i.now - interval '2 seconds', lost.events, lost.id, lost.failure, lost.http_status, lost.received, null, null
    from instant i
   cross join channel n
   cross join lateral (
         select count(*) as events, min(f.finished_at) as since, (array_agg(f.id))[1] as id, (array_agg(f.failure))[1] as failure,
                (array_agg(f.http_status))[1] as http_status, (array_agg(f.received))[1] as received
           from (select o.id, o.finished_at, o.failure, o.http_status, o.received from webhook.outbox o
                  where o.event = n.event and o.status = 'failed' and o.finished_at is not null and not o.is_test
                    and o.finished_at > greatest(n.lost_until, i.spaced - interval '1 hour') and o.finished_at <= i.now - interval '2 seconds'
                  order by o.finished_at desc limit 10001) f) lost
   where not n.at_least_once and (n.lost_at > i.spaced) is not true and lost.events > 0
   union all
  select 'worker_missing', null, m.since, m.until, m.workers, null, null, null, null, m.name, w.alive
    from instant i
   cross join missing m
   cross join worker w
   where m.workers > 0 and w.alive > 0
     and not exists (select from webhook.alerts a where a.kind = 'worker_missing' and a.created_at > i.spaced)
   union all
  select 'no_worker', null, coalesce(w.newest, i.now - interval '1 minute'), coalesce(w.newest, i.now - interval '1 minute'), waiting.events, null, null, null, null, w.name, 0
    from instant i
   cross join worker w
   cross join none
   cross join lateral (select least(sum(p.events), 10001) as events
                         from webhook.channels c
                        cross join lateral (select count(*) as events
                                              from (select o.id from webhook.outbox o
                                                     where o.event = c.event and o.status = 'pending' and o.leased_until is null limit 10001) x) p) waiting
   where w.alive = 0 and ($2 or w.newest <= i.now - interval '1 minute') and not none.announced and (none.created_at > i.spaced) is not true
     and waiting.events > 0
   union all
  select 'worker_back', null, none.since, i.now, 0, null, null, null, null, w.name, w.alive
    from instant i
   cross join worker w
   cross join none
   where w.alive > 0 and none.announced
  returning id
)
select coalesce((select alive from worker where exists (select from instant)), 1) as workers, (select count(*) from noticed) as new`
