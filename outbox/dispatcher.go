package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// Options are the dispatcher's settings. Its times are measured on this
// process's monotonic clock; the database's clock decides what is due.
type Options struct {
	PollInterval time.Duration // how often an idle worker looks
	Timeout      time.Duration // the longest attempt
	Lease        time.Duration // how long a claim lasts, as the Store was told
	LaneBytes    int64         // how many bytes of facts a lane may hold at once; 0 means no limit
}

// waitAtMost is how long an event may wait for its slot. It was claimed to wait a
// twentieth of that; if its receiver has become slow since, it goes back.
const waitAtMost = 200 * time.Millisecond

// beginAtMost is how long after a claim its POST may still be begun.
const beginAtMost = 5 * time.Second

// Dispatcher owns the loop: it claims what its lanes have room for, sends each
// event from a goroutine of its own, and has the outcomes recorded in batches.
type Dispatcher struct {
	store  Store
	sender Sender
	log    *zap.Logger
	opts   Options
	now    func() time.Time

	beginWithin time.Duration
	lanes       *lanes
	health      *health
	recorder    *recorder
	lost        lostClaims
	problems    problemLog

	senders   chan claimed   // where a sender that has finished its event waits for another
	open      sync.WaitGroup // events claimed and not yet settled
	openCount atomic.Int64   // the same, as a number for the log
}

// claimed is an event together with the instant before its claim was sent.
type claimed struct {
	event Event
	at    time.Time
}

// New makes a dispatcher over a database and a sender.
func New(store Store, sender Sender, log *zap.Logger, opts Options) *Dispatcher {
	d := &Dispatcher{
		store:       store,
		sender:      sender,
		log:         log,
		opts:        opts,
		now:         time.Now,
		beginWithin: min(beginAtMost, opts.Lease-2*opts.Timeout),
		lanes:       newLanes(Channels(), opts.LaneBytes),
		senders:     make(chan claimed),
	}
	d.health = &health{log: log, now: d.now}
	d.problems = problemLog{log: log}
	d.recorder = newRecorder(store, log, d.health, d.recorded)
	return d
}

// drainBeyond is how much longer than one attempt a worker that was asked to
// stop may take: 35 seconds in all, unless the time limit was changed.
const drainBeyond = 5 * time.Second

// The reasons for which a drain ends early.
var (
	errTooLong = errors.New("it took too long")
	errAtOnce  = errors.New("the worker was told to stop at once")
)

// Run polls until stop is done, then finishes what is in flight and records it.
// It returns nil if everything was recorded, and an error at once when ctx ends
// or the drain takes too long; what is open then is cleared up by the leases.
func (d *Dispatcher) Run(ctx, stop context.Context) error {
	ctx, cancel := d.begin(ctx, stop)
	defer cancel()
	for failures := 0; ctx.Err() == nil && stop.Err() == nil; {
		if _, err := d.Pass(ctx); err != nil {
			failures++
			d.rest(ctx, stop, Backoff(failures), nil)
			continue
		}
		failures = 0
		d.rest(ctx, stop, d.opts.PollInterval, d.lanes.freed)
	}
	d.release(ctx, d.lanes.overdue(d.now())) // all that waits
	return d.drain(ctx)
}

// Once delivers what is due now, and what falls due while it does so, and returns
// when all of it is recorded. Leases that ran out wait for a worker that stays.
func (d *Dispatcher) Once(ctx, stop context.Context) error {
	ctx, cancel := d.begin(ctx, stop)
	defer cancel()
	d.Cycle(ctx)
	d.Skip(ctx)
	for failures := 0; ctx.Err() == nil && stop.Err() == nil; {
		d.lanes.cycle() // nothing that is due stays behind a floor
		n, err := d.Pass(ctx)
		if err != nil {
			failures++
			d.rest(ctx, stop, Backoff(failures), nil)
			continue
		}
		if err := d.drain(ctx); err != nil {
			return err
		}
		if n == 0 && len(d.lost.list()) == 0 {
			return nil
		}
		if n == 0 { // a claim of unknown fate: until a lease has passed its rows may turn up
			d.rest(ctx, stop, time.Second, nil)
			d.releaseUnknown(ctx)
		}
	}
	return d.drain(ctx)
}

// begin starts the recorder and limits what comes after stop, wherever the loop
// is by then: a look-up in a database that is away would last for ever.
func (d *Dispatcher) begin(ctx, stop context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go d.recorder.run(ctx)
	limited := context.AfterFunc(stop, func() {
		if sleep(ctx, d.opts.Timeout+drainBeyond) {
			cancel(errTooLong)
		}
	})
	return ctx, func() { limited(); cancel(nil) }
}

// rest waits for a while, or until a lane is ready for the next claim or the
// worker is stopped.
func (d *Dispatcher) rest(ctx, stop context.Context, pause time.Duration, freed <-chan struct{}) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-freed:
	case <-stop.Done():
	case <-ctx.Done():
	}
}

// Pass is one step of the loop: claim what fits and start each event on its way.
// It returns the number of events claimed; an error means the database could
// not be asked, and is already logged.
func (d *Dispatcher) Pass(ctx context.Context) (int, error) {
	d.release(ctx, d.lanes.overdue(d.now().Add(-waitAtMost)))
	told := d.lanes.snapshot()
	batch, err := d.claim(ctx, told)
	if err != nil {
		return 0, err
	}
	d.openCount.Add(int64(len(batch)))
	d.open.Add(len(batch))
	for _, c := range d.lanes.admit(told, batch) {
		d.hand(ctx, c)
	}
	return len(batch), nil
}

