package outbox

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Cycle is what happens every ten seconds beside the polling: each lane looks
// from its start again, lost claims are given back, leases that ran out are
// swept, and channels that cannot be called are named. Each part stands alone; one
// that fails is logged and comes round again.
func (d *Dispatcher) Cycle(ctx context.Context) {
	d.lanes.cycle()
	d.releaseUnknown(ctx)
	d.sweep(ctx)

	problems, err := d.store.Problems(ctx)
	if err != nil {
		d.health.failed("read the channels", err)
		return
	}
	d.problems.note(problems)
}

// sweep waits until the database has answered for a whole lease: after an
// outage every worker first gets the chance to record what it holds.
func (d *Dispatcher) sweep(ctx context.Context) {
	if !d.health.upFor(d.opts.Lease) {
		return
	}
	n, err := d.store.ExpireLeases(ctx)
	if err != nil {
		d.health.down("sweep leases", err)
		return
	}
	if n > 0 {
		d.log.Info("leases ran out: the worker that held them is taken for dead", zap.Int("events", n))
	}
}

// Skip finishes what waits for channels that are off. It comes round as the cycle
// does, but stands beside it: a large backlog takes minutes, since it is skipped
// without haste, and no lease and no lane waits for that.
func (d *Dispatcher) Skip(ctx context.Context) {
	d.count(ctx, "skipped: the channel is off", d.store.Skip)
}

// Prune is the nightly clean-up: finished events older than the retention go.
func (d *Dispatcher) Prune(ctx context.Context, olderThan time.Duration) {
	d.count(ctx, "pruned: finished longer ago than the retention time", func(ctx context.Context) (int, error) {
		return d.store.Prune(ctx, olderThan)
	})
}

func (d *Dispatcher) count(ctx context.Context, what string, do func(context.Context) (int, error)) {
	n, err := do(ctx)
	if err != nil {
		d.health.failed(what, err)
		return
	}
	if n > 0 {
		d.log.Info(what, zap.Int("events", n))
	}
}

// releaseUnknown returns what turned up under a claim that was looked up in vain.
func (d *Dispatcher) releaseUnknown(ctx context.Context) {
	ids := d.lost.list()
	if len(ids) == 0 {
		return
	}
	now := d.now()
	n, err := d.store.Release(ctx, ids)
	if err != nil {
		d.health.failed("give back", err)
		return
	}
	if n > 0 {
		d.log.Warn("given back: the claim was committed after its reply was lost", zap.Int("events", n))
	}
	d.lost.forget(now.Add(-d.opts.Lease))
}

// lostClaims are attempt ids of claims of which nobody knows whether they commit:
// looked up and not found, or not answered before the worker was stopped.
type lostClaims struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (l *lostClaims) add(claimID string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]time.Time{}
	}
	l.at[claimID] = at
}

func (l *lostClaims) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.at))
}

// forget drops the claims lost before an instant: what they may have leased has run out.
func (l *lostClaims) forget(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.at, func(_ string, at time.Time) bool { return at.Before(before) })
}

// problemLog says once that a channel cannot be called, and once that it can again.
type problemLog struct {
	mu    sync.Mutex
	log   *zap.Logger
	known map[string]string
}

func (p *problemLog) note(problems map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for channel, problem := range problems {
		if p.known[channel] != problem {
			p.log.Error("the channel is on but cannot be called; its events wait", zap.String("channel", channel), zap.String("problem", problem))
		}
	}
	for channel := range p.known {
		if _, still := problems[channel]; !still {
			p.log.Info("the channel can be called again, or is off", zap.String("channel", channel))
		}
	}
	p.known = problems
}
