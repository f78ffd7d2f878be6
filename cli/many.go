package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/instances"
	"github.com/recordengine/webhooks/metrics"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// manyConfig are the settings of a process that serves many databases.
type manyConfig struct {
	idlePoll *time.Duration
	awake    int
}

func (f *flags) many(c *manyConfig) {
	c.idlePoll = f.duration("idle-poll", "WEBHOOK_IDLE_POLL", time.Second, "of many databases, how often an idle one is polled at least")
	c.awake = 32
	set := func(text string) (err error) {
		if c.awake, err = strconv.Atoi(text); err != nil || c.awake < 1 || c.awake > 10_000 {
			return fmt.Errorf("%q is no number from 1 to 10000", text)
		}
		return nil
	}
	f.fromEnv("WEBHOOK_INSTANCES_AWAKE", set)
	f.setting("instances-awake", "number", "of many databases, how many deliver at once at most (WEBHOOK_INSTANCES_AWAKE, default 32)", set)
}

// ofMany reports whether the databases are those of a list, and none of them is named.
func (f *flags) ofMany(database string) bool {
	return f.list != "" && f.instance == "" && database == ""
}

// checkSource refuses a database that is named twice, or not at all.
func (f *flags) checkSource(s dsnSource) error {
	switch {
	case s.list != "" && (s.value != "" || s.file != ""):
		return bothSet()
	case s.list != "" && s.instance == "":
		return usagef("%s: WEBHOOK_DATABASES_FILE lists many databases; --instance NAME says which one", f.name)
	case s.list == "" && f.instance != "" && f.list == "":
		return usagef("%s: --instance names a database of WEBHOOK_DATABASES_FILE, which is not set", f.name)
	case s.list == "" && f.instance != "":
		return usagef("%s: --instance and --database-url name two databases: remove one of them", f.name)
	}
	return nil
}

func bothSet() error {
	return usageError{"WEBHOOK_DATABASES_FILE and DATABASE_URL (or DATABASE_URL_FILE) are both set: remove one of them"}
}

// listFile is the file of a list of databases.
func listFile(path string) *instances.File {
	return &instances.File{Path: path, Check: store.CheckDSN}
}

// urlOf is the URL of an instance, as the list has it now.
func urlOf(path, instance string) (string, error) {
	list, _, err := listFile(path).Read()
	if err != nil {
		return "", fmt.Errorf("WEBHOOK_DATABASES_FILE: %w", err)
	}
	if e, ok := instances.Find(list, instance); ok {
		return e.URL, nil
	}
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Name
	}
	return "", fmt.Errorf("WEBHOOK_DATABASES_FILE: %s has no instance %q%s", path, instance, didYouMean(instance, names))
}

// many is a process that serves many databases.
type many struct {
	f         *flags
	cfg       *workerConfig
	log       *zap.Logger
	telemetry *telemetry // nil: none
	sender    *sender.Sender
	posts     int           // of each that is awake
	migrate   chan struct{} // has a token for each schema that may be applied now; nil: none is
	leaving   chan struct{} // has a token for each row of webhook.workers that may be removed now
}

// leavesAtOnce bounds how many rows of webhook.workers are removed at once, so that hundreds do not reach their limit by
// waiting for one another, and leavesFor how long one waits for that: it is treated as absent a minute later anyway.
const (
	leavesAtOnce = 8
	leavesFor    = 5 * time.Second
)

func (m *many) leave(remove func()) {
	select {
	case m.leaving <- struct{}{}:
		defer func() { <-m.leaving }()
		remove()
	case <-time.After(leavesFor):
	}
}

// migrationsAtOnce bounds how many schemas `run --migrate` applies at once.
const migrationsAtOnce = 2

// postsOfMany is how many POSTs at once a process of many databases makes where its files do not limit it.
const postsOfMany = 4096

