package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// A claim that keeps meeting a quicker one gives up after this many tries; the next pass begins anew.
const claimTries = 5

// Claim leases what fits into the capacity. It is one statement on one pinned connection, never through
// the pool's own methods: database/sql repeats a statement whose reply was lost, and the first run may
// have committed.
func (s *Store) Claim(ctx context.Context, claimID string, capacity []outbox.Capacity) ([]outbox.Event, error) {
	s.claimConn.mu.Lock()
	defer s.claimConn.mu.Unlock()
	defer s.network.endWith(ctx)()
	for try := 1; ; try++ {
		events, sent, err := s.claimOnce(ctx, claimID, capacity)
		switch {
		case err == nil:
			return events, nil
		case rolledBack(err) && conflicting(err) && try < claimTries:
			continue
		}
		s.claimConn.drop()
		switch {
		case sent && !rolledBack(err):
			return nil, fmt.Errorf("%w: %w", outbox.ErrReplyLost, err)
		case conflicting(err):
			return nil, fmt.Errorf("claim: %w in %d tries: %w", outbox.ErrConflict, claimTries, err)
		}
		return nil, s.failed("claim", err)
	}
}

// claimOnce runs the claim; sent says whether the server may have received it. Then any error that the
// server itself does not report leaves open whether the claim was committed.
func (s *Store) claimOnce(ctx context.Context, claimID string, capacity []outbox.Capacity) (events []outbox.Event, sent bool, err error) {
	stmt, err := s.claimConn.prepare(ctx, s.db, claimSQL) //nolint:sqlclosecheck // kept for the next claim; closed with its connection
	if err != nil {
		return nil, false, err
	}
	s.newest.claimID, s.newest.lock = claimID, s.claimConn.lock
	rows, err := stmt.QueryxContext(ctx, append(append([]any{claimID, s.worker, s.lease.Milliseconds()}, capacityArrays(capacity)...), s.self.Environment, pq.Array(s.opener.keys.IDs()), s.self.schema())...)
	if err != nil {
		return nil, true, err
	}
	events, err = s.scanEvents(rows, claimID)
	if err == nil && s.claimConn.waitEnded() {
		err = errWaitEnded
	}
	return events, true, err
}

// scanEvents reads to the very end: a claim has committed only once the server has reported it. The rows
// of a channel have the same accept_status, which is parsed once, and all rows the same token and signing
// secrets. One that cannot be decrypted is the problem of the endpoint.
func (s *Store) scanEvents(rows *sqlx.Rows, claimID string) ([]outbox.Event, error) {
	defer rows.Close()
	var events []outbox.Event
	var accept acceptStatus
	token, secrets := openedText{read: s.opener.token}, openedText{read: s.opener.secrets}
	for rows.Next() {
		ev := outbox.Event{ClaimID: claimID, Validated: true}
		var dueFor float64
		err := rows.Scan(&ev.ID, &ev.Name, &ev.Channel, (*[]byte)(&ev.Data), &ev.OccurredAt, &ev.DueAt, &dueFor, &ev.Attempts, &ev.IsTest, &ev.AtLeastOnce, &ev.Superseded, &ev.Traceparent,
			&ev.Endpoint.URL, &token, &secrets, &accept, &ev.Endpoint.MaxInFlight, &ev.Endpoint.MaxPerSecond, &ev.Endpoint.DocumentBaseURL, &ev.Endpoint.InstanceID)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		ev.DueFor = asDuration(dueFor)
		ev.Endpoint.AcceptStatus, ev.Endpoint.Token, ev.Endpoint.Secrets = accept.parsed, token.plain, secrets.plain
		if problem := cmp.Or(token.problem, secrets.problem); problem != "" {
			ev.Endpoint.Problem = "cannot call: " + problem + "; nothing was sent"
		}
		events = append(events, ev)
	}
	return events, rows.Err()
}

// asDuration is of seconds, at most a century: due_at may be '-infinity'.
func asDuration(s float64) time.Duration {
	return time.Duration(min(s, 100*365*24*3600) * float64(time.Second))
}

