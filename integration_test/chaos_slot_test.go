package integration_test

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// markEvery is the workers' cycle, in which they expire leases: only those that have
// been connected for a whole lease.
const markEvery = 10 * time.Second

// Before each ten-second mark there is a calm, so that leases are expired at all: first
// the database's, then the workers' own.
const (
	databaseCalm = workersCalm + 400*time.Millisecond
	workersCalm  = chaosLease + lifePatience + 200*time.Millisecond
	afterMark    = 500 * time.Millisecond // expiring hundreds of leases takes a while under load
)

func untilMark() time.Duration {
	now := time.Now()
	return now.Truncate(markEvery).Add(markEvery).Sub(now)
}

// lifePatience is how long a test waits for the fate of a short life.
const lifePatience = 500 * time.Millisecond

// A slot runs one worker process, and another one when it has ended.
type slot struct {
	c      *chaos
	number int
	choose *rand.Rand // durations

	deaths, injuries, early *deck[fate]
	ways                    *deck[func(*slot)]        // of a short life
	deeds                   *deck[func(*slot, *life)] // during a long one
	living                  func(*slot)
}

// newSlot has a schedule of its own: several decks, each with its own choices.
func newSlot(c *chaos, number int, living func(*slot)) *slot {
	own := func(n int) *rand.Rand { return chooser(c.seed, uint64(1000+100*number+n)) }
	return &slot{
		c: c, number: number, living: living, choose: own(0),
		deaths:   newDeck(own(1), each(deaths)),
		injuries: newDeck(own(3), each(injuries)), early: newDeck(own(4), each(slices.Concat(injuries, earlyInjuries, earlyInjuries, earlyInjuries))),
		ways: newDeck(own(5), []weighted[func(*slot)]{
			{60, (*slot).namedDeath},
			{15, (*slot).randomDeath},
			{14, (*slot).injuredAndKilled},
			{4, (*slot).stopped},
			{3, (*slot).stoppedTwice},
			{4, (*slot).blackHoled},
		}),
		deeds: newDeck(own(6), []weighted[func(*slot, *life)]{
			{14, (*slot).injure},
			{2, (*slot).cutOff},
			{1, (*slot).hush},
			{2, (*slot).freeze},
			{2, (*slot).retire},
		}),
	}
}

// run starts worker after worker until the faults are over. The slot 1 has short lives only.
func (s *slot) run() {
	for s.c.blowing() {
		if left := untilMark(); s.number != 1 && left < workersCalm && left > chaosLease+50*time.Millisecond {
			s.expiring(left)
		} else {
			s.living(s)
		}
	}
}

// live runs one worker from its start to its end.
func (s *slot) live(f fate, during func(l *life)) {
	l := s.c.begin(s.number, f)
	s.c.setCurrent(s.number, l)
	during(l)
	l.bury()
}

// expiring is a life across two ten-second marks, killed while it expires leases or soon after: at the
// first it sees them expired, at the second it ends them.
func (s *slot) expiring(left time.Duration) {
	s.c.mu.Lock()
	f := s.c.expiries.deal()
	s.c.mu.Unlock()
	s.live(f, func(l *life) {
		l.meets(left + markEvery + time.Second)
		l.wait(nil, 200*time.Millisecond) // for a POST that must not be started
	})
}

// short is the life of a worker that is killed within some tens of milliseconds.
func short(s *slot) {
	s.ways.deal()(s)
}

func (s *slot) namedDeath() {
	f, more := s.deaths.deal(), between(s.choose, 0, 40*time.Millisecond)
	s.live(f, func(l *life) {
		if l.meetsOr(s.c.isDown(), lifePatience) {
			l.wait(nil, more)
			l.kill("killed: while PostgreSQL was down")
		}
	})
}

func (s *slot) randomDeath() {
	after := between(s.choose, 0, 50*time.Millisecond)
	s.live(fate{}, func(l *life) { l.wait(nil, after) })
}

func (s *slot) injuredAndKilled() {
	f, after := s.early.deal(), between(s.choose, 0, 40*time.Millisecond)
	s.live(f, func(l *life) {
		l.meets(lifePatience)
		l.wait(nil, after)
	})
}

