package cli

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// runWorker is `webhooks run`.
func runWorker(ctx, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "run", "")
	cfg, database := f.worker(), f.database()
	migrate := f.Bool("migrate", false, "apply the schema first")
	once := f.Bool("once", false, "deliver what is due now, then exit")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}
	keepWithoutReader()
	log := newLogger(p.Stderr, *cfg.logLevel, *cfg.logFormat)
	defer log.Sync() //nolint:errcheck // never fails
	if unknown := f.unknownSettings(); len(unknown) > 0 {
		log.Warn("unknown settings in the environment", zap.Strings("names", unknown))
	}
	switch err := waitForDatabase(stop, log, func() error { return f.ensureSchema(stop, *database, *migrate, log) }); {
	case err != nil && stop.Err() != nil:
		return nil // stopped before anything was begun
	case err != nil:
		return err
	}
	db, err := f.openFor(*cfg.lease, *database)
	if err != nil {
		return err
	}
	defer db.Close()
	limitMemory(f)
	w := newWorker(db, log, cfg)
	if *once {
		return w.Once(ctx, stop)
	}
	return work(ctx, stop, w, log, *cfg.retention)
}

// newWorker wires the dispatcher to a database and a sender.
func newWorker(db *sqlx.DB, log *zap.Logger, cfg *workerConfig) *outbox.Dispatcher {
	return outbox.New(
		store.New(db, *cfg.lease),
		newSender(cfg),
		log,
		outbox.Options{PollInterval: *cfg.pollInterval, Timeout: *cfg.timeout, Lease: *cfg.lease, Memory: memoryBudget(), Posts: postsFor(openFiles())},
	)
}

func newSender(cfg *workerConfig) *sender.Sender {
	return sender.New(sender.Options{Timeout: *cfg.timeout, AllowNetworks: cfg.networks, CAFile: string(cfg.caFile), Version: Version()})
}

// work runs the dispatcher and its ten-second cycle until stop ends.
func work(ctx, stop context.Context, w *outbox.Dispatcher, log *zap.Logger, retention time.Duration) error {
	cycle, err := newCycle([]func(){func() { w.Cycle(ctx) }, func() { w.Skip(ctx) }}, func() { w.Prune(ctx, retention) })
	if err != nil {
		return err
	}
	cycle.Start()
	defer cycle.Stop()

	log.Info("worker started", zap.String("version", Version()), zap.Uint64("open_files", openFiles()), zap.Int("posts", postsFor(openFiles())))
	if err = w.Run(ctx, stop); err == nil {
		log.Info("worker stopped, every outcome recorded")
	}
	return err
}
