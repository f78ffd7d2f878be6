package outbox

import "time"

// While its probe works, which sees new events between two polls, an idle worker polls once in so many
// intervals, but at least so often, or in each interval where that is longer. A poll finds what no new
// id announces: retries, resends, the events of a channel that was turned on.
const (
	pollsApart = 10
	pollWithin = time.Second
)

// Claims that follow new ids cost hardly more than polling alone: on average they are so far apart, or an
// interval where that is shorter; after a while with fewer, so many may come sooner.
const (
	claimsApart = 15 * time.Millisecond
	claimsSaved = 50
)

// pace decides when the next claim is made: as often as events come one by one, and hardly more often than
// by polling alone where they come faster. It belongs to the goroutine that claims.
type pace struct {
	interval     time.Duration // between two polls
	announced    announced
	began, ended time.Time // of the newest claim
	found        bool      // it returned events
	limited      bool      // or left some that are due, for want of slots, bytes or pace
	paid         time.Time // from when on a claim may follow what was announced, see spend
	draining     bool      // it returned that many that the next one follows without a probe
	probes       bool      // the probe works
}

// drainFrom is how many events a claim returns while a backlog is drained: as many as it costs itself.
const drainFrom = 30

// claim notes a claim.
func (p *pace) claim(batch []claimed, limited bool, began, ended time.Time) {
	p.announced.claimed(batch, began)
	p.began, p.ended, p.found, p.limited = began, ended, len(batch) > 0, limited
	p.draining = limited && len(batch) >= drainFrom
	p.spend(ended)
}

// spend keeps account of the claims: each costs the time in which one may be made, and what was saved
// lasts for claimsSaved.
func (p *pace) spend(now time.Time) {
	saved := now.Add(-claimsSaved * p.apart())
	if p.paid.Before(saved) {
		p.paid = saved
	}
	if p.paid = p.paid.Add(p.apart()); p.paid.After(now.Add(p.apart())) {
		p.paid = now.Add(p.apart())
	}
}

// apart is the time between two claims on average, where events come fast.
func (p *pace) apart() time.Duration { return min(p.interval, claimsApart) }

// polls is the time between two polls.
func (p *pace) polls() time.Duration {
	if !p.probes || p.limited {
		return p.interval
	}
	return max(p.interval, min(pollsApart*p.interval, pollWithin))
}

// next is when the next claim is due. Where claims find events, as often as they may be made, the next one
// needs no probe.
func (p *pace) next() time.Time {
	at := p.ended.Add(p.polls())
	if p.found && p.paid.After(p.ended) {
		at = earlier(at, p.paid)
	}
	if due, ok := p.announced.due(p.began, p.ended, p.polls()); ok {
		at = earlier(at, later(due, p.paid))
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
