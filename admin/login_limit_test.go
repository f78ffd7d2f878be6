package admin

import (
	"sync"
	"sync/atomic"
	"testing"
)

// However many come at once: one is compared at a time, and no more than the limit.
func TestLoginLimit_ComparesOneAtATime(t *testing.T) {
	l := newLoginLimit()
	var underWay, most, compared atomic.Int64
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			g := guesser{name: "192.0.2.1"}
			if l.begin(g) > 0 {
				return
			}
			most.Store(max(most.Load(), underWay.Add(1)))
			compared.Add(1)
			underWay.Add(-1)
			l.end(g, false)
		})
	}
	all.Wait()
	if most.Load() != 1 || compared.Load() != guessesOfOne {
		t.Errorf("%d at once, %d in all", most.Load(), compared.Load())
	}
}
