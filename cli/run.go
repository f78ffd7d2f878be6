package cli

import (
	"context"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/sender"
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
	log := newLogger(p.Stderr, *cfg.logLevel, *cfg.logFormat)
	defer log.Sync() //nolint:errcheck // stderr of a terminal cannot be synced
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
	limitGarbageCollection(f)
	role, err := workerRole(stop, db, log)
	switch {
	case err != nil && stop.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	w := newWorker(db, role, log, cfg)
	if *once {
		return w.once(ctx, stop)
	}
	return w.work(ctx, stop)
}

func newSender(cfg *workerConfig) *sender.Sender {
	return sender.New(sender.Options{Timeout: *cfg.timeout, AllowNetworks: cfg.networks, CAFile: string(cfg.caFile), Version: Version()})
}

// limitGarbageCollection lets the heap grow further between two collections: a
// worker has a few megabytes, and by default spends a sixth of its time on
// collecting them. Above the limit it collects as often as necessary. GOGC and
// GOMEMLIMIT override both numbers.
func limitGarbageCollection(f *flags) {
	if f.env("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if f.env("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(256 << 20)
	}
}
