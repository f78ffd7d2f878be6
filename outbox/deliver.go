package outbox

import (
	"context"
	"strconv"

	"github.com/recordengine/webhooks/envelope"
)

// Verdict is what an attempt makes of its event.
type Verdict string

// The verdicts.
const (
	Sent     Verdict = "sent"     // finished: a counted success
	Failed   Verdict = "failed"   // finished: the one attempt did not succeed
	Retry    Verdict = "retry"    // pending again, due at the next ten-second mark
	Released Verdict = "released" // pending again as before: no POST was begun
)

// Outcome is what is recorded of one attempt.
type Outcome struct {
	EventID int64
	Channel string
	ClaimID string
	Verdict Verdict
	Result  Result // of no meaning for Released
}

// atLeastOnce is the way of a document: send, then mark.
//
// The claim has committed a lease and nothing else, so at every instant from
// here on the row says "pending":
//   - the worker dies before, during or after the POST: the lease runs out and
//     the document is sent again, byte for byte the same while document_base_url
//     stands, or not at all once a later export exists;
//   - the POST fails: pending again, due at the next ten-second mark, for ever;
//   - the POST succeeds but the mark is lost: the mark is repeated until the
//     database has taken it, or the lease runs out and it is sent again;
//   - a second worker: sees the lease and leaves the row alone. After the lease
//     it may send too; then this worker's mark no longer names the newest
//     attempt and changes nothing.
func atLeastOnce(r Result) Verdict {
	if r.Delivered() {
		return Sent
	}
	return Retry
}

// atMostOnce is the way of the other six channels, and of test events: mark,
// then send.
//
// The claim has committed "sending" before this worker knows of the event, and
// no statement of this program leads from there back to a claim, but for rows
// whose POST was never begun:
//   - the worker dies before, during or after the POST: the lease runs out, the
//     sweep writes "interrupted: outcome unknown", nobody sends it again;
//   - the facts cannot be rendered, or the POST fails, whatever the reason: failed;
//   - the record of a success is lost: it is repeated until the database has
//     taken it, or the sweep has written "outcome unknown", which is true;
//   - a second worker: does not see a row that is not pending.
func atMostOnce(r Result) Verdict {
	if r.Delivered() {
		return Sent
	}
	return Failed
}

// judge picks the guarantee that an event is under.
func judge(ev Event, r Result) Verdict {
	if c, _ := ChannelOf(ev.Name); c.RetriesForever && !ev.IsTest {
		return atLeastOnce(r)
	}
	return atMostOnce(r)
}

// attempt takes a claimed event through render and send and says what to record.
// The POST is begun only within d.beginWithin of the claim, measured on the
// monotonic clock: a worker that was frozen, or whose receiver has hung meanwhile,
// gives the event back instead, since its lease may soon be somebody else's. One
// that is frozen after this check may still send late: a document perhaps twice,
// another event once all the same.
func (d *Dispatcher) attempt(ctx context.Context, c claimed) Outcome {
	out := outcomeOf(c, Released)
	if err := d.sender.Check(c.event.Endpoint.URL, c.event.Endpoint.Token); err != nil {
		out.Verdict, out.Result = Retry, Result{Error: err.Error()} // the row waits for its channel to be mended
		return out
	}
	body, err := envelope.Render(envelope.Input{
		Event:           c.event.Name,
		OccurredAt:      c.event.OccurredAt,
		Data:            c.event.Data,
		Validated:       c.event.Parsed,
		DocumentBaseURL: c.event.Endpoint.DocumentBaseURL,
	})
	if err != nil {
		out.Result = Result{Error: err.Error()}
		out.Verdict = judge(c.event, out.Result)
		return out
	}
	if d.now().Sub(c.at) > d.beginWithin {
		return out
	}
	out.Result = d.sender.Send(ctx, request(c.event, body))
	out.Verdict = judge(c.event, out.Result)
	return out
}

func outcomeOf(c claimed, v Verdict) Outcome {
	return Outcome{EventID: c.event.ID, Channel: c.event.Channel, ClaimID: c.event.ClaimID, Verdict: v}
}

// request addresses an envelope. The webhook-id is the same on every attempt.
func request(ev Event, body []byte) Request {
	return Request{
		Channel:   ev.Channel,
		URL:       ev.Endpoint.URL,
		Token:     ev.Endpoint.Token,
		WebhookID: ev.Endpoint.InstanceID + "-" + strconv.FormatInt(ev.ID, 10),
		Body:      body,
		Accept:    ev.Endpoint.AcceptStatus,
	}
}
