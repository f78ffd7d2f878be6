package instances

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
)

// Work is what there is to do in a database.
type Work struct {
	Due   bool // an event can be delivered
	Round bool // a round has something to do: leases, or events of channels that are off
}

// Worker is the worker of one instance. While it is asleep it uses one session, in turns more.
type Worker interface {
	// Prepare checks whether this worker can serve the database. Nil: once is enough.
	Prepare(ctx context.Context) error

	// Peek reads what there is to do.
	Peek(ctx context.Context) (Work, error)

	// Turn delivers until rest ends, and returns once all of it is recorded; rest ends no later than stop.
	// An error: something was not, see outbox.Dispatcher.Run. No other Turn follows it.
	Turn(ctx, stop, rest context.Context) error

	// Round does what a worker does every ten seconds beside it; else whole only what shows that it is there.
	// There is one at a time.
	Round(ctx, stop context.Context, whole bool)

	// Silent is how long the server owes an answer: to a connection that is made, or to a statement. Zero: it owes
	// none. The time for which this process itself waits, for a place or for a session of its own, does not count.
	Silent() time.Duration

	// InFlight is how many events are claimed and not yet recorded, and Held how many bytes they hold.
	InFlight() int
	Held() int64

	// Members: see store.Store. It may be called from the beginning, and beside all the others.
	Members(ctx context.Context, self int32) ([]int32, error)

	// Leave ends what Prepare began; Prepare may follow. Close ends all sessions.
	Leave()
	Close()
}

// State is the state of an instance.
type State int32

// The states.
const (
	Starting State = iota
	Asleep
	Waiting
	Awake
	Unavailable
)

func (s State) String() string {
	return [...]string{"starting", "asleep", "waiting", "awake", "unavailable"}[s]
}

const (
	// roundEvery is how often the round of one that has something to do begins, and roundAsleep the same for
	// one that is asleep: webhook.workers treats a worker as absent after a minute. Every second one is whole.
	roundEvery  = 10 * time.Second
	roundAsleep = 30 * time.Second

	// sameAgain is how often a second name of a database is tried again: the first one may have left the list.
	sameAgain = 2 * time.Second

	// watchEvery is how often it is found out whether a turn is over.
	watchEvery = 50 * time.Millisecond
)

// instance is the life of one that is served here.
type instance struct {
	fleet    *Fleet
	name     string
	log      *zap.Logger
	worker   Worker
	activity *activity

	state  atomic.Int32
	busy   atomic.Bool // a round has something to do
	kind   int         // of place, see places
	failed problem
	same   string // the name under which its database is served, once that was logged

	database string // see Fleet.claim; with ending guarded by Fleet.mu
	ending   bool

	end context.CancelFunc
}

func (i *instance) set(s State) { i.state.Store(int32(s)) }

// run serves the instance until stop ends, and returns once what it had in flight is recorded.
func (i *instance) run(ctx, stop context.Context) error {
	defer i.worker.Leave()
	i.set(Starting)
	begun, ok := i.start(stop)
	if !ok {
		return nil
	}
	i.back()
	var rounds sync.WaitGroup
	rounds.Go(func() { i.rounds(ctx, stop, begun) })
	defer rounds.Wait()

	for failures := 0; stop.Err() == nil; {
		var work Work
		err := i.call(func() (err error) { work, err = i.worker.Peek(stop); return err })
		switch {
		case stop.Err() != nil:
			return nil
		case err != nil:
			failures++
			i.unavailable(err)
			sleep(stop, outbox.Backoff(failures))
			continue
		}
		failures = 0
		i.back()
		i.busy.Store(work.Round)
		if work.Due {
			if err := i.turn(ctx, stop); err != nil {
				return err
			}
		}
		d := pace(since(&i.activity.worked), i.fleet.opts.IdlePoll)
		sleep(stop, d-rand.N(d/8+1)) //nolint:gosec // spread over time
	}
	return nil
}

// start repeats Worker.Prepare until it succeeds or stop ends (false), while few others do the same. The place that
// it returns is for the first round, too. One whose database seemed to hang is tried again without a place.
func (i *instance) start(stop context.Context) (begun *start, ok bool) {
	hangs := false
	for failures := 1; ; failures++ {
		if !hangs {
			if begun = i.fleet.starts.acquire(stop, i.worker.Silent); begun == nil {
				return nil, false
			}
		}
		began := time.Now()
		err := i.call(func() error { return i.worker.Prepare(stop) })
		if err == nil && stop.Err() == nil {
			return begun, true
		}
		hangs = begun.release(false) || hangs && time.Since(began) >= overdueAfter
		begun = nil
		if stop.Err() != nil {
			return nil, false
		}
		if same := new(sameDatabase); errors.As(err, &same) {
			i.servedAs(same.as)
			sleep(stop, sameAgain)
			continue
		}
		i.unavailable(err)
		sleep(stop, outbox.Backoff(failures))
	}
}

