package outbox

import (
	"math/rand/v2"
	"time"
)

// simFault is something that happens to the system from outside.
type simFault func(*simSchedule)

// simFaults are all of them. A schedule has some, so that those which hide others are at times
// missing.
var simFaults = []simFault{
	(*simSchedule).crash,
	(*simSchedule).crash,
	(*simSchedule).stopOne,
	(*simSchedule).loseAny,
	(*simSchedule).loseAny,
	(*simSchedule).databaseDown,
	(*simSchedule).freeze,
	(*simSchedule).freeze,
	(*simSchedule).lockRow,
	(*simSchedule).flipSwitch,
	(*simSchedule).cancel,
}

// simAlways are the changes of every schedule.
var simAlways = []simFault{
	(*simSchedule).writeEvent,
	(*simSchedule).startOne,
	(*simSchedule).runCycle,
	(*simSchedule).quiet,
	(*simSchedule).drawID,
}

func someFaults(rng *rand.Rand) []simFault {
	known := append([]simFault(nil), simAlways...)
	for _, f := range simFaults {
		if rng.IntN(2) == 0 {
			known = append(known, f)
		}
	}
	return known
}

// anyWorker picks a worker that lives; nil if there is none.
func (s *simSchedule) anyWorker() *simWorker {
	n := s.living()
	if n == 0 {
		return nil
	}
	n = s.rng.IntN(n)
	for _, w := range s.workers {
		if w.alive() {
			if n == 0 {
				return w
			}
			n--
		}
	}
	return nil
}

func (s *simSchedule) living() (n int) {
	for _, w := range s.workers {
		if w.alive() {
			n++
		}
	}
	return n
}

// crash is kill -9. What the worker has written to its connections may still arrive.
func (s *simSchedule) crash() {
	if w := s.anyWorker(); w != nil {
		s.note("crashes", w)
		s.met.crashes++
		w.kill()
	}
}

// startOne starts a worker, or another one.
func (s *simSchedule) startOne() {
	if s.living() < 3 && len(s.workers) < 6 {
		w := s.newWorker()
		s.note("starts", w)
		s.settleDown()
		s.takeIn()
	}
}

// stopOne is SIGTERM.
func (s *simSchedule) stopOne() {
	if w := s.anyWorker(); w != nil && w.stoppedAt == 0 {
		s.stopWorker(w)
	}
}

func (s *simSchedule) stopWorker(w *simWorker) {
	s.note("is asked to stop", w)
	s.met.stops++
	w.stoppedAt = s.now()
	w.stop()
	s.settleDown()
	s.takeIn()
}

// loseAny breaks the connection of one statement.
func (s *simSchedule) loseAny() {
	able := s.able[:0]
	for _, c := range s.calls {
		if c.kind < simCheck && !c.orphan && !c.worker.frozen() {
			able = append(able, c)
		}
	}
	s.able = able
	if len(able) > 0 {
		s.loseReply(able[s.rng.IntN(len(able))])
	}
}

// databaseDown stops the database, or starts it again. At times its end is abrupt: what had not
// committed never will.
func (s *simSchedule) databaseDown() {
	s.db.down = !s.db.down
	if !s.db.down {
		s.note("the database is up", nil)
		return
	}
	abrupt := s.rng.IntN(2) == 0
	s.note("the database goes down", nil)
	for _, c := range append([]*simCall(nil), s.calls...) {
		if c.kind >= simCheck {
			continue
		}
		if !c.orphan {
			s.cut(c)
		}
	}
	for _, c := range append([]*simCall(nil), s.calls...) {
		if c.orphan && c.kind < simCheck && abrupt {
			s.forget(c)
		}
	}
}

// freeze stops a worker as SIGSTOP does, at times past its lease.
func (s *simSchedule) freeze() {
	w := s.anyWorker()
	if w == nil || w.frozen() {
		return
	}
	d := time.Duration(1 + s.rng.Int64N(int64(2*s.lease)))
	s.note("is frozen", w, int64(d))
	s.met.freezes++
	w.everFrozen = true
	w.frozenAt, w.frozenUntil = s.now(), s.now()+d
}

// lockRow is an open transaction of another session, or its end.
func (s *simSchedule) lockRow() {
	if len(s.db.rows) == 0 {
		return
	}
	r := s.db.rows[s.rng.IntN(len(s.db.rows))]
	switch r.lockedBy {
	case nil:
		s.note("locked by another session: row", nil, r.id)
		r.lockedBy = simOtherSession
	case simOtherSession:
		s.note("no longer locked: row", nil, r.id)
		r.lockedBy = nil
	}
}

const simOtherSession = "another session"

// flipSwitch changes a switch, in two instants.
func (s *simSchedule) flipSwitch() {
	if s.db.flip != nil {
		s.note("the switch is committed", nil)
		s.db.commitFlip()
		return
	}
	f := simFlip{channel: [...]int{-1, 0, 1, 6}[s.rng.IntN(4)]}
	f.value = f.channel < 0 && !s.db.offline || f.channel >= 0 && !s.db.channels[f.channel].enabled
	if s.db.beginFlip(f) {
		s.note("a switch is changed: channel", nil, int64(f.channel))
		if s.rng.IntN(2) == 0 {
			s.db.commitFlip()
		}
	}
}

// runCycle is cron.
func (s *simSchedule) runCycle() {
	if w := s.anyWorker(); w != nil && !w.frozen() {
		s.note("cycle", w)
		w.cycle()
		s.settleDown()
		s.takeIn()
	}
}

// cancel is webhook.cancel of an event that was never attempted. (Of a document
// that was, an older export would be sent: that is not the program's doing.)
func (s *simSchedule) cancel() {
	if len(s.db.rows) == 0 {
		return
	}
	r := s.db.rows[s.rng.IntN(len(s.db.rows))]
	if r.status == "pending" && !r.held() && r.attempts == 0 && r.lockedBy == nil {
		s.note("cancelled: row", nil, r.id)
		next := *r
		next.status, next.finishedAt = "cancelled", s.db.clock()
		s.db.put(r, next)
	}
}

// drawID is a transaction that has drawn the id of its event, and commits it later; or it is rolled back.
func (s *simSchedule) drawID() {
	if s.db.drawn == 0 {
		s.note("an id is drawn", nil)
		s.db.drawn++
		s.db.newest++
	} else {
		s.note("an id is rolled back", nil)
		s.db.drawn--
	}
}
