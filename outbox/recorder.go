package outbox

import (
	"context"
	"errors"
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
)

// recorder writes outcomes in batches, one statement at a time, and repeats
// each until the database has taken or disowned it.
type recorder struct {
	store   Store
	log     *zap.Logger
	health  *health
	waiting chan Outcome
	done    func(n int) // called once for each batch that is settled
}

func newRecorder(store Store, log *zap.Logger, h *health, done func(int)) *recorder {
	return &recorder{store: store, log: log, health: h, waiting: make(chan Outcome, maxWaiting), done: done}
}

// run flushes until ctx ends. Outcomes that wait then are lost to this worker:
// their leases run out.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-r.waiting:
			if n := r.settle(ctx, r.gather(ctx, first)); n > 0 {
				r.done(n)
			}
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

// settle repeats a batch until it is taken, and returns how many outcomes are
// settled. A batch of which the database refuses a row, or of which somebody
// holds one, is written row by row: no receiver's answer, no trigger and no
// forgotten transaction keeps the others from being recorded.
func (r *recorder) settle(ctx context.Context, batch []Outcome) (settled int) {
	err := r.repeat(ctx, batch)
	switch {
	case err == nil:
		return len(batch)
	case ctx.Err() != nil:
		return 0
	}
	for _, o := range batch {
		if r.settleOne(ctx, o) {
			settled++
		}
	}
	return settled
}

// settleOne writes one outcome, without its texts if those are refused. One
// whose row is locked, or may not be written, queues again.
func (r *recorder) settleOne(ctx context.Context, o Outcome) bool {
	err := r.repeat(ctx, []Outcome{o})
	if errors.Is(err, ErrRefused) {
		r.log.Error("the database refused an outcome; it is recorded without its texts", zap.Int64("id", o.EventID), zap.Error(err))
		err = r.repeat(ctx, []Outcome{withoutTexts(o)})
	}
	switch {
	case errors.Is(err, ErrRefused):
		r.log.Error("the database refused an outcome even without its texts; its lease will run out", zap.Int64("id", o.EventID), zap.Error(err))
		return true
	case errors.Is(err, ErrLocked):
		r.log.Warn("somebody's open transaction locks the event; its outcome is recorded afterwards", zap.Int64("id", o.EventID))
		go r.queueAgain(ctx, o)
		return false
	case errors.Is(err, ErrDenied):
		r.log.Error("the database does not let an outcome be recorded; it is tried again every second", zap.Int64("id", o.EventID), zap.Error(err))
		go r.queueAgain(ctx, o)
		return false
	}
	return err == nil
}

func withoutTexts(o Outcome) Outcome {
	if o.Result.Error != "" {
		o.Result.Error = "the error text could not be stored: see the worker's log"
	}
	o.Result.Response = ""
	return o
}

func (r *recorder) queueAgain(ctx context.Context, o Outcome) {
	if sleep(ctx, time.Second) {
		select {
		case r.waiting <- o:
		case <-ctx.Done():
		}
	}
}

// repeat writes until the database answers: nil, or an error that wraps
// ErrRefused, ErrLocked or ErrDenied. Repeating is harmless, see Store.Record.
func (r *recorder) repeat(ctx context.Context, batch []Outcome) error {
	for try := 0; ; try++ {
		err := r.store.Record(ctx, batch)
		if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrLocked) || errors.Is(err, ErrDenied) {
			r.health.up()
			return err
		}
		r.health.down("record outcomes", err)
		if !sleep(ctx, Backoff(try)) {
			return ctx.Err()
		}
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
