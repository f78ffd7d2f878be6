package cli

import (
	"strings"
	"testing"
	"time"
)

// A time that has a monotonic reading is compared and waited for by that reading,
// whatever the wall clock is set to (package time, "Monotonic Clocks"). A time
// shows its reading as m=.
func TestCycle_WallClockSetBack(t *testing.T) {
	c := newCycle(func() {})
	now := time.Now()
	for range 10 {
		next := c.Entries()[0].Schedule.Next(now)
		if wait := next.Sub(now); wait <= 0 || wait > 10*time.Second || next.UnixNano()%int64(10*time.Second) != 0 {
			t.Fatalf("the next cycle is at %s, %s after this one", next, wait)
		}
		if !strings.Contains(next.String(), " m=") {
			t.Fatalf("the next cycle is at %s of the wall clock: an hour late if that is set back by one", next)
		}
		now = next
	}
}
