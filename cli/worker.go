package cli

import (
	"context"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// worker is the dispatcher with what runs beside it in the ten-second cycle.
type worker struct {
	*outbox.Dispatcher
	store     *store.Store
	log       *zap.Logger
	retention time.Duration
	presence  presence
}

// newWorker wires the dispatcher to a database, as this role, and a sender.
func newWorker(db *sqlx.DB, role string, log *zap.Logger, cfg *workerConfig) *worker {
	s := store.New(db, *cfg.lease)
	s.Introduce(store.Worker{Version: Version(), Environment: cfg.environment, Role: role, Settings: cfg.shown()})
	options := outbox.Options{PollInterval: *cfg.pollInterval, Timeout: *cfg.timeout, Lease: *cfg.lease, LaneBytes: *cfg.laneBytes}
	return &worker{
		Dispatcher: outbox.New(s, newSender(cfg), log, options),
		store:      s,
		log:        log,
		retention:  *cfg.retention,
		presence:   presence{store: s, log: log},
	}
}

// shown are the settings in webhook.workers: no secret is among them.
func (c *workerConfig) shown() map[string]any {
	return map[string]any{
		"poll_interval":  c.pollInterval.String(),
		"timeout":        c.timeout.String(),
		"lease":          c.lease.String(),
		"retention":      c.retention.String(),
		"allow_networks": c.networks,
		"ca_file":        c.caFile != "" || os.Getenv("SSL_CERT_FILE") != "",
	}
}

// work runs the dispatcher and its ten-second cycle until stop ends.
func (w *worker) work(ctx, stop context.Context) error {
	cycle := newCycle(
		func() { w.presence.refresh(ctx) },
		func() { w.Cycle(ctx) },
		func() { w.Skip(ctx) },
		func() { w.cleanUp(stop, false) },
	)
	cycle.Start()
	defer w.presence.end()
	defer cycle.Stop()

	w.log.Info("worker started", zap.String("version", Version()))
	err := w.Run(ctx, stop)
	if err == nil {
		w.log.Info("worker stopped, every outcome recorded")
	}
	return err
}

// once delivers what is due and cleans up.
func (w *worker) once(ctx, stop context.Context) error {
	w.presence.refresh(ctx)
	defer w.presence.end()
	err := w.Once(ctx, stop)
	if err == nil {
		w.cleanUp(stop, true)
	}
	return err
}

// cleanUp deletes old events where no worker did so for a day, or always. Between two cycles the
// database remembers it, so that it runs shortly after a start and once a day however often workers
// start and stop.
func (w *worker) cleanUp(ctx context.Context, always bool) {
	begun, err := w.store.BeginCleanUp(ctx, always)
	if err == nil && begun {
		done := w.Prune(ctx, w.retention) == nil
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		defer cancel()
		err = w.store.EndCleanUp(ctx, done)
	}
	if err != nil && !store.Transient(err) {
		w.log.Warn("clean-up failed, retrying on the next cycle", zap.Error(err))
	}
}
