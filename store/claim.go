package store

import (
	"cmp"
	"context"
	"fmt"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// A claim that keeps meeting a quicker one gives up after this many tries; the next pass begins anew.
const claimTries = 5

// Claim leases what fits into the capacity. It is one statement on one pinned connection, never through
// the pool's own methods: database/sql repeats a statement whose reply was lost, and the first run may
// have committed.
func (s *Store) Claim(ctx context.Context, claimID string, capacity []outbox.Capacity) ([]outbox.Event, error) {
	s.claim.mu.Lock()
	defer s.claim.mu.Unlock()
	defer s.network.endWith(ctx)()
	for try := 1; ; try++ {
		events, sent, err := s.claimOnce(ctx, claimID, capacity)
		switch {
		case err == nil:
			return events, nil
		case rolledBack(err) && conflicting(err) && try < claimTries:
			continue
		}
		s.claim.drop()
		if sent && !rolledBack(err) {
			return nil, fmt.Errorf("%w: %w", outbox.ErrReplyLost, err)
		}
		return nil, s.failed("claim", err)
	}
}

// claimOnce runs the claim; sent says whether the server may have received it. Then any error that the
// server itself does not report leaves open whether the claim was committed.
func (s *Store) claimOnce(ctx context.Context, claimID string, capacity []outbox.Capacity) (events []outbox.Event, sent bool, err error) {
	stmt, err := s.claim.prepare(ctx, s.db, claimSQL) //nolint:sqlclosecheck // kept for the next claim; closed with its connection
	if err != nil {
		return nil, false, err
	}
	rows, err := stmt.QueryxContext(ctx, append(append([]any{claimID, s.worker, s.lease.Milliseconds()}, capacityArrays(capacity)...), s.self.Environment)...)
	if err != nil {
		return nil, true, err
	}
	events, err = scanEvents(rows, claimID)
	return events, true, err
}

// capacityArrays are the parameters $4 to $10 of claimSQL.
func capacityArrays(capacity []outbox.Capacity) []any {
	var (
		channels, cursorDue                  []string
		inFlight, retrying, bytes, cursorIDs []int64
		retriesPaused                        []bool
	)
	for _, c := range capacity {
		channels = append(channels, c.Channel)
		inFlight = append(inFlight, int64(c.InFlight))
		retrying = append(retrying, int64(c.Retrying))
		retriesPaused = append(retriesPaused, c.RetriesPaused)
		bytes = append(bytes, c.ByteBudget)
		cursorDue = append(cursorDue, cmp.Or(c.Cursor.DueAt, "-infinity"))
		cursorIDs = append(cursorIDs, c.Cursor.ID)
	}
	return []any{pq.Array(channels), pq.Array(inFlight), pq.Array(retrying), pq.Array(retriesPaused), pq.Array(bytes), pq.Array(cursorDue), pq.Array(cursorIDs)}
}

// claimSQL is the claim.
//
// Which rows: for each lane the tests, then what was claimed before, then what is fresh (the priorities
// 0, 1 and 2 of the index outbox_pending), each in the order they became due, until the lane is full: by
// its slots, or by the bytes of the data it holds. Where events are delivered at least once, retries get
// at most half of the slots. Fresh rows are read from the lane's cursor on. now() is the instant at which
// the statement began, and unlike clock_timestamp() it bounds the index scan: rows that are due later are
// not read. The size of a value that is stored in its row is known; that of a larger one, which may be
// compressed, is only known once it is read.
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
// leased. "not exists" sees what had committed before this statement began. A claim that commits after
// that violates the unique index outbox_one_attempt_per_document, and this claim is repeated (see
// conflicting). An export that commits later has a higher id, waits for this lease to end, and so arrives
// after it; one that commits while this statement is under way makes the trigger
// never_an_older_export_after_a_newer refuse the lease.
//
// The times are returned as text: Go cannot hold an infinite one or a year of five digits, and one such
// row must not fail a claim.
const claimSQL = `
-- $1 claim id, $2 worker, $3 lease in ms; by lane: $4 channel, $5 slots in flight, $6 retries in flight,
-- $7 retries are paused, $8 bytes left (0: no limit), $9 and $10 the cursor (due_at, id);
-- $11 environment (null: none)
with capacity as (
  select * from unnest($4::text[], $5::int[], $6::int[], $7::boolean[], $8::bigint[], $9::timestamptz[], $10::bigint[])
             as capacity (channel, in_flight, retrying, retries_paused, bytes, cursor_due, cursor_id)
), picked as (
  select p.id, p.followed_by, c.name as channel, c.max_in_flight, c.accept_status, s.instance_id,
         coalesce(c.url, '') as url, coalesce(s.document_base_url, '') as document_base_url,
         case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end as token
    from capacity
    join webhook.channels c on c.name = capacity.channel
   cross join webhook.settings s
   cross join lateral (
         select due.id, due.is_test,
                (select later.id from webhook.outbox later
                  where later.document_id = due.document_id and later.id > due.id and later.status <> 'cancelled'
                  order by later.id limit 1) as followed_by,
                sum(due.bytes) over (rows between unbounded preceding and 1 preceding) as bytes_before
           from (select * from (
                   select * from (
                     select o.id, o.document_id, o.is_test,
                            case when pg_column_size(o.data) < 2000 then pg_column_size(o.data) else octet_length(o.data::text) end as bytes
                       from webhook.outbox o
                      where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
                        and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 0
                        and not exists (select from webhook.outbox held
                                         where held.document_id = o.document_id and held.leased_until is not null)
                      order by o.due_at, o.id
                        for update skip locked) tests
                    union all
                   select * from (
                     select o.id, o.document_id, o.is_test,
                            case when pg_column_size(o.data) < 2000 then pg_column_size(o.data) else octet_length(o.data::text) end as bytes
                       from webhook.outbox o
                      where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
                        and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 1 and c.enabled
                        and not exists (select from webhook.outbox held
                                         where held.document_id = o.document_id and held.leased_until is not null)
                      order by o.due_at, o.id
                      limit case when not c.at_least_once        then null
                                 when capacity.retries_paused then 0
                                 else greatest(greatest(1, c.max_in_flight / 2) - capacity.retrying, 0) end
                        for update skip locked) retries
                    union all
                   select * from (
                     select o.id, o.document_id, o.is_test,
                            case when pg_column_size(o.data) < 2000 then pg_column_size(o.data) else octet_length(o.data::text) end as bytes
                       from webhook.outbox o
                      where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
                        and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = 2 and c.enabled
                        and (o.due_at, o.id) > (capacity.cursor_due, capacity.cursor_id)
                        and not exists (select from webhook.outbox held
                                         where held.document_id = o.document_id and held.leased_until is not null)
                      order by o.due_at, o.id
                        for update skip locked) fresh
                   ) due
                  limit greatest(c.max_in_flight - capacity.in_flight, 0)) due) p
   where (c.enabled or p.is_test) and not s.offline_mode and webhook.channel_problem(c, s) is null
     and s.environment is not distinct from $11
     and (capacity.bytes = 0 or coalesce(p.bytes_before, 0) < capacity.bytes)
     for share of s, c skip locked
), superseded as (
  update webhook.outbox o
     set status = 'superseded', finished_at = clock_timestamp(),
         http_status = null, failure = null, received = null, response = null,
         error = 'superseded: row ' || p.followed_by || ' is a later export of this document; '
                 || case when o.attempts = 0 then 'this one was never sent' else 'an attempt of this one may have arrived' end
    from picked p
   where o.id = p.id and p.followed_by is not null
)
update webhook.outbox o
   set status       = case when o.at_least_once then 'pending' else 'sending' end,
       attempts     = o.attempts + 1,
       claim_id     = $1,
       claimed_by   = $2,
       claimed_at   = clock_timestamp(),
       leased_until = clock_timestamp() + $3 * interval '1 millisecond'
  from picked p
 where o.id = p.id and p.followed_by is null
returning o.id, o.event, p.channel, o.data, o.occurred_at::text, o.due_at::text, o.attempts, o.is_test, o.at_least_once,
          p.url, p.token, p.accept_status, p.max_in_flight, p.document_base_url, p.instance_id`
