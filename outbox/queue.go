package outbox

import (
	"context"
	"slices"
	"sync"
	"time"
)

// inFlightLimit is how many events of a lane may be in flight: more than 1000 slots ever hold. Where
// the database accepts claims and no outcomes, a worker would otherwise claim until its memory is full.
const inFlightLimit = 5_000

// laneClosed as Capacity.Occupied is more slots than any lane has: the lane claims nothing.
const laneClosed = 1_000_000

// queue owns what this worker has in flight: every event from its claim until its outcome is recorded,
// or rejected for good, in one lane per channel, so that no channel waits for another.
type queue struct {
	mu     sync.Mutex
	lanes  []lane        // in the order of Channels
	memory budget        // bytes that all events in flight may hold
	posts  budget        // POSTs at once that this process has files for
	wake   chan struct{} // has an element when a lane wants more, see slots.wantsMore
	empty  chan struct{} // has an element when nothing is in flight any more
	asked  time.Time     // when the claim that is under way began
}

// lane is one channel's share of this worker.
type lane struct {
	channel  string
	inFlight int // events claimed, and not removed yet
	slots    slots
	breaker  breaker
	retries  scan // of the events that were claimed before
	fresh    scan
	limited  bool // the newest claim may have left events that are due

	pausedUntil time.Time // its receiver asked for a pause
	pauseShared bool      // and the database knows, which decides from then on
	shortage    shortage
}

func newQueue(channels []Channel, memory int64) *queue {
	q := &queue{memory: budget{memory}, wake: make(chan struct{}, 1), empty: make(chan struct{}, 1)}
	for _, c := range channels {
		q.lanes = append(q.lanes, lane{channel: c.Name, slots: slots{prefetchFrom: prefetchFrom}})
	}
	return q
}

// beginClaim returns what a claim that is about to be sent may claim, lane by lane, and begins its scans.
// While the claim is under way slots may become free, and none is newly occupied. There is one claim at
// a time.
func (q *queue) beginClaim() []Capacity {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = time.Now()
	all, bytes := make([]Capacity, len(q.lanes)), q.bytesLeft()
	for i := range q.lanes {
		l := &q.lanes[i]
		all[i] = Capacity{
			Channel: l.channel, Occupied: l.slots.occupied(), Retrying: l.slots.retrying,
			RetriesPaused: l.breaker.retriesPaused() || l.slots.freshFirst(), ByteBudget: bytes[i],
			Retries: l.retries.begin(q.asked), Fresh: l.fresh.begin(q.asked),
		}
		if l.closed(q.asked) {
			all[i].Occupied = laneClosed
		}
	}
	q.limitRows(all)
	return all
}

// closed reports whether a lane is to claim nothing for now.
func (l *lane) closed(now time.Time) bool {
	return l.inFlight >= inFlightLimit || l.breaker.open() || now.Before(l.shortage.until) ||
		!l.pauseShared && now.Before(l.pausedUntil)
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
// posted now, the others when a slot becomes free. asked is the capacity that the claim was given. limited:
// it may be the reason that events which are due were not claimed.
func (q *queue) add(asked []Capacity, batch []claimedEvent) (ready []claimedEvent, limited bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		l := &q.lanes[i]
		var retries, fresh []Event
		for _, c := range batch {
			switch {
			case c.event.Channel != l.channel:
				continue
			case c.event.IsTest:
			case c.event.claimedBefore():
				retries = append(retries, c.event)
			default:
				fresh = append(fresh, c.event)
			}
			l.slots.set(c.event.Endpoint)
			if !c.event.Superseded {
				l.slots.add(c)
				l.inFlight++
			}
		}
		l.advance(q.asked, asked[i], retries, fresh)
		limited = limited || l.limited
		for c, ok := l.slots.next(); ok; c, ok = l.slots.next() {
			ready = append(ready, c)
		}
	}
	return ready, limited
}

