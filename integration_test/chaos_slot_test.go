package integration_test

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// markEvery is the cycle of the workers, in which they sweep: but only those
// that have had an answering database for a whole lease.
const markEvery = 10 * time.Second

// Before each ten-second mark there is a calm, so that sweeps happen at all:
// first the database's, then the workers' own.
const (
	databaseCalm = workersCalm + 400*time.Millisecond
	workersCalm  = chaosLease + lifePatience + 200*time.Millisecond
	afterMark    = 500 * time.Millisecond // a sweep of hundreds of rows takes a while beside everything else
)

func untilMark() time.Duration {
	now := time.Now()
	return now.Truncate(markEvery).Add(markEvery).Sub(now)
}

// lifePatience is how long a short life is waited for to meet its fate.
const lifePatience = 500 * time.Millisecond

// A slot is where one worker process stands, and its next one when it has ended.
type slot struct {
	c      *chaos
	number int
	choose *rand.Rand // how long this and that takes

	deaths, sweeps, injuries, early *deck[fate]
	ways                            *deck[func(*slot)]        // of a short life
	deeds                           *deck[func(*slot, *life)] // during a long one
	living                          func(*slot)
}

// newSlot has a schedule of its own: several decks, each with choices of its own.
func newSlot(c *chaos, number int, living func(*slot)) *slot {
	own := func(n int) *rand.Rand { return chooser(c.seed, uint64(1000+100*number+n)) }
	return &slot{
		c: c, number: number, living: living, choose: own(0),
		deaths: newDeck(own(1), each(deaths)), sweeps: newDeck(own(2), each(append([]fate{afterItsSweep}, sweepDeaths...))),
		injuries: newDeck(own(3), each(injuries)), early: newDeck(own(4), each(slices.Concat(injuries, earlyInjuries, earlyInjuries, earlyInjuries))),
		ways: newDeck(own(5), []weighted[func(*slot)]{
			{60, (*slot).namedDeath},
			{15, (*slot).randomDeath},
			{14, (*slot).injuredAndKilled},
			{4, (*slot).told},
			{3, (*slot).toldTwice},
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

// run starts worker after worker until the faults are over.
func (s *slot) run() {
	for s.c.blowing() {
		if left := untilMark(); left < workersCalm && left > chaosLease+50*time.Millisecond {
			s.sweeping(left)
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

// sweeping is a life across a ten-second mark, killed in its sweep or soon after it.
func (s *slot) sweeping(left time.Duration) {
	f := s.sweeps.deal()
	s.live(f, func(l *life) {
		l.meets(left + time.Second)
		l.wait(nil, 200*time.Millisecond) // for a POST that must not be begun
	})
}

// short is the life of a worker that is killed within some tens of milliseconds.
func short(s *slot) {
	s.ways.deal()(s)
}

func (s *slot) namedDeath() {
	f, more := s.deaths.deal(), between(s.choose, 0, 40*time.Millisecond)
	s.live(f, func(l *life) {
		if l.meetsOr(s.c.isAway(), lifePatience) {
			l.wait(nil, more)
			l.kill("killed: while PostgreSQL was away")
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

// told is a worker that is asked to stop.
func (s *slot) told() {
	after := between(s.choose, 10*time.Millisecond, 60*time.Millisecond)
	s.live(fate{}, func(l *life) { s.terminate(l, after) })
}

// terminate is one SIGTERM. A worker whose database is away drains for longer
// than there is time here, and is killed in the middle of it.
func (s *slot) terminate(l *life, after time.Duration) {
	l.wait(nil, after)
	l.asks(syscall.SIGTERM)
	s.c.tally.hit("SIGTERM")
	if !l.overWithin(2 * time.Second) {
		l.kill("killed: while it drained")
	}
}

// toldTwice is a worker that is asked to stop at once.
func (s *slot) toldTwice() {
	after, between := between(s.choose, 10*time.Millisecond, 60*time.Millisecond), between(s.choose, 0, 3*time.Millisecond)
	s.live(fate{}, func(l *life) {
		l.wait(nil, after)
		l.asks(syscall.SIGTERM)
		l.wait(nil, between)
		l.asks(syscall.SIGINT)
		s.c.tally.hit("SIGTERM and SIGINT")
		l.overWithin(2 * time.Second)
	})
}

// blackHoled is a worker whose network goes silent, and that dies without an answer.
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

// long is the life of a worker that meets one thing after the other and
// survives most of it: from one ten-second mark to the next.
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

// hush lets the network be silent for a while; then what was connected breaks.
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

// freeze stops the process for longer than its lease, wherever it is.
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
