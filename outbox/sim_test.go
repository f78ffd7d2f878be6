package outbox

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The simulation: the real Dispatcher, a model of the database, a model of the
// receivers, and a scheduler that decides in which order everything happens.
//
//	        simSchedule (sim_schedule, sim_faults, sim_rest)
//	       picks one instant at a time, from one seed
//	              │                           │
//	┌─────────────▼───────────┐      ┌────────▼─────────┐
//	│ simWorker (sim_worker)  │ call │ simDB            │ sim_claim, sim_record,
//	│ Dispatcher.Run, .Cycle  │─────▶│ rows, locks,     │ sim_background: each
//	│ the real code, unchanged│◀─────│ switches, clock  │ method names its SQL
//	│                         │reply └──────────────────┘
//	│                         │ POST ┌──────────────────┐
//	│                         │─────▶│ sim_receiver     │
//	└─────────────────────────┘◀─────└──────────────────┘ answer
//
// Every call of Store and Sender stops at several instants (simCall): it is on its way; the other side
// has begun it (a claim: has its snapshot, has its locks); it has had its effect; its reply has arrived.
// Between two instants anything else may happen: another worker's call, the crash of a worker (nothing
// more of it has an effect except what was on its way), a reply that is lost (before or after the
// effect, or the effect comes later), a database that is down, a worker that is frozen past its lease, a
// lock of another session, a switch, a rejected value, a new event, SIGTERM, a restart.
//
// Time is synctest's: it stands still while anything runs, so a minute costs nothing. Only one goroutine
// is let go at a time, calls that are made in one instant are put in order, and no two timers share an
// instant: a seed decides everything and replays exactly.
//
// sim_promises holds what must be true after every instant. When the faults are over the scheduler lets
// the system come to rest (sim_rest); then every document must be synced and every other event finished.
//
//	make test                    a few seconds' worth of seeds, the same ones each time
//	make sim                     a million (SCHEDULES= for another number, SEED= for the first)
//	SEED=42 SCHEDULES=1 make sim one seed; if it fails, every instant of it is printed
//
// That it finds mistakes is shown by TestSim_FindsBrokenSQL, and by those mutants of `make mutants` that
// only this file turns red. That the model behaves like PostgreSQL is shown by conformance_test.go.

var (
	simSchedules = flag.Int("sim.schedules", envNumber("SCHEDULES", 2_500), "how many schedules to simulate")
	simSeed      = flag.Uint64("sim.seed", uint64(envNumber("SEED", 1)), "the first seed")
)

func envNumber(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func TestSim_PromisesHoldInEverySchedule(t *testing.T) {
	began := time.Now()
	found := simulate(t, *simSeed, *simSchedules, "")
	t.Log(found.summary(time.Since(began)))
	if found.failure == "" {
		return
	}
	text, _ := simReplay(t, found.seed, "")
	t.Fatalf("%s\nseed %d, after %d schedules: %s\nagain: make sim SCHEDULES=1 SEED=%d", text, found.seed, found.schedules, found.failure, found.seed)
}

// The proof that a failing seed can be looked at: nothing but the seed decides,
// neither the goroutines' order nor what ran before in the same bubble.
func TestSim_SeedReplaysExactly(t *testing.T) {
	const seeds = 200
	var together [seeds]*simSchedule
	restore := withoutJitter()
	synctest.Test(t, func(*testing.T) {
		for seed := range uint64(seeds) {
			together[seed] = runSchedule(seed, "", nil)
		}
	})
	restore()
	for seed, first := range together {
		again := simRun(t, uint64(seed), "")
		if first.hash == again.hash {
			continue
		}
		a, _ := simReplay(t, uint64(seed), "")
		b, _ := simReplay(t, uint64(seed), "")
		t.Fatalf("seed %d went two ways (%d and %d instants)\n%s", seed, first.instants, again.instants, firstDifference(a, b))
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			from := max(i-15, 0)
			return strings.Join(x[from:i], "\n") + "\n< " + x[i] + "\n> " + y[i]
		}
	}
	return "the two printed runs do not differ"
}

// simFound is what a number of schedules came to.
type simFound struct {
	schedules, instants int64
	seed                uint64 // the first one that failed, of failure
	failure             string
	met                 simMet
}

func (f simFound) summary(took time.Duration) string {
	return fmt.Sprintf("%d schedules in %s: %.0f a second, %.0f instants each; %s",
		f.schedules, took.Round(time.Millisecond), float64(f.schedules)/took.Seconds(),
		float64(f.instants)/float64(max(f.schedules, 1)), f.met)
}

// simulate runs schedules until one fails, a batch a bubble, on all processors.
func simulate(t *testing.T, seed uint64, schedules int, flaw simFlaw) simFound {
	const batch = 50
	defer withoutJitter()()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // little is alive, much is thrown away
	var (
		mu    sync.Mutex
		total simFound
		next  atomic.Int64
		wg    sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				from := next.Add(batch) - batch
				mu.Lock()
				over := from >= int64(schedules) || total.failure != "" && seed+uint64(from) > total.seed
				mu.Unlock()
				if over {
					return
				}
				var part simFound
				synctest.Test(t, func(t *testing.T) {
					for i := from; i < min(from+batch, int64(schedules)) && part.failure == ""; i++ {
						part.add(runSchedule(seed+uint64(i), flaw, nil))
					}
				})
				mu.Lock()
				total.merge(part)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return total
}

func (f *simFound) add(s *simSchedule) {
	f.schedules++
	f.instants += int64(s.instants)
	f.met.add(s.met)
	if s.failure != "" {
		f.seed, f.failure = s.seed, s.failure
	}
}

func (f *simFound) merge(part simFound) {
	f.schedules += part.schedules
	f.instants += part.instants
	f.met.add(part.met)
	if part.failure != "" && (f.failure == "" || part.seed < f.seed) {
		f.seed, f.failure = part.seed, part.failure
	}
}

// simRun runs one schedule in a bubble of its own.
func simRun(t *testing.T, seed uint64, flaw simFlaw) (s *simSchedule) {
	defer withoutJitter()()
	synctest.Test(t, func(*testing.T) { s = runSchedule(seed, flaw, nil) })
	return s
}

// simReplay is simRun with every instant written down.
func simReplay(t *testing.T, seed uint64, flaw simFlaw) (text string, s *simSchedule) {
	defer withoutJitter()()
	var lines strings.Builder
	synctest.Test(t, func(*testing.T) { s = runSchedule(seed, flaw, &lines) })
	return lines.String(), s
}

// withoutJitter takes chance out of Backoff, and restores it.
func withoutJitter() (restore func()) {
	drawn := jitter
	jitter = func(most time.Duration) time.Duration { return most / 3 }
	return func() { jitter = drawn }
}
