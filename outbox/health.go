package outbox

import (
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

// health is whether the database answers, and since when. Each change is logged once, however many
// statements fail meanwhile.
type health struct {
	mu    sync.Mutex
	log   *zap.Logger
	now   func() time.Time
	isUp  bool
	since time.Time
}

// up notes that the database answered.
func (h *health) up() {
	h.mu.Lock()
	defer h.mu.Unlock()
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
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isUp && !h.since.IsZero() {
		return
	}
	h.isUp, h.since = false, h.now()
	h.log.Warn("database unavailable, retrying", zap.String("doing", doing), zap.Error(err))
}

// failed logs the failure of a background statement; it does not affect health. While the database is
// unavailable that is logged already.
func (h *health) failed(doing string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isUp {
		h.log.Warn("background statement failed, retrying on the next cycle", zap.String("doing", doing), zap.Error(err))
	}
}

// upFor reports whether the database has answered without a break for d.
func (h *health) upFor(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isUp && h.now().Sub(h.since) >= d
}

// Backoff is how long to wait after a number of failures in a row: 50 ms after none, doubling up to
// 5 s, with up to a half taken off at random so that replicas do not all return at once.
func Backoff(failures int) time.Duration {
	d := 50 * time.Millisecond << min(failures, 7)
	d = min(d, 5*time.Second)
	return d - jitter(d/2)
}

// jitter draws from [0, most). The simulation, which must replay a schedule to the nanosecond,
// replaces it.
var jitter = rand.N[time.Duration]
