package outbox

import "sync"

// maxFailedRetries bounds what a receiver that refuses everything costs: so many
// attempts of documents that had been tried before may fail in a cycle, without
// a success in between, until the rest waits for the next one.
const maxFailedRetries = 10_000

// lanes counts what is in use, a lane a channel. How many slots a lane has is
// written in webhook.channels.max_in_flight and applied by the claim itself.
type lanes struct {
	mu       sync.Mutex
	lanes    []lane
	maxBytes int64         // of facts in a lane; 0 means no limit
	freed    chan struct{} // holds a token when a slot became free since the last claim
}

type lane struct {
	channel  string
	busy     int
	retrying int
	bytes    int64
	failed   int   // retries that failed since the last success or cycle
	slots    int   // max_in_flight, as the newest event of the lane has told
	floor    Floor // see lanes.claimed
	again    bool  // a cycle has begun since the last snapshot
}

func newLanes(channels []Channel, maxBytes int64) *lanes {
	l := &lanes{maxBytes: maxBytes, freed: make(chan struct{}, 1)}
	for _, c := range channels {
		l.lanes = append(l.lanes, lane{channel: c.Name})
	}
	return l
}

// snapshot is what a claim is told. Slots become free behind its back, never used.
func (l *lanes) snapshot() []Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := make([]Lane, len(l.lanes))
	for i, n := range l.lanes {
		l.lanes[i].again = false
		told[i] = Lane{Channel: n.channel, Busy: n.busy, Retrying: n.retrying,
			GivenUp: n.failed >= maxFailedRetries, Room: l.room(n), Floor: n.floor}
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

// claimed takes the slots of a batch, and sets each lane's floor. A claim that
// filled its lane, or found it full, will be followed by another as soon as a
// slot is free. That one starts behind what this one has taken, since the index
// still holds dead entries of all that, for as long as some transaction might see
// them. What committed late, with an earlier place in the order, is found as soon
// as a claim does not fill the lane, and at the latest in the next cycle.
func (l *lanes) claimed(told []Lane, batch []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		n, taken, last := &l.lanes[i], 0, l.lanes[i].floor
		for _, ev := range batch {
			if ev.Channel != n.channel {
				continue
			}
			taken++
			n.slots = ev.Endpoint.MaxInFlight
			n.add(ev, 1)
			if at := (Floor{ev.DueAt, ev.ID}); ev.Attempts == 1 && !ev.IsTest && at.after(last) {
				last = at
			}
		}
		full := n.slots > 0 && told[i].Busy+taken >= n.slots
		if n.floor = last; !full || n.again {
			n.floor = Floor{}
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

// free gives back the slot of an event, and notes what became of a retry.
func (l *lanes) free(ev Event, verdict Verdict) {
	l.mu.Lock()
	for i := range l.lanes {
		if n := &l.lanes[i]; n.channel == ev.Channel {
			n.add(ev, -1)
			switch {
			case verdict == Sent:
				n.failed = 0
			case verdict == Later && ev.Attempts > 1:
				n.failed++
			}
		}
	}
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// cycle lets every lane look from its start again, also where a claim is under
// way that was told an older floor.
func (l *lanes) cycle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		l.lanes[i].failed, l.lanes[i].floor, l.lanes[i].again = 0, Floor{}, true
	}
}

func (n *lane) add(ev Event, by int) {
	n.busy += by
	n.bytes += int64(by * len(ev.Data))
	if ev.Attempts > 1 {
		n.retrying += by
	}
}
