package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// lookUpEvery is the longest pause between two look-ups of a claim.
const lookUpEvery = time.Second

// claim claims what there is capacity for. A claim whose reply was lost is looked up by its id until
// its outcome is known. There is one claim at a time, and none while the outcome of another is unknown.
func (d *Dispatcher) claim(ctx context.Context, capacity []Capacity) ([]claimedEvent, error) {
	at, id := d.now(), uuid.NewString()
	d.claims.begin(id)
	events, err := d.store.Claim(ctx, id, capacity)
	if errors.Is(err, ErrReplyLost) {
		found, known := d.lookUp(ctx, id, at)
		if !known {
			return nil, fmt.Errorf("look up a claim: %w", err) // this worker ends
		}
		if len(found) > 0 {
			events, err = found, nil
		}
	}
	d.claims.known(id, leased(events))
	if err != nil {
		if answered(err) && d.claimFailed.due(at, err) {
			d.log.Warn("claim failed, retrying", zap.Error(err))
		}
		return nil, fmt.Errorf("claim: %w", err)
	}
	d.observer.Polled()
	now, batch := d.now(), make([]claimedEvent, len(events))
	for i, ev := range events {
		batch[i] = claimedEvent{event: ev, at: at, dueSince: now.Add(-ev.DueFor)}
	}
	return batch, nil
}

// lookUp repeats the look-up of a claim until its outcome is known, however long that takes: its events
// were found, or the session that was to commit it has ended without them. A commit may be delayed for
// minutes in a server process that has not noticed the broken connection (a standby that does not
// acknowledge, a disk that hangs). Events that are found too late to be sent are released, before any
// worker expires them (see expireLeases). The outcome stays unknown if ctx ends before.
func (d *Dispatcher) lookUp(ctx context.Context, id string, at time.Time) (events []Event, known bool) {
	for failures := 1; ; failures++ {
		events, over, err := d.store.LookUpClaim(ctx, id)
		switch {
		case err != nil:
		case len(events) == 0 && over:
			return nil, true
		case len(events) > 0 && d.now().Sub(at) <= d.beginWithin:
			return events, true
		case len(events) > 0 && d.releaseLate(ctx, id):
			return nil, true
		}
		if !sleep(ctx, min(Backoff(failures), lookUpEvery)) {
			return nil, false
		}
	}
}

// releaseLate releases the events of a claim that was found too late. It reports whether the database
// has accepted that.
func (d *Dispatcher) releaseLate(ctx context.Context, id string) bool {
	n, err := d.store.ReleaseClaims(ctx, []string{id})
	if err == nil && n > 0 {
		d.log.Warn("released events of a claim whose reply was lost", zap.Int("events", n))
	}
	return err == nil
}

// leased counts the events that a claim has leased: those that it has superseded need no more work.
func leased(events []Event) (n int) {
	for _, ev := range events {
		if !ev.Superseded {
			n++
		}
	}
	return n
}
