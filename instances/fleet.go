package instances

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
)

// Spec is what a worker is made of.
type Spec struct {
	Name     string
	URL      func() (string, error) // of the database, to be read for each new connection
	Observer outbox.Observer        // learns what the dispatcher does
	Memory   func() int64           // see outbox.Options.MemoryNow

	// Claim is for Worker.Prepare, with what the server says which database it is; "": it does not. An error: this
	// process serves it under another name.
	Claim func(database string) error
}

// Options are what a fleet needs.
type Options struct {
	File     *File
	Open     func(Spec) (Worker, error) // opens no session yet
	Same     func(a, b string) bool     // whether two URLs lead to the same database, see store.SameDatabase
	IdlePoll time.Duration              // the longest pause between two looks at a database
	Awake    int                        // how many instances at once
	Memory   int64                      // bytes that all events in flight may hold
	Silent   time.Duration              // a database that is silent for so long is unavailable, see Worker.Silent
	Log      *zap.Logger
}

// Fleet is what of a list is served by this process.
type Fleet struct {
	opts    Options
	places  *places
	members *members
	starts  *starts

	mu     sync.Mutex
	list   []Entry
	bases  map[string]*base     // by name: of those served, and of the coordinators
	served map[string]*instance // by name
	awake  []*instance
	errs   []error
	broken problem // of the file
	ended  sync.WaitGroup
}

// base is the worker of a name, and the URL that it reads.
type base struct {
	url      atomic.Pointer[string]
	worker   Worker
	activity *activity
	beating  atomic.Bool
	beaten   atomic.Bool // it has been read once
}

// New makes a fleet of the list as it is now. Its error is that of the file.
func New(opts Options) (*Fleet, error) {
	f := &Fleet{opts: opts, places: newPlaces(opts.Awake), members: newMembers(), starts: newStarts(startsAtOnce), bases: map[string]*base{}, served: map[string]*instance{}}
	list, _, err := opts.File.Read()
	if err != nil {
		return nil, err
	}
	f.list = list
	return f, nil
}

// Run serves until stop is done, then finishes and records what is in flight, as outbox.Dispatcher.Run.
func (f *Fleet) Run(ctx, stop context.Context) error {
	f.meet(stop)
	for stop.Err() == nil {
		f.read()
		f.beat(stop)
		if err := f.apply(ctx, stop); err != nil {
			return err
		}
		sleep(stop, beatEvery)
	}
	f.ended.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	var closed sync.WaitGroup
	for _, b := range f.bases { // hundreds of sessions one after the other take a second
		closed.Go(b.worker.Close)
	}
	closed.Wait()
	return errors.Join(f.errs...)
}

// meet waits until each coordinator has shown which processes there are, but not for long: to begin with a
// list that others serve would only move it twice.
func (f *Fleet) meet(stop context.Context) {
	for began := time.Now(); stop.Err() == nil && time.Since(began) < firstBeat; sleep(stop, 10*time.Millisecond) {
		if f.beat(stop) {
			return
		}
	}
}

// read reads the list again where it has changed.
func (f *Fleet) read() {
	list, changed, err := f.opts.File.Read()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		if f.broken.note(err) {
			f.opts.Log.Error("list of databases cannot be read, keeping the one before", zap.Error(err))
		}
		return
	case changed:
		f.list = list
		f.opts.Log.Info("list of databases read", zap.Int("instances", len(list)))
	}
	f.broken.end()
}

// beat begins to read the locks in the coordinators. It reports whether each has shown them once.
func (f *Fleet) beat(stop context.Context) (all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all = true
	for _, e := range f.list[:min(len(f.list), coordinators)] {
		b, err := f.base(e)
		if err != nil {
			continue
		}
		all = all && b.beaten.Load()
		if !b.beaten.Load() && b.beating.Load() || !b.beating.CompareAndSwap(false, true) {
			continue
		}
		f.ended.Go(func() {
			defer b.beating.Store(false)
			if f.members.beat(stop, b.worker) == nil {
				b.beaten.Store(true)
			} else if !b.beaten.Load() {
				sleep(stop, beatEvery)
			}
		})
	}
	return all
}