// runMany is `webhooks run` for the databases of a list.
func runMany(ctx, stop context.Context, f *flags, r runFlags, log *zap.Logger, lines *logWriter) error {
	if f.env("DATABASE_URL") != "" || f.env("DATABASE_URL_FILE") != "" {
		return bothSet()
	}
	var fleet atomic.Pointer[instances.Fleet]
	shown, err := startTelemetry(r.cfg, log, lines.lost, func(visit func(metrics.InstanceState)) {
		if f := fleet.Load(); f != nil {
			f.Each(func(s instances.Status) {
				visit(metrics.InstanceState{Name: s.Name, State: s.State.String(), InFlight: s.InFlight})
			})
		}
	})
	if err != nil {
		return err
	}
	defer shown.close()
	limitMemory(f)
	m := &many{f: f, cfg: r.cfg, log: log, telemetry: shown, sender: newSender(r.cfg), leaving: make(chan struct{}, leavesAtOnce)}
	if *r.migrate {
		m.migrate = make(chan struct{}, migrationsAtOnce)
	}
	list, _, err := listFile(f.list).Read()
	if err != nil {
		return usagef("WEBHOOK_DATABASES_FILE: %v", err)
	}
	m.posts = m.postsOfEach(len(list))
	if *r.once {
		return m.once(ctx, stop, list)
	}
	served, err := instances.New(instances.Options{
		File: listFile(f.list), Open: m.open, Same: store.SameDatabase, IdlePoll: *r.cfg.many.idlePoll, Awake: r.cfg.many.awake,
		Memory: memoryBudget(), Silent: store.ConnectsWithin(*r.cfg.lease), Log: log,
	})
	if err != nil {
		return usagef("WEBHOOK_DATABASES_FILE: %v", err)
	}
	fleet.Store(served)
	if shown != nil {
		shown.NotReady("start", "")
		context.AfterFunc(stop, func() { shown.NotReady("stop", "stopping") })
	}
	identity := identityLog{sender: m.sender, log: log}
	cycle := newCycle(identity.note)
	cycle.Start()
	defer cycle.Stop()
	log.Info("worker of many databases started", zap.String("version", Version()), zap.Int("instances", len(list)), zap.Int("awake", r.cfg.many.awake),
		zap.Uint64("open_files", openFiles()), zap.Int("posts", m.posts))
	if err := served.Run(ctx, stop); err != nil {
		return err
	}
	log.Info("worker stopped, every outcome recorded")
	return nil
}

// postsOfEach is how many POSTs at once an instance that is awake may make: an equal part, so that one whose
// receivers hang takes nothing from the others.
func (m *many) postsOfEach(n int) int {
	sessions := uint64(n + 4*m.cfg.many.awake + 8) //nolint:gosec // a number of lines, and one of at most 10,000
	total := cmp.Or(postsFor(openFiles(), m.cfg.files+sessions), postsOfMany)
	return max(total/m.cfg.many.awake, 8)
}

// open implements instances.Options.
func (m *many) open(spec instances.Spec) (instances.Worker, error) { return m.openInstance(spec) }

// once delivers what is due in each database, one after the other. One that cannot be served keeps none of the
// others back.
func (m *many) once(ctx, stop context.Context, list []instances.Entry) error {
	var errs []error
	for _, e := range list {
		if stop.Err() != nil {
			break
		}
		if err := m.onceOf(ctx, stop, e); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (m *many) onceOf(ctx, stop context.Context, e instances.Entry) error {
	counted := onceCount{undelivered: map[int64]bool{}}
	w, err := m.openInstance(instances.Spec{Name: e.Name, URL: func() (string, error) { return e.URL, nil }, Observer: &counted, Memory: memoryBudget})
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Prepare(stop); err != nil {
		return err
	}
	defer w.Leave()
	own := w.worker.Load()
	own.store.SetAwake(true)
	if err := own.once(ctx, stop); err != nil {
		return err
	}
	if _, err := fmt.Fprint(m.f.p.Stdout, e.Name+": "); err != nil {
		return err
	}
	return counted.report(m.f.p.Stdout)
}