// acceptStatus scans an int[] and keeps what the text before it was parsed to.
type acceptStatus struct {
	text   string
	parsed []int
}

// Scan implements sql.Scanner.
func (a *acceptStatus) Scan(src any) error {
	text, ok := src.([]byte)
	if ok && string(text) == a.text {
		return nil
	}
	var all pq.Int64Array
	if err := all.Scan(src); err != nil {
		return err
	}
	a.text, a.parsed = string(text), make([]int, len(all))
	for i, status := range all {
		a.parsed[i] = int(status)
	}
	return nil
}

// capacityArrays are the parameters $4 to $14 of claimSQL.
func capacityArrays(capacity []outbox.Capacity) []any {
	var (
		channels                  []string
		occupied, retrying, bytes []int64
		retriesPaused             []bool
		retries, fresh            cursorArrays
	)
	for _, c := range capacity {
		channels = append(channels, c.Channel)
		occupied = append(occupied, int64(c.Occupied))
		retrying = append(retrying, int64(c.Retrying))
		retriesPaused = append(retriesPaused, c.RetriesPaused)
		bytes = append(bytes, c.ByteBudget)
		retries.add(c.Retries)
		fresh.add(c.Fresh)
	}
	args := []any{pq.Array(channels), pq.Array(occupied), pq.Array(retrying), pq.Array(retriesPaused), pq.Array(bytes)}
	return append(append(args, retries.parameters()...), fresh.parameters()...)
}

