package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// Record writes outcomes, each only where its event is still held under its
// attempt. So a repetition after a lost reply changes nothing, and an attempt
// that was disowned (swept, or claimed again since) cannot touch the row.
//
// The case is the attempt that holds the row, if any does, in a form that no
// index serves: the rows are to be found by their ids, not by walking over
// everything that was ever held (40 ms instead of 4 for a batch).
//
// The failures of documents are kept as runs, see recordRuns.
//
// A row that somebody locks for longer than the session's lock_timeout fails the
// statement. Then, and for some seconds on, the rows that are free are written and
// the others passed by, without any waiting.
func (s *Store) Record(ctx context.Context, outcomes []outbox.Outcome) (locked []outbox.Outcome, err error) {
	if time.Now().Before(s.passLocksBy) {
		return s.recordUnlocked(ctx, outcomes)
	}
	statement, query := &s.record, recordSQL
	if slices.ContainsFunc(outcomes, func(o outbox.Outcome) bool { return o.Verdict == outbox.Retry }) {
		statement, query = &s.recordWithRuns, recordWithRunsSQL
	}
	err = statement.exec(ctx, s.db, query, outcomeArrays(outcomes)...)
	if code(err) == "55P03" {
		s.passLocksBy = time.Now().Add(passLocksFor)
		return s.recordUnlocked(ctx, outcomes)
	}
	if err != nil {
		return nil, s.failed("record outcomes", err)
	}
	return nil, nil
}

const passLocksFor = 5 * time.Second

// recordUnlocked writes what is not locked and returns the rest.
func (s *Store) recordUnlocked(ctx context.Context, outcomes []outbox.Outcome) (locked []outbox.Outcome, err error) {
	var ids []int64
	if err := s.db.SelectContext(ctx, &ids, recordUnlockedSQL, outcomeArrays(outcomes)...); err != nil {
		return nil, s.failed("record outcomes", err)
	}
	for _, o := range outcomes {
		if slices.Contains(ids, o.EventID) {
			locked = append(locked, o)
		}
	}
	return locked, nil
}

// prepared is a statement that is planned once a connection. A plan costs as
// much as recording twenty outcomes.
type prepared struct {
	mu   sync.Mutex
	stmt *sqlx.Stmt
}

// exec may run the statement twice where a reply is lost: see outbox.Store.Record.
func (p *prepared) exec(ctx context.Context, db *sqlx.DB, query string, args ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stmt == nil {
		stmt, err := db.PreparexContext(ctx, query)
		if err != nil {
			return err
		}
		p.stmt = stmt
	}
	_, err := p.stmt.ExecContext(ctx, args...)
	return err
}

// close gives the statement up.
func (p *prepared) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stmt != nil {
		_ = p.stmt.Close()
		p.stmt = nil
	}
}

const recordWithRunsSQL = `with recorded as (` + recordSQL + keepRuns + `
		select count(*) from recorded`

// recordUnlockedSQL ends with what is held under its attempt and was not to be had.
const recordUnlockedSQL = `with free as (
		  select o.id
		    from unnest($1::bigint[], $2::uuid[]) as r (id, claim_id)
		    join webhook.outbox o on o.id = r.id and ` + underItsAttempt + `
		     for update of o skip locked
		), recorded as (` + recordSQL + ` and o.id in (select id from free)` + keepRuns + `
		select o.id
		  from unnest($1::bigint[], $2::uuid[]) as r (id, claim_id)
		  join webhook.outbox o on o.id = r.id and ` + underItsAttempt + `
		 where o.id not in (select id from free)`

// keepRuns ends a CTE recorded, of outcomes, and keeps those of them that failed.
const keepRuns = `
			returning o.id, r.verdict, o.failure, o.received, o.http_status, o.error
		), failure as (
		  select id, failure, received, http_status, error from recorded where verdict = 'retry' and failure is not null
		)` + recordRuns

const underItsAttempt = `case when o.leased_until is not null then o.claim_id end = r.claim_id`

