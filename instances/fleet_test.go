package instances

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// world has databases, by their URLs, and the fleets that serve them.
type world struct {
	mu        sync.Mutex
	databases map[string]*database
	path      string
	log       *observer.ObservedLogs

	answers int           // of the server until an instance has started
	takes   time.Duration // of the machine's only processor, for each
	limit   time.Duration // of each
	start   int           // instances that start now
	most    int           // at once
}

// silentFor is after how long one that does not answer is unavailable.
const silentFor = 5 * time.Second

// starting counts those that start.
func (w *world) starting(by int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start += by
	w.most = max(w.most, w.start)
	return w.start
}

// database is a fake one.
type database struct {
	due    int           // events
	takes  time.Duration // the receiver, for each
	dead   bool
	hangs  bool
	asked  time.Time // not zero: an answer is owed since then
	turns  []string  // who has begun one
	peeks  int
	rounds int
	awake  int
	sent   int
	locks  map[int32]bool
}

func newWorld(t *testing.T, n int) *world {
	w := &world{databases: map[string]*database{}, limit: 20 * time.Second, path: filepath.Join(t.TempDir(), "list")}
	w.list(t, n)
	return w
}

func (w *world) list(t *testing.T, n int) {
	text := ""
	for i := range n {
		text += fmt.Sprintf("inst%d url%d\n", i, i)
	}
	write(t, w.path, text)
}

// at is what is known of a database; do is called with it.
func (w *world) at(url string, do func(*database)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.databases[url]
	if d == nil {
		d = &database{locks: map[int32]bool{}}
		w.databases[url] = d
	}
	do(d)
}

func (w *world) sum(of func(*database) int) (sum int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.databases {
		sum += of(d)
	}
	return sum
}

