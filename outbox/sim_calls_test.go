package outbox

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// simKind is a method of Store or Sender.
type simKind uint8

const (
	simClaim simKind = iota
	simClaimed
	simRecord
	simRelease
	simExpired
	simExpire
	simCheckWrite
	simSkip
	simNewest
	simCheck // no call at all: the instant between a claim and its POST
	simSend
)

func (k simKind) String() string {
	return [...]string{"Claim", "LookUpClaim", "Record", "ReleaseClaims", "Expired", "ExpireLeases", "CheckWrite", "Skip", "Newest", "Check", "Send"}[k]
}

// simCall is a call between the instants of its way.
type simCall struct {
	kind   simKind
	worker *simWorker
	at     time.Duration
	done   chan struct{}

	claimID   string     // Claim, LookUpClaim
	capacity  []Capacity // Claim
	claimIDs  []string   // ReleaseClaims, Expired, ExpireLeases
	leases    []ExpiredLeases
	outcomes  []Outcome
	locked    []Outcome // Record: their rows are locked
	leaseLost []Outcome // Record: no lease under their claim
	token     string    // Check, Send
	request   Request
	held      *simHolding

	tx       *simTx // a claim that has its snapshot, and perhaps its locks
	picked   bool   // it has its locks
	executed bool   // it has had its effect
	orphan   bool   // no worker waits for its reply any more

	events []Event
	over   bool // LookUpClaim
	n      int
	known  int64 // Newest
	newest int64
	result Result
	err    error
}

// errUncallable is what Check says of a channel that cannot be called.
var errUncallable = errors.New("cannot call: no URL")

// takeIn puts the calls that were made since the last instant in order. Several goroutines may have
// made them at once; their order must not count.
func (s *simSchedule) takeIn() {
	s.mu.Lock()
	fresh := s.fresh
	s.fresh = s.taken[:0]
	for _, w := range s.workers {
		w.over = w.ended
	}
	s.mu.Unlock()
	s.taken = fresh
	// What a process calls in the very instant of its end never leaves it.
	fresh = slices.DeleteFunc(fresh, func(c *simCall) bool { return c.worker.over })
	for _, c := range fresh {
		if c.kind == simCheck || c.kind == simSend {
			c.held = s.holdings[c.token]
		}
	}
	if len(fresh) > 1 {
		slices.SortFunc(fresh, func(a, b *simCall) int {
			return cmp.Or(cmp.Compare(a.worker.id, b.worker.id), cmp.Compare(a.kind, b.kind), cmp.Compare(a.heldID(), b.heldID()))
		})
	}
	for _, c := range fresh {
		s.begin(c)
	}
	for _, w := range s.workers {
		if w.over && w.alive() {
			s.endOf(w)
		}
	}
}

func (c *simCall) heldID() int64 {
	if c.held == nil {
		return 0
	}
	return c.held.event.ID<<32 | c.held.claimNo
}

// begin notes a call that a worker has made.
func (s *simSchedule) begin(c *simCall) {
	s.note("calls "+c.kind.String(), c.worker, s.about(c)...)
	switch c.kind {
	case simClaim:
		s.claimSentAt[c.claimID] = c.at
		s.mayClaim(c.worker)
	case simSend:
		s.mayBeginPost(c)
	case simRecord:
		s.mayRecordOutcomes(c)
	case simRelease:
		for _, id := range c.claimIDs {
			c.worker.released[id] = true
		}
		for _, h := range c.releases() {
			h.ended = true
		}
	case simExpire:
		s.mayExpire(c.worker)
	}
	s.calls = append(s.calls, c)
}

// about are the numbers that a line of the trace shows of a call.
func (s *simSchedule) about(c *simCall) []int64 {
	b := s.numbers[:0]
	switch c.kind {
	case simClaim, simClaimed:
		b = append(b, s.claimNo(c.claimID))
		for _, l := range c.capacity[:min(len(c.capacity), len(s.db.channels))] {
			b = append(b, int64(l.Occupied), int64(l.Retrying))
		}
	case simRecord:
		for _, o := range c.outcomes {
			b = append(b, o.EventID, s.claimNo(o.ClaimID), int64(o.Verdict[0]))
		}
	case simRelease, simExpire:
		for _, id := range c.claimIDs {
			b = append(b, s.claimNo(id))
		}
		slices.Sort(b)
	case simNewest:
		b = append(b, c.known, c.newest)
	case simCheck, simSend:
		b = append(b, c.held.event.ID, c.held.claimNo)
	}
	s.numbers = b
	return b
}

