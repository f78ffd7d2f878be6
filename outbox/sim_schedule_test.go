package outbox

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// simSchedule is one run: what the seed has drawn, and where everything stands.
type simSchedule struct {
	seed  uint64
	rng   *rand.Rand
	began time.Time

	// Drawn once.
	lease, timeout, poll time.Duration
	network              time.Duration // the deadline of the database's connections
	clockAhead           time.Duration // of the database, between two ten-second marks
	faultPercent         int           // of all choices
	successPercent       int           // of all answers
	poisoned             bool          // some texts are rejected by the database
	uncallable           bool          // now and then a channel cannot be called
	denied               bool          // the workers may not probe
	unfair               bool          // one worker goes on as long as it can, the others wait
	documents            int           // how many there are
	faults               []simFault    // those of this schedule
	memory               int64
	eventsLeft, choices  int
	ahead                int // the worker that is ahead in an unfair schedule

	db       *simDB
	workers  []*simWorker
	calls    []*simCall // under way, in the order they were made
	resting  bool       // the faults are over
	restedAt time.Duration

	mu    sync.Mutex // for what the workers' goroutines write
	fresh []*simCall
	wake  chan struct{}

	// The ledger, see sim_promises.
	holdings    map[string]*simHolding // by token
	posts       []*simPost
	claimNos    map[string]int64
	claimSentAt map[string]time.Duration

	// The trace.
	hash     uint64
	instants int
	lines    *strings.Builder // nil: only the hash is kept
	failure  string
	met      simMet

	// Kept between calls, so that nothing is allocated.
	taken   []*simCall
	numbers []int64
	able    []*simCall
	spareTx []*simTx
}

// runSchedule runs one schedule, inside a bubble.
func runSchedule(seed uint64, flaw simFlaw, lines *strings.Builder) *simSchedule {
	s := newSchedule(seed, flaw, lines)
	defer s.end()
	for range s.choices {
		if s.failure != "" {
			return s
		}
		s.choose()
	}
	s.rest()
	return s
}

func newSchedule(seed uint64, flaw simFlaw, lines *strings.Builder) *simSchedule {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	s := &simSchedule{
		seed: seed, rng: rng, began: time.Now(), lines: lines, hash: 14695981039346656037,
		wake: make(chan struct{}, 1), holdings: map[string]*simHolding{},
		claimNos: map[string]int64{}, claimSentAt: map[string]time.Duration{},
	}
	times := [...]struct{ lease, timeout time.Duration }{
		{9 * time.Second, 3 * time.Second}, {22 * time.Second, 8 * time.Second}, {13 * time.Second, 6 * time.Second},
	}[rng.IntN(3)]
	s.lease, s.timeout = times.lease, times.timeout
	s.poll = [...]time.Duration{time.Second, 3 * time.Second, 4 * time.Second}[rng.IntN(3)]
	s.network = s.lease * 2 / 9
	s.clockAhead = time.Hour + time.Duration(rng.IntN(10_000))*time.Millisecond
	s.faultPercent = 5 + rng.IntN(25)
	s.successPercent = 30 + rng.IntN(65)
	s.poisoned = rng.IntN(4) == 0
	s.uncallable = rng.IntN(8) == 0
	s.unfair = rng.IntN(2) == 0
	s.denied = rng.IntN(4) == 0
	s.documents = 1 + rng.IntN(2)
	s.memory = [...]int64{0, 0, 0, 20, 50}[rng.IntN(5)]
	s.faults = someFaults(rng)
	s.eventsLeft = 1 + rng.IntN(6)
	s.choices = 20 + rng.IntN(60)
	if flaw == overtakenExportsSent { // one in fifty thousand schedules of the ordinary kind finds it
		s.unfair, s.documents, s.faults, s.successPercent, s.memory = true, 1, simAlways, 95, 0
	}

	s.db = &simDB{s: s, flaw: flaw, channels: make([]simChannel, len(channels)), retried: [...]int{0, 0, 0, 1}[rng.IntN(4)]}
	s.db.clock = func() time.Duration { return s.now() + s.clockAhead }
	for i := range s.db.channels {
		s.db.channels[i] = simChannel{enabled: rng.IntN(8) > 0, maxInFlight: 1 + rng.IntN(4)}
	}
	for range 1 + rng.IntN(2) {
		s.newWorker()
	}
	s.settleDown()
	s.takeIn()
	for range 1 + rng.IntN(4) {
		s.writeEvent()
	}
	return s
}

// end takes down what a schedule has started, so that the next one may begin.
func (s *simSchedule) end() {
	for _, w := range s.workers {
		if w.alive() {
			w.kill()
		}
	}
	s.settleDown()
}

// now is the time since the schedule began, for workers and database alike.
func (s *simSchedule) now() time.Duration { return time.Since(s.began) }

// choose picks what comes next.
func (s *simSchedule) choose() {
	s.instants++
	switch x := s.rng.IntN(100); {
	case x < s.faultPercent:
		s.faults[s.rng.IntN(len(s.faults))](s)
	case x < 90:
		if c := s.anyCall(); c != nil {
			s.goOn(c)
			return
		}
		fallthrough
	default:
		if s.living() == 0 && s.rng.IntN(4) > 0 {
			s.startOne()
			return
		}
		s.letPass(s.anyWhile())
	}
}