// fleet is one that runs until the returned function stops it.
func (w *world) fleet(t *testing.T, who string, awake int) (f *Fleet, stop func() error) {
	core, logs := observer.New(zapcore.DebugLevel)
	w.log = logs
	f, err := New(Options{
		File:     &File{Path: w.path, Check: func(string) error { return nil }},
		Open:     func(s Spec) (Worker, error) { return &fakeWorker{world: w, spec: s, who: who}, nil },
		Same:     func(a, b string) bool { return strings.Split(a, "?")[0] == strings.Split(b, "?")[0] },
		IdlePoll: time.Second, Awake: awake, Memory: 1 << 20, Silent: silentFor, Log: zap.New(core),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopping, end := context.WithCancel(ctx)
	over := make(chan error, 1)
	go func() { over <- f.Run(ctx, stopping) }()
	return f, func() error {
		end()
		err := <-over
		cancel()
		return err
	}
}

type fakeWorker struct {
	world  *world
	spec   Spec
	who    string
	flight int
	self   int32
}

var (
	errDead  = errors.New("connection refused")
	errHangs = errors.New("i/o timeout")
)

func (f *fakeWorker) with(do func(*database)) (err error) {
	url, _ := f.spec.URL()
	f.world.at(url, func(d *database) {
		if d.dead {
			err = errDead
			return
		}
		do(d)
	})
	return err
}

func (f *fakeWorker) Prepare(ctx context.Context) error {
	f.world.starting(1)
	defer f.world.starting(-1)
	for range f.world.answers {
		if !f.answered(ctx) {
			return errHangs
		}
	}
	if err := f.with(func(*database) {}); err != nil {
		return err
	}
	database, _, _ := strings.Cut(f.url(), "#")
	return f.spec.Claim(database)
}

// answered waits for one answer of the server: for its share of the machine, and in vain where the database hangs.
func (f *fakeWorker) answered(ctx context.Context) bool {
	began, hangs := time.Now(), false
	f.world.at(f.url(), func(d *database) { d.asked, hangs = began, d.hangs })
	defer f.world.at(f.url(), func(d *database) { d.asked = time.Time{} })
	if hangs {
		sleep(ctx, f.world.limit)
		return false
	}
	for left := f.world.takes; left > 0; {
		sleep(ctx, 10*time.Millisecond)
		left -= 10 * time.Millisecond / time.Duration(max(f.world.starting(0), 1))
	}
	return time.Since(began) < f.world.limit
}

func (f *fakeWorker) Peek(context.Context) (w Work, err error) {
	err = f.with(func(d *database) { d.peeks++; w.Due = d.due > 0 })
	return w, err
}

func (f *fakeWorker) Turn(ctx, _, rest context.Context) error {
	_ = f.with(func(d *database) { d.turns = append(d.turns, f.who); d.awake++ })
	for rest.Err() == nil {
		var takes time.Duration
		claimed := false
		if f.with(func(d *database) {
			takes = d.takes
			if claimed = d.due > 0; claimed {
				d.due--
			}
		}) == nil {
			f.spec.Observer.Polled()
		}
		f.inFlight(claimed, 1)
		if claimed {
			sleep(ctx, takes)
			for f.with(func(d *database) { d.sent++ }) != nil && ctx.Err() == nil {
				sleep(ctx, time.Second)
			}
			f.spec.Observer.Recorded(nil)
			f.inFlight(claimed, -1)
		}
		sleep(rest, 20*time.Millisecond)
	}
	f.world.at(f.url(), func(d *database) { d.awake-- })
	return nil
}

func (f *fakeWorker) url() string { u, _ := f.spec.URL(); return u }

func (f *fakeWorker) inFlight(claimed bool, by int) {
	if claimed {
		f.world.mu.Lock()
		f.flight += by
		f.world.mu.Unlock()
	}
}

func (f *fakeWorker) Round(ctx, _ context.Context, _ bool) {
	f.world.starting(1)
	defer f.world.starting(-1)
	if f.world.answers > 0 {
		f.answered(ctx)
	}
	_ = f.with(func(d *database) { d.rounds++ })
}

func (f *fakeWorker) InFlight() int {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	return f.flight
}

func (f *fakeWorker) Held() int64 { return int64(f.InFlight()) }

func (f *fakeWorker) Members(_ context.Context, self int32) (all []int32, err error) {
	err = f.with(func(d *database) {
		d.locks[self] = true
		f.self = self
		for n := range d.locks {
			all = append(all, n)
		}
	})
	return all, err
}

func (f *fakeWorker) Silent() (d time.Duration) {
	f.world.at(f.url(), func(of *database) {
		if !of.asked.IsZero() {
			d = time.Since(of.asked)
		}
	})
	return d
}

func (f *fakeWorker) Leave() {}

// Close ends the session, and with it the lock.
func (f *fakeWorker) Close() { f.world.at(f.url(), func(d *database) { delete(d.locks, f.self) }) }

func publish(w *world, url string, events int) { w.at(url, func(d *database) { d.due += events }) }

func sent(d *database) int { return d.sent }

func TestFleet_AnIdleInstanceIsPolledEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		_, stop := w.fleet(t, "a", 2)
		publish(w, "url0", 1)
		time.Sleep(time.Minute)
		before := w.sum(func(d *database) int { return d.peeks })
		time.Sleep(time.Minute)
		if n := w.sum(func(d *database) int { return d.peeks }) - before; n < 55 || n > 75 {
			t.Errorf("%d looks at an idle database in a minute", n)
		}
		publish(w, "url0", 1)
		time.Sleep(time.Second + 100*time.Millisecond)
		if n := w.sum(sent); n != 2 {
			t.Errorf("%d events of 2 are sent within the stated latency", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_OneThatIsUnavailableHarmsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20)
		w.at("url0", func(d *database) { d.dead = true }) // a coordinator, too
		_, stop := w.fleet(t, "a", 4)
		for i := range 20 {
			publish(w, fmt.Sprintf("url%d", i), 1)
		}
		time.Sleep(20 * time.Second)
		if n := w.sum(sent); n != 19 {
			t.Errorf("%d of 19 events are sent", n)
		}
		w.at("url0", func(d *database) { d.dead = false })
		time.Sleep(10 * time.Second)
		if n := w.sum(sent); n != 20 {
			t.Errorf("%d of 20 events are sent once it is back", n)
		}
		if n := w.log.FilterMessage("instance available again").FilterField(zap.String("instance", "inst0")).Len(); n != 1 {
			t.Errorf("%d lines say that it is back", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestFleet_ABusyMachineMakesNoDatabaseLookDead: all starts share a processor, and take longer than a connection may
// where all begin at once.
func TestFleet_ABusyMachineMakesNoDatabaseLookDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100)
		w.answers, w.takes, w.limit = 5, 40*time.Millisecond, 1100*time.Millisecond // 27 at once would reach the limit
		f, stop := w.fleet(t, "a", 8)
		time.Sleep(firstBeat + 25*time.Second)
		asleep := 0
		f.Each(func(s Status) {
			if s.State == Asleep {
				asleep++
			}
		})
		if asleep != 100 || w.most != startsAtOnce {
			t.Errorf("%d of 100 have started, %d at once, want %d", asleep, w.most, startsAtOnce)
		}
		for _, line := range w.log.FilterLevelExact(zapcore.WarnLevel).All() {
			t.Errorf("one that is alive has failed: %s %v", line.Message, line.ContextMap())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestFleet_DatabasesThatHangHoldUpNone: a third of them never answers, the first of the list among them.
func TestFleet_DatabasesThatHangHoldUpNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 90)
		w.answers, w.takes = 5, time.Millisecond
		for i := range 30 {
			w.at(fmt.Sprintf("url%d", i), func(d *database) { d.hangs = true })
			publish(w, fmt.Sprintf("url%d", 30+i), 1)
			publish(w, fmt.Sprintf("url%d", 60+i), 1)
		}
		_, stop := w.fleet(t, "a", 8)
		time.Sleep(firstBeat + 10*time.Second)
		if n := w.sum(sent); n != 60 {
			t.Errorf("%d of 60 events are sent", n)
		}
		if n := w.log.FilterMessage("instance unavailable, retrying").Len(); n != 30 {
			t.Errorf("%d lines say that 30 databases do not answer", n)
		}
		time.Sleep(time.Minute)
		w.mu.Lock()
		for _, d := range w.databases {
			d.hangs = false
		}
		w.mu.Unlock()
		time.Sleep(w.limit + 10*time.Second)
		if n := w.log.FilterMessage("instance available again").Len(); n != 30 {
			t.Errorf("%d lines say that 30 databases answer again", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_DatabasesThatBecomeUnavailableInTheirTurnKeepNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		for _, url := range []string{"url0", "url1"} {
			publish(w, url, 1000)
			w.at(url, func(d *database) { d.takes = 100 * time.Millisecond })
		}
		_, stop := w.fleet(t, "a", 2)
		time.Sleep(8 * time.Second)
		for _, url := range []string{"url0", "url1"} {
			w.at(url, func(d *database) { d.dead = true })
		}
		before := w.sum(sent)
		publish(w, "url2", 1)
		time.Sleep(unavailableAfter + 3*time.Second)
		if n := w.sum(sent) - before; n != 1 {
			t.Errorf("%d events are sent while two databases are unavailable that had all places, want 1", n)
		}
		for _, url := range []string{"url0", "url1"} {
			w.at(url, func(d *database) { d.dead, d.due = false, 0 })
		}
		time.Sleep(10 * time.Second)
		if n := w.sum(sent) - before; n != 3 {
			t.Errorf("%d, want the two in flight as well, recorded when their databases are back", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_PlacesAreSharedFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		for i := range 6 {
			publish(w, fmt.Sprintf("url%d", i), 100_000) // more than any can send
		}
		_, stop := w.fleet(t, "a", 2)
		most := 0
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			most = max(most, w.sum(func(d *database) int { return d.awake }))
		}
		if most != 2 {
			t.Errorf("%d are awake at once, want 2", most)
		}
		least, largest := 1<<30, 0
		w.mu.Lock()
		for _, d := range w.databases {
			least, largest = min(least, len(d.turns)), max(largest, len(d.turns))
		}
		w.mu.Unlock()
		if least < 1 || largest-least > 1 {
			t.Errorf("between %d and %d turns in half a minute", least, largest)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_HangingReceiversLeaveHalfOfThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 12)
		for i := range 11 {
			url := fmt.Sprintf("url%d", i)
			publish(w, url, 100_000)
			w.at(url, func(d *database) { d.takes = 30 * time.Second })
		}
		f, stop := w.fleet(t, "a", 4)
		time.Sleep(4 * time.Minute) // each has had its turn
		for n := range 10 {
			publish(w, "url11", 1)
			time.Sleep(3 * time.Second)
			got := 0
			w.at("url11", func(d *database) { got = d.sent })
			if got != n+1 {
				t.Fatalf("event %d waits for receivers of other instances", n)
			}
			time.Sleep(20 * time.Second)
		}
		w.mu.Lock()
		for _, d := range w.databases {
			d.due = 0
		}
		w.mu.Unlock()
		_ = f
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_TheListIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		f, stop := w.fleet(t, "a", 2)
		time.Sleep(5 * time.Second)
		served := func() string {
			var names []string
			f.Each(func(s Status) { names = append(names, s.Name+" "+s.State.String()) })
			slices.Sort(names)
			return strings.Join(names, ", ")
		}
		step := func(text, want string) {
			t.Helper()
			write(t, w.path, text)
			time.Sleep(10 * time.Second)
			if got := served(); got != want {
				t.Errorf("after %q: %s", text, got)
			}
		}
		step("inst1 url1\ninst7 url7", "inst1 asleep, inst7 asleep")
		step("inst1", "inst1 asleep, inst7 asleep") // malformed
		if n := w.log.FilterMessage("list of databases cannot be read, keeping the one before").Len(); n != 1 {
			t.Errorf("%d lines say that the list is malformed", n)
		}
		peeks := func(url string) (n int) { w.at(url, func(d *database) { n = d.peeks }); return n }
		before := peeks("url0")
		step("inst1 url1?password\ninst7 url8", "inst1 asleep, inst7 asleep")
		if peeks("url0") != before {
			t.Error("an instance that was removed is polled")
		}
		if peeks("url1?password") == 0 || peeks("url8") == 0 {
			t.Error("the new URLs are not used")
		}
		step("# none", "inst1 asleep, inst7 asleep") // as a file that is being written
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestFleet_ADatabaseUnderTwoNamesIsServedOnce, until the other name is removed. A new name of a database is not held up by
// the old one, which still has an event in flight.
func TestFleet_ADatabaseUnderTwoNamesIsServedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		write(t, w.path, "a url\nb url#b\nc other")
		f, stop := w.fleet(t, "a", 2)
		served := func() (names string) {
			var all []string
			f.Each(func(s Status) { all = append(all, s.Name+" "+s.State.String()) })
			slices.Sort(all)
			return strings.Join(all, ", ")
		}
		time.Sleep(2 * time.Minute)
		lines := w.log.FilterMessage("two names lead to the same database, serving it once").All()
		if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel {
			t.Fatalf("%d lines say so, want an error: %v", len(lines), lines)
		}
		twice, one := lines[0].ContextMap()["instance"].(string), lines[0].ContextMap()["served_as"].(string)
		if got := served(); twice == one || !strings.Contains(got, twice+" starting") || !strings.Contains(got, one+" asleep") {
			t.Errorf("%s, served as %s: %s", twice, one, got)
		}
		write(t, w.path, twice+" url#b\nc other")
		time.Sleep(sameAgain + 5*time.Second)
		if got := served(); got != twice+" asleep, c asleep" {
			t.Errorf("after the other one was removed: %s", got)
		}
		w.at("other", func(d *database) { d.due, d.takes = 1, 40*time.Second })
		time.Sleep(2 * time.Second)
		write(t, w.path, twice+" url#b\nd other#d")
		time.Sleep(5 * time.Second)
		if got := served(); !strings.Contains(got, "d asleep") || !strings.Contains(got, "c ") {
			t.Errorf("the new name waits for the end of the old one: %s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_ProcessesShareTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100)
		w.at("url1", func(d *database) { d.dead = true })
		a, stopA := w.fleet(t, "a", 8)
		time.Sleep(10 * time.Second)
		count := func(f *Fleet) (n int) { f.Each(func(Status) { n++ }); return n }
		if n := count(a); n != 100 {
			t.Errorf("one process alone serves %d of 100", n)
		}
		b, stopB := w.fleet(t, "b", 8)
		time.Sleep(10 * time.Second)
		if x, y := count(a), count(b); x+y != 100 || x < 30 || y < 30 {
			t.Errorf("two processes serve %d and %d of 100", x, y)
		}
		if err := stopA(); err != nil {
			t.Error(err)
		}
		time.Sleep(goneAfter + 2*beatEvery)
		if n := count(b); n != 100 {
			t.Errorf("the one that is left serves %d of 100", n)
		}
		if err := stopB(); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_ProcessesShareTheListWithoutTheFirstDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20)
		w.at("url0", func(d *database) { d.dead = true })
		a, stopA := w.fleet(t, "a", 8)
		b, stopB := w.fleet(t, "b", 8)
		time.Sleep(20 * time.Second)
		count := func(f *Fleet) (n int) { f.Each(func(Status) { n++ }); return n }
		if x, y := count(a), count(b); x+y != 20 {
			t.Errorf("two processes serve %d and %d of 20", x, y)
		}
		if err := errors.Join(stopA(), stopB()); err != nil {
			t.Error(err)
		}
	})
}

func TestFleet_MemoryIsOfAllTogether(t *testing.T) {
	f := &Fleet{opts: Options{Memory: 1000, Awake: 4}}
	holds := func(n int) *instance { return &instance{worker: &fakeWorker{world: &world{}, flight: n}} }
	full, idle := holds(600), holds(0)
	f.awake = []*instance{full, idle}
	if got := f.memory(full.worker); got != 625 {
		t.Errorf("one that holds 600 may hold %d: its 125, and all of the common half", got)
	}
	if got := f.memory(idle.worker); got != 125 {
		t.Errorf("one that holds nothing may hold %d: its own share, whatever another holds", got)
	}
}
