package outbox

import (
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait after so many failures in a row, at least one: 50 ms after the first,
// doubling up to 5 s, with up to a half taken off at random so that replicas do not all return at once.
func Backoff(failures int) time.Duration {
	d := 50 * time.Millisecond << min(max(failures, 1)-1, 7)
	d = min(d, 5*time.Second)
	return d - jitter(d/2)
}

// jitter draws from [0, most). The simulation, which must replay a schedule to the nanosecond,
// replaces it.
var jitter = rand.N[time.Duration]
