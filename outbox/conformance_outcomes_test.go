package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

func (e *exercise) record(s step) move {
	var outcomes []Outcome
	text := "record"
	for _, d := range s.outcomes {
		o, ok := e.outcome(d)
		if ok && !slices.ContainsFunc(outcomes, func(other Outcome) bool { return other.EventID == o.EventID }) {
			outcomes = append(outcomes, o)
			text += fmt.Sprintf(" {row %d, claim %s, %s, %+v}", o.EventID, o.ClaimID, o.Verdict, o.Result)
		}
	}
	if len(outcomes) == 0 {
		return move{}
	}
	return move{text, func(c Conforming) string {
		rest, err := c.Record(context.Background(), outcomes)
		e.met["deferred"] += len(rest.Locked)
		e.met["lease lost"] += len(rest.LeaseLost)
		if errors.Is(err, ErrRejected) {
			e.met["rejected"]++
		}
		return fmt.Sprintf("%d deferred, %d without a lease%s", len(rest.Locked), len(rest.LeaseLost), and(err))
	}}
}

// outcome is one of a row that is held, or of any row and claim.
func (e *exercise) outcome(d outcomeStep) (o Outcome, ok bool) {
	var rows []*simRow
	for _, r := range e.model.rows {
		if r.held() || d.stale && r.attempts > 0 {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return o, false
	}
	r := rows[d.row%len(rows)]
	final := Failed
	if r.atLeastOnce {
		final = Retry
	}
	o = Outcome{EventID: r.id, Channel: channels[r.channel].Name, ClaimID: r.claimID, Verdict: [...]Verdict{Sent, final, Retry, Released}[d.verdict]}
	switch o.Result = conformingResults[d.result%len(conformingResults)]; {
	case d.result == 15:
		o.Result = unstorable
	case o.Verdict == Sent:
		o.Result = Result{Received: ReceivedYes, Status: 200}
	}
	if d.stale {
		o.ClaimID = e.claims[d.result%len(e.claims)]
	}
	return o, true
}

// conformingResults are what attempts met.
var conformingResults = [...]Result{
	{Failure: FailureTimeout, Received: ReceivedMaybe, Error: "timeout"},
	{Failure: FailureConfig, Received: ReceivedNo, Error: "no URL"},
	{Failure: FailureServerError, Received: ReceivedNo, Status: 503, Error: "HTTP 503", Response: "later"},
	{Failure: FailureNotCounted, Received: ReceivedYes, Status: 202, Error: "HTTP 202"},
}

// unstorable has a text that no column can hold.
var unstorable = Result{Failure: FailureRejected, Received: ReceivedNo, Status: 404, Error: simPoison}