// claimSQL is the claim.
//
// Which rows: for each lane the tests, then what was claimed before, then what is fresh (the priorities
// 0, 1 and 2 of the index outbox_pending), each in the order they became due, until the lane is full: by
// its slots, or by the bytes of the data it holds. What was claimed before gets at most half of the
// slots. now() is the instant at which the statement began, and unlike clock_timestamp() it bounds the
// index scan: rows that are due later are not read. The size of a value that is stored in its row is
// known; that of a larger one, which may be compressed, is only known once it is read.
//
// What it reads must not grow with time. As long as an old snapshot is open, no index loses the entries
// of rows that were claimed or sent since. So each priority is read from its cursor on (see
// outbox.Cursor), and a cursor from before a change of the switches, or from a pause, does not count:
// the lane may not have been read then. And every row is reached by an index that holds no more than its
// own few versions, or by its ctid, which the lock of "for update" keeps valid for this statement.
//
// No plan depends on statistics, which lag behind a burst by minutes; for each table below exactly one
// index is usable, with enable_seqscan off. "o.ctid = p.ctid" can only look up; "o.id = p.id" could also
// walk over all of outbox_pkey in the order of a merge. The pair (document_id, id) is compared as a row,
// since with "later.id > due.id" outbox_pkey would be usable. A subquery with a limit stays one look-up
// per row, while "not exists" may become a walk over all that ever was leased.
//
// Its locks:
//   - "for update skip locked" on the rows: two workers never get the same one.
//   - "for share … skip locked" on the settings and the channel, taken only when there is a row to
//     claim: a switch that commits while this claim is under way waits for it, and a switch that has
//     committed is seen, since the conditions on s and c are evaluated again on the locked versions. So
//     no claim commits after a switch has. A switch that is not committed yet pauses its own lanes, not
//     this worker.
//
// Exports of one document: only one without a later export may be sent, and only while no other is
// leased. The subquery on held sees what had committed before this statement began. If another claim has
// leased an export of the document since, this one violates the unique index
// outbox_one_attempt_per_document and is repeated (see conflicting). An export that commits later with a
// higher id waits for this lease; one with a lower id is superseded. A later export that commits while
// this statement is under way makes the trigger never_an_older_export_after_a_newer refuse the lease.
// What is superseded is returned, too: the cursor goes on behind it.
//
// A channel that has max_per_second gets at most what is left of it. That is read without a lock, so
// that a poll that finds nothing writes nothing; take_rate then takes, under a lock, what was picked.
// A paused channel is left out. A cursor that was taken while a switch or a pause may have kept the lane
// from being read is not used.
//
// The signing secrets are those that have not ended when the statement begins, the newest first: one
// subquery that refers to nothing outside, so that it is evaluated once, and only where an event is
// claimed. A secret that is retired while the claim is under way may sign what it claims, and nothing after.
// Where the token or one of the secrets is encrypted under a key that this worker does not have, nothing is
// claimed: webhook.worker_problem says so. Nor is anything where an upgrade came that needs a newer worker.
//
// The times are returned as text: Go cannot hold an infinite one or a year of five digits, and one such
// row must not fail a claim.
const claimSQL = `
-- $1 claim id, $2 worker, $3 lease in ms; by lane: $4 channel, $5 slots occupied, $6 retries held,
-- $7 retries are paused, $8 bytes left (0: no limit, below 0: claim nothing); the cursor of what was claimed
-- before: $9 due_at (null: what was due then), $10 id, $11 its age in ms; $12 to $14 that of fresh rows;
-- $15 environment (null: none), $16 the keys that this worker decrypts with, $17 the version of its schema (null: any)
with capacity as (
  select * from unnest($4::text[], $5::int[], $6::int[], $7::boolean[], $8::bigint[],
                       $9::timestamptz[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::bigint[], $14::bigint[])
             as capacity (channel, occupied, retrying, retries_paused, bytes, retries_due, retries_id, retries_age, fresh_due, fresh_id, fresh_age)
), picked as (
  select p.ctid, p.id, p.followed_by, c.name as channel, c.max_in_flight, c.max_per_second, c.send_traceparent, c.accept_status, s.instance_id, p.place,
         coalesce(c.url, '') as url, coalesce(s.document_base_url, '') as document_base_url,
         case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end as token,
         (select coalesce(string_agg(k.id || ':' || k.secret, ' ' order by k.id desc), '') from webhook.secrets k where k.ends_at is null or k.ends_at > now()) as secrets
    from capacity
    join webhook.channels c on c.name = capacity.channel
   cross join webhook.settings s
    join webhook.pacing g on g.channel = c.name and (g.paused_until is null or g.paused_until <= now())
   cross join lateral (
         select case when greatest(c.updated_at, s.updated_at, g.paused_until) > now() - retries_age * interval '1 millisecond' then '-infinity'
                     else coalesce(retries_due, now() - retries_age * interval '1 millisecond') end as retries_due,
                case when greatest(c.updated_at, s.updated_at, g.paused_until) > now() - fresh_age * interval '1 millisecond' then '-infinity'
                     else coalesce(fresh_due, now() - fresh_age * interval '1 millisecond') end as fresh_due) cursors
   cross join lateral (
         select due.ctid, due.id, due.is_test,
                (select later.id from webhook.outbox later
                  where later.document_id is not null and later.status <> 'cancelled'
                    and (later.document_id, later.id) > (due.document_id, due.id)
                    and (later.document_id, later.id) < (due.document_id, 9223372036854775807)
                  limit 1) as followed_by,
                sum(due.bytes) over (rows between unbounded preceding and 1 preceding) as bytes_before,
                row_number() over () as place
           from (select * from (
                   select * from (
                     select o.ctid, o.id, o.document_id, o.is_test,
                            case when pg_column_size(o.data) < 2000 then pg_column_size(o.data) else octet_length(o.data::text) end as bytes
                       from webhook.outbox o
                      where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
                        and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 0
                      order by o.due_at, o.id
                        for update skip locked) tests
                    union all
                   select * from (
                     select o.ctid, o.id, o.document_id, o.is_test,
                            case when pg_column_size(o.data) < 2000 then pg_column_size(o.data) else octet_length(o.data::text) end as bytes
                       from webhook.outbox o
                      where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
                        and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 1 and c.enabled
                        and (o.due_at, o.id) > (cursors.retries_due, capacity.retries_id)
                        and (select held.id from webhook.outbox held
                              where held.document_id = o.document_id and held.leased_until is not null limit 1) is null
                      order by o.due_at, o.id
                      limit case when capacity.retries_paused then 0
                                 else greatest(greatest(1, c.max_in_flight / 2) - capacity.retrying, 0) end
                        for update skip locked) claimed_before
                    union all
                   select * from (
                     select o.ctid, o.id, o.document_id, o.is_test,
                            case when pg_column_size(o.data) < 2000 then pg_column_size(o.data) else octet_length(o.data::text) end as bytes
                       from webhook.outbox o
                      where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
                        and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 2 and c.enabled
                        and (o.due_at, o.id) > (cursors.fresh_due, capacity.fresh_id)
                        and (select held.id from webhook.outbox held
                              where held.document_id = o.document_id and held.leased_until is not null limit 1) is null
                      order by o.due_at, o.id
                        for update skip locked) fresh
                   ) due
                  limit greatest(least(c.max_in_flight - capacity.occupied,
                                       case when c.max_per_second is not null then webhook.rate_left(c.name, c.max_per_second) end), 0)) due) p
   where (c.enabled or p.is_test) and not s.offline_mode and webhook.channel_problem(c, s) is null
     and s.environment is not distinct from $15
     and (s.auth <> 'bearer' or s.token_encrypted_under is null or s.token_encrypted_under = any ($16))
     and not exists (select from webhook.secrets k where (k.ends_at is null or k.ends_at > now()) and k.encrypted_under is not null and k.encrypted_under <> all ($16))
     and not exists (select from webhook.schema_versions v where v.min_worker > $17)
     and (capacity.bytes = 0 or coalesce(p.bytes_before, 0) < capacity.bytes)
     for share of s, c skip locked
), granted as (
  select p.channel, webhook.take_rate(p.channel, p.max_per_second, count(*)::int) as rows
    from picked p
   where p.max_per_second is not null and p.followed_by is null
   group by p.channel, p.max_per_second
), superseded as (
  update webhook.outbox o
     set status = 'superseded', finished_at = clock_timestamp(),
         http_status = null, failure = null, received = null, response = null,
         error = 'superseded: row ' || p.followed_by || ' is a later export of this document; '
                 || case when o.attempts = 0 then 'this one was never sent' else 'an attempt of this one may have arrived' end
    from picked p
   where o.ctid = p.ctid and p.followed_by is not null
  returning o.id, o.event, p.channel, json '{}' as data, '' as occurred_at, o.due_at::text, 0::double precision as due_for, o.attempts, o.is_test, o.at_least_once, true as superseded,
            '' as traceparent, '' as url, '' as token, '' as secrets, p.accept_status, p.max_in_flight, coalesce(p.max_per_second, 0) as max_per_second, '' as document_base_url, p.instance_id
), leased as (
  update webhook.outbox o
     set status       = case when o.at_least_once then 'pending' else 'sending' end,
         attempts     = o.attempts + 1,
         claim_id     = $1,
         claimed_by   = $2,
         claimed_at   = clock_timestamp(),
         leased_until = clock_timestamp() + $3 * interval '1 millisecond'
    from picked p
   where o.ctid = p.ctid and p.followed_by is null
     and (p.max_per_second is null or p.place <= (select g.rows from granted g where g.channel = p.channel))
  returning o.id, o.event, p.channel, o.data, o.occurred_at::text, o.due_at::text,
            date_part('epoch', clock_timestamp()) - date_part('epoch', o.due_at) as due_for, o.attempts, o.is_test, o.at_least_once, false as superseded,
            case when p.send_traceparent and o.traceparent is not null then coalesce(webhook.sent_traceparent(o.traceparent), '') else '' end as traceparent,
            p.url, p.token, p.secrets, p.accept_status, p.max_in_flight, coalesce(p.max_per_second, 0) as max_per_second, p.document_base_url, p.instance_id
)
select * from leased union all select * from superseded`