// claimNo numbers the claim ids, which are random, in the order they are seen.
func (s *simSchedule) claimNo(id string) int64 {
	if n, ok := s.claimNos[id]; ok {
		return n
	}
	s.claimNos[id] = int64(len(s.claimNos) + 1)
	return s.claimNos[id]
}

// canGoOn says whether the next instant of a call may come now.
func (s *simSchedule) canGoOn(c *simCall) bool {
	if c.kind == simNewest && !c.orphan && !c.executed && !s.db.down && s.db.newest == c.known {
		return false // it waits
	}
	if c.orphan || !c.worker.frozen() {
		return true
	}
	// What a process has written before it was frozen is on its way; the rest waits for it.
	return !c.executed && c.kind != simCheck && c.at <= c.worker.frozenAt
}

// goOn is the next instant of a call.
func (s *simSchedule) goOn(c *simCall) {
	switch {
	case c.kind == simCheck:
		if !s.resting && s.uncallable && s.rng.IntN(10) == 0 {
			c.err = errUncallable
		}
		s.reply(c)
	case !c.executed:
		s.execute(c)
	case c.orphan:
		s.forget(c)
	default:
		s.reply(c)
	}
}

// execute is an instant of a call on the other side.
func (s *simSchedule) execute(c *simCall) {
	c.executed = true
	switch {
	case c.kind == simSend:
		s.receive(c.held.post)
	case s.db.down:
		c.err = errDown
	case c.kind == simClaim:
		c.executed = s.executeClaim(c)
	case c.kind == simClaimed:
		s.db.claimed(c)
	case c.kind == simRecord:
		c.executed = s.db.record(c)
	case c.kind == simRelease:
		c.executed = s.db.releaseClaims(c)
	case c.kind == simExpired:
		s.db.expired(c)
	case c.kind == simExpire:
		s.db.expire(c)
	case c.kind == simSkip:
		s.db.skip(c)
	case c.kind == simNewest:
		c.newest = s.db.newest
	}
	if c.executed {
		s.note("executed: "+c.kind.String(), c.worker, s.about(c)...)
		s.note("", nil, int64(len(c.events)), int64(c.n))
	}
	if c.orphan && c.executed {
		s.met.zombies++
		s.forget(c)
	}
}

// executeClaim takes one step of a claim, or all that are left. A claim that
// finds nothing is over at once.
func (s *simSchedule) executeClaim(c *simCall) (executed bool) {
	if c.tx == nil {
		if !s.db.look(c) {
			s.db.release(c)
			return true
		}
		if s.stepwise() {
			s.note("has its snapshot", c.worker, s.about(c)...)
			s.writeEventNow()
			return false
		}
	}
	if !c.picked {
		c.picked = true
		s.db.pick(c)
		if s.stepwise() {
			s.note("has its locks", c.worker, s.about(c)...)
			s.writeEventNow()
			return false
		}
	}
	s.db.commit(c)
	return true
}

// writeEventNow commits an event in the middle of a claim, which is when one
// that follows an export does the most harm.
func (s *simSchedule) writeEventNow() {
	if s.rng.IntN(3) == 0 {
		s.writeEvent()
	}
}

func (s *simSchedule) stepwise() bool { return !s.resting && s.rng.IntN(3) == 0 }

