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
