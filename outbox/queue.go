package outbox

import (
	"context"
	"sync"
	"time"
)

// maxUnrecorded is how many events of a lane may be in flight: more than 1000 slots ever hold. Where
// the database accepts claims and no outcomes, a worker would otherwise claim until its memory is full.
const maxUnrecorded = 5_000

// queue owns what this worker has in flight: every event from its claim until its outcome is recorded,
// in one lane per channel, so that no channel waits for another.
type queue struct {
	mu     sync.Mutex
	lanes  []lane        // in the order of Channels
	memory budget        // bytes that all events in flight may hold
	posts  budget        // POSTs at once that this process has files for
	wake   chan struct{} // has a token when the next claim is worth its cost
	empty  chan struct{} // has a token after the last event in flight was recorded
}

// lane is one channel's share of this worker.
type lane struct {
	channel  string
	inFlight int // events claimed and not yet recorded
	slots    slots
	breaker  breaker
	scan     scan
	shortage shortage
}

func newQueue(channels []Channel, memory int64) *queue {
	q := &queue{memory: budget{memory}, wake: make(chan struct{}, 1), empty: make(chan struct{}, 1)}
	for _, c := range channels {
		q.lanes = append(q.lanes, lane{channel: c.Name, slots: slots{prefetchFrom: prefetchFrom}})
	}
	return q
}

// capacity is what the next claim may claim, lane by lane. While the claim is under way slots may
// become free, and none is newly used.
func (q *queue) capacity() []Capacity {
	q.mu.Lock()
	defer q.mu.Unlock()
	all, bytes, now := make([]Capacity, len(q.lanes)), q.bytesLeft(), time.Now()
	for i := range q.lanes {
		l := &q.lanes[i]
		all[i] = Capacity{
			Channel: l.channel, InFlight: l.slots.inUse(), Retrying: l.slots.retrying,
			RetriesPaused: l.breaker.retriesPaused(), ByteBudget: bytes[i], Cursor: l.scan.begin(),
		}
		if l.inFlight >= maxUnrecorded || l.breaker.open() || now.Before(l.shortage.until) {
			all[i].InFlight = maxUnrecorded // beyond any lane's slots: nothing is claimed
		}
	}
	q.limitRows(all)
	return all
}

// setPosts limits the POSTs at once; 0: no limit.
func (q *queue) setPosts(most int) {
	if q.posts.total = int64(most); most == 0 {
		return
	}
	for i := range q.lanes {
		q.lanes[i].slots.most = int(q.posts.most(len(q.lanes)))
	}
}

// add puts the events of a claim into their lanes and returns those that have a slot: they may be
// posted now, the others when a slot becomes free. asked is the capacity that the claim was given.
func (q *queue) add(asked []Capacity, batch []claimed) (ready []claimed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		l := &q.lanes[i]
		before := len(l.slots.waiting)
		for _, c := range batch {
			if c.event.Channel == l.channel {
				l.slots.add(c)
			}
		}
		added := l.slots.waiting[before:]
		l.inFlight += len(added)
		l.scan.advance(added, l.slots.limit > 0 && asked[i].InFlight+len(added) >= l.slots.limit)
		for c, ok := l.slots.next(); ok; c, ok = l.slots.next() {
			ready = append(ready, c)
		}
	}
	return ready
}

// done frees the slot of an event whose attempt is over and returns the event that may use it now, if
// one waits.
func (q *queue) done(ev Event, out Outcome) (next claimed, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(ev.Channel)
	if l == nil {
		return claimed{}, false
	}
	l.slots.free(ev, out.Result.Took)
	l.breaker.note(ev, out.Verdict)
	if out.Result.Took > 0 { // a POST, so nothing was lacking
		l.shortage.end()
	}
	next, ok = l.slots.next()
	if l.slots.wantsMore() {
		signal(q.wake)
	}
	return next, ok
}

// overdue removes the events that have waited for a slot since a claim before that instant. They are
// in flight until their release is recorded.
func (q *queue) overdue(before time.Time) (events []claimed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		events = append(events, q.lanes[i].slots.overdue(before)...)
	}
	return events
}

// recorded ends the time in flight of events whose outcomes are recorded, or never can be.
func (q *queue) recorded(outcomes []Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range outcomes {
		if l := q.lane(o.Channel); l != nil {
			l.inFlight--
		}
	}
	if q.total() == 0 {
		signal(q.empty)
	}
}

// restart begins a cycle: every lane has its failure budget again and is read from its start.
func (q *queue) restart() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		q.lanes[i].breaker.reset()
		q.lanes[i].scan.restart()
	}
}

// inFlight is the number of events claimed and not yet recorded.
func (q *queue) inFlight() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total()
}

// wait returns when nothing is in flight, or when ctx ends.
func (q *queue) wait(ctx context.Context) {
	for q.inFlight() > 0 {
		select {
		case <-q.empty:
		case <-ctx.Done():
			return
		}
	}
}

func (q *queue) total() (n int) {
	for i := range q.lanes {
		n += q.lanes[i].inFlight
	}
	return n
}

// lane is the lane of a channel; nil for a channel that this worker does not know.
func (q *queue) lane(channel string) *lane {
	for i := range q.lanes {
		if q.lanes[i].channel == channel {
			return &q.lanes[i]
		}
	}
	return nil
}

// signal puts a token into a channel that holds one, unless it has one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