// anyCall picks a call that can go on; nil if there is none. In an unfair
// schedule it is one of the worker that is ahead, which changes now and then: so
// one worker stands still at some instant while another gets far.
func (s *simSchedule) anyCall() *simCall {
	able, ahead := s.able[:0], -1
	if s.unfair && !s.resting && s.rng.IntN(16) == 0 {
		s.ahead = s.rng.IntN(len(s.workers))
	}
	for _, c := range s.calls {
		if !s.canGoOn(c) {
			continue
		}
		if s.unfair && c.worker.id == s.ahead && ahead < 0 {
			able, ahead = able[:0], s.ahead
		}
		if ahead < 0 || c.worker.id == ahead {
			able = append(able, c)
		}
	}
	s.able = able
	if len(able) == 0 {
		return nil
	}
	return able[s.rng.IntN(len(able))]
}

// anyWhile draws how much time passes: mostly little, now and then more than a lease.
func (s *simSchedule) anyWhile() time.Duration {
	most := 50 * time.Millisecond
	switch x := s.rng.IntN(20); {
	case x == 0:
		most = s.lease + s.timeout
	case x < 4:
		most = 6 * time.Second
	case x < 10:
		most = 2 * time.Second
	}
	return time.Duration(1 + s.rng.Int64N(int64(most)))
}

// letPass lets time go by. Calls whose deadline comes meanwhile end with it.
func (s *simSchedule) letPass(d time.Duration) {
	until := s.now() + d
	s.note("time passes", nil, int64(d))
	for s.failure == "" {
		next, overdue := until, (*simCall)(nil)
		for _, c := range s.calls {
			if d := s.deadline(c); d < next && (c.orphan || !c.worker.frozen()) {
				next, overdue = max(d, s.now()), c
			}
		}
		if next > s.now() {
			if !s.sleep(next - s.now()) { // there is a new call, and perhaps a new deadline
				continue
			}
		}
		if overdue == nil {
			break
		}
		s.timeOut(overdue)
	}
	s.mayStillDrain()
}

// sleep lets time go by until a worker calls; false if one has.
func (s *simSchedule) sleep(d time.Duration) bool {
	select {
	case <-s.wake: // of calls that are taken in, or not yet
		s.takeIn()
		return false
	default:
	}
	slept := false
	t := time.NewTimer(d)
	select {
	case <-t.C:
		slept = true
	case <-s.wake:
		t.Stop()
	}
	synctest.Wait()
	s.takeIn()
	return slept
}

// settleDown waits until all workers have done what they can do without a
// reply. It takes an instant that no other timer shares.
func (s *simSchedule) settleDown() {
	synctest.Wait()
	time.Sleep(time.Microsecond + time.Duration(s.rng.IntN(1000)))
	synctest.Wait()
}

func (s *simSchedule) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writeEvent is an application that commits an event.
func (s *simSchedule) writeEvent() {
	if s.eventsLeft == 0 || len(s.db.rows) >= 9 {
		return
	}
	s.eventsLeft--
	r := simRow{channel: [...]int{0, 0, 0, 1, 6}[s.rng.IntN(5)], document: 1 + s.rng.IntN(s.documents)}
	r.isTest = s.rng.IntN(16) == 0
	r.broken = s.rng.IntN(16) == 0
	row := s.db.insert(r)
	s.note("written: row, channel, document", nil, row.id, int64(row.channel), int64(row.document))
}

// newTx is a claim's transaction, used again.
func (s *simSchedule) newTx() *simTx {
	if n := len(s.spareTx); n > 0 {
		tx := s.spareTx[n-1]
		s.spareTx = s.spareTx[:n-1]
		return tx
	}
	return &simTx{}
}

// note adds an instant to the trace.
func (s *simSchedule) note(what string, w *simWorker, numbers ...int64) {
	const prime = 1099511628211
	h := s.hash
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * prime
	}
	for _, n := range numbers {
		h = (h ^ uint64(n)) * prime
	}
	h = (h ^ uint64(s.now())) * prime
	if w != nil {
		h = (h ^ uint64(w.id)) * prime
	}
	s.hash = h
	if s.lines == nil || what == "" {
		return
	}
	by := ""
	if w != nil {
		by = fmt.Sprintf("worker %d ", w.id)
	}
	fmt.Fprintf(s.lines, "%14s  %s%s", s.now(), by, what)
	if len(numbers) > 0 {
		fmt.Fprintf(s.lines, " %v", numbers)
	}
	fmt.Fprintln(s.lines)
}

// fail notes the first promise that was broken.
func (s *simSchedule) fail(format string, args ...any) {
	if s.failure == "" {
		s.failure = fmt.Sprintf(format, args...)
		s.note("BROKEN: "+s.failure, nil)
	}
}

// simMet counts what schedules have met, so that a run can show that it is not vacuous.
type simMet struct {
	crashes, stops, lost, zombies, freezes, arrived, sent, interrupted int64
}

func (m *simMet) add(other simMet) {
	m.crashes += other.crashes
	m.stops += other.stops
	m.lost += other.lost
	m.zombies += other.zombies
	m.freezes += other.freezes
	m.arrived += other.arrived
	m.sent += other.sent
	m.interrupted += other.interrupted
}

func (m simMet) String() string {
	return fmt.Sprintf("%d crashes, %d stops, %d freezes, %d replies lost, %d statements executed after their connection was lost, %d POSTs arrived, %d events sent, %d interrupted",
		m.crashes, m.stops, m.freezes, m.lost, m.zombies, m.arrived, m.sent, m.interrupted)
}
