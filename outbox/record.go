package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A batch holds what gathered while the one before it was written, and what arrives within a few
// milliseconds: a statement costs as much as the outcomes of twenty events.
const (
	gatherFor    = 3 * time.Millisecond
	maxBatch     = 500  // outcomes per statement
	maxWaiting   = 1000 // outcomes that wait for a batch; beyond it delivery goroutines wait too
	deferredTime = 200 * time.Millisecond
)

// recorder writes outcomes in batches, one statement at a time, and repeats each until the database
// accepts it, or rejects it even without its texts; then its lease expires. Once the lease is lost a
// record changes nothing.
type recorder struct {
	store    Store
	log      *zap.Logger
	opened   *sync.Once
	queue    chan Outcome    // see waiting
	deferred []Outcome       // locked or denied: written again every second, by rounds that begin no write after deferredTime
	remove   func([]Outcome) // called with outcomes that are recorded, or that the database rejects for good
	recorded func([]Outcome) // called with those that are recorded, not with those whose lease was lost
}

func newRecorder(store Store, log *zap.Logger, remove func([]Outcome)) *recorder {
	return &recorder{store: store, log: log, opened: &sync.Once{}, remove: remove, recorded: unobserved{}.Recorded}
}

// waiting are the outcomes that wait for a batch. It is made when the first one comes: a quarter of a
// megabyte, which a dispatcher that rests does not need.
func (r *recorder) waiting() chan Outcome {
	r.opened.Do(func() { r.queue = make(chan Outcome, maxWaiting) })
	return r.queue
}

// rest drops it. Not to be called while anything runs.
func (r *recorder) rest() { r.opened, r.queue = &sync.Once{}, nil }

// add has an outcome recorded. After ctx has ended it is dropped, and its lease expires.
func (r *recorder) add(ctx context.Context, out Outcome) {
	if ctx.Err() != nil {
		return
	}
	select {
	case r.waiting() <- out:
	case <-ctx.Done():
	}
}

// run records outcomes until ctx ends. The leases of those that wait then expire.
func (r *recorder) run(ctx context.Context) {
	var retry <-chan time.Time
	for {
		if retry == nil && len(r.deferred) > 0 {
			retry = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case first := <-r.waiting():
			r.record(ctx, r.gather(ctx, first))
		case <-retry:
			retry = nil
			r.recordDeferred(ctx)
		}
	}
}

func (r *recorder) gather(ctx context.Context, first Outcome) []Outcome {
	batch := []Outcome{first}
	enough := time.NewTimer(gatherFor)
	defer enough.Stop()
	for len(batch) < maxBatch {
		select {
		case o := <-r.waiting():
			batch = append(batch, o)
		case <-enough.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// record writes a batch. If the database rejects or denies it, each outcome is written alone, so that
// one bad row does not hold up the others.
func (r *recorder) record(ctx context.Context, batch []Outcome) {
	if err := r.write(ctx, batch); err == nil || ctx.Err() != nil {
		return
	}
	for _, o := range batch {
		r.recordOne(ctx, o)
	}
}

// recordOne writes one outcome, without its texts if the database rejects them.
func (r *recorder) recordOne(ctx context.Context, o Outcome) {
	err := r.write(ctx, []Outcome{o})
	if errors.Is(err, ErrRejected) {
		r.log.Error("outcome rejected, recording it without its texts", zap.Int64("id", o.EventID), zap.Error(err))
		err = r.write(ctx, []Outcome{withoutTexts(o)})
	}
	switch {
	case errors.Is(err, ErrRejected):
		r.log.Error("outcome rejected without its texts, its lease will expire", zap.Int64("id", o.EventID), zap.Error(err))
		r.remove([]Outcome{o})
	case errors.Is(err, ErrDenied):
		r.log.Error("outcome denied, retrying every second", zap.Int64("id", o.EventID), zap.Error(err))
		r.deferred = append(r.deferred, o)
	}
}

// recordDeferred writes again what was locked or denied: in batches until one is denied, then one by
// one, and never for so long that the others have to wait.
func (r *recorder) recordDeferred(ctx context.Context) {
	began, rest := time.Now(), r.deferred
	r.deferred = nil
	more := func() bool { return len(rest) > 0 && time.Since(began) < deferredTime && ctx.Err() == nil }
	for more() {
		n := min(len(rest), maxBatch)
		if r.write(ctx, rest[:n]) != nil {
			break
		}
		rest = rest[n:]
	}
	for more() {
		r.recordOne(ctx, rest[0])
		rest = rest[1:]
	}
	r.deferred = append(slices.Clone(rest), r.deferred...) // what was not tried comes first the next time
}

// write repeats a statement until the database answers or ctx ends. Nil: written. An error that wraps
// ErrRejected or ErrDenied: nothing was written. Repeating is harmless, see Store.Record. Locked rows are
// deferred.
func (r *recorder) write(ctx context.Context, batch []Outcome) error {
	for failures := 1; ctx.Err() == nil; failures++ {
		rest, err := r.store.Record(ctx, batch)
		if errors.Is(err, ErrRejected) || errors.Is(err, ErrDenied) {
			return err
		}
		if err == nil {
			r.postpone(rest.Locked)
			done := without(batch, rest.Locked)
			r.remove(done)
			if failures == 1 { // else an earlier try may have written what this one finds without a lease
				done = without(done, rest.LeaseLost)
			}
			r.recorded(done)
			return nil
		}
		sleep(ctx, Backoff(failures))
	}
	return ctx.Err()
}

func (r *recorder) postpone(locked []Outcome) {
	r.deferred = append(r.deferred, locked...)
	for _, o := range locked {
		r.log.Warn("row locked by another transaction, recording deferred", zap.Int64("id", o.EventID))
	}
}

// withoutTexts leaves out what came from a receiver. Failure, Received and Status stay: they say
// whether the event may be sent again.
func withoutTexts(o Outcome) Outcome {
	if o.Result.Error != "" {
		o.Result.Error = "the error text could not be stored: see the worker's log"
	}
	o.Result.Response = ""
	return o
}

func without(batch, some []Outcome) []Outcome {
	if len(some) == 0 {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), func(o Outcome) bool {
		return slices.ContainsFunc(some, func(l Outcome) bool { return l.EventID == o.EventID && l.ClaimID == o.ClaimID })
	})
}