// base returns the worker of an entry, and makes it where there is none.
func (f *Fleet) base(e Entry) (*base, error) {
	if b := f.bases[e.Name]; b != nil {
		return b, nil
	}
	b := &base{activity: &activity{}}
	b.url.Store(&e.URL)
	var err error
	b.worker, err = f.opts.Open(Spec{
		Name: e.Name, URL: func() (string, error) { return *b.url.Load(), nil },
		Observer: b.activity, Memory: func() int64 { return f.memory(b.worker) },
		Claim: func(database string) error { return f.claim(e.Name, database) },
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	f.bases[e.Name] = b
	return b, nil
}

// apply begins to serve what this process is to serve, and ends the rest.
func (f *Fleet) apply(ctx, stop context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, all := map[string]Entry{}, f.members.all()
	listed := map[string]bool{}
	for n, e := range f.list {
		mine := owner(all, e.Name) == f.members.self
		listed[e.Name] = mine || n < coordinators
		if mine {
			wanted[e.Name] = e
		}
	}
	f.endOthers(wanted)
	for name, b := range f.bases {
		if e, ok := f.entry(name); f.served[name] == nil && (!listed[name] || ok && !f.opts.Same(*b.url.Load(), e.URL)) {
			b.worker.Close()
			delete(f.bases, name)
		}
	}
	for _, n := range rand.Perm(len(f.list)) { //nolint:gosec // no secret: databases of one server, which stand together, start apart
		e := f.list[n]
		if _, ok := wanted[e.Name]; !ok || f.served[e.Name] != nil {
			continue
		}
		b, err := f.base(e)
		if err != nil {
			return err
		}
		f.serve(ctx, stop, e.Name, b)
	}
	return nil
}

// sameDatabase is the error of an instance whose database is served under another name.
type sameDatabase struct{ as string }

func (s *sameDatabase) Error() string { return "its database is served as " + s.as }

// claim notes which database an instance serves, unless another one does, and goes on to.
func (f *Fleet) claim(name, database string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for other, i := range f.served {
		if other != name && database != "" && i.database == database && !i.ending {
			return &sameDatabase{other}
		}
	}
	if i := f.served[name]; i != nil {
		i.database = database
	}
	return nil
}

// endOthers ends what is not wanted any more, or leads elsewhere, and gives the others their newest password.
func (f *Fleet) endOthers(wanted map[string]Entry) {
	for name, i := range f.served {
		e, ok := wanted[name]
		b := f.bases[name]
		if url := *b.url.Load(); ok && url != e.URL && f.opts.Same(url, e.URL) {
			b.url.Store(&e.URL)
		} else if !ok || url != e.URL {
			i.ending = true
			i.end()
		}
	}
}

func (f *Fleet) entry(name string) (Entry, bool) {
	at := slices.IndexFunc(f.list, func(e Entry) bool { return e.Name == name })
	if at < 0 {
		return Entry{}, false
	}
	return f.list[at], true
}

// serve begins to serve an instance.
func (f *Fleet) serve(ctx, stop context.Context, name string, b *base) {
	stop, end := context.WithCancel(stop)
	i := &instance{fleet: f, name: name, log: f.opts.Log.With(zap.String("instance", name)), worker: b.worker, activity: b.activity, end: end}
	f.served[name] = i
	f.ended.Go(func() {
		defer end()
		err := i.run(ctx, stop)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.served, name)
		if err != nil {
			f.errs = append(f.errs, fmt.Errorf("%s: %w", name, err))
			i.log.Error("instance ended, not everything was recorded", zap.Error(err))
		}
	})
}

// enter and leave keep who is awake.
func (f *Fleet) enter(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.awake = append(f.awake, i)
}

func (f *Fleet) leave(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.awake = slices.DeleteFunc(f.awake, func(each *instance) bool { return each == i })
}

// memory is how many bytes the events in flight of one worker may hold now, given what the others hold.
func (f *Fleet) memory(of Worker) int64 {
	f.mu.Lock()
	awake := slices.Clone(f.awake)
	f.mu.Unlock()
	held, at := make([]int64, max(f.opts.Awake, len(awake)+1)), len(awake)
	for n, i := range awake {
		held[n] = i.worker.Held()
		if i.worker == of {
			at = n
		}
	}
	return outbox.Shares(f.opts.Memory, held)[at]
}

// Status is an instance that is served here.
type Status struct {
	Name     string
	State    State
	InFlight int
}

// Each calls visit for each instance that is served here.
func (f *Fleet) Each(visit func(Status)) {
	f.mu.Lock()
	all := make([]*instance, 0, len(f.served))
	for _, i := range f.served {
		all = append(all, i)
	}
	f.mu.Unlock()
	for _, i := range all {
		visit(Status{Name: i.name, State: State(i.state.Load()), InFlight: i.worker.InFlight()})
	}
}