// advance moves both scans on behind what a claim returned. A scan that was limited, by the slots, the
// pace, the bytes or the share of retries, has not seen everything that was due.
func (l *lane) advance(at time.Time, asked Capacity, retries, fresh []Event) {
	limit, bytes := l.slots.limit, int64(0)
	if limit == 0 {
		limit = laneClosed // unknown until the lane has claimed an event
	}
	for _, ev := range slices.Concat(retries, fresh) {
		bytes += int64(len(ev.Data))
	}
	most := asked.Occupied+len(retries)+len(fresh) >= limit || asked.ByteBudget != 0 && bytes >= asked.ByteBudget
	full := l.slots.perSecond > 0 || most
	share := asked.RetriesPaused || asked.Retrying+len(retries) >= max(1, limit/2)
	l.retries.advance(at, retries, share || full && len(fresh) == 0)
	l.fresh.advance(at, fresh, full)
	l.slots.alternate(at, asked.Occupied < limit, len(retries), len(fresh))
	l.limited = most || share || l.slots.paced(at) > 0
}

// done frees the slot of an event whose attempt is over and returns the event that may use it now, if
// one waits.
func (q *queue) done(ev Event, out Outcome) (next claimedEvent, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(ev.Channel)
	if l == nil {
		return claimedEvent{}, false
	}
	l.slots.free(ev, out.Result.Took)
	l.breaker.note(ev, out.Verdict)
	if out.Result.Took > 0 { // a POST, so nothing was lacking
		l.shortage.end()
	}
	next, ok = l.slots.next()
	if l.limited && l.slots.wantsMore() {
		signal(q.wake)
	}
	return next, ok
}

// overdue removes the events that have waited for a slot since a claim before that instant. They are
// in flight until their release is recorded.
func (q *queue) overdue(before time.Time) (events []claimedEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		events = append(events, q.lanes[i].slots.overdue(before)...)
	}
	return events
}

// takeWaiting removes all events that wait for a slot. They are in flight until their release is recorded.
func (q *queue) takeWaiting() (events []claimedEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		events = append(events, q.lanes[i].slots.takeWaiting()...)
	}
	return events
}

// remove removes events that are no longer in flight: recorded, or rejected for good.
func (q *queue) remove(outcomes []Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range outcomes {
		l := q.lane(o.Channel)
		if l == nil {
			continue
		}
		l.inFlight--
		switch {
		case o.Verdict == Released: // it stands where it stood, now among the retries
			l.retries.rewind(Cursor{DueAt: o.DueAt, ID: o.EventID - 1})
		case o.Document: // a later export may have waited for it, and have been passed
			l.fresh.recall(o.ClaimedAt.Add(-lookBack))
		}
	}
	if q.total() == 0 {
		signal(q.empty)
	}
}

// resetBreakers gives every lane its failure budget again.
func (q *queue) resetBreakers() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		q.lanes[i].breaker.reset()
	}
}

// restartScans lets every lane be read from its start.
func (q *queue) restartScans() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		q.lanes[i].retries.rewind(Cursor{})
		q.lanes[i].fresh.rewind(Cursor{})
	}
}

// cursors is where the scans stand, without moving them.
func (q *queue) cursors() []Capacity {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]Capacity, len(q.lanes))
	for i := range q.lanes {
		l, now := &q.lanes[i], time.Now()
		all[i] = Capacity{Channel: l.channel, Retries: l.retries.stands(now), Fresh: l.fresh.stands(now)}
	}
	return all
}

// rewind lets lanes be read from where events were overlooked.
func (q *queue) rewind(all []Overlooked) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range all {
		if l := q.lane(o.Channel); l != nil && o.Retry {
			l.retries.rewind(o.At)
		} else if l != nil {
			l.fresh.rewind(o.At)
		}
	}
}

// inFlight is the number of events in flight.
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

// signal is a non-blocking send to a channel of capacity 1.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
