package instances

import (
	"sync/atomic"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

const (
	// turnFor is how long an instance is awake while others wait.
	turnFor = 5 * time.Second

	// idleFor is how long one that has nothing to do stays awake, for the next event, and restFor is the same
	// while others wait.
	idleFor = 5 * time.Second
	restFor = 200 * time.Millisecond

	// unavailableAfter is how long after its last poll the database of one that is awake is treated as unavailable.
	unavailableAfter = 10 * time.Second

	// drainsFor is how long the end of a turn may take: for longer only where receivers hang.
	drainsFor = 2 * time.Second
)

// activity is what an instance's dispatcher does. It is an outbox.Observer.
type activity struct{ polled, worked atomic.Pointer[time.Time] }

// Polled implements outbox.Observer.
func (a *activity) Polled() { note(&a.polled) }

// Recorded implements outbox.Observer.
func (a *activity) Recorded([]outbox.Outcome) { note(&a.worked) }

// Expired implements outbox.Observer.
func (a *activity) Expired([]outbox.ExpiredLeases) { note(&a.worked) }

// begin notes the beginning of a turn, which counts as both.
func (a *activity) begin() {
	note(&a.polled)
	note(&a.worked)
}

func note(at *atomic.Pointer[time.Time]) {
	now := time.Now()
	at.Store(&now)
}

// since is how long ago that was; very long where it never was.
func since(at *atomic.Pointer[time.Time]) time.Duration {
	if t := at.Load(); t != nil {
		return time.Since(*t)
	}
	return 1<<63 - 1
}

// turn is what is known of one at an instant.
type turn struct {
	lasted   time.Duration
	polled   time.Duration // ago
	worked   time.Duration // ago
	inFlight int
	wanted   bool // another instance waits for the place
}

// The ends of a turn.
const (
	goesOn = iota
	isOver
	isUnavailable
)

func (t turn) end() int {
	idle := idleFor
	if t.wanted {
		idle = restFor
	}
	switch {
	case t.polled >= unavailableAfter:
		return isUnavailable
	case t.wanted && t.lasted >= turnFor, t.inFlight == 0 && t.worked >= idle:
		return isOver
	}
	return goesOn
}

// pace is how long one that is asleep waits for its next look at the database, so long after its last event.
func pace(worked, most time.Duration) time.Duration {
	const least, share = 20 * time.Millisecond, 16
	return max(min(worked/share, most), min(least, most))
}
