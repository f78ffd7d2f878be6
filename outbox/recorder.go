package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
)

// A flush takes what has gathered while the one before it was under way, and
// what comes within a few milliseconds: a statement costs as much as the
// outcomes of twenty events.
const (
	gatherFor  = 3 * time.Millisecond
	maxFlush   = 500  // outcomes a statement
	maxWaiting = 1000 // outcomes that wait for a flush; beyond it senders wait too

	laterFor = 200 * time.Millisecond // of each second, for what is locked or denied
)

// recorder writes outcomes in batches, one statement at a time, and repeats each
// until the database has taken or disowned it.
type recorder struct {
	store   Store
	log     *zap.Logger
	health  *health
	waiting chan Outcome
	later   []Outcome       // locked or denied: written again every second
	done    func([]Outcome) // called for outcomes that are settled
}

func newRecorder(store Store, log *zap.Logger, h *health, done func([]Outcome)) *recorder {
	return &recorder{store: store, log: log, health: h, waiting: make(chan Outcome, maxWaiting), done: done}
}

// run flushes until ctx ends. Outcomes that wait then are lost to this worker:
// their leases run out.
func (r *recorder) run(ctx context.Context) {
	var again <-chan time.Time
	for {
		if again == nil && len(r.later) > 0 {
			again = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case first := <-r.waiting:
			r.settle(ctx, r.gather(ctx, first))
		case <-again:
			again = nil
			r.settleLater(ctx)
		}
	}
}

func (r *recorder) gather(ctx context.Context, first Outcome) []Outcome {
	batch := []Outcome{first}
	enough := time.NewTimer(gatherFor)
	defer enough.Stop()
	for len(batch) < maxFlush {
		select {
		case o := <-r.waiting:
			batch = append(batch, o)
		case <-enough.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// settle repeats a batch until it is taken. One of which the database refuses or
// denies a row is written row by row: no receiver's answer and no trigger keeps
// the others from being recorded. Nor does a forgotten transaction: what it locks
// is left for later.
func (r *recorder) settle(ctx context.Context, batch []Outcome) {
	err := r.write(ctx, batch)
	if err == nil || ctx.Err() != nil {
		return
	}
	for _, o := range batch {
		r.settleOne(ctx, o)
	}
}

// settleOne writes one outcome, without its texts if those are refused.
func (r *recorder) settleOne(ctx context.Context, o Outcome) {
	err := r.write(ctx, []Outcome{o})
	if errors.Is(err, ErrRejected) {
		r.log.Error("the database refused an outcome; it is recorded without its texts", zap.Int64("id", o.EventID), zap.Error(err))
		err = r.write(ctx, []Outcome{withoutTexts(o)})
	}
	switch {
	case errors.Is(err, ErrRejected):
		r.log.Error("the database refused an outcome even without its texts; its lease will run out", zap.Int64("id", o.EventID), zap.Error(err))
		r.done([]Outcome{o})
	case errors.Is(err, ErrDenied):
		r.log.Error("the database does not let an outcome be recorded; it is tried again every second", zap.Int64("id", o.EventID), zap.Error(err))
		r.later = append(r.later, o)
	}
}

// settleLater tries again what was locked or denied: in batches until one is
// denied, then one by one, and never for so long that the others have to wait.
func (r *recorder) settleLater(ctx context.Context) {
	began, rest := time.Now(), r.later
	r.later = nil
	goOn := func() bool { return len(rest) > 0 && time.Since(began) < laterFor && ctx.Err() == nil }
	for goOn() {
		n := min(len(rest), maxFlush)
		if r.write(ctx, rest[:n]) != nil {
			break
		}
		rest = rest[n:]
	}
	for goOn() {
		r.settleOne(ctx, rest[0])
		rest = rest[1:]
	}
	r.later = append(slices.Clone(rest), r.later...) // what was not tried comes first the next time
}

func withoutTexts(o Outcome) Outcome {
	if o.Result.Error != "" {
		o.Result.Error = "the error text could not be stored: see the worker's log"
	}
	o.Result.Response = ""
	return o
}

// write writes until the database answers: nil, or an error that wraps ErrRejected
// or ErrDenied, and then nothing was written. Repeating is harmless, see
// Store.Record. What is locked is left for later.
func (r *recorder) write(ctx context.Context, batch []Outcome) error {
	for try := 0; ; try++ {
		locked, err := r.store.Record(ctx, batch)
		if errors.Is(err, ErrRejected) || errors.Is(err, ErrDenied) {
			r.health.up()
			return err
		}
		if err == nil {
			r.health.up()
			r.leave(locked)
			r.done(without(batch, locked))
			return nil
		}
		r.health.down("record outcomes", err)
		if !sleep(ctx, Backoff(try)) {
			return ctx.Err()
		}
	}
}

func (r *recorder) leave(locked []Outcome) {
	r.later = append(r.later, locked...)
	for _, o := range locked {
		r.log.Warn("somebody's open transaction locks the event; its outcome is recorded afterwards", zap.Int64("id", o.EventID))
	}
}

func without(batch, locked []Outcome) []Outcome {
	if len(locked) == 0 {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), func(o Outcome) bool {
		return slices.ContainsFunc(locked, func(l Outcome) bool { return l.EventID == o.EventID && l.ClaimID == o.ClaimID })
	})
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
