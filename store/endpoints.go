package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// Endpoint is one that this worker is to look at.
type Endpoint struct {
	Channel string
	URL     string    // as it stands in webhook.channels
	SetAt   time.Time `db:"url_set_at"` // since when; what is seen of this URL is not recorded for another
}

// Look is what was seen of an endpoint; empty and zero where nothing was.
type Look struct {
	Problem, Failure    string // in words, and its class
	Address, TLSVersion string
	Subject, Issuer     string
	Ends                time.Time // of the certificate
}

// BeginLooks returns the endpoints that this worker is to look at: those that can be called, whatever
// their switch says, since an administrator sets the URL before turning the channel on. None looked at
// them since the URL was set, or for a day, or for an hour after a failure. No other worker gets them
// before the lease is over. In Offline Mode, and in another environment, there is none. As in claimSQL the
// locks of channel and settings ensure that the URL is the one that was set at that time. A look in the
// future was recorded by a clock that has been set back since.
func (s *Store) BeginLooks(ctx context.Context, lease time.Duration) (due []Endpoint, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		return tx.SelectContext(ctx, &due, `
			-- $1 lease in ms, $2 environment (null: none)
			with due as (
			  select e.channel, c.url
			    from webhook.endpoints e
			    join webhook.channels c on c.name = e.channel
			   cross join webhook.settings s
			   where c.url_problem is null and not s.offline_mode and s.environment is not distinct from $2
			     and (e.looking_until between clock_timestamp() and clock_timestamp() + $1 * interval '1 millisecond') is not true
			     and (e.looked_at between clock_timestamp() - case when e.look_failure is null then interval '1 day' else interval '1 hour' end
			                          and clock_timestamp()) is not true
			     for update of e skip locked for share of c, s skip locked
			)
			update webhook.endpoints e
			   set looking_until = clock_timestamp() + $1 * interval '1 millisecond'
			  from due
			 where e.channel = due.channel
			returning e.channel, due.url, e.url_set_at`, lease.Milliseconds(), s.self.Environment)
	})
	if err != nil {
		return nil, s.failed("begin to look at endpoints", err)
	}
	return due, nil
}

// EndLook records what was seen of an endpoint, unless its URL was changed meanwhile.
func (s *Store) EndLook(ctx context.Context, e Endpoint, l Look) error {
	ends := &l.Ends
	if l.Ends.IsZero() {
		ends = nil
	}
	_, err := s.execCounting(ctx, "record a look at an endpoint", `
		-- $1 channel, $2 when its URL was set, $3 worker, $4 problem, $5 failure, $6 address, $7 TLS version,
		-- $8 subject, $9 issuer and $10 end of the certificate
		with recorded as (
		  update webhook.endpoints
		     set looking_until = null, looked_at = clock_timestamp(), looked_by = $3, look_problem = nullif($4, ''), look_failure = nullif($5, ''),
		         address = nullif($6, ''), tls_version = nullif($7, ''),
		         certificate_subject = nullif($8, ''), certificate_issuer = nullif($9, ''), certificate_ends = $10
		   where channel = $1 and url_set_at = $2
		  returning channel
		)
		select count(*) from recorded`,
		e.Channel, e.SetAt, s.worker, l.Problem, l.Failure, l.Address, l.TLSVersion, l.Subject, l.Issuer, ends)
	return err
}

// NoteEndpoints notes since when each endpoint fails. A failure of the endpoint is any but config,
// render and interrupted. What was claimed before the URL was set says nothing about this one; what was
// marked as delivered has no claim. Of each kind the newest hundred events are read, and, when an endpoint
// begins to fail, the oldest thousand of what failed since the newest success. The instants only grow: a
// person who sends a failed event again does not make its endpoint healthy.
func (s *Store) NoteEndpoints(ctx context.Context) error {
	_, err := s.execCounting(ctx, "note which endpoints fail", `
		with newest as (
		  select e.channel, c.event, e.url_set_at, e.failing_since,
		         greatest(e.succeeded_at, sent.at) as succeeded_at, greatest(e.failed_at, failed.at, waiting.at) as failed_at
		    from webhook.endpoints e
		    join webhook.channels c on c.name = e.channel
		   cross join lateral (
		         select max(n.finished_at) as at
		           from (select o.finished_at, o.claimed_at from webhook.outbox o
		                  where o.event = c.event and o.status = 'sent' and o.finished_at is not null
		                  order by o.finished_at desc limit 100) n
		          where n.claimed_at >= e.url_set_at) sent
		   cross join lateral (
		         select max(n.finished_at) as at
		           from (select o.finished_at, o.claimed_at, o.failure from webhook.outbox o
		                  where o.event = c.event and o.status = 'failed' and o.finished_at is not null
		                  order by o.finished_at desc limit 100) n
		          where n.claimed_at >= e.url_set_at and n.failure not in ('config', 'render', 'interrupted')) failed
		   cross join lateral (
		         select max(a.last_at) as at
		           from (select o.id, o.claimed_at from webhook.outbox o
		                  where o.event = c.event and o.status = 'pending' and o.leased_until is null
		                    and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 1
		                  order by o.due_at desc, o.id desc limit 100) n
		          cross join lateral (select a.last_at, a.failure from webhook.attempts a where a.outbox_id = n.id order by a.run desc limit 1) a
		          where n.claimed_at >= e.url_set_at and a.failure not in ('config', 'render', 'interrupted')) waiting
		     for update of e skip locked
		), judged as (
		  select n.channel, n.succeeded_at, n.failed_at,
		         case when n.failed_at is null or n.failed_at <= n.succeeded_at then null
		              when n.failing_since > coalesce(n.succeeded_at, '-infinity') then n.failing_since
		              else least(n.failed_at, (
		                select min(f.finished_at)
		                  from (select o.finished_at, o.claimed_at, o.failure from webhook.outbox o
		                         where o.event = n.event and o.status = 'failed' and o.finished_at is not null
		                           and o.finished_at > greatest(n.succeeded_at, n.url_set_at)
		                         order by o.finished_at limit 1000) f
		                 where f.claimed_at >= n.url_set_at and f.failure not in ('config', 'render', 'interrupted')), (
		                select min(greatest(a.first_at, n.succeeded_at, n.url_set_at))
		                  from (select o.id from webhook.outbox o
		                         where o.event = n.event and o.status = 'pending' and o.leased_until is null
		                           and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 1
		                         order by o.due_at, o.id limit 1000) w
		                 cross join lateral (select a.first_at from webhook.attempts a
		                                      where a.outbox_id = w.id and a.last_at > greatest(n.succeeded_at, n.url_set_at)
		                                        and a.failure not in ('config', 'render', 'interrupted')
		                                      order by a.run limit 1) a)) end as failing_since
		    from newest n
		), noted as (
		  update webhook.endpoints e
		     set succeeded_at = j.succeeded_at, failed_at = j.failed_at, failing_since = j.failing_since
		    from judged j
		   where e.channel = j.channel
		     and (e.succeeded_at, e.failed_at, e.failing_since) is distinct from (j.succeeded_at, j.failed_at, j.failing_since)
		  returning e.channel
		)
		select count(*) from noted`)
	return err
}
