package cli

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestSignals_SecondEndsAtOnce: unless it is the first one once more, as timeout(1) sends it.
func TestSignals_SecondEndsAtOnce(t *testing.T) {
	t.Parallel()
	type at struct {
		kind  syscall.Signal
		after time.Duration
	}
	for name, c := range map[string][]at{ // the last one ends it
		"another one":              {{syscall.SIGTERM, 0}, {syscall.SIGINT, 0}},
		"the same one, later":      {{syscall.SIGTERM, 0}, {syscall.SIGTERM, time.Second}},
		"the same one at once":     {{syscall.SIGTERM, 0}, {syscall.SIGTERM, 20 * time.Millisecond}, {syscall.SIGTERM, time.Second}},
		"Ctrl-C that is passed on": {{syscall.SIGINT, 0}, {syscall.SIGINT, time.Millisecond}, {syscall.SIGTERM, 2 * time.Millisecond}},
		"a terminal that closes":   {{syscall.SIGHUP, 0}, {syscall.SIGTERM, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second, clock := make(chan os.Signal), make(chan os.Signal), make(chan time.Time)
			finished, ended := make(chan struct{}), make(chan struct{})
			go obey(first, second, func() time.Time { return <-clock }, func() { close(finished) }, func() { close(ended) })
			for i, s := range c {
				to := second
				if s.kind == syscall.SIGHUP {
					to = first
				}
				select {
				case to <- s.kind:
				case <-ended:
					t.Fatalf("ended by signal %d of %d", i, len(c))
				}
				select {
				case clock <- time.Unix(0, 0).Add(s.after):
				case <-ended: // another kind ends it whenever it comes
				}
			}
			<-finished
			<-ended
		})
	}
}
