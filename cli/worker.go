package cli

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/alert"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// worker is the dispatcher with what runs beside it in the ten-second cycle.
type worker struct {
	*outbox.Dispatcher
	store     *store.Store
	log       *zap.Logger
	retention time.Duration
	files     uint64 // of others, see workerConfig
	telemetry *telemetry
	presence  presence
	identity  identityLog
	looks     looks
	alerts    *alert.Watcher // nil: none
}

// newWorker wires the dispatcher to a database, as this role, and a sender. schema is the version of this
// binary's, as store.Schema.Version returns it.
func newWorker(db *sqlx.DB, role string, schema int, log *zap.Logger, cfg *workerConfig, t *telemetry, observer outbox.Observer) *worker {
	s := store.New(db, *cfg.lease)
	s.Introduce(store.Worker{Version: Version(), Environment: cfg.environment, Role: role, Settings: cfg.shown(), Keys: cfg.keys, Schema: schema})
	options := outbox.Options{PollInterval: *cfg.pollInterval, Timeout: *cfg.timeout, Lease: *cfg.lease, Memory: memoryBudget(), Posts: postsFor(openFiles(), cfg.files), Observer: observer}
	return wire(s, newSender(cfg), log, cfg, t, options)
}

// wire makes a worker of a database and a sender.
func wire(s *store.Store, to *sender.Sender, log *zap.Logger, cfg *workerConfig, t *telemetry, options outbox.Options) *worker {
	d := outbox.New(s, to, log, options)
	w := &worker{
		Dispatcher: d,
		store:      s,
		log:        log,
		retention:  *cfg.retention,
		files:      cfg.files,
		telemetry:  t,
		presence:   presence{store: s, log: log, delivers: t.delivers},
		identity:   identityLog{sender: to, log: log},
		looks:      looks{store: s, sender: to, background: d.Background, lease: *cfg.timeout + lookMargin},
	}
	if cfg.alerts.url != "" {
		w.alerts = cfg.watcher(true, s, log, d.Background)
	}
	return w
}

// shown are the settings in webhook.workers: no secret is among them.
func (c *workerConfig) shown() map[string]any {
	return map[string]any{
		"poll_interval":      c.pollInterval.String(),
		"timeout":            c.timeout.String(),
		"lease":              c.lease.String(),
		"retention":          c.retention.String(),
		"allow_networks":     c.networks,
		"client_certificate": c.identity.certFile != "",
		"proxy":              proxyName(c.proxy), // without its credentials
		"alerts":             c.alerts.url != "",
		"ca_file":            cmp.Or(string(c.caFile), os.Getenv("SSL_CERT_FILE")),
		"posts":              postsFor(openFiles(), c.files),
	}
}

// work runs the dispatcher and its ten-second cycle until stop ends.
func (w *worker) work(ctx, stop context.Context) error {
	cycle := newCycle(
		func() { w.presence.refresh(ctx) },
		w.identity.note,
		func() { w.Cycle(ctx) },
		func() { w.Skip(ctx) },
		func() { w.tally(ctx); w.beginAlerts(stop) },
		func() { w.telemetry.read(ctx, w.Dispatcher) },
		func() { w.looks.begin(stop) },
		func() { w.cleanUp(stop, false) },
	)
	cycle.Start()
	defer w.presence.end()
	if w.alerts != nil {
		defer w.alerts.Wait()
	}
	defer cycle.Stop()

	w.log.Info("worker started", zap.String("version", Version()), zap.Uint64("open_files", openFiles()), zap.Int("posts", postsFor(openFiles(), w.files)))
	err := w.Run(ctx, stop)
	if err == nil {
		w.log.Info("worker stopped, every outcome recorded")
	}
	return err
}

// tally notes what the events that have finished say about each hour and each endpoint.
func (w *worker) tally(ctx context.Context) {
	_ = w.Background("count what finished", func() error { return w.store.Tally(ctx) })
	_ = w.Background("note which endpoints fail", func() error { return w.store.NoteEndpoints(ctx) })
}

// beginAlerts follows the tally, which notes which endpoints fail.
func (w *worker) beginAlerts(stop context.Context) {
	if w.alerts != nil {
		w.alerts.Begin(stop)
	}
}

// cleanUp deletes old events where no worker did so for a day, or always. Between two cycles the
// database remembers it, so that it runs shortly after a start and once a day however often workers
// start and stop.
func (w *worker) cleanUp(ctx context.Context, always bool) {
	begun, err := w.store.BeginCleanUp(ctx, always)
	if err == nil && begun {
		done := w.Prune(ctx, w.retention) == nil
		_ = w.Background("prune the tally", func() error { return w.store.PruneTally(ctx) })
		_ = w.Background("prune the alerts", func() error { return w.store.PruneAlerts(ctx) })
		ctx, cancel := outliving(ctx, leaveWithin)
		defer cancel()
		err = w.store.EndCleanUp(ctx, done)
	}
	if err != nil && !store.Transient(err) {
		w.log.Warn("clean-up failed, retrying on the next cycle", zap.Error(err))
	}
}