// reply gives a worker the reply, and waits until it has done all that it can do with it.
func (s *simSchedule) reply(c *simCall) {
	s.note("reply: "+c.kind.String(), c.worker, s.about(c)...)
	s.remove(c)
	w := c.worker
	switch c.kind {
	case simClaim, simClaimed:
		s.given(c)
	case simRelease:
		if c.err == nil {
			for _, h := range c.releases() {
				h.recorded = true
			}
		}
	case simSend:
		c.held.post.over, c.held.ended = true, true
		c.result = c.held.post.result
	case simRecord:
		if c.err == nil {
			for _, o := range without(c.outcomes, c.locked) {
				s.holdings[simToken(o.EventID, o.ClaimID)].recorded = true
			}
		}
	}
	s.judgeHealth(w, c)
	close(c.done)
	s.settleDown()
	s.takeIn()
	if c.kind == simCheck {
		c.held.begun = true
	}
	if c.kind == simCheck && c.held.post == nil {
		c.held.ended = true // released, not rendered or not callable
	}
}

// releases are the events that a worker was given too late, and releases.
func (c *simCall) releases() (all []*simHolding) {
	for _, h := range c.worker.holds {
		if slices.Contains(c.claimIDs, h.event.ClaimID) {
			all = append(all, h)
		}
	}
	return all
}

// given notes the events that a claim returned to its worker.
func (s *simSchedule) given(c *simCall) {
	w := c.worker
	if c.kind == simClaimed && c.err == nil && len(c.events) == 0 && c.over {
		w.released[c.claimID] = true
		for _, h := range w.holds { // found too late and released before, by a statement whose reply was lost
			h.recorded = h.recorded || h.event.ClaimID == c.claimID
		}
	}
	if c.err != nil {
		return
	}
	for _, ev := range c.events {
		h := &simHolding{worker: w, event: ev, claimedAt: s.claimSentAt[ev.ClaimID], claimNo: s.claimNo(ev.ClaimID)}
		w.holds = append(w.holds, h)
		s.holdings[ev.Endpoint.Token] = h
	}
	s.mayHold(w, c.events)
}

// loseReply ends a statement for its worker without a reply.
func (s *simSchedule) loseReply(c *simCall) {
	s.cut(c)
	s.reply(c)
}

// cut breaks the connection of a statement. What has not been executed may still be, without a worker
// that waits for it.
func (s *simSchedule) cut(c *simCall) {
	s.met.lost++
	s.note("reply lost: "+c.kind.String(), c.worker, s.about(c)...)
	if !c.executed {
		left := *c
		left.orphan = true
		s.calls = append(s.calls, &left)
	}
	c.executed, c.tx, c.events, c.over, c.n = true, nil, nil, false, 0
	c.err = errDown
	if c.kind == simClaim {
		c.err = errLost
	}
}

// forget ends a call that no worker waits for. What it has locked is free again.
func (s *simSchedule) forget(c *simCall) {
	s.db.release(c)
	s.remove(c)
	if c.kind == simSend {
		c.held.post.over = true
	}
}

func (s *simSchedule) remove(c *simCall) {
	s.calls = slices.DeleteFunc(s.calls, func(other *simCall) bool { return other == c })
}

// deadline is when a call ends by itself: the sender's time limit, the
// deadlines of the database's connections.
func (s *simSchedule) deadline(c *simCall) time.Duration {
	switch {
	case c.kind == simCheck && c.worker.stoppedAt != 0: // no call that waits: a moment before the drain ends, if it has not gone on before
		return c.worker.stoppedAt + s.timeout + drainBeyond - time.Microsecond
	case c.kind == simCheck:
		return simNever
	case c.kind == simSend:
		return c.at + s.timeout
	case c.orphan:
		return simNever
	case c.kind == simNewest && !s.db.down:
		return c.at + simNewestFor
	}
	return c.at + s.network
}

// simNewestFor is how long a probe waits. It is longer than the real one, which would make most of the calls.
const simNewestFor = time.Second

const simNever = time.Duration(1 << 62)

// timeOut ends a call whose deadline has come.
func (s *simSchedule) timeOut(c *simCall) {
	switch {
	case c.kind == simSend && c.orphan:
		s.forget(c)
	case c.kind == simCheck:
		s.reply(c)
	case c.kind == simSend:
		c.held.post.result = noAnswer
		c.held.post.counted = false
		c.executed = true
		s.reply(c)
	case c.kind == simNewest && !s.db.down:
		c.executed, c.newest = true, s.db.newest
		s.reply(c)
	default:
		s.loseReply(c)
	}
}