// stopped is a worker that is stopped in good order.
func (s *slot) stopped() {
	after := between(s.choose, 10*time.Millisecond, 60*time.Millisecond)
	s.live(fate{}, func(l *life) { s.terminate(l, after) })
}

// terminate is one SIGTERM. A worker whose database is down drains for longer than this
// test waits, and is killed while it drains.
func (s *slot) terminate(l *life, after time.Duration) {
	l.wait(nil, after)
	l.signal(syscall.SIGTERM)
	s.c.tally.hit("SIGTERM")
	if !l.overWithin(2 * time.Second) {
		l.kill("killed: while it drained")
	}
}

// stoppedTwice is a worker that gets a second signal while it stops.
func (s *slot) stoppedTwice() {
	after, between := between(s.choose, 10*time.Millisecond, 60*time.Millisecond), between(s.choose, 0, 3*time.Millisecond)
	s.live(fate{}, func(l *life) {
		l.wait(nil, after)
		l.signal(syscall.SIGTERM)
		l.wait(nil, between)
		l.signal(syscall.SIGINT)
		s.c.tally.hit("SIGTERM and SIGINT")
		l.overWithin(2 * time.Second)
	})
}

// blackHoled is a worker whose network goes silent, and that is killed before it recovers.
func (s *slot) blackHoled() {
	after, silence := between(s.choose, 15*time.Millisecond, 40*time.Millisecond), between(s.choose, 50*time.Millisecond, 200*time.Millisecond)
	s.live(fate{}, func(l *life) {
		l.wait(nil, after)
		l.silence()
		s.c.tally.hit("network silent")
		l.wait(nil, silence)
		l.kill("killed: behind a silent network")
	})
}

// long is the life of a worker that meets one fault after the other and survives most of
// them: from one ten-second mark to the next.
func long(s *slot) {
	calm := time.Now().Add(untilMark() - workersCalm)
	if calm.Before(time.Now()) {
		calm = calm.Add(markEvery)
	}
	s.live(fate{}, func(l *life) {
		for s.c.blowing() && time.Now().Before(calm) && !l.over() {
			s.deeds.deal()(s, l)
		}
	})
}

func (s *slot) injure(l *life) {
	f, pause := s.injuries.deal(), between(s.choose, 0, 30*time.Millisecond)
	l.arm(f)
	l.meets(time.Second)
	l.arm(fate{})
	l.wait(nil, pause)
}

// cutOff breaks all connections at once.
func (s *slot) cutOff(l *life) {
	pause := between(s.choose, 10*time.Millisecond, 60*time.Millisecond)
	l.wait(nil, pause)
	n := len(l.proxy.all())
	l.proxy.cutAll()
	s.c.tally.add("connections cut", n)
	l.wait(nil, pause)
}

// hush makes the network silent for a while; then the open connections break.
func (s *slot) hush(l *life) {
	silence := between(s.choose, 200*time.Millisecond, 1200*time.Millisecond)
	l.silence()
	s.c.tally.hit("network silent")
	l.wait(nil, silence)
	l.proxy.heal()
	n := len(l.proxy.all())
	l.proxy.cutAll()
	s.c.tally.add("connections cut", n)
}

// freeze stops the process for longer than its lease, at any point.
func (s *slot) freeze(l *life) {
	frozen := chaosLease + between(s.choose, 100*time.Millisecond, 600*time.Millisecond)
	from := time.Now()
	_ = l.cmd.Process.Signal(syscall.SIGSTOP)
	s.c.tally.hit("frozen beyond the lease")
	l.wait(nil, frozen)
	_ = l.cmd.Process.Signal(syscall.SIGCONT)
	s.c.froze(l, from, time.Now())
}

func (s *slot) retire(l *life) {
	s.terminate(l, between(s.choose, 0, 40*time.Millisecond))
}

func (l *life) silence() {
	l.proxy.setMode(blackHole)
	l.proxy.hang()
}

func (l *life) overWithin(most time.Duration) bool {
	l.wait(nil, most)
	return l.over()
}
