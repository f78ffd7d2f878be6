package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// A claim that keeps meeting a quicker one gives up after this many tries; the
// next pass begins anew.
const claimTries = 5

// Claim leases what fits into the lanes. It is one statement, prepared once, on
// one pinned connection: database/sql repeats a statement of the pool's own
// methods when its reply is lost, and the first run may have committed.
func (s *Store) Claim(ctx context.Context, claimID string, lanes []outbox.Lane) ([]outbox.Event, error) {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	if err := s.prepareClaim(ctx); err != nil {
		return nil, s.failed("claim", err)
	}
	for try := 1; ; try++ {
		events, err := s.claimOnce(ctx, claimID, lanes)
		if err == nil {
			return events, nil
		}
		if rolledBack(err) && conflicting(err) && try < claimTries {
			continue
		}
		s.closeClaim()
		if !rolledBack(err) {
			return nil, fmt.Errorf("%w: %w", outbox.ErrReplyLost, err)
		}
		return nil, s.failed("claim", err)
	}
}

// prepareClaim pins a connection and prepares the claim on it, so that a poll
// that finds nothing costs no planning (2 ms of it, beside 0.3 ms of work).
func (s *Store) prepareClaim(ctx context.Context) (err error) {
	if s.claim != nil {
		return nil
	}
	if s.claimConn, err = s.db.Connx(ctx); err != nil {
		return err
	}
	if s.claim, err = s.claimConn.PreparexContext(ctx, claimSQL); err != nil {
		s.closeClaim()
	}
	return err
}

// closeClaim gives up the pinned connection; the next claim takes another.
func (s *Store) closeClaim() {
	_ = s.claimConn.Raw(func(any) error { return driver.ErrBadConn }) // not back into the pool
	s.claim, s.claimConn = nil, nil
}

// claimOnce runs the claim. Any error but one that the server itself reports
// leaves it open whether the claim was committed.
func (s *Store) claimOnce(ctx context.Context, claimID string, lanes []outbox.Lane) ([]outbox.Event, error) {
	a := laneArrays(lanes)
	rows, err := s.claim.QueryxContext(ctx, claimID, s.worker, s.lease.Milliseconds(),
		pq.Array(a.channels), pq.Array(a.busy), pq.Array(a.retrying), pq.Array(a.givenUp), pq.Array(a.room), pq.Array(a.floorDue), pq.Array(a.floorID))
	if err != nil {
		return nil, err
	}
	return scanEvents(rows, claimID)
}

// claimSQL is the claim itself.
//
// Which rows: for each lane the tests, then what was claimed before, then what
// is fresh, each in the order they became due, until the lane is full: by its
// slots, or by the bytes of the facts it holds. Retries of documents get at most
// half of their lane. Fresh rows are looked for from the lane's floor on.
//
// Its locks:
//   - "for update skip locked" on the rows: two workers never get the same one.
//   - "for share … skip locked" on the settings and the channel, taken only when
//     there is a row to claim: a switch that commits while this claim is under
//     way waits for it, and a switch that has committed is seen, since the
//     conditions on s and c are checked again on the locked versions. So no claim
//     commits after a switch has. A switch that is not committed yet makes its own
//     lanes pause, not this worker.
//
// Exports of one document: of those, only one without a later export may be sent,
// and only while no other is held. "not exists" sees what has committed before this
// statement began; against a claim that commits after that stands the unique index
// outbox_one_attempt_per_document, and this claim is repeated (see conflicting).
// An export that commits later than that has a higher id, waits for this lease to
// end, and so arrives after it; one that commits while this statement is under way
// makes the trigger never_an_older_export_after_a_newer refuse the lease.
const claimSQL = `
		with lane as (
		  select * from unnest($4::text[], $5::int[], $6::int[], $7::boolean[], $8::bigint[], $9::timestamptz[], $10::bigint[])
		             as lane (channel, busy, retrying, given_up, room, floor_due, floor_id)
		), picked as (
		  select p.id, p.followed_by, c.name as channel, c.max_in_flight, ` + endpointColumns + `
		    from lane
		    join webhook.channels c on c.name = lane.channel
		   cross join webhook.settings s
		   cross join lateral (
		         select due.id,
		                (select later.id from webhook.outbox later
		                  where later.document_id = due.document_id and later.id > due.id and later.status <> 'cancelled'
		                  order by later.id limit 1) as followed_by,
		                due.is_test,
		                sum(due.bytes) over (rows between unbounded preceding and 1 preceding) as bytes_before
		           from (select * from (
		                   select * from (
		                     select ` + dueColumns + ` from webhook.outbox o
		                      where ` + claimable + ` and ` + turn + ` = 0
		                      order by due_at, id for update skip locked) tests
		                    union all
		                   select * from (
		                     select ` + dueColumns + ` from webhook.outbox o
		                      where ` + claimable + ` and ` + turn + ` = 1 and c.enabled
		                      order by due_at, id
		                      limit case when c.name = 'documents'
		                                 then case when lane.given_up then 0 else greatest(greatest(1, c.max_in_flight / 2) - lane.retrying, 0) end end
		                        for update skip locked) again
		                    union all
		                   select * from (
		                     select ` + dueColumns + ` from webhook.outbox o
		                      where ` + claimable + ` and ` + turn + ` = 2 and c.enabled
		                        and (o.due_at, o.id) > (lane.floor_due, lane.floor_id)
		                      order by due_at, id for update skip locked) fresh
		                   ) due
		                  limit greatest(c.max_in_flight - lane.busy, 0)) due) p
		   where (c.enabled or p.is_test) and not s.offline_mode and webhook.channel_problem(c, s) is null
		     and (lane.room = 0 or coalesce(p.bytes_before, 0) < lane.room)
		     for share of s, c skip locked
		), superseded as (
		  update webhook.outbox o
		     set status = 'superseded', finished_at = clock_timestamp(), http_status = null, failure = null, received = null, response = null,
		         error = 'superseded: row ' || p.followed_by || ' is a later export of this document; '
		                 || case when o.attempts = 0 then 'this one was never sent' else 'an attempt of this one may have arrived' end
		    from picked p
		   where o.id = p.id and p.followed_by is not null
		)
		update webhook.outbox o
		   set status       = case when o.at_least_once then 'pending' else 'sending' end,
		       attempts     = o.attempts + 1,
		       claim_id   = $1,
		       claimed_by   = $2,
		       claimed_at   = clock_timestamp(),
		       leased_until = clock_timestamp() + $3 * interval '1 millisecond'
		  from picked p
		 where o.id = p.id and p.followed_by is null
		returning ` + eventColumns

