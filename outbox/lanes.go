package outbox

import (
	"sync"
	"time"
)

// maxFailed bounds what a receiver that refuses everything costs: so many attempts
// of documents that had been tried before may fail in a cycle, without a success
// in between, and so many first attempts, until the rest waits for the next one.
const maxFailed = 10_000

// aheadFor is how far a lane claims ahead: beside those in its slots it may hold
// what it will have posted in this time, at most as many again. That covers a
// claim's round trip, during which the slots of a receiver that answers in 10 ms
// would stand empty, and a claim costs as much as thirty events, so fewer and
// larger ones leave more for the work itself. A lane of fewer slots than aheadFrom
// claims nothing ahead: whoever sets so few wants to be exact, not fast.
const (
	aheadFor  = 10 * time.Millisecond
	aheadFrom = 32
)

// maxOpen is how many events of a lane may be claimed and not yet recorded: more
// than 1000 slots ever hold. Where the database takes claims but no outcomes, a
// worker would go on claiming until its memory is full.
const maxOpen = 5_000

// lanes keeps what this worker holds, a lane a channel: what is being posted, and
// behind it what waits some milliseconds for a slot. How many slots a lane has is
// written in webhook.channels.max_in_flight and applied by the claim itself.
type lanes struct {
	mu       sync.Mutex
	lanes    []lane
	maxBytes int64         // of facts in a lane; 0 means no limit
	freed    chan struct{} // holds a token when a lane has become ready for the next claim
}

type lane struct {
	channel   string
	aheadFrom int
	held      int       // events: those being posted and those that wait
	open      int       // events: those and what is not recorded yet
	posting   int       // none is begun beyond slots
	waiting   []claimed // in the order of their claim
	retrying  int
	bytes     int64
	failed    int           // retries that failed since the last success or cycle
	refused   int           // first attempts that did
	slots     int           // max_in_flight, as the newest event of the lane has told
	took      time.Duration // what a POST takes, on average over the last ones
	floor     Floor         // see lanes.moveFloor
	again     bool          // a cycle has begun since the last snapshot
}

func newLanes(channels []Channel, maxBytes int64) *lanes {
	l := &lanes{maxBytes: maxBytes, freed: make(chan struct{}, 1)}
	for _, c := range channels {
		l.lanes = append(l.lanes, lane{channel: c.Name, aheadFrom: aheadFrom})
	}
	return l
}

// snapshot is what a claim is told. While the claim is under way, slots may become
// free; none is newly taken.
func (l *lanes) snapshot() []Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := make([]Lane, len(l.lanes))
	for i, n := range l.lanes {
		l.lanes[i].again = false
		told[i] = Lane{Channel: n.channel, Busy: max(n.held-n.ahead(), 0), Retrying: n.retrying,
			GivenUp: n.failed >= maxFailed, Room: l.room(n), Floor: n.floor}
		if n.open >= maxOpen || n.refused >= maxFailed {
			told[i].Busy = maxOpen // beyond any lane's slots: it gets nothing
		}
	}
	return told
}

// room is Lane.Room: 0 without a limit, -1 where nothing is left of it.
func (l *lanes) room(n lane) int64 {
	if l.maxBytes == 0 {
		return 0
	}
	if left := l.maxBytes - n.bytes; left > 0 {
		return left
	}
	return -1
}

// admit takes in what a claim has brought, and returns those events that may be
// posted at once; the others wait in their lanes.
func (l *lanes) admit(told []Lane, batch []claimed) (ready []claimed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		n, before := &l.lanes[i], len(l.lanes[i].waiting)
		for _, c := range batch {
			if c.event.Channel == n.channel {
				n.slots = c.event.Endpoint.MaxInFlight
				n.add(c.event, 1)
				n.open++
				n.waiting = append(n.waiting, c)
			}
		}
		n.moveFloor(told[i], n.waiting[before:])
		for c, ok := n.next(); ok; c, ok = n.next() {
			ready = append(ready, c)
		}
	}
	return ready
}

