package outbox

import "time"

// quiet is a while in which nothing goes wrong.
func (s *simSchedule) quiet() {
	if s.db.down {
		return
	}
	s.note("a quiet while", nil)
	s.serveUntil(s.now()+s.anyWhile(), func() bool { return false })
}

// serveUntil lets every call go on at once, in any order, with a cycle of each
// worker every ten seconds, until it is done or the time has come.
func (s *simSchedule) serveUntil(limit time.Duration, done func() bool) {
	mark := s.now().Truncate(simCycle) + simCycle
	for s.failure == "" && s.now() < limit && !done() {
		s.instants++
		if s.now() >= mark {
			mark += simCycle
			s.cycleAll()
		} else if c := s.anyCall(); c != nil {
			s.goOn(c)
		} else {
			s.sleep(min(mark, limit) - s.now())
		}
	}
	s.mayStillDrain()
}

// cycleAll is cron's ten-second mark at every worker.
func (s *simSchedule) cycleAll() {
	for _, w := range s.workers {
		if w.alive() && !w.frozen() {
			w.cycle()
			s.settleDown()
			s.takeIn()
		}
	}
}

// rest ends the faults and lets the system come to rest, with one worker.
func (s *simSchedule) rest() {
	s.note("the faults are over", nil)
	s.endFaults()
	s.resting, s.restedAt = true, s.now()
	var last *simWorker
	for _, w := range s.workers {
		if !w.alive() || w.stoppedAt != 0 {
			continue
		}
		if last == nil {
			last = w
		} else {
			s.stopWorker(w)
		}
	}
	if last == nil {
		s.newWorker()
		s.settleDown()
		s.takeIn()
	}
	// Leases of dead workers expire, a lease of unbroken health passes, a cycle runs, an attempt is made, and
	// what is retried waits for its mark.
	limit := s.now() + 3*s.lease + 2*s.timeout + 30*time.Second
	s.serveUntil(limit, s.allFinished)
	if s.failure == "" && !s.allFinished() {
		s.fail("the system does not come to rest: %s", s.unfinished())
	}
	if s.failure != "" {
		return
	}
	s.claimsSoon()
	for _, w := range s.workers {
		if w.alive() && w.stoppedAt == 0 {
			s.stopWorker(w)
		}
	}
	s.serveUntil(s.now()+s.timeout+drainBeyond+time.Second, func() bool { return s.living() == 0 })
	s.mustBeAtRest()
}

// endFaults ends every fault.
func (s *simSchedule) endFaults() {
	s.db.down = false
	if s.db.flip != nil {
		s.db.commitFlip()
	}
	s.db.offline = false
	for i := range s.db.channels {
		s.db.channels[i].enabled = true
	}
	for _, r := range s.db.rows {
		if r.lockedBy == simOtherSession {
			r.lockedBy = nil
		}
		if r.atLeastOnce {
			r.broken = false
		}
	}
	for _, w := range s.workers {
		if w.alive() && w.frozen() {
			s.sleepThrough(w.frozenUntil)
		}
	}
}

// sleepThrough lets time pass until a worker thaws.
func (s *simSchedule) sleepThrough(until time.Duration) {
	if d := until - s.now(); d > 0 {
		s.letPass(d)
	}
}

// claimsSoon: where the worker probes, an event is claimed soon after its commit, whatever it polls at: within a
// quarter of the time that its transaction took, and the round trips.
func (s *simSchedule) claimsSoon() {
	if s.denied {
		return
	}
	s.serveUntil(s.now()+10*time.Second, func() bool { return false }) // a probe that has failed is repeated
	s.db.drawn, s.db.newest = 1, s.db.newest+1
	took := time.Duration(s.rng.Int64N(int64(2 * time.Second)))
	s.note("an id is drawn", nil)
	s.serveUntil(s.now()+took, func() bool { return false })
	row := s.db.insert(simRow{channel: 1 + s.rng.IntN(6)})
	s.note("written: row, channel, document", nil, row.id, int64(row.channel), int64(row.document))
	s.serveUntil(s.now()+took/4+simSoon, func() bool { return row.attempts > 0 })
	if row.attempts == 0 {
		s.fail("row %d was committed %s after its id was drawn, and is not claimed %s later", row.id, took, took/4+simSoon)
	}
	s.serveUntil(s.now()+s.lease, s.allFinished)
}

// simSoon is more than what the round trips between two claims may take.
const simSoon = 50 * time.Millisecond
