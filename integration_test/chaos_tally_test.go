package integration_test

import (
	"slices"
	"strings"
	"sync"
)

// tally counts how often each fault has struck.
type tally struct {
	mu    sync.Mutex
	times map[string]int
}

func newTally() *tally { return &tally{times: map[string]int{}} }

func (t *tally) hit(what string) { t.add(what, 1) }

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times[what] += n
}

func (t *tally) of(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.times[what]
}

// sum is how often the faults have struck whose names begin so.
func (t *tally) sum(prefix string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, times := range t.times {
		if strings.HasPrefix(what, prefix) {
			n += times
		}
	}
	return n
}

func (t *tally) names() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.times {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
