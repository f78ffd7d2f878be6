package outbox

import "sync"

// lanes counts the sender slots in use, a lane a channel. How many a lane has
// is written in webhook.channels.max_in_flight and applied by the claim itself.
type lanes struct {
	mu    sync.Mutex
	lanes []Lane
	freed chan struct{} // holds a token when a slot became free since the last claim
}

func newLanes(channels []Channel) *lanes {
	l := &lanes{freed: make(chan struct{}, 1)}
	for _, c := range channels {
		l.lanes = append(l.lanes, Lane{Channel: c.Name})
	}
	return l
}

// snapshot is what a claim is told. Slots become free behind its back, never used.
func (l *lanes) snapshot() []Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Lane(nil), l.lanes...)
}

func (l *lanes) take(ev Event) { l.add(ev, 1) }

func (l *lanes) free(ev Event) {
	l.add(ev, -1)
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

func (l *lanes) add(ev Event, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.lanes {
		if l.lanes[i].Channel == ev.Channel {
			l.lanes[i].Busy += n
			if ev.Attempts > 1 {
				l.lanes[i].Retrying += n
			}
		}
	}
}