// claimable is a row that a worker may take now, of the channel c. now() is the
// instant at which this statement began, and unlike clock_timestamp() bounds the
// index scan: rows that are due later are not even looked at.
const claimable = `o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
		                        and not exists (select from webhook.outbox held
		                                         where held.document_id = o.document_id and held.leased_until is not null)`

// dueColumns: the size of a value that is stored in its row is at hand. To learn
// that of a larger one, which may be compressed, it has to be fetched.
const dueColumns = `id, document_id, is_test,
		                            case when pg_column_size(data) < 2000 then pg_column_size(data) else octet_length(data::text) end as bytes`

// turn is the second column of the index outbox_pending: 0 a test event, 1 what
// was claimed before, 2 what is fresh.
const turn = `(case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end)`

// Claimed returns what is held under a claim. Its reply was lost, and so,
// perhaps, were all the pooled connections: a fresh one is made.
func (s *Store) Claimed(ctx context.Context, claimID string) ([]outbox.Event, error) {
	s.dropIdle()
	rows, err := s.db.QueryxContext(ctx, `
		select `+eventColumns+`
		  from webhook.outbox o
		  join (select c.name as channel, c.event, c.max_in_flight, `+endpointColumns+`
		          from webhook.channels c cross join webhook.settings s) p on p.event = o.event
		 where o.claim_id = $1 and o.leased_until is not null`, claimID)
	if err != nil {
		return nil, s.failed("look up a claim", err)
	}
	events, err := scanEvents(rows, claimID)
	if err != nil {
		return nil, s.failed("look up a claim", err)
	}
	return events, nil
}

// What a claim returns: the endpoint as the channel c and the settings s have it, …
const endpointColumns = `coalesce(c.url, '') as url, c.accept_status, s.instance_id, coalesce(s.document_base_url, '') as document_base_url,
		         case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end as token`

// … and the event o beside it. The times come as text: Go cannot hold an
// infinite one or a year of five digits, and one such row must not fail a claim.
const eventColumns = `o.id, o.event, p.channel, o.data, o.occurred_at::text, o.attempts, o.is_test,
		          o.due_at::text, p.max_in_flight,
		          p.url, p.token, p.accept_status, p.document_base_url, p.instance_id`

// scanEvents reads to the very end: the statement has committed only once the
// server has said so. The rows of a channel come with the same accept_status,
// which is parsed once.
func scanEvents(rows *sqlx.Rows, claimID string) ([]outbox.Event, error) {
	defer rows.Close()
	var events []outbox.Event
	var accept acceptStatus
	for rows.Next() {
		ev := outbox.Event{ClaimID: claimID, Parsed: true}
		err := rows.Scan(&ev.ID, &ev.Name, &ev.Channel, (*[]byte)(&ev.Data), &ev.OccurredAt, &ev.Attempts, &ev.IsTest,
			&ev.DueAt, &ev.Endpoint.MaxInFlight, &ev.Endpoint.URL, &ev.Endpoint.Token, &accept, &ev.Endpoint.DocumentBaseURL, &ev.Endpoint.InstanceID)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		ev.Endpoint.AcceptStatus = accept.parsed
		events = append(events, ev)
	}
	return events, rows.Err()
}

// acceptStatus scans an int[] and remembers what the text before it came to.
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

type laneColumns struct {
	channels, floorDue            []string
	busy, retrying, room, floorID []int64
	givenUp                       []bool
}

func laneArrays(lanes []outbox.Lane) (a laneColumns) {
	for _, l := range lanes {
		a.channels = append(a.channels, l.Channel)
		a.busy = append(a.busy, int64(l.Busy))
		a.retrying = append(a.retrying, int64(l.Retrying))
		a.givenUp = append(a.givenUp, l.GivenUp)
		a.room = append(a.room, l.Room)
		a.floorDue = append(a.floorDue, cmp.Or(l.Floor.DueAt, "-infinity"))
		a.floorID = append(a.floorID, l.Floor.ID)
	}
	return a
}
