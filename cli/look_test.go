package cli

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A look that is lost would be made again a minute later: until then the page says that there was none.
func TestLooks_AreRecordedAgainAfterAFailureUntilTheLeaseIsOver(t *testing.T) {
	for _, c := range []struct {
		name              string
		failures, want    int
		stopAfter, within time.Duration
	}{
		{name: "at once", want: 1},
		{name: "a lock", failures: 2, want: 3, within: 10 * time.Second},
		{name: "for longer than the lease", failures: 1000, want: 12, within: time.Minute},
		{name: "a worker that stops", failures: 1000, want: 2, stopAfter: 7 * time.Second, within: 7 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				l := &looks{lease: time.Minute, background: func(_ string, do func() error) error { return do() }}
				ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(c.stopAfter, time.Hour))
				defer cancel()
				began := time.Now()
				l.record(ctx, func() error {
					if tries++; tries <= c.failures {
						return errors.New("canceling statement due to lock timeout")
					}
					return nil
				})
				if took := time.Since(began); tries != c.want || took != c.within {
					t.Errorf("%d tries in %s, want %d in %s", tries, took, c.want, c.within)
				}
			})
		})
	}
}
