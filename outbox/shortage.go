package outbox

import (
	"time"

	"go.uber.org/zap"
)

// A lane pauses for a second when this machine lacks something for an attempt, and for twice as long each
// time that no attempt has been possible since.
const (
	firstPause   = time.Second
	longestPause = 10 * time.Second
	logPauses    = time.Minute // at most once for each channel
)

// shortage is the pause of a lane.
type shortage struct {
	until  time.Time
	pause  time.Duration
	logged time.Time
}

// begin begins a pause, unless one is under way, and reports whether it is to be logged.
func (s *shortage) begin(now time.Time) (log bool) {
	if now.Before(s.until) {
		return false
	}
	s.pause = min(max(2*s.pause, firstPause), longestPause)
	s.until = now.Add(s.pause)
	if log = s.logged.IsZero() || now.Sub(s.logged) >= logPauses; log {
		s.logged = now
	}
	return log
}

// end notes that an attempt was possible.
func (s *shortage) end() { s.pause = 0 }

// noteShortage pauses the lane of an event for which this machine lacked something. Not a byte was
// written, so the event is released, whatever its guarantee.
func (d *Dispatcher) noteShortage(ev Event, out Outcome) {
	if out.Result.Shortage == "" {
		return
	}
	if pause, log := d.queue.short(ev.Channel, d.now()); log {
		d.log.Warn("local shortage, channel paused", zap.String("channel", ev.Channel),
			zap.String("shortage", out.Result.Shortage), zap.Duration("pause", pause))
	}
}

func (q *queue) short(channel string, now time.Time) (pause time.Duration, log bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(channel)
	if l == nil {
		return 0, false
	}
	log = l.shortage.begin(now)
	return l.shortage.pause, log
}

// paused is how long a claim that found nothing may be followed by one that does: the longest pause of
// a lane after a shortage, or the time until the pace of a lane allows another POST. 0: neither.
func (q *queue) paused(now time.Time) (longest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lanes {
		l := &q.lanes[i]
		longest = max(longest, l.shortage.until.Sub(now), l.slots.paced(now))
	}
	return longest
}
