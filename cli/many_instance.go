package cli

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"

	"github.com/recordengine/webhooks/instances"
	"github.com/recordengine/webhooks/metrics"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// instanceWorker is the worker of one of many databases. It is an instances.Worker.
type instanceWorker struct {
	many   *many
	spec   instances.Spec
	log    *zap.Logger
	db     *sqlx.DB
	locks  *store.Store // for Members
	worker atomic.Pointer[worker]

	metrics *metrics.Instance // nil: none
	state   *store.StateReader
	aside   sync.WaitGroup // what a round began, and others need not wait for
	skips   atomic.Bool
	cleans  atomic.Bool
}

var _ instances.Worker = (*instanceWorker)(nil)

func (m *many) openInstance(spec instances.Spec) (*instanceWorker, error) {
	db, err := store.OpenInstance(*m.cfg.lease, spec.URL)
	if err != nil {
		return nil, err
	}
	return &instanceWorker{many: m, spec: spec, log: m.log.With(zap.String("instance", spec.Name)), db: db, locks: store.New(db, *m.cfg.lease)}, nil
}

// Prepare implements instances.Worker.
func (i *instanceWorker) Prepare(ctx context.Context) error {
	m := i.many
	if m.migrate != nil {
		if err := i.applySchema(ctx); err != nil {
			return err
		}
	} else if err := store.CheckSchema(ctx, i.db, m.f.p.Schema); err != nil {
		return withRole(ctx, i.db, err)
	}
	role, err := store.ReadPrivileges(ctx, i.db)
	if err == nil {
		err = lacking(role)
	}
	if err == nil {
		err = i.claim(ctx)
	}
	var version int
	if err == nil {
		version, err = m.f.p.Schema.Version()
	}
	if err != nil {
		return err
	}
	s := store.New(i.db, *m.cfg.lease)
	s.Introduce(store.Worker{Version: Version(), Environment: m.cfg.environment, Role: role.Role, Settings: m.cfg.shown(), Keys: m.cfg.keys, Schema: version})
	observer := i.spec.Observer
	if m.telemetry != nil {
		i.metrics, i.state = m.telemetry.Instance(i.spec.Name), s.State()
		observer = observers{observer, i.metrics}
	}
	i.worker.Store(wire(s, m.sender, i.log, m.cfg, nil, outbox.Options{
		PollInterval: *m.cfg.pollInterval, Timeout: *m.cfg.timeout, Lease: *m.cfg.lease,
		MemoryNow: i.spec.Memory, Memory: i.spec.Memory(), Posts: m.posts, Observer: observer,
	}))
	return nil
}

// claim refuses a database that this process serves under another name.
func (i *instanceWorker) claim(ctx context.Context) error {
	if i.spec.Claim == nil {
		return nil
	}
	database, err := store.Identify(ctx, i.db)
	if err != nil {
		return err
	}
	return i.spec.Claim(database)
}

// applySchema applies it while few others do. The sessions of a migration have the limits of a command.
func (i *instanceWorker) applySchema(ctx context.Context) error {
	if err := i.db.PingContext(ctx); err != nil { // one that is unavailable keeps no other waiting
		return err
	}
	select {
	case i.many.migrate <- struct{}{}:
		defer func() { <-i.many.migrate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	db, err := store.OpenFor(store.DefaultLease, i.spec.URL)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := store.Migrate(ctx, db, i.many.f.p.Schema); err != nil {
		return withRole(ctx, db, err)
	}
	return nil
}

// Peek implements instances.Worker.
func (i *instanceWorker) Peek(ctx context.Context) (instances.Work, error) {
	p, err := i.worker.Load().store.Peek(ctx)
	if err != nil {
		return instances.Work{}, err
	}
	if i.metrics != nil {
		i.metrics.Polled()
	}
	return instances.Work{Due: p.Due, Round: p.Skip || p.Leased}, nil
}

// Turn implements instances.Worker.
func (i *instanceWorker) Turn(ctx, stop, rest context.Context) error {
	w := i.worker.Load()
	w.store.SetAwake(true)
	defer w.store.SetAwake(false)
	return w.Turn(ctx, stop, rest)
}

// Round implements instances.Worker: the parts of a worker's cycle one after the other, since they share a
// session, except those that may last for minutes.
func (i *instanceWorker) Round(ctx, stop context.Context, whole bool) {
	w := i.worker.Load()
	parts := []func(){
		func() { w.presence.refresh(ctx) },
		func() { i.read(ctx, w) },
		func() { w.Cycle(ctx) },
		func() { i.beside(stop, &i.skips, func(stop context.Context) { w.Skip(stop) }) },
		func() { w.tally(ctx) },
		func() { w.beginAlerts(stop) },
		func() { w.looks.begin(stop) },
		func() { i.beside(stop, &i.cleans, func(stop context.Context) { w.cleanUp(stop, false) }) },
	}
	if !whole {
		parts = parts[:2]
	}
	for _, part := range parts {
		if stop.Err() == nil {
			part()
		}
	}
}

// read reads what the metrics show of the database.
func (i *instanceWorker) read(ctx context.Context, w *worker) {
	if i.metrics != nil {
		_ = w.Background("read the metrics", func() error { return i.metrics.Read(ctx, i.state) })
	}
}

// beside runs a part unless it still runs. Most end by themselves when the worker is asked to stop.
func (i *instanceWorker) beside(stop context.Context, running *atomic.Bool, part func(stop context.Context)) {
	if running.CompareAndSwap(false, true) {
		i.aside.Go(func() {
			defer running.Store(false)
			ctx, cancel := outliving(stop, leaveWithin)
			defer cancel()
			part(ctx)
		})
	}
}

// InFlight implements instances.Worker.
func (i *instanceWorker) InFlight() (n int) {
	if w := i.worker.Load(); w != nil {
		w.Dispatcher.InFlight(func(_ string, events int) { n += events })
	}
	return n
}

// Silent implements instances.Worker.
func (i *instanceWorker) Silent() time.Duration { return store.Silent(i.db) }

// Held implements instances.Worker.
func (i *instanceWorker) Held() int64 {
	if w := i.worker.Load(); w != nil {
		return w.Dispatcher.Held()
	}
	return 0
}

// Members implements instances.Worker.
func (i *instanceWorker) Members(ctx context.Context, self int32) ([]int32, error) {
	all, err := i.locks.Members(ctx, self)
	if err == nil && i.many.telemetry != nil {
		i.many.telemetry.Polled() // a process to which no instance falls is ready, too
	}
	return all, err
}

// Leave implements instances.Worker.
func (i *instanceWorker) Leave() {
	w := i.worker.Load()
	if w == nil {
		return
	}
	i.aside.Wait()
	if w.alerts != nil {
		w.alerts.Wait()
	}
	w.End()
	i.many.leave(w.presence.end)
	w.store.Close()
	i.worker.Store(nil)
}

// Close implements instances.Worker.
func (i *instanceWorker) Close() { i.db.Close() }

// observers are several of one dispatcher.
type observers []outbox.Observer

func (all observers) Polled() {
	for _, o := range all {
		o.Polled()
	}
}

func (all observers) Recorded(outcomes []outbox.Outcome) {
	for _, o := range all {
		o.Recorded(outcomes)
	}
}

func (all observers) Expired(leases []outbox.ExpiredLeases) {
	for _, o := range all {
		o.Expired(leases)
	}
}
