package store

import (
	"context"
	"time"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// skipLockedFor is how long rows that are locked are skipped without waiting, after one was.
const skipLockedFor = 5 * time.Second

// Record writes outcomes. A row that another transaction locks for longer than the session's
// lock_timeout fails the statement. Then, and for some seconds, the rows that are free are written and
// the others returned, without waiting.
func (s *Store) Record(ctx context.Context, outcomes []outbox.Outcome) (rest outbox.Unrecorded, err error) {
	s.recordConn.mu.Lock()
	defer s.recordConn.mu.Unlock()
	defer s.network.endWith(ctx)()
	if time.Now().Before(s.skipLockedUntil) {
		return s.recordSkippingLocked(ctx, outcomes)
	}
	rest.LeaseLost, err = s.recordOnce(ctx, outcomes)
	if connectionLost(err) && ctx.Err() == nil { // it may have been lost long ago, and a repetition is harmless
		s.recordConn.drop()
		_, err = s.recordOnce(ctx, outcomes) // what has no lease may have been written by the first try
	}
	if lockTimedOut(err) {
		s.skipLockedUntil = time.Now().Add(skipLockedFor)
		return s.recordSkippingLocked(ctx, outcomes)
	}
	return rest, s.notRecorded(err)
}

// recordOnce returns the outcomes whose event was not leased under their claim.
func (s *Store) recordOnce(ctx context.Context, outcomes []outbox.Outcome) (leaseLost []outbox.Outcome, err error) {
	var places []int
	stmt, err := s.recordConn.prepare(ctx, s.db, recordSQL) //nolint:sqlclosecheck // kept for the next record; closed with its connection
	if err == nil {
		err = stmt.SelectContext(ctx, &places, outcomeArrays(outcomes)...)
	}
	for _, place := range places {
		leaseLost = append(leaseLost, outcomes[place-1])
	}
	return leaseLost, err
}

// notRecorded wraps an error of the pinned connection, which is kept only if the values are at fault.
func (s *Store) notRecorded(err error) error {
	if err == nil {
		return nil
	}
	if !rejected(err) && !denied(err) {
		s.recordConn.drop()
	}
	return s.failed("record outcomes", err)
}

// recordSQL writes each outcome only where its event is still leased under its claim, and returns the
// places of the others in the arrays. So a repetition
// after a lost reply changes nothing, and a lease that was lost (expired, or claimed again since) leaves
// the row as it is.
//
// The rows are found by their ids whatever the statistics say. The case yields the claim that holds the
// row, if any does, in a form that no index serves: else the plan may walk over everything that was ever
// leased (40 ms instead of 4 for a batch). And "= any (array[r.id])" can only look up, while "= r.id" may
// also be a merge that walks over all of an index.
//
// Attempts that leave their event pending are kept as runs in webhook.attempts: one with the same failure,
// status and error as the attempt before it makes that run longer, else it begins a new run. Of the runs
// of an event the first and the newest hundred are kept, so that a document that fails for months stays
// small. The event's own row is locked by the statement, so two of these never race. The same CTEs stand
// in recordSkippingLockedSQL and in ExpireLeases: each of the three is one statement that can be read and
// run as a whole.
const recordSQL = `
-- by outcome: $1 id, $2 claim id, $3 verdict (sent, failed, retry, released), $4 HTTP status (0: none),
-- $5 failure, $6 received, $7 error, $8 response ('': none)
with recorded as (
  update webhook.outbox o
     set status       = case r.verdict when 'sent' then 'sent' when 'failed' then 'failed' else 'pending' end,
         due_at       = case r.verdict when 'retry' -- the next multiple of ten seconds
                                       then to_timestamp(floor(extract(epoch from clock_timestamp()) / 10) * 10 + 10) else o.due_at end,
         leased_until = null,
         finished_at  = case when r.verdict in ('sent', 'failed') then clock_timestamp() end,
         synced_at    = case when r.verdict = 'sent' and o.event = 'document.exported' then clock_timestamp() end,
         http_status  = case r.verdict when 'released' then o.http_status else nullif(r.http_status, 0) end,
         failure      = case r.verdict when 'released' then o.failure     else nullif(r.failure, '')    end,
         received     = case r.verdict when 'released' then o.received    else nullif(r.received, '')   end,
         error        = case r.verdict when 'released' then o.error       else nullif(r.error, '')      end,
         response     = case r.verdict when 'released' then o.response    else nullif(r.response, '')   end
    from unnest($1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[])
         as r (id, claim_id, verdict, http_status, failure, received, error, response)
   where o.id = any (array[r.id]) and case when o.leased_until is not null then o.claim_id end = r.claim_id
  returning o.id, o.claim_id, r.verdict, o.http_status, o.failure, o.received, o.error
), newest as (
  select f.*, a.run,
         a.failure = f.failure and a.http_status is not distinct from f.http_status and a.error is not distinct from f.error as same
    from recorded f
    left join lateral (select run, failure, http_status, error from webhook.attempts
                        where outbox_id = f.id order by run desc limit 1) a on true
   where f.verdict = 'retry' and f.failure is not null
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
  insert into webhook.attempts (outbox_id, run, http_status, failure, received, error, first_at, last_at)
  select id, coalesce(run, 0) + 1, http_status, failure, received, error, clock_timestamp(), clock_timestamp()
    from newest
   where same is not true
)
select r.place
  from unnest($1::bigint[], $2::uuid[]) with ordinality as r (id, claim_id, place)
 where (r.id, r.claim_id) not in (select id, claim_id from recorded)`

// outcomeArrays are the parameters of recordSQL and recordSkippingLockedSQL.
func outcomeArrays(outcomes []outbox.Outcome) []any {
	n := len(outcomes)
	ids, statuses := make([]int64, n), make([]int64, n)
	claims, verdicts, failures := make([]string, n), make([]string, n), make([]string, n)
	received, errors, responses := make([]string, n), make([]string, n), make([]string, n)
	for i, o := range outcomes {
		ids[i], claims[i], verdicts[i] = o.EventID, o.ClaimID, string(o.Verdict)
		statuses[i], failures[i], received[i] = int64(o.Result.Status), string(o.Result.Failure), string(o.Result.Received)
		errors[i], responses[i] = o.Result.Error, o.Result.Response
	}
	return []any{pq.Array(ids), pq.Array(claims), pq.Array(verdicts), pq.Array(statuses),
		pq.Array(failures), pq.Array(received), pq.Array(errors), pq.Array(responses)}
}
