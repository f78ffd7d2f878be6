package outbox

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// One statement compares the sequence probesAtOnce times, probeEvery apart; its snapshot is held for
// all of them (81 ms). Once no new id came for as long as silence, fewer and longer statements (200
// ms) and fewer wake-ups do, unless the lease is shorter than quietLease: a statement may take a sixth
// of it. After a denial the next probe follows probeDenied later.
const (
	probeEvery   = 3 * time.Millisecond
	probesAtOnce = 27
	silence      = time.Second
	quietLease   = 3 * time.Second
	quietEvery   = 4 * time.Millisecond
	quietProbes  = 50
	probeDenied  = time.Minute
)

// prober begins the probes, one at a time: each waits on the database for new events in a goroutine of
// its own, while the goroutine that claims waits for its answer and for all else.
type prober struct {
	answer   chan probed // of the probe that is under way; nil: none is
	failures int
	notUntil time.Time // after a failure
	denied   bool      // and logged
}

// probed is what a probe has found.
type probed struct {
	known, newest int64
	at            time.Time
	err           error
}

// finish waits for the answer of a probe that is under way, unless the worker stops. Cut off, the
// probe would cost its connection, and while its statement is being prepared those of all other calls,
// which go on in the next turn.
func (p *prober) finish(ctx, stop context.Context) {
	if p.answer == nil {
		return
	}
	select {
	case <-p.answer:
	case <-stop.Done():
	case <-ctx.Done():
	}
	p.answer = nil
}

// beginProbe begins a probe, unless one is under way, or has just failed, or a claim could not follow
// yet. It returns how long it is until then. While a backlog is drained it begins none: what has come
// since, the next claim finds, and the snapshot of a probe keeps the server from removing what the
// claims and records of a tenth of a second have left.
func (d *Dispatcher) beginProbe(ctx context.Context, now time.Time) (wait time.Duration) {
	p := &d.prober
	if d.schedule.draining {
		return 0
	}
	if from := latest(p.notUntil, d.schedule.allowedFrom); now.Before(from) {
		return from.Sub(now)
	}
	if p.answer == nil {
		known, every, times := d.schedule.announced.newest, probeEvery, probesAtOnce
		if now.Sub(d.schedule.announced.at) >= silence && d.opts.Lease >= quietLease {
			every, times = quietEvery, quietProbes
		}
		answer := make(chan probed, 1)
		p.answer = answer
		d.running.Go(func() {
			newest, err := d.store.Newest(ctx, known, every, times)
			answer <- probed{known: known, newest: newest, at: d.now(), err: err}
		})
	}
	return 0
}

// endProbe notes what a probe has found. While it fails the worker polls.
func (d *Dispatcher) endProbe(ctx context.Context, a probed) {
	p := &d.prober
	p.answer = nil
	if d.schedule.probes = a.err == nil; d.schedule.probes {
		p.failures, p.denied = 0, false
		if a.newest < a.known {
			d.schedule.announced.restart(a.newest, a.at)
		} else {
			d.schedule.announced.note(a.newest, a.at)
		}
		return
	}
	p.failures++
	p.notUntil = a.at.Add(Backoff(p.failures))
	switch {
	case ctx.Err() != nil:
	case !errors.Is(a.err, ErrDenied):
		d.health.failed("probe for new events", a.err)
	default:
		if p.notUntil = a.at.Add(probeDenied); !p.denied {
			d.log.Warn("probe denied, polling more often instead", zap.Error(a.err))
		}
		p.denied = true
	}
}