const recordSQL = `
		update webhook.outbox o
		   set status       = case r.verdict when 'sent' then 'sent' when 'failed' then 'failed' else 'pending' end,
		       due_at       = case r.verdict when 'retry' then ` + nextMark + ` else o.due_at end,
		       leased_until = null,
		       finished_at  = case when r.verdict in ('sent', 'failed') then clock_timestamp() end,
		       synced_at    = case when r.verdict = 'sent' and o.event = 'document.exported' then clock_timestamp() end,
		       http_status  = case r.verdict when 'released' then o.http_status else nullif(r.http_status, 0) end,
		       failure      = case r.verdict when 'released' then o.failure     else nullif(r.failure, '')    end,
		       received     = case r.verdict when 'released' then o.received    else nullif(r.received, '')   end,
		       error        = case r.verdict when 'released' then o.error       else nullif(r.error, '')      end,
		       response     = case r.verdict when 'released' then o.response    else nullif(r.response, '')   end
		  from unnest($1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[])
		       as r (id, claim_id, verdict, http_status, error, response, failure, received)
		 where o.id = r.id and ` + underItsAttempt

// nextMark is the next multiple of ten seconds on the database's clock.
const nextMark = `to_timestamp(floor(extract(epoch from clock_timestamp()) / 10) * 10 + 10)`

// recordRuns follows a CTE failure (id, http_status, error): attempts that left
// their event pending. One that met the same as the attempt before it makes that
// run longer, else it begins a new run. Of the runs of an event the first and the
// newest hundred are kept, so that a document that fails for months stays small.
// The event's own row is locked by the statement, so no two of these race.
const recordRuns = `, newest as (
		  select f.*, a.run,
		         a.failure = f.failure and a.http_status is not distinct from f.http_status and a.error is not distinct from f.error as same
		    from failure f
		    left join lateral (select run, failure, http_status, error from webhook.attempts
		                        where outbox_id = f.id order by run desc limit 1) a on true
		), longer as (
		  update webhook.attempts a
		     set attempts = a.attempts + 1, last_at = clock_timestamp(), received = n.received
		    from newest n
		   where a.outbox_id = n.id and a.run = n.run and n.same
		), dropped as (
		  delete from webhook.attempts a
		   using newest n
		   where a.outbox_id = n.id and not n.same and a.run > 1 and a.run <= n.run - 99
		), begun as (
		  insert into webhook.attempts (outbox_id, run, failure, received, http_status, error, first_at, last_at)
		  select id, coalesce(run, 0) + 1, failure, received, http_status, error, clock_timestamp(), clock_timestamp()
		    from newest
		   where same is not true
		)`

// outcomeArrays are the statements' parameters.
func outcomeArrays(outcomes []outbox.Outcome) []any {
	var ids, statuses []int64
	var attempts, verdicts, errors, responses, failures, received []string
	for _, o := range outcomes {
		o.Result = classified(o)
		failures = append(failures, string(o.Result.Failure))
		received = append(received, string(o.Result.Received))
		ids = append(ids, o.EventID)
		attempts = append(attempts, o.ClaimID)
		verdicts = append(verdicts, string(o.Verdict))
		statuses = append(statuses, int64(o.Result.Status))
		errors = append(errors, o.Result.Error)
		responses = append(responses, o.Result.Response)
	}
	return []any{pq.Array(ids), pq.Array(attempts), pq.Array(verdicts), pq.Array(statuses), pq.Array(errors), pq.Array(responses), pq.Array(failures), pq.Array(received)}
}

// classified stands in until every result has its class.
func classified(o outbox.Outcome) outbox.Result {
	r := o.Result
	if o.Verdict == outbox.Sent {
		r.Received = outbox.ReceivedYes
	} else if r.Failure == "" {
		r.Received = outbox.ReceivedNo
		switch {
		case strings.HasPrefix(r.Error, "render"):
			r.Failure = outbox.FailureRender
		case strings.Contains(r.Error, "outcome unknown"):
			r.Failure, r.Received = outbox.FailureInterrupted, outbox.ReceivedMaybe
		case r.Status >= 500:
			r.Failure = outbox.FailureServerError
		case r.Status >= 400:
			r.Failure = outbox.FailureRejected
		default:
			r.Failure = outbox.FailureUnreachable
		}
	}
	return r
}

// Release returns to pending whatever is held under these attempts: rows of a
// claim that this worker never learned of, so that none of them was sent.
func (s *Store) Release(ctx context.Context, claimIDs []string) (int, error) {
	return s.count(ctx, "give back", `
		with given_back as (
		  update webhook.outbox
		     set status = 'pending', leased_until = null
		   where claim_id = any ($1) and leased_until is not null
		  returning id
		)
		select count(*) from given_back`, pq.Array(claimIDs))
}
