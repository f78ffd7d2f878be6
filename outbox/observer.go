package outbox

// Observer counts what the dispatcher does, for metrics. Its methods return at once, and may be called
// from several goroutines.
type Observer interface {
	// Polled: a claim has succeeded, whether it returned events or not.
	Polled()

	// Recorded: these outcomes are written. One whose lease was lost before is not among them, unless a
	// try whose reply was lost may have written it.
	Recorded(outcomes []Outcome)

	// Expired: these leases were ended.
	Expired(leases []ExpiredLeases)
}

// ExpiredLeases are leases of one channel that were ended.
type ExpiredLeases struct {
	Channel     string
	AtLeastOnce bool // the events are due again; else they have failed
	Events      int
}

// unobserved is the Observer where none is set.
type unobserved struct{}

func (unobserved) Polled()                 {}
func (unobserved) Recorded([]Outcome)      {}
func (unobserved) Expired([]ExpiredLeases) {}

// InFlight calls visit for each channel with the number of its events that are claimed and not yet
// recorded.
func (d *Dispatcher) InFlight(visit func(channel string, events int)) {
	for _, l := range d.queue.inFlightByLane() {
		visit(l.channel, l.events)
	}
}

// Held is how many bytes of memory the events in flight hold: their data, or their envelopes.
func (d *Dispatcher) Held() (bytes int64) {
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	for i := range d.queue.lanes {
		bytes += d.queue.lanes[i].slots.bytes
	}
	return bytes
}

type laneInFlight struct {
	channel string
	events  int
}

func (q *queue) inFlightByLane() []laneInFlight {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]laneInFlight, len(q.lanes))
	for i := range q.lanes {
		all[i] = laneInFlight{q.lanes[i].channel, q.lanes[i].inFlight}
	}
	return all
}
