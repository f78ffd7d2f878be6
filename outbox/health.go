package outbox

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// How often an error that repeats is logged: at its start, then every minute, and sooner where it has
// changed; ports do not count.
const (
	logErrorEvery   = time.Minute
	logChangesEvery = 10 * time.Second
)

// repeatedError is the last error that was logged of those that repeat.
type repeatedError struct {
	at   time.Time
	text string // without its digits
}

// due reports whether an error is to be logged now, and notes that it is.
func (r *repeatedError) due(now time.Time, err error) bool {
	text := withoutDigits(err.Error())
	if ago := now.Sub(r.at); ago < logChangesEvery || ago < logErrorEvery && text == r.text {
		return false
	}
	r.at, r.text = now, text
	return true
}

// repeatedCount adds up what happens again and again, to be logged at its start and then every minute.
type repeatedCount struct {
	at    time.Time
	count int
}

// add returns the sum since it was last logged, or 0 where it is not to be logged now.
func (r *repeatedCount) add(n int, now time.Time) (sum int) {
	if r.count += n; r.count == 0 || now.Sub(r.at) < logErrorEvery {
		return 0
	}
	sum, r.count, r.at = r.count, 0, now
	return sum
}

func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// health is whether the database accepts writes, and since when. It is unavailable from the failure of
// a statement until a write has succeeded: while commits hang (a standby does not acknowledge, the log
// cannot be written) reads succeed. A statement that is under way for longer than any may take counts as
// one that failed; one that the database refuses with an answer (see answered) does not. Without the schema
// a write alone does not make it available: a statement that reads the schema's tables has to succeed before.
type health struct {
	mu    sync.Mutex
	log   *zap.Logger
	now   func() time.Time
	slow  time.Duration // longer than any statement may take
	isUp  bool
	since time.Time

	noSchema bool // a statement has failed with ErrNoSchema, and none on the schema's tables has succeeded since

	underWay map[*statement]bool
	answered time.Time // when a statement last succeeded
	outage   repeatedError
	failures map[string]*repeatedError // of background statements, by what they do
}

// statement is one that is under way.
type statement struct {
	health *health
	doing  string
	began  time.Time
}

// begin notes that a statement is about to be sent.
func (h *health) begin(doing string) *statement {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &statement{health: h, doing: doing, began: h.now()}
	if h.underWay == nil {
		h.underWay = map[*statement]bool{}
	}
	h.underWay[s] = true
	return s
}

// end notes how a statement ended. wrote: it has committed a write.
func (s *statement) end(ctx context.Context, err error, wrote bool) {
	h := s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.underWay, s)
	switch {
	case err == nil:
		h.answered = h.now()
		if h.isUp && h.now().Sub(s.began) >= h.slow {
			h.since = h.now()
		}
		h.noSchema = h.noSchema && s.doing == doingCheckWrites // which touches no table
		if wrote && !h.noSchema {
			h.up()
		}
	case ctx.Err() == nil: // else the worker itself has ended it
		h.down(s.doing, err)
	}
}

// up notes that a write has succeeded.
func (h *health) up() {
	if h.isUp {
		return
	}
	if !h.since.IsZero() {
		h.log.Info("database available again", zap.Duration("unavailable", h.now().Sub(h.since)))
	}
	h.isUp, h.since = true, h.now()
}

// down notes a statement that failed and will be repeated.
func (h *health) down(doing string, err error) {
	now := h.now()
	if h.isUp || h.since.IsZero() {
		h.isUp, h.since, h.outage = false, now, repeatedError{}
	}
	h.noSchema = h.noSchema || errors.Is(err, ErrNoSchema)
	switch {
	case !h.outage.due(now, err):
	case errors.Is(err, ErrNoSchema):
		h.log.Warn("database has no webhook schema, retrying", zap.String("doing", doing), zap.Error(err), zap.Time("since", h.since))
	default:
		h.log.Warn("database unavailable, retrying", zap.String("doing", doing), zap.Error(err), zap.Time("since", h.since))
	}
}

// failed logs the failure of a background statement, which doing names; it does not affect health.
// While the database is unavailable that is logged already.
func (h *health) failed(doing string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isUp {
		return
	}
	if h.failures == nil {
		h.failures = map[string]*repeatedError{}
	}
	if h.failures[doing] == nil {
		h.failures[doing] = &repeatedError{}
	}
	if h.failures[doing].due(h.now(), err) {
		h.log.Warn("background statement failed", zap.String("doing", doing), zap.Error(err))
	}
}

// upFor reports whether the database has accepted writes without a break for d.
func (h *health) upFor(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isUp && h.now().Sub(h.since) >= d && !h.hangs()
}

// unavailable reports whether a statement has failed, or hangs, and no write has succeeded since.
func (h *health) unavailable() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.isUp && !h.since.IsZero() || h.hangs()
}

// SchemaMissing reports whether the database has no schema webhook, as far as the newest statements can tell.
func (d *Dispatcher) SchemaMissing() bool {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	return d.health.noSchema
}

func (h *health) hangs() bool {
	for s := range h.underWay {
		if h.now().Sub(s.began) >= h.slow {
			return true
		}
	}
	return false
}

// answeredSince reports whether a statement has succeeded since an instant.
func (h *health) answeredSince(at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered.After(at)
}
