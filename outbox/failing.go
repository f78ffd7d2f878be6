package outbox

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	logFailingEvery = time.Minute      // how often it is logged that a channel still fails
	steadyAfter     = 30 * time.Second // how long an unsteady channel has had no failure when it has recovered
)

// failingLog bounds what failed attempts write to the log, however many there are: of each channel one
// line when it begins to fail, one a minute while it does, with the numbers since the line before, and
// one when an attempt succeeds again. A channel that fails again within a minute of that is unsteady: the
// line of the next minute counts its failures, and it has recovered once it had none for a while. What
// cannot be rendered says nothing about the receiver and is counted by itself. Each attempt is logged at
// the level debug, see logAttempt, and recorded in the event's row.
type failingLog struct {
	mu       sync.Mutex
	log      *zap.Logger
	channels map[string]*failing
}

// failing is one channel's.
type failing struct {
	since     time.Time // of the first failure; zero: the channel does not fail
	total     failures  // since then
	failures            // since the newest line
	sent      int       // since the newest line
	newest    attempt
	newestAt  time.Time
	logged    time.Time // the newest line
	recovered time.Time
	unsteady  bool

	unrendered         failures // since the newest line about them
	newestUnrendered   attempt
	loggedOfUnrendered time.Time
}

// failures are numbers of attempts. lost: their events are not attempted again.
type failures struct{ failed, lost int }

func (f *failures) count(v Verdict) {
	f.failed++
	if v == Failed {
		f.lost++
	}
}

type attempt struct {
	event   string
	id      int64
	attempt int
	result  Result
}

// note counts an attempt.
func (l *failingLog) note(ev Event, out Outcome, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.channels[ev.Channel]
	if f == nil {
		if l.channels == nil {
			l.channels = map[string]*failing{}
		}
		f = &failing{}
		l.channels[ev.Channel] = f
	}
	made := attempt{event: ev.Name, id: ev.ID, attempt: ev.Attempts, result: out.Result}
	switch {
	case out.Verdict == Sent:
		l.succeeded(ev.Channel, f, now)
	case out.Verdict == Released:
	case out.Result.Failure == FailureRender:
		f.unrendered.count(out.Verdict)
		f.newestUnrendered = made
		l.logUnrendered(ev.Channel, f, now)
	default:
		l.failed(ev.Channel, f, out.Verdict, made, now)
	}
}

func (l *failingLog) failed(channel string, f *failing, v Verdict, made attempt, now time.Time) {
	begins := f.since.IsZero()
	if begins {
		f.since, f.unsteady = now, !f.recovered.IsZero() && now.Sub(f.recovered) < logFailingEvery
	}
	f.count(v)
	f.total.count(v)
	f.newest, f.newestAt = made, now
	if !begins || f.unsteady {
		l.logStillFailing(channel, f, now)
		return
	}
	l.log.Warn("channel failing", zap.String("channel", channel), zap.Int64("id", made.id), zap.String("event", made.event),
		zap.Int("attempt", made.attempt), zap.String("failure", string(made.result.Failure)), zap.Int("http_status", made.result.Status),
		zap.String("received", string(made.result.Received)), zap.String("error", made.result.Error))
	f.begin(now)
}

func (l *failingLog) succeeded(channel string, f *failing, now time.Time) {
	if f.since.IsZero() {
		return
	}
	f.sent++
	if !f.unsteady {
		l.logRecovered(channel, f, now)
	}
}

// begin begins to count anew, after a line.
func (f *failing) begin(now time.Time) {
	f.failures, f.sent, f.logged = failures{}, 0, now
}

func (l *failingLog) logStillFailing(channel string, f *failing, now time.Time) {
	if f.failures.failed == 0 || now.Sub(f.logged) < logFailingEvery {
		return
	}
	l.log.Warn("channel still failing", zap.String("channel", channel), zap.Time("since", f.since), zap.Int("failed", f.failures.failed),
		zap.Int("lost", f.lost), zap.Int("sent", f.sent), zap.Int64("newest", f.newest.id), zap.String("failure", string(f.newest.result.Failure)),
		zap.Int("http_status", f.newest.result.Status), zap.String("error", f.newest.result.Error))
	f.begin(now)
}

func (l *failingLog) logRecovered(channel string, f *failing, now time.Time) {
	l.log.Info("channel recovered", zap.String("channel", channel), zap.Int("failed", f.total.failed), zap.Int("lost", f.total.lost),
		zap.Duration("for", now.Sub(f.since).Round(time.Millisecond)))
	*f = failing{logged: now, recovered: now, unrendered: f.unrendered, newestUnrendered: f.newestUnrendered, loggedOfUnrendered: f.loggedOfUnrendered}
}

func (l *failingLog) logUnrendered(channel string, f *failing, now time.Time) {
	if f.unrendered.failed == 0 || now.Sub(f.loggedOfUnrendered) < logFailingEvery {
		return
	}
	l.log.Warn("events cannot be rendered", zap.String("channel", channel), zap.Int("failed", f.unrendered.failed),
		zap.Int("lost", f.unrendered.lost), zap.Int64("newest", f.newestUnrendered.id), zap.String("event", f.newestUnrendered.event),
		zap.String("error", f.newestUnrendered.result.Error))
	f.unrendered, f.loggedOfUnrendered = failures{}, now
}

// tick is part of each cycle: it logs what was counted for a minute.
func (l *failingLog) tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for channel, f := range l.channels {
		l.logUnrendered(channel, f, now)
		if !f.since.IsZero() && f.sent > 0 && now.Sub(f.newestAt) >= steadyAfter {
			l.logRecovered(channel, f, now)
		} else {
			l.logStillFailing(channel, f, now)
		}
	}
}

// end logs what was counted and not logged yet, when the worker ends.
func (l *failingLog) end(now time.Time) {
	l.mu.Lock()
	for _, f := range l.channels {
		f.logged, f.loggedOfUnrendered = time.Time{}, time.Time{}
	}
	l.mu.Unlock()
	l.tick(now)
}

// logAttempt logs one attempt.
func (d *Dispatcher) logAttempt(ev Event, out Outcome) {
	r := out.Result
	switch out.Verdict {
	case Sent:
		d.log.Debug("event sent", zap.Int64("id", ev.ID), zap.String("event", ev.Name), zap.Int("attempt", ev.Attempts),
			zap.Int("http_status", r.Status), zap.Duration("took", r.Took))
	case Failed:
		d.log.Debug("event failed", zap.Int64("id", ev.ID), zap.String("event", ev.Name), zap.Int("attempt", ev.Attempts),
			zap.Int("http_status", r.Status), zap.Duration("took", r.Took), zap.String("failure", string(r.Failure)),
			zap.String("received", string(r.Received)), zap.String("error", r.Error))
	case Retry:
		d.log.Debug("event not delivered, due again at the next ten-second mark", zap.Int64("id", ev.ID), zap.String("event", ev.Name),
			zap.Int("attempt", ev.Attempts), zap.Int("http_status", r.Status), zap.Duration("took", r.Took), zap.String("failure", string(r.Failure)),
			zap.String("received", string(r.Received)), zap.String("error", r.Error))
	case Released:
		d.log.Debug("event released, no POST was begun", zap.Int64("id", ev.ID), zap.String("event", ev.Name), zap.Int("attempt", ev.Attempts))
	}
}
