package instances

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// startsAtOnce is how many instances at once make their first connections, which are three for a moment,
	// check the schema, and do their first round. Hundreds that did so together would wait for one another, each with
	// the limits of a connection running, and look as if their databases did not answer.
	startsAtOnce = 8

	// overdueAfter is how long the server of a start must be silent before it may lose its place to the next one, see
	// start.overdue, and overdueCheck how often that is found out.
	overdueAfter = time.Second
	overdueCheck = 100 * time.Millisecond
)

// starts bounds the instances that start at once. They acquire a place in the order of asking, before anything is
// sent to their databases: the wait counts against no timeout.
type starts struct {
	mu      sync.Mutex
	places  int
	free    int
	waiting []chan struct{}
	done    int       // so many starts have succeeded
	newest  time.Time // when the last of them did
}

// start is one of them.
type start struct {
	starts *starts
	silent func() time.Duration // see Worker.Silent
	before int                  // starts that had succeeded when it began
	timer  *time.Timer
	holds  bool // its place
}

func newStarts(n int) *starts { return &starts{places: n, free: n} }

// acquire waits for a place, until ctx ends: nil.
func (s *starts) acquire(ctx context.Context, silent func() time.Duration) *start {
	granted := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, granted)
	s.grant()
	s.mu.Unlock()
	select {
	case <-granted:
	case <-ctx.Done():
		s.abandon(granted)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &start{starts: s, silent: silent, before: s.done, holds: true}
	one.timer = time.AfterFunc(overdueAfter, one.check)
	return one
}

// release ends a start; nil is one that has no place. It reports whether it was overdue.
func (one *start) release(succeeded bool) (overdue bool) {
	if one == nil {
		return false
	}
	s := one.starts
	s.mu.Lock()
	defer s.mu.Unlock()
	one.timer.Stop()
	if succeeded {
		s.done++
		s.newest = time.Now()
	}
	overdue = !one.holds
	one.pass()
	return overdue
}

// check passes the place of one that is overdue on to the next.
func (one *start) check() {
	one.starts.mu.Lock()
	defer one.starts.mu.Unlock()
	switch {
	case !one.holds:
	case one.overdue():
		one.pass()
	default:
		one.timer.Reset(overdueCheck)
	}
}

// overdue: its database seems to hang. On a busy machine every start is slow, so the time that it takes does not tell; the
// silence of its server does, where the others prove that it is its own: twice as many as there are places have succeeded
// since it began. Where none succeeds, all of them may hang.
func (one *start) overdue() bool {
	s := one.starts
	return one.silent() >= overdueAfter &&
		(s.done-one.before >= 2*s.places || time.Since(s.newest) >= overdueAfter)
}

func (one *start) pass() {
	if one.holds {
		one.holds = false
		one.starts.free++
		one.starts.grant()
	}
}

func (s *starts) grant() {
	for s.free > 0 && len(s.waiting) > 0 {
		s.free--
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// abandon withdraws one that waits, or releases the place that it was granted meanwhile.
func (s *starts) abandon(granted chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.waiting, granted); at >= 0 {
		s.waiting = slices.Delete(s.waiting, at, at+1)
		return
	}
	s.free++
	s.grant()
}