// hand gives an event to a sender that is free, or to a new one. Senders are
// kept: a fresh goroutine would grow its stack anew for each event, which is a
// tenth of all the work.
func (d *Dispatcher) hand(ctx context.Context, c claimed) {
	select {
	case d.senders <- c:
	default:
		go d.deliverAll(ctx, c)
	}
}

// deliverAll is a sender: it delivers one event after the other until ctx ends,
// first those of the same lane that wait for its slot.
func (d *Dispatcher) deliverAll(ctx context.Context, c claimed) {
	for {
		next, ok := d.deliver(ctx, c)
		for ok && ctx.Err() == nil {
			next, ok = d.deliver(ctx, next)
		}
		select {
		case c = <-d.senders:
		case <-ctx.Done():
			return
		}
	}
}

// deliver is the way of one claimed event. Its slot goes to the next one as soon
// as its outcome waits to be recorded.
func (d *Dispatcher) deliver(ctx context.Context, c claimed) (next claimed, ok bool) {
	out := d.attempt(ctx, c)
	d.report(ctx, c.event, out)
	return d.lanes.free(c.event, out)
}

// report logs an outcome and has it recorded.
func (d *Dispatcher) report(ctx context.Context, ev Event, out Outcome) {
	d.logOutcome(ev, out)
	select {
	case d.recorder.waiting <- out:
	case <-ctx.Done():
	}
}

// release returns events that waited for a slot in vain.
func (d *Dispatcher) release(ctx context.Context, waited []claimed) {
	for _, c := range waited {
		d.report(ctx, c.event, outcomeOf(c, Released))
	}
}

// recorded is called by the recorder for outcomes that need no more work: written,
// disowned, or refused for good.
func (d *Dispatcher) recorded(outcomes []Outcome) {
	d.lanes.settle(outcomes)
	d.settled(len(outcomes))
}

func (d *Dispatcher) settled(n int) {
	d.openCount.Add(int64(-n))
	d.open.Add(-n)
}

// claim asks the database for what the lanes have room for. A claim whose
// reply was lost is looked up by its attempt id: what is found was committed,
// and is ours to send.
func (d *Dispatcher) claim(ctx context.Context, told []Lane) ([]claimed, error) {
	at, claimID := d.now(), uuid.NewString()
	events, err := d.store.Claim(ctx, claimID, told)
	if errors.Is(err, ErrReplyLost) {
		d.health.down("claim", err)
		events, err = d.lookUp(ctx, claimID)
	}
	if err != nil {
		d.health.down("claim", err)
		return nil, fmt.Errorf("claim: %w", err)
	}
	d.health.up()
	batch := make([]claimed, len(events))
	for i, ev := range events {
		batch[i] = claimed{event: ev, at: at}
	}
	return batch, nil
}

// lookUp asks until the database answers what became of a claim. If nothing is
// found the claim may still commit, by a server process that has not noticed
// the broken connection; then its rows must never be sent, since nobody would
// know of them in time. The lost claim is remembered and given back.
func (d *Dispatcher) lookUp(ctx context.Context, claimID string) ([]Event, error) {
	for try := 0; ; try++ {
		events, err := d.store.Claimed(ctx, claimID)
		if err == nil {
			if len(events) == 0 {
				d.lost.add(claimID, d.now())
			}
			return events, nil
		}
		if !sleep(ctx, Backoff(try)) {
			d.lost.add(claimID, d.now())
			return nil, err
		}
	}
}

// drain waits until everything claimed is recorded.
func (d *Dispatcher) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { d.open.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	d.releaseUnknown(ctx)
	if d.openCount.Load() == 0 && (ctx.Err() == nil || len(d.lost.list()) == 0) {
		return nil
	}
	why := context.Cause(ctx)
	if !errors.Is(why, errTooLong) {
		why = errAtOnce
	}
	what := fmt.Sprintf("%d attempts were not recorded", d.openCount.Load())
	if n := len(d.lost.list()); n > 0 {
		what += fmt.Sprintf(", and of %d claims nobody knows whether they were committed", n)
	}
	return fmt.Errorf("%s: %w; their leases will run out, then documents are sent again and the others are failed", what, why)
}

// logOutcome is the one place where an attempt is logged.
func (d *Dispatcher) logOutcome(ev Event, out Outcome) {
	level, message := zap.WarnLevel, ""
	switch out.Verdict {
	case Sent:
		level, message = zap.DebugLevel, "sent"
	case Failed:
		message = "failed"
	case Retry:
		message = "not delivered, tried again on the next cycle"
	case Released:
		level, message = zap.InfoLevel, "given back: its POST was not begun in time, or the worker stops"
	}
	entry := d.log.Check(level, message)
	if entry == nil {
		return
	}
	fields := []zap.Field{
		zap.Int64("id", ev.ID), zap.String("event", ev.Name), zap.Int("attempt", ev.Attempts),
		zap.Int("http_status", out.Result.Status), zap.Duration("took", out.Result.Took),
	}
	if out.Result.Error != "" {
		fields = append(fields, zap.String("error", out.Result.Error))
	}
	entry.Write(fields...)
}
