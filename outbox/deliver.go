package outbox

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/envelope"
)

// beginLimit is how long after its claim a POST may begin.
const beginLimit = 5 * time.Second

// dispatch hands an event to an idle delivery goroutine, or to a new one. They are kept: a new goroutine
// would grow its stack anew for each event, which is a tenth of all the work.
func (d *Dispatcher) dispatch(ctx context.Context, c claimedEvent) {
	select {
	case d.idle <- c:
	default:
		own := c
		d.running.Go(func() { d.deliverAll(ctx, &own) })
	}
}

// deliverAll is a delivery goroutine: it delivers one event after the other until ctx ends, first those
// of the same lane that wait for its slot. There is one copy of the event: what refers to its data keeps
// them.
func (d *Dispatcher) deliverAll(ctx context.Context, c *claimedEvent) {
	for {
		for next := true; next && ctx.Err() == nil; {
			next = d.deliver(ctx, c)
		}
		select {
		case *c = <-d.idle:
		case <-ctx.Done():
			return
		}
	}
}

// deliver makes the attempt of one event and replaces it by the next one, if one waits for its slot. The
// slot is free as soon as the outcome waits to be recorded.
func (d *Dispatcher) deliver(ctx context.Context, c *claimedEvent) (next bool) {
	out := d.attempt(ctx, c)
	d.noteShortage(c.event, out)
	d.heed(ctx, c.event.Channel, out.Result.RetryAfter)
	d.report(ctx, c.event, out)
	*c, next = d.queue.done(c.event, out)
	return next
}

// attempt checks the channel, renders and sends an event, and returns what to record. The POST begins
// only within d.beginWithin of the claim, on the monotonic clock: a worker that was frozen, or whose
// receiver hung meanwhile, releases the event instead, since another worker may soon hold its lease. A
// worker that is frozen after this check may still send late: an event that is delivered at least once
// perhaps twice, the others once all the same.
func (d *Dispatcher) attempt(ctx context.Context, c *claimedEvent) Outcome {
	out := c.outcome(Released)
	if problem := d.endpointProblem(c.event.Endpoint); problem != "" {
		out.Verdict = Retry // also of an event that is delivered at most once: no POST was begun
		out.Result = Result{Failure: FailureConfig, Received: ReceivedNo, Error: problem}
		return out
	}
	body, err := render(c.event)
	if err != nil {
		out.Result = Result{Failure: FailureRender, Received: ReceivedNo, Error: err.Error()}
		out.Verdict = verdict(c.event, out.Result)
		return out
	}
	if d.now().Sub(c.at) > d.beginWithin {
		return out
	}
	req := request(c.event, body) // reads the data, which rendered drops
	req.Body = d.queue.rendered(c, body)
	result := d.sender.Send(ctx, req)
	if result.Shortage != "" {
		out.Result.Shortage = result.Shortage
		return out
	}
	out.Result = result
	out.Verdict = verdict(c.event, out.Result)
	return out
}

// endpointProblem is why an endpoint cannot be called as it is configured, or "".
func (d *Dispatcher) endpointProblem(to Endpoint) string {
	if to.Problem != "" {
		return to.Problem
	}
	if err := d.sender.Check(to.URL, to.Token, to.Secrets); err != nil {
		return err.Error()
	}
	return ""
}

// verdict applies the guarantee of an event to the result of its attempt.
func verdict(ev Event, r Result) Verdict {
	if ev.AtLeastOnce {
		return atLeastOnce(r)
	}
	return atMostOnce(r)
}

// atLeastOnce: lease, POST, record.
//
// The claim leases the row and leaves it pending until its outcome is recorded:
//   - the worker dies before, during or after the POST: the lease expires and the event is sent again,
//     with the same bytes while the row and document_base_url are unchanged, or not at all once a later
//     export of the same document exists;
//   - the POST fails: pending again, due at the next multiple of ten seconds, without end;
//   - the POST succeeds and its record is lost: the record is repeated until the database accepts it,
//     or until the lease expires and the event is sent again;
//   - a second worker does not claim a leased row. When the lease is over it may send the event too;
//     then this worker's claim no longer holds the row, and its outcome changes nothing.
func atLeastOnce(r Result) Verdict {
	if r.Delivered() {
		return Sent
	}
	return Retry
}

// atMostOnce: commit 'sending', POST, record.
//
// The claim has committed 'sending' before this worker has the event, and no statement of this program
// makes such a row claimable again, except while no POST was begun:
//   - the worker dies before, during or after the POST: the lease expires and the row becomes failed,
//     failure 'interrupted', received 'maybe'; it is never sent again by the program;
//   - the data cannot be rendered, or the POST fails, whatever the reason: failed;
//   - the egress proxy makes no connection, so that nothing was sent: pending again, as an event that is
//     delivered at least once;
//   - the record of a success is lost: it is repeated until the database accepts it, or until the
//     expired lease has written 'maybe', which is true;
//   - a second worker claims only pending rows.
func atMostOnce(r Result) Verdict {
	switch {
	case r.Delivered():
		return Sent
	case r.Failure == FailureProxy && r.Received == ReceivedNo:
		return Retry
	}
	return Failed
}

// render is the one call of package envelope.
func render(ev Event) ([]byte, error) {
	return envelope.Render(envelope.Input{
		Event:           ev.Name,
		OccurredAt:      ev.OccurredAt,
		Data:            ev.Data,
		Validated:       ev.Validated,
		DocumentBaseURL: ev.Endpoint.DocumentBaseURL,
	})
}

// request addresses an envelope.
func request(ev Event, body []byte) Request {
	return Request{
		Channel:     ev.Channel,
		URL:         ev.Endpoint.URL,
		Token:       ev.Endpoint.Token,
		Secrets:     ev.Endpoint.Secrets,
		WebhookID:   webhookID(ev),
		Traceparent: ev.Traceparent,
		Body:        body,
		Accept:      ev.Endpoint.AcceptStatus,
	}
}

// report counts and logs an outcome, and has it recorded.
func (d *Dispatcher) report(ctx context.Context, ev Event, out Outcome) {
	d.failing.note(ev, out, d.now())
	if d.log.Core().Enabled(zap.DebugLevel) {
		d.logAttempt(ev, out)
	}
	d.recorder.add(ctx, out)
}
