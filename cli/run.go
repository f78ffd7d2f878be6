package cli

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
)

// runCommand is `webhooks run`.
var runCommand = command{
	name: "run", group: groupRun,
	about: "run the worker: deliver events until SIGTERM",
	text: "SIGTERM or Ctrl-C ends it once what it has begun is recorded, within 35 seconds; a second one at once. " +
		"Several workers share one database.",
	exits: "1 when an outcome could not be recorded, or with --once when something was not delivered",
	examples: []string{
		"the worker and the page, on a database that may be new: webhooks run --migrate --admin",
		"from a scheduler, without a service: webhooks run --once",
		"of many databases, in one process: webhooks run --databases-file databases.txt",
	},
	flags: func(f *flags) action {
		r := runFlags{
			migrate: f.Bool("migrate", false, "apply the schema first"),
			once:    f.Bool("once", false, "deliver what is due now, clean up, say what became of it, then exit"),
			page:    f.Bool("admin", false, "serve the page beside the worker"), pageConfig: f.admin("admin-listen"),
			database: f.database(), cfg: f.worker(),
		}
		return func(ctx, stop context.Context, _ []string) error { return runWorker(ctx, stop, f, r) }
	},
}

// runFlags are the flags of `webhooks run`.
type runFlags struct {
	cfg                 *workerConfig
	database            *string
	migrate, once, page *bool
	pageConfig          *adminConfig
}

func runWorker(ctx, stop context.Context, f *flags, r runFlags) error {
	if err := r.read(f); err != nil {
		return err
	}
	keepWithoutReader()
	log, lines := newLoggerWithLines(f.p.Stderr, *r.cfg.logLevel, *r.cfg.logFormat)
	defer log.Sync() //nolint:errcheck // never fails
	if unknown := f.unknownSettings(); len(unknown) > 0 {
		log.Warn("unknown settings in the environment", zap.Strings("names", unknown))
	}
	if f.ofMany(*r.database) {
		return runMany(ctx, stop, f, r, log, lines)
	}
	shown, err := startTelemetry(r.cfg, log, lines.lost, nil)
	if err != nil {
		return err
	}
	defer shown.close()
	return r.runOne(ctx, stop, f, log, shown)
}

// runOne is the worker of one database.
func (r runFlags) runOne(ctx, stop context.Context, f *flags, log *zap.Logger, shown *telemetry) error {
	version, err := f.p.Schema.Version()
	if err != nil {
		return err
	}
	db, role, err := r.connect(stop, f, log)
	switch {
	case err != nil && stop.Err() != nil:
		return nil // stopped before anything was begun
	case err != nil:
		return err
	}
	defer db.Close()
	start := func(observer outbox.Observer) *worker {
		w := newWorker(db, role, version, log, r.cfg, shown, observer)
		shown.follow(stop, w, db, f.p.Schema)
		return w
	}
	if *r.once {
		counted := &onceCount{Observer: shown.observer(), undelivered: map[int64]bool{}}
		if err := start(counted).once(ctx, stop); err != nil {
			return err
		}
		return counted.report(f.p.Stdout)
	}
	w := start(shown.observer())
	if *r.page {
		page, err := f.openPage(stop, r.pageConfig, f.adminDatabase(*r.database), log)
		switch {
		case err != nil && stop.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		shown.pool("page", page.db)
		defer page.beside(stop)()
	}
	return w.work(ctx, stop)
}

// connect waits until the database has the schema, and returns it with the worker's role there.
func (r runFlags) connect(stop context.Context, f *flags, log *zap.Logger) (db *sqlx.DB, role string, err error) {
	if err := waitForDatabase(stop, log, func() error { return f.ensureSchema(stop, *r.database, *r.migrate, log) }); err != nil {
		return nil, "", err
	}
	db, err = f.openFor(*r.cfg.lease, *r.database)
	if err != nil {
		return nil, "", err
	}
	limitMemory(f)
	role, err = workerRole(stop, db, log)
	if err != nil {
		_ = db.Close()
	}
	return db, role, err
}

// read reads what depends on several flags, and compares the settings with each other.
func (r runFlags) read(f *flags) error {
	if err := r.cfg.check(); err != nil {
		return err
	}
	if f.ofMany(*r.database) && *r.page {
		return usagef("run: --admin serves the page of one database, and WEBHOOK_DATABASES_FILE lists many: webhooks admin --instance NAME")
	}
	if *r.page && *r.once {
		return usagef("run: --once and --admin do not go together")
	}
	if *r.page {
		if err := r.pageConfig.read(f); err != nil {
			return err
		}
		r.cfg.files += pageFiles
	}
	if *r.cfg.metrics != "" {
		r.cfg.files += metricsConnections
	}
	return nil
}

func newSender(cfg *workerConfig) *sender.Sender { return cfg.sender(*cfg.timeout) }

func (c *workerConfig) sender(timeout time.Duration) *sender.Sender {
	return sender.New(sender.Options{
		Timeout: timeout, AllowNetworks: c.networks, Proxy: c.proxy, Version: Version(),
		CAFile: string(c.caFile), ClientCertFile: c.identity.certFile, ClientKeyFile: c.identity.keyFile,
	})
}
