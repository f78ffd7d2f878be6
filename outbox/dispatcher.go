package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options are the dispatcher's settings. Its times are measured on this process's monotonic clock; the
// database's clock decides what is due.
type Options struct {
	PollInterval time.Duration // how often a worker polls whose probes fail, see claimSchedule
	Timeout      time.Duration // the longest attempt
	Lease        time.Duration // how long a claim lasts; the Store has the same value
	Memory       int64         // how many bytes the events in flight may hold, see budget; 0: no limit
	MemoryNow    func() int64  // the same, asked before each claim, where it changes; nil: Memory
	Posts        int           // how many POSTs at once this process has files for; 0: no limit
	Observer     Observer      // nil: none
}

// Dispatcher delivers events: it claims what its queue has capacity for, sends each event from one of
// its delivery goroutines, and records the outcomes in batches. See doc.go for the path of an event.
type Dispatcher struct {
	store  Store
	sender Sender
	log    *zap.Logger
	opts   Options
	now    func() time.Time

	beginWithin time.Duration // how long after its claim a POST may begin
	queue       *queue
	recorder    *recorder
	observer    Observer
	health      *health
	claims      openClaims
	schedule    claimSchedule
	prober      prober
	expired     expiredClaims
	problems    problemLog
	failing     failingLog
	skipped     repeatedCount
	claimFailed repeatedError

	idle    chan claimedEvent // where a delivery goroutine without an event waits for one
	running sync.WaitGroup    // the goroutines of Run and Once
}

// New makes a dispatcher over a database and a sender.
func New(store Store, sender Sender, log *zap.Logger, opts Options) *Dispatcher {
	d := &Dispatcher{
		sender:      sender,
		log:         log,
		opts:        opts,
		now:         time.Now,
		beginWithin: min(beginLimit, opts.Lease-2*opts.Timeout),
		queue:       newQueue(Channels(), opts.Memory),
		idle:        make(chan claimedEvent),
	}
	d.queue.setPosts(opts.Posts)
	d.health = &health{log: log, now: d.now, slow: min(opts.Lease/6, 15*time.Second)}
	d.store = watched{store, d.health}
	d.problems = problemLog{log: log}
	d.failing.log = log
	if d.observer = opts.Observer; d.observer == nil {
		d.observer = unobserved{}
	}
	d.recorder = newRecorder(d.store, log, d.remove)
	d.recorder.recorded = d.observer.Recorded
	return d
}

// Run polls until stop is done, then finishes what is in flight and records it. It returns nil if
// everything was recorded, and an error at once when ctx ends or the drain takes too long; then the
// leases resolve the rest. No goroutine outlives it.
func (d *Dispatcher) Run(ctx, stop context.Context) error {
	defer d.End()
	return d.run(ctx, stop, d.poll)
}

// Turn is Run for a dispatcher that rests in between: after nil it may be called again. rest, which ends
// no later than stop, ends the polling alone; what is in flight has all the time that its record takes.
func (d *Dispatcher) Turn(ctx, stop, rest context.Context) error {
	d.queue.restartScans() // they stand where the turn before it left them
	d.schedule = claimSchedule{}
	return d.run(ctx, stop, func(ctx, stop context.Context) {
		d.poll(ctx, rest)
		d.prober.finish(ctx, stop)
	})
}

// End logs what turns have counted and not logged yet.
func (d *Dispatcher) End() { d.failing.end(d.now()) }

// Once delivers what is due now and what becomes due while it does so, and returns when all of it is
// recorded. Leases that are over are left to a worker that stays. Errors and goroutines: as Run.
func (d *Dispatcher) Once(ctx, stop context.Context) error {
	defer d.End()
	return d.run(ctx, stop, d.pollUntilDone)
}

// drainBeyond is how much longer than one attempt a worker that was asked to stop may take: 35 seconds
// in all with the default timeout.
const drainBeyond = 5 * time.Second

// unansweredFor is how long a worker that was asked to stop, and that has no attempt in flight, waits
// for a database that does not answer.
const unansweredFor = 2 * time.Second

// The reasons for which a drain ends early.
var (
	errDrainTooLong = errors.New("the drain took too long")
	errUnanswered   = errors.New("the database did not answer")
	errStoppedNow   = errors.New("the worker was stopped at once")
)

// run runs a loop until it ends, drains the queue and waits for its goroutines.
func (d *Dispatcher) run(ctx, stop context.Context, loop func(ctx, stop context.Context)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	d.running.Go(func() { d.recorder.run(ctx) })
	d.running.Go(func() { d.limitDrain(ctx, stop, cancel) })

	loop(ctx, stop)
	d.release(ctx, d.queue.takeWaiting())
	d.queue.wait(ctx)

	err := d.leftOpen(ctx)
	cancel(nil)
	d.running.Wait()
	d.recorder.rest()
	return err
}

// limitDrain ends ctx when too much time has passed since stop, wherever the loop is by then: looking
// up a claim has no end of its own. With no attempt in flight it ends soon after the database has
// stopped answering.
func (d *Dispatcher) limitDrain(ctx, stop context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-stop.Done():
	case <-ctx.Done():
		return
	}
	for limit := d.now().Add(d.opts.Timeout + drainBeyond); ; {
		asked := d.now()
		switch left := limit.Sub(asked); {
		case left <= 0:
			cancel(errDrainTooLong)
			return
		case !sleep(ctx, min(left, unansweredFor)):
			return
		case d.queue.inFlight() == 0 && !d.health.answeredSince(asked):
			cancel(errUnanswered)
			return
		}
	}
}

// remove removes events from what is in flight: their outcomes are recorded, or the database rejects them
// for good.
func (d *Dispatcher) remove(outcomes []Outcome) {
	d.claims.remove(outcomes)
	d.queue.remove(outcomes)
}

// leftOpen is the error of what a drain left open; nil if it left nothing.
func (d *Dispatcher) leftOpen(ctx context.Context) error {
	open, claims := d.queue.inFlight(), d.claims.unknowns()
	if open == 0 && claims == 0 {
		return nil
	}
	why := context.Cause(ctx)
	if !errors.Is(why, errDrainTooLong) && !errors.Is(why, errUnanswered) {
		why = errStoppedNow
	}
	what := fmt.Sprintf("%d attempts were not recorded", open)
	if claims > 0 {
		what += ", and it is unknown whether the newest claim was committed"
	}
	return fmt.Errorf("%s: %w; when their leases expire, documents are sent again and the others become failed", what, why)
}
