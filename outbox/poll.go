package outbox

import (
	"context"
	"time"
)

// slotWaitLimit is how long a claimed event may wait for its slot: twenty times prefetchFor. If its
// receiver has become slow since the claim, it is released.
const slotWaitLimit = 200 * time.Millisecond

// poll is the loop of Run: pass after pass until the worker is stopped.
func (d *Dispatcher) poll(ctx, stop context.Context) {
	d.schedule.interval, d.schedule.announced.at = d.opts.PollInterval, d.now()
	for failures := 0; ctx.Err() == nil && stop.Err() == nil; {
		if _, err := d.Pass(ctx); err != nil {
			failures++
			sleepUnlessStopped(ctx, stop, Backoff(failures))
			continue
		}
		failures = 0
		d.untilNextClaim(ctx, stop)
	}
}

// untilNextClaim waits until the next claim is due, a lane wants more or the worker is stopped, and
// probes for new events meanwhile.
func (d *Dispatcher) untilNextClaim(ctx, stop context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select { // before a wake that has come as well
		case a := <-d.prober.answer:
			d.endProbe(ctx, a)
		default:
		}
		now := d.now()
		wait := d.schedule.next().Sub(now)
		if wait <= 0 {
			return
		}
		if from := d.beginProbe(ctx, now); from > 0 {
			wait = min(wait, from)
		}
		t.Reset(wait)
		select {
		case <-t.C:
		case <-d.queue.wake:
			return
		case <-stop.Done():
			return
		case <-ctx.Done():
			return
		case a := <-d.prober.answer:
			d.endProbe(ctx, a)
		}
	}
}

// pollUntilDone is the loop of Once: pass after pass, each recorded before the next one, until a pass finds
// nothing, and neither a shortage nor the pace of a channel may be the reason.
func (d *Dispatcher) pollUntilDone(ctx, stop context.Context) {
	d.Cycle(ctx)
	d.Skip(ctx)
	for failures := 0; ctx.Err() == nil && stop.Err() == nil; {
		d.queue.resetBreakers()
		d.queue.restartScans() // nothing that is due stays before a cursor
		n, err := d.Pass(ctx)
		if err != nil {
			failures++
			sleepUnlessStopped(ctx, stop, Backoff(failures))
			continue
		}
		d.queue.wait(ctx)
		if n == 0 {
			wait := d.queue.paused(d.now())
			if wait == 0 {
				return
			}
			sleepUnlessStopped(ctx, stop, min(wait, d.opts.PollInterval))
		}
	}
}

// Pass is one step of the loop: it claims what the queue has capacity for and starts each event on its
// way. It returns the number of events claimed; an error means that this worker has no event of that claim to
// send. It is logged already, except when ctx has ended.
func (d *Dispatcher) Pass(ctx context.Context) (int, error) {
	d.release(ctx, d.queue.overdue(d.now().Add(-slotWaitLimit)))
	if d.opts.MemoryNow != nil {
		d.queue.setMemory(d.opts.MemoryNow())
	}
	capacity := d.queue.beginClaim()
	began := d.now()
	batch, err := d.claim(ctx, capacity)
	if err != nil {
		return 0, err
	}
	ready, limited := d.queue.add(capacity, batch)
	for _, c := range ready {
		d.dispatch(ctx, c)
	}
	d.schedule.note(batch, limited, began, d.now())
	return len(batch), nil
}

// release records events as released: they waited for a slot and no POST was begun.
func (d *Dispatcher) release(ctx context.Context, waited []claimedEvent) {
	for _, c := range waited {
		d.report(ctx, c.event, c.outcome(Released))
	}
}

// sleepUnlessStopped waits for d, or until the worker is stopped or ctx ends.
func sleepUnlessStopped(ctx, stop context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop.Done():
	case <-ctx.Done():
	}
}

// sleep waits for d and reports true, or false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
