package outbox

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// heed pauses a channel whose receiver asked for it with Retry-After: this worker at once, which
// releases what it holds and has not begun, and all workers as soon as that is written.
func (d *Dispatcher) heed(ctx context.Context, channel string, after time.Duration) {
	if after <= 0 {
		return
	}
	waiting, longer := d.queue.pause(channel, d.now().Add(after))
	d.release(ctx, waiting)
	if !longer {
		return
	}
	d.log.Warn("channel paused, its receiver asked for it", zap.String("channel", channel), zap.Duration("for", after))
	if err := d.store.Pause(ctx, channel, after); err != nil {
		d.health.failed("pause the channel", err)
		return
	}
	d.queue.sharePause(channel)
}

// pause lets a lane claim nothing until then, and removes what waits in it. longer: by more than a
// second than it was paused already. The many answers that arrive together are one pause.
func (q *queue) pause(channel string, until time.Time) (waiting []claimedEvent, longer bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(channel)
	if l == nil {
		return nil, false
	}
	longer = until.Sub(l.pausedUntil) > time.Second
	if longer {
		l.pausedUntil, l.pauseShared = until, false
	}
	return l.slots.takeWaiting(), longer
}

// sharePause leaves the end of a pause to the database, where a person may end it.
func (q *queue) sharePause(channel string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lane(channel).pauseShared = true
}
