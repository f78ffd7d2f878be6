package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Cycle is what happens every ten seconds beside the polling: each lane has its failure budget again,
// leases that are over expire, channels that cannot be called are logged, and what the scans have passed
// is looked for. One part that fails is logged and runs again in the next cycle. There is one cycle at a
// time.
func (d *Dispatcher) Cycle(ctx context.Context) {
	d.queue.resetBreakers()
	d.failing.tick(d.now())
	d.expireLeases(ctx)

	if problems, err := d.store.ChannelProblems(ctx); err != nil {
		d.health.failed("read the channels", err)
	} else {
		d.problems.note(problems)
	}
	d.rewind(ctx)
}

// rewind lets the scans go back to events that they have passed. Only this reads what lies before the
// cursors, beside the polling: as long as an old snapshot is open, that is the whole history.
func (d *Dispatcher) rewind(ctx context.Context) {
	overlooked, err := d.store.Overlooked(ctx, d.queue.cursors())
	if err != nil {
		d.health.failed("look for overlooked events", err)
		return
	}
	d.queue.rewind(overlooked)
}

// Skip finishes the events of channels that are off. It runs as often as the cycle and beside it: a
// large backlog takes minutes, and neither a lease nor a lane waits for that. While commits hang it
// would leave a hanging session in each cycle, so it waits until the database is available.
func (d *Dispatcher) Skip(ctx context.Context) {
	n, _ := d.runBackground("skip events", func() (int, error) { return d.store.Skip(ctx) })
	if n = d.skipped.add(n, d.now()); n > 0 {
		d.log.Info("events skipped, their channel is off", zap.Int("events", n))
	}
}

// Prune deletes events that finished longer ago than the retention. Nil: none is left.
func (d *Dispatcher) Prune(ctx context.Context, olderThan time.Duration) error {
	n, err := d.runBackground("prune events", func() (int, error) { return d.store.Prune(ctx, olderThan) })
	if n > 0 {
		d.log.Info("events pruned", zap.Int("events", n))
	}
	return err
}

// runBackground runs a statement over many rows and returns how many it changed: 0 with an error.
func (d *Dispatcher) runBackground(doing string, do func() (int, error)) (n int, err error) {
	err = d.Background(doing, func() (err error) { n, err = do(); return err })
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Background runs statements that are part of the cycle and do not deliver. While the database is
// unavailable it does not run them: each would leave a session that hangs. An error is logged, and
// returned.
func (d *Dispatcher) Background(doing string, do func() error) error {
	if d.health.unavailable() {
		return errUnavailable
	}
	err := do()
	if err != nil {
		d.health.failed(doing, err)
	}
	return err
}

// errUnavailable means that a background statement was not run, since the database is unavailable.
var errUnavailable = errors.New("database unavailable")

// problemLog logs once that a channel cannot be called, and once that it can again.
type problemLog struct {
	mu    sync.Mutex
	log   *zap.Logger
	known map[string]string // by channel
}

func (p *problemLog) note(problems map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for channel, problem := range problems {
		if p.known[channel] != problem {
			p.log.Error("channel cannot be called, its events wait", zap.String("channel", channel), zap.String("problem", problem))
		}
	}
	for channel := range p.known {
		if _, still := problems[channel]; !still {
			p.log.Info("channel can be called again, or is off", zap.String("channel", channel))
		}
	}
	p.known = problems
}
