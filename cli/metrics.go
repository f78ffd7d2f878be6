package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/metrics"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// metricsConnections are open at once, the oldest gives way to a new one. They count among the open files of a worker.
const metricsConnections = 16

// pollMargin is how long ago the last poll of a worker that is ready may have been, beside two intervals:
// a restart of the database takes less.
const pollMargin = 30 * time.Second

// metricsAddress is the setting WEBHOOK_METRICS_LISTEN; "" is off.
func (f *flags) metricsAddress() *string {
	address := new(string)
	set := func(text string) error {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return fmt.Errorf("%q is no address to listen on, such as 127.0.0.1:9464 or :9464", text)
		}
		*address = text
		return nil
	}
	f.fromEnv("WEBHOOK_METRICS_LISTEN", set)
	f.setting("metrics-listen", "address", "where /metrics, /livez and /readyz are served (WEBHOOK_METRICS_LISTEN, default none)", set)
	return address
}

// telemetry is what a worker shows of itself over HTTP; nil: nothing.
type telemetry struct {
	*metrics.Metrics
	store  *store.StateReader
	log    *zap.Logger
	schema func(ctx context.Context) error
	end    func()
}

// startTelemetry serves from now on, also while the worker waits for its database, until end is called.
// instances are those of many databases; nil: there is one.
func startTelemetry(cfg *workerConfig, log *zap.Logger, droppedLines func() int64, instances func(visit func(metrics.InstanceState))) (*telemetry, error) {
	if *cfg.metrics == "" {
		return nil, nil //nolint:nilnil // no listener is no error
	}
	l, err := net.Listen("tcp", *cfg.metrics)
	if err != nil {
		return nil, fmt.Errorf("WEBHOOK_METRICS_LISTEN: %w; another process may use that address, port 0 picks a free one", err)
	}
	t := &telemetry{log: log, Metrics: metrics.New(metrics.Options{
		Version: Version(), DroppedLines: droppedLines, PollWithin: pollMargin + 2**cfg.pollInterval, Instances: instances,
	})}
	t.NotReady("start", "waiting for the database and its schema")
	t.serve(l)
	return t, nil
}

func (t *telemetry) serve(l net.Listener) {
	loopback := l.Addr().(*net.TCPAddr).IP.IsLoopback()
	srv := &http.Server{
		Handler: t.Handler(loopback), MaxHeaderBytes: 16 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, // a profile has as long as it is asked to take, too
	}
	srv.SetKeepAlivesEnabled(false) // clients that stay connected would keep a health check out
	t.log.Info("metrics started", zap.Stringer("address", l.Addr()), zap.Bool("pprof", loopback))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(&newestListener{Listener: l, most: metricsConnections}); !errors.Is(err, http.ErrServerClosed) {
			t.log.Error("metrics stopped, the worker goes on", zap.Error(err))
		}
	}()
	t.end = func() {
		_ = srv.Close()
		<-done
	}
}

// follow adds what a worker and its pool say.
func (t *telemetry) follow(stop context.Context, w *worker, db *sqlx.DB, schema store.Schema) {
	if t == nil {
		return
	}
	t.store = w.store.State()
	t.schema = func(ctx context.Context) error { return store.CheckSchema(ctx, db, schema) }
	t.pool("webhooks", db)
	t.Follow(w.Dispatcher)
	t.NotReady("start", "")
	context.AfterFunc(stop, func() { t.NotReady("stop", "stopping") })
}

// pool adds a pool of connections.
func (t *telemetry) pool(name string, db *sqlx.DB) {
	if t != nil {
		t.Pool(name, db.DB)
	}
}

// observer is nil where nothing observes.
func (t *telemetry) observer() outbox.Observer {
	if t == nil {
		return nil
	}
	return t.Metrics
}

// delivers notes why this worker delivers nothing; "": it does.
func (t *telemetry) delivers(problem string) {
	if t != nil {
		t.NotReady("worker", problem)
	}
}

// read is part of each cycle: the values that come from the database, and whether its schema is still one
// for this binary.
func (t *telemetry) read(ctx context.Context, d *outbox.Dispatcher) {
	if t == nil {
		return
	}
	if d.SchemaMissing() { // the check of the schema waits until the database is available
		t.NotReady("schema", outbox.ErrNoSchema.Error())
	}
	_ = d.Background("read the metrics", func() error { return t.Read(ctx, t.store) })
	_ = d.Background("check the schema", func() error {
		err := t.schema(ctx)
		if errors.Is(err, store.ErrSchema) {
			t.NotReady("schema", err.Error())
			return nil
		}
		if err == nil {
			t.NotReady("schema", "")
		}
		return err
	})
}

func (t *telemetry) close() {
	if t != nil {
		t.end()
	}
}
