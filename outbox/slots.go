package outbox

import "time"

// prefetchFor is how much a lane prefetches: beside the events in its slots it may hold as many as it
// will have posted in this time, at most one for each slot. That covers a claim's round trip, during
// which the slots of a receiver that answers in 10 ms would stand empty; and a claim costs as much as
// thirty events, so fewer and larger claims leave more for the work itself. A lane of fewer slots than
// prefetchFrom prefetches nothing: such a small limit is meant to be exact, not fast.
const (
	prefetchFor  = 10 * time.Millisecond
	prefetchFrom = 32
)

// slots holds a lane's claimed events until their attempt is over: those being posted, each in a slot,
// and behind them those that wait some milliseconds for a slot. The number of slots is
// webhook.channels.max_in_flight, which the claim itself applies.
type slots struct {
	limit        int            // max_in_flight, as the lane's newest event has it
	posting      int            // slots in use; no POST is begun beyond limit
	waiting      []claimedEvent // in the order of their claim
	retrying     int            // of those posting or waiting: retries, see claimedBefore
	bytes        int64          // of memory that they hold
	size         int64          // of the data of the newest events, on average
	most         int            // POSTs at once that this process has files for; 0: no limit
	latency      time.Duration
	prefetchFrom int
	perSecond    int       // max_per_second; 0: no limit
	claimedAt    time.Time // the newest claim that returned an event
	retriedLast  bool      // it returned retries only, and no claim since has found that no fresh event waits
}

// set adopts the channel's limits, as the lane's newest event has them.
func (s *slots) set(e Endpoint) { s.limit, s.perSecond = e.MaxInFlight, e.MaxPerSecond }

// freshFirst: where one event at a time may be claimed, by the slots or by the pace, there is no half
// for retries, so they alternate with fresh events.
func (s *slots) freshFirst() bool { return (s.limit == 1 || s.perSecond > 0) && s.retriedLast }

// alternate notes what a claim returned, and whether it had a slot for more. A paced claim that returns
// nothing has found that nothing waits if enough time has passed since the one before it.
func (s *slots) alternate(at time.Time, capacity bool, retries, fresh int) {
	switch {
	case retries+fresh > 0:
		s.claimedAt, s.retriedLast = at, fresh == 0
	case capacity && (s.perSecond == 0 || at.Sub(s.claimedAt) > 1100*time.Millisecond/time.Duration(s.perSecond)):
		s.retriedLast = false
	}
}

// paceMargin is how long after the last event of a paced lane a claim has certainly been allowed one
// more, beside twice the spacing of its POSTs: claims of other workers and a slow database delay it.
const paceMargin = 250 * time.Millisecond

// paced is how long the pace may still be the reason that a claim returned nothing; 0 or less: it is not.
func (s *slots) paced(now time.Time) time.Duration {
	if s.perSecond == 0 {
		return 0
	}
	return paceMargin + 2200*time.Millisecond/time.Duration(s.perSecond) - now.Sub(s.claimedAt)
}

// held is the number of events in slots or waiting for one.
func (s *slots) held() int { return s.posting + len(s.waiting) }

// occupied is the number of slots that a claim treats as in use: the events held, less what prefetch
// covers.
func (s *slots) occupied() int { return max(s.held()-s.prefetch(), 0) }

// add appends a claimed event to those that wait.
func (s *slots) add(c claimedEvent) {
	c.event.held = claimedCopies * int64(len(c.event.Data))
	s.size += (int64(len(c.event.Data)) - s.size) / 8
	s.account(c.event, 1)
	s.waiting = append(s.waiting, c)
}

// next removes the first event that waits and gives it a slot, if one is free.
func (s *slots) next() (c claimedEvent, ok bool) {
	if len(s.waiting) == 0 || s.posting >= s.limit || s.most > 0 && s.posting >= s.most {
		return claimedEvent{}, false
	}
	s.posting++
	return s.pop(), true
}

// free ends an event's use of its slot.
func (s *slots) free(ev Event, took time.Duration) {
	s.posting--
	s.account(ev, -1)
	s.measure(took)
}

// overdue removes the events that have waited for a slot since a claim before that instant. A lane in
// which that happens is treated as slow, and prefetches nothing for now.
func (s *slots) overdue(before time.Time) (events []claimedEvent) {
	for len(s.waiting) > 0 && !s.waiting[0].at.After(before) {
		c := s.pop()
		s.account(c.event, -1)
		s.latency = max(s.latency, time.Duration(s.limit+1)*prefetchFor)
		events = append(events, c)
	}
	return events
}

// takeWaiting removes all events that wait for a slot.
func (s *slots) takeWaiting() (events []claimedEvent) {
	for len(s.waiting) > 0 {
		c := s.pop()
		s.account(c.event, -1)
		events = append(events, c)
	}
	return events
}

// wantsMore reports whether what has become free is enough for a claim: it would return at least three
// quarters of what the lane may prefetch.
func (s *slots) wantsMore() bool {
	return s.limit+s.prefetch()-s.held() >= max(s.prefetch()*3/4, 1)
}

// prefetch is how many events the lane may hold beyond its slots. A paced lane holds none: its POSTs
// begin when they were claimed, and the rate counts claims.
func (s *slots) prefetch() int {
	if s.perSecond > 0 || s.limit < s.prefetchFrom || s.latency == 0 {
		return 0
	}
	return int(min(int64(s.limit), int64(s.limit)*int64(prefetchFor)/int64(s.latency)))
}

// measure lets latency follow the newest POSTs; an attempt without a POST took no time.
func (s *slots) measure(took time.Duration) {
	switch {
	case took == 0:
	case s.latency == 0:
		s.latency = took
	default:
		s.latency += (took - s.latency) / 8
	}
}

// pop removes the first event that waits, and drops the reference to its data.
func (s *slots) pop() (c claimedEvent) {
	c, s.waiting[0] = s.waiting[0], claimedEvent{}
	s.waiting = s.waiting[1:]
	return c
}

// account adds an event to the totals, or with -1 removes it.
func (s *slots) account(ev Event, by int) {
	s.bytes += int64(by) * ev.held
	if ev.claimedBefore() {
		s.retrying += by
	}
}
