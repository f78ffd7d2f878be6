package outbox

import "time"

// While its probe works, which sees new events between two polls, an idle worker polls once in so many
// intervals, but at least so often, or in each interval where that is longer. A poll finds what no new
// id announces: retries, resends, the events of a channel that was turned on.
const (
	pollsApart = 10
	pollWithin = time.Second
)

// A token bucket bounds the claims that follow new ids, so that they cost hardly more than polling
// alone: a token comes every claimEvery, or every interval where that is shorter, and it holds
// claimBurst.
const (
	claimEvery = 15 * time.Millisecond
	claimBurst = 50
)

// claimSchedule decides when the next claim is made: as often as events come one by one, and hardly
// more often than by polling alone where they come faster. It belongs to the goroutine that claims.
type claimSchedule struct {
	interval     time.Duration // between two polls
	announced    announced
	began, ended time.Time // of the newest claim
	found        bool      // it returned events
	limited      bool      // or left some that are due, for want of slots, bytes or pace
	draining     bool      // it returned that many that the next one follows without a probe
	allowedFrom  time.Time // when the bucket has, or will have, a token for the next claim, see take
	probes       bool      // the probe works
}

// drainFrom is how many events a claim returns while a backlog is drained: a claim itself costs as
// much as that many events.
const drainFrom = 30

// note notes a claim.
func (s *claimSchedule) note(batch []claimedEvent, limited bool, began, ended time.Time) {
	s.announced.claimed(batch, began)
	s.began, s.ended, s.found, s.limited = began, ended, len(batch) > 0, limited
	s.draining = limited && len(batch) >= drainFrom
	s.take(ended)
}

// take takes the token of a claim. A claim that is made without one, a poll or one for a free slot,
// takes the next one, and no more.
func (s *claimSchedule) take(now time.Time) {
	every := s.tokenEvery()
	full, empty := now.Add(-claimBurst*every), now.Add(every)
	s.allowedFrom = earliest(latest(s.allowedFrom, full).Add(every), empty)
}

func (s *claimSchedule) tokenEvery() time.Duration { return min(s.interval, claimEvery) }

// polls is the time between two polls.
func (s *claimSchedule) polls() time.Duration {
	if !s.probes || s.limited {
		return s.interval
	}
	return max(s.interval, min(pollsApart*s.interval, pollWithin))
}

// next is when the next claim is due. Where claims find events and use up the tokens, the next one
// needs no probe.
func (s *claimSchedule) next() time.Time {
	at := s.ended.Add(s.polls())
	if s.found && s.allowedFrom.After(s.ended) {
		at = earliest(at, s.allowedFrom)
	}
	if due, ok := s.announced.due(s.began, s.ended, s.polls()); ok {
		at = earliest(at, latest(due, s.allowedFrom))
	}
	return at
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
