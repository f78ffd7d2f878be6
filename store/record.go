package store

import (
	"context"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// Record writes outcomes, each only where its event is still held under its
// attempt. So a repetition after a lost reply changes nothing, and an attempt
// that was disowned (swept, or claimed again since) cannot touch the row.
//
// "is not distinct from" is "=" that no index serves: the rows are found by their
// id, not by walking over everything that was held under the same attempt.
func (s *Store) Record(ctx context.Context, outcomes []outbox.Outcome) error {
	a := outcomeArrays(outcomes)
	_, err := s.db.ExecContext(ctx, `
		update webhook.outbox o
		   set status       = case r.verdict when 'sent' then 'sent' when 'failed' then 'failed' else 'pending' end,
		       due_at       = case r.verdict when 'later' then `+nextMark+` else o.due_at end,
		       leased_until = null,
		       finished_at  = case when r.verdict in ('sent', 'failed') then clock_timestamp() end,
		       synced_at    = case when r.verdict = 'sent' and o.event = 'document.exported' then clock_timestamp() end,
		       http_status  = case r.verdict when 'back' then o.http_status else nullif(r.http_status, 0) end,
		       error        = case r.verdict when 'back' then o.error       else nullif(r.error, '')      end,
		       response     = case r.verdict when 'back' then o.response    else nullif(r.response, '')   end
		  from unnest($1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[])
		       as r (id, attempt_id, verdict, http_status, error, response)
		 where o.id = r.id and o.attempt_id is not distinct from r.attempt_id and o.leased_until is not null`,
		pq.Array(a.ids), pq.Array(a.attempts), pq.Array(a.verdicts), pq.Array(a.statuses), pq.Array(a.errors), pq.Array(a.responses))
	if err != nil {
		return s.failed("record outcomes", err)
	}
	return nil
}

// nextMark is the next multiple of ten seconds on the database's clock.
const nextMark = `to_timestamp(floor(extract(epoch from clock_timestamp()) / 10) * 10 + 10)`

type arrays struct {
	ids, statuses                         []int64
	attempts, verdicts, errors, responses []string
}

func outcomeArrays(outcomes []outbox.Outcome) (a arrays) {
	for _, o := range outcomes {
		a.ids = append(a.ids, o.EventID)
		a.attempts = append(a.attempts, o.AttemptID)
		a.verdicts = append(a.verdicts, string(o.Verdict))
		a.statuses = append(a.statuses, int64(o.Result.Status))
		a.errors = append(a.errors, o.Result.Error)
		a.responses = append(a.responses, o.Result.Response)
	}
	return a
}

// GiveBack returns to pending whatever is held under these attempts: rows of a
// claim that this worker never learned of, so that none of them was sent.
func (s *Store) GiveBack(ctx context.Context, attemptIDs []string) (int, error) {
	return s.count(ctx, "give back", `
		update webhook.outbox
		   set status = 'pending', leased_until = null
		 where attempt_id = any ($1) and leased_until is not null`, pq.Array(attemptIDs))
}
