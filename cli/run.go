package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/robfig/cron/v3"
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
	log := newLogger(p.Stderr, *cfg.logLevel, *cfg.logFormat)
	defer log.Sync() //nolint:errcheck // stderr of a terminal cannot be synced
	if unknown := f.unknownSettings(); len(unknown) > 0 {
		log.Warn("the environment has settings that mean nothing to this program", zap.Strings("names", unknown))
	}

	db, err := f.open(*database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := ready(stop, db, log, p.Schema, *migrate); err != nil {
		if stop.Err() != nil {
			return nil
		}
		return err
	}
	if notice, err := store.CompareSchema(stop, db, p.Schema); err == nil && notice != "" {
		log.Warn("the schema is newer than this binary", zap.String("notice", notice))
	}
	collectSeldom(f)
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
		sender.New(sender.Options{Timeout: *cfg.timeout, AllowNetworks: cfg.networks, Version: Version}),
		log,
		outbox.Options{PollInterval: *cfg.pollInterval, Timeout: *cfg.timeout, Lease: *cfg.lease, LaneBytes: *cfg.laneBytes},
	)
}

// collectSeldom lets the heap grow further between two garbage collections: a
// worker holds a few megabytes, and by default would spend a sixth of its time on
// collecting them again and again. Beyond the limit it collects as often as it must.
// GOGC and GOMEMLIMIT, where they are set, win.
func collectSeldom(f *flags) {
	if f.env("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if f.env("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(256 << 20)
	}
}

// work runs the dispatcher and its ten-second cycle until it is told to stop.
func work(ctx, stop context.Context, w *outbox.Dispatcher, log *zap.Logger, retention time.Duration) error {
	cycle, err := newCycle([]func(){func() { w.Cycle(ctx) }, func() { w.Skip(ctx) }}, func() { w.Prune(ctx, retention) })
	if err != nil {
		return err
	}
	cycle.Start()
	defer cycle.Stop()

	log.Info("delivering", zap.String("version", Version))
	if err = w.Run(ctx, stop); err == nil {
		log.Info("stopped: everything that was begun is recorded")
	}
	return err
}

// newCycle runs each of the parts at once and at every ten-second mark, unless it
// is still running, and nightly at half past three, both of the machine's time.
func newCycle(parts []func(), nightly func()) (*cron.Cron, error) {
	c := cron.New(cron.WithSeconds(), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))
	for _, each := range parts {
		id := c.Schedule(tenSecondMarks{}, cron.FuncJob(each))
		go c.Entry(id).WrappedJob.Run()
	}
	if _, err := c.AddFunc("0 30 3 * * *", nightly); err != nil {
		return nil, fmt.Errorf("the nightly clean-up: %w", err)
	}
	return c, nil
}

// tenSecondMarks is */10 * * * * * on the monotonic clock. cron's own schedule
// compares wall clock times, and would do nothing for an hour after somebody has
// set that clock an hour back.
type tenSecondMarks struct{}

// Next implements cron.Schedule. Add keeps the monotonic reading of now.
func (tenSecondMarks) Next(now time.Time) time.Time {
	const every = 10 * time.Second
	return now.Add(every - time.Duration(now.UnixNano()%int64(every)))
}

// ready waits until the database answers and has the schema. It waits for a
// server that is away or starting up, says so once, and gives up only on what a
// person must mend: a wrong password or database name, a missing schema.
func ready(ctx context.Context, db *sqlx.DB, log *zap.Logger, schema store.Schema, migrate bool) error {
	for failures := 0; ; failures++ {
		err := prepared(ctx, db, schema, migrate)
		if err == nil || errors.Is(err, store.ErrSchema) || forAPerson(err) || ctx.Err() != nil {
			return err
		}
		if failures == 0 {
			log.Warn("the database cannot be reached yet; waiting for it", zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(outbox.Backoff(failures)):
		}
	}
}

func prepared(ctx context.Context, db *sqlx.DB, schema store.Schema, migrate bool) error {
	if migrate {
		_, err := store.Migrate(ctx, db, schema)
		return err
	}
	return store.CheckSchema(ctx, db, schema)
}

// forAPerson: the server has answered, and waiting will not change its mind.
// Only "cannot connect now" (class 53, 57 and 08) passes by itself.
func forAPerson(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) {
		return false
	}
	code := string(pe.Code)
	for _, passing := range []string{"08", "53", "57", "40", "55P03", "25006"} {
		if strings.HasPrefix(code, passing) {
			return false
		}
	}
	return true
}