// moveFloor sets where the next claim starts. One that filled its lane, or found
// it full, will be followed by another as soon as there is room. That one starts
// behind what this one has taken, since the index still holds dead entries of all
// that, for as long as some transaction might see them. What committed late, with
// an earlier place in the order, is found as soon as a claim does not fill the
// lane, and at the latest in the next cycle.
func (n *lane) moveFloor(told Lane, taken []claimed) {
	full := n.slots > 0 && told.Busy+len(taken) >= n.slots
	if !full || n.again {
		n.floor = Floor{}
		return
	}
	for _, c := range taken {
		if at := (Floor{c.event.DueAt, c.event.ID}); c.event.Attempts == 1 && !c.event.IsTest && at.after(n.floor) {
			n.floor = at
		}
	}
}

// after compares places. PostgreSQL's ISO texts in UTC sort like the times they
// stand for, in the years 1 to 9999.
func (f Floor) after(other Floor) bool {
	if f.DueAt != other.DueAt {
		return f.DueAt > other.DueAt
	}
	return f.ID > other.ID
}

// free gives back the slot of an event, notes how its attempt went, and returns
// the event whose turn it is now, if one waits for this slot. The next claim is
// due once it brings at least three quarters of what the lane may claim ahead.
func (l *lanes) free(ev Event, out Outcome) (next claimed, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		n := &l.lanes[i]
		if n.channel != ev.Channel {
			continue
		}
		n.posting--
		n.add(ev, -1)
		switch {
		case out.Verdict == Sent:
			n.failed, n.refused = 0, 0
		case out.Verdict == Retry && ev.Attempts > 1:
			n.failed++
		case out.Verdict == Retry:
			n.refused++
		}
		n.measure(out.Result)
		next, ok = n.next()
		if n.slots+n.ahead()-n.held < max(n.ahead()*3/4, 1) {
			return next, ok
		}
	}
	select {
	case l.freed <- struct{}{}:
	default:
	}
	return next, ok
}

// settle notes that outcomes are recorded, or need not be.
func (l *lanes) settle(outcomes []Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		for _, o := range outcomes {
			if o.Channel == l.lanes[i].channel {
				l.lanes[i].open--
			}
		}
	}
}

// overdue takes out what waits for a slot since a claim before that instant. A
// lane in which that happens is taken for slow, and claims nothing ahead for now.
func (l *lanes) overdue(before time.Time) (waited []claimed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		n := &l.lanes[i]
		for len(n.waiting) > 0 && !n.waiting[0].at.After(before) {
			c := n.pop()
			waited = append(waited, c)
			n.add(c.event, -1)
			n.took = max(n.took, time.Duration(n.slots+1)*aheadFor)
		}
	}
	return waited
}

// cycle lets every lane look from its start again, also where a claim is under
// way that was told an older floor.
func (l *lanes) cycle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		n := &l.lanes[i]
		n.failed, n.refused, n.floor, n.again = 0, 0, Floor{}, true
	}
}

// ahead is how many events the lane is given beyond its slots.
func (n *lane) ahead() int {
	if n.slots < n.aheadFrom || n.took == 0 {
		return 0
	}
	return int(min(int64(n.slots), int64(n.slots)*int64(aheadFor)/int64(n.took)))
}

// measure has took follow the last POSTs; what came to no POST took nothing.
func (n *lane) measure(r Result) {
	switch {
	case r.Took == 0:
	case n.took == 0:
		n.took = r.Took
	default:
		n.took += (r.Took - n.took) / 8
	}
}

// next takes the first event that waits, if a slot is free for it.
func (n *lane) next() (c claimed, ok bool) {
	if len(n.waiting) == 0 || n.posting >= n.slots {
		return claimed{}, false
	}
	n.posting++
	return n.pop(), true
}

// pop takes out the first event that waits, and lets go of its facts.
func (n *lane) pop() (c claimed) {
	c, n.waiting[0] = n.waiting[0], claimed{}
	n.waiting = n.waiting[1:]
	return c
}

func (n *lane) add(ev Event, by int) {
	n.held += by
	n.bytes += int64(by * len(ev.Data))
	if ev.Attempts > 1 {
		n.retrying += by
	}
}