// servedAs notes that the database is served under another name.
func (i *instance) servedAs(name string) {
	if i.same != name {
		i.log.Error("two names lead to the same database, serving it once", zap.String("served_as", name))
	}
	i.same = name
}

// errSilent is logged long before what waits for the answer fails.
var errSilent = errors.New("the server does not answer")

// call asks the database. Where its server is silent for long, that is noted before ask returns.
func (i *instance) call(ask func() error) error {
	answered := make(chan error, 1)
	go func() { answered <- ask() }()
	tick := time.NewTicker(max(i.fleet.opts.Silent/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case err := <-answered:
			return err
		case <-tick.C:
		}
		if i.failed.since.IsZero() && i.worker.Silent() >= i.fleet.opts.Silent {
			i.unavailable(errSilent)
		}
	}
}

// turn waits for a place and is awake until the turn is over.
func (i *instance) turn(ctx, stop context.Context) error {
	places, kind := i.fleet.places, i.kind
	i.set(Waiting)
	if !places.acquire(stop, kind) {
		return nil
	}
	release := sync.OnceFunc(func() { i.fleet.leave(i); places.release(kind) })
	defer release()
	i.fleet.enter(i)
	i.activity.begin()
	i.set(Awake)

	rest, end := context.WithCancel(stop)
	defer end()
	over := make(chan struct{})
	var ended atomic.Pointer[time.Time]
	go func() {
		how := i.watch(rest, over, kind)
		end()
		if note(&ended); how == isUnavailable || i.drains(stop, over) {
			i.set(Unavailable)
			release() // what is to be recorded waits without a place
		}
	}()
	err := i.worker.Turn(ctx, stop, rest)
	close(over)
	i.kind = quick
	if ended.Load() != nil && since(&ended) > drainsFor {
		i.kind = slow
	}
	return err
}

// drains waits for the end of a turn whose polling has ended. It reports whether the database is unavailable meanwhile.
func (i *instance) drains(stop context.Context, over <-chan struct{}) (unavailable bool) {
	tick := time.NewTicker(drainsFor)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return false
		case <-tick.C:
		}
		if _, err := i.worker.Peek(stop); err != nil && stop.Err() == nil {
			return true
		}
	}
}

// watch returns how a turn ends: before it is over, or as soon as rest ends.
func (i *instance) watch(rest context.Context, over <-chan struct{}, kind int) int {
	began, tick := time.Now(), time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-rest.Done():
			return isOver
		case <-over:
			return isOver
		}
		t := turn{lasted: time.Since(began), polled: since(&i.activity.polled), worked: since(&i.activity.worked),
			inFlight: i.worker.InFlight(), wanted: i.fleet.places.wanted(kind)}
		if e := t.end(); e != goesOn {
			return e
		}
	}
}

// rounds begins a round at once, then every ten seconds, or every thirty while there is nothing to do. The first
// one ends the start.
func (i *instance) rounds(ctx, stop context.Context, begun *start) {
	defer func() { begun.release(true) }()
	whole := true
	for at := time.Now().Add(-roundAsleep); stop.Err() == nil; {
		busy := i.busy.Load() || State(i.state.Load()) == Awake || State(i.state.Load()) == Waiting
		if ago := time.Since(at); ago >= roundAsleep || busy && ago >= roundEvery {
			at = time.Now()
			i.worker.Round(ctx, stop, whole || busy)
			begun.release(true)
			begun = nil
			whole = !whole
		}
		sleep(stop, time.Second-rand.N(time.Second/8)) //nolint:gosec // spread over time
	}
}

// unavailable notes that the database does not answer, or cannot be served.
func (i *instance) unavailable(err error) {
	if State(i.state.Load()) != Starting {
		i.set(Unavailable)
	}
	if i.failed.note(err) {
		i.log.Warn("instance unavailable, retrying", zap.Error(err), zap.Time("since", i.failed.since))
	}
}

// back notes that it answers.
func (i *instance) back() {
	i.set(Asleep)
	if since, was := i.failed.end(); was {
		i.log.Info("instance available again", zap.Duration("unavailable", time.Since(since)))
	}
}

// logEvery is how often a problem that stays is logged; logChangesEvery the same where its text changes.
const (
	logEvery        = time.Minute
	logChangesEvery = 10 * time.Second
)

// problem is one that is logged when it begins, where it changes, and every minute.
type problem struct {
	since, logged time.Time
	text          string
}

// note reports whether it is to be logged now.
func (p *problem) note(err error) bool {
	now := time.Now()
	if p.since.IsZero() {
		*p = problem{since: now}
	}
	if ago := now.Sub(p.logged); ago < logChangesEvery || ago < logEvery && p.text == err.Error() {
		return false
	}
	p.logged, p.text = now, err.Error()
	return true
}

func (p *problem) end() (since time.Time, was bool) {
	since = p.since
	*p = problem{}
	return since, !since.IsZero()
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
