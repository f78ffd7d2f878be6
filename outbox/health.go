package outbox

import (
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

// health knows whether the database answers, and since when. It says so once
// for each change, however many statements fail meanwhile.
type health struct {
	mu    sync.Mutex
	log   *zap.Logger
	now   func() time.Time
	isUp  bool
	since time.Time
}

// up notes that the database has answered.
func (h *health) up() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isUp {
		return
	}
	if !h.since.IsZero() {
		h.log.Info("the database answers again", zap.Duration("away", h.now().Sub(h.since)))
	}
	h.isUp, h.since = true, h.now()
}

// down notes a statement that failed for a reason that time may mend.
func (h *health) down(doing string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isUp && !h.since.IsZero() {
		return
	}
	h.isUp, h.since = false, h.now()
	h.log.Warn("the database does not answer as it should; trying again until it does", zap.String("doing", doing), zap.Error(err))
}

// failed says that a statement has failed which is not what the database's
// health is judged by. While the database is away there is nothing more to say.
func (h *health) failed(doing string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isUp {
		h.log.Warn("a statement failed; it comes round again", zap.String("doing", doing), zap.Error(err))
	}
}

// upFor reports whether the database has answered without a break for d.
func (h *health) upFor(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isUp && h.now().Sub(h.since) >= d
}

// Backoff is how long to wait after a number of failures in a row: 50 ms after none,
// doubling up to 5 s, with up to a half taken off at random so that replicas
// do not come back all at once.
func Backoff(failures int) time.Duration {
	d := 50 * time.Millisecond << min(failures, 7)
	d = min(d, 5*time.Second)
	return d - jitter(d/2)
}

// jitter draws from [0, most). The simulation, which must replay a schedule to
// the nanosecond, puts another in its place.
var jitter = rand.N[time.Duration]
