package admin

import (
	"sync"
	"time"
)

// So many wrong passwords are compared in a window: of one guesser, and of all together that are no known
// browsers.
const (
	guessWindow  = time.Minute
	guessesOfOne = 5
	guessesOfAll = 20
)

// loginLimit bounds how many passwords are guessed. A right one does not count. Comparing one costs memory and time,
// so one is compared at a time; how many wait is bounded by the limits.
type loginLimit struct {
	mu        sync.Mutex
	began     time.Time      // of the window
	wrong     map[string]int // of each guesser; a guess that is being compared counts as wrong
	all       int            // of those that are no known browsers
	now       func() time.Time
	comparing chan struct{} // full while a password is compared
}

func newLoginLimit() *loginLimit {
	return &loginLimit{wrong: map[string]int{}, now: time.Now, comparing: make(chan struct{}, 1)}
}

// begin waits until a guess may be compared, which end ends. wait > 0: there were too many wrong ones, the
// next window begins then, and end is not to be called.
func (l *loginLimit) begin(g guesser) (wait time.Duration) {
	if wait := l.reserve(g); wait > 0 {
		return wait
	}
	l.comparing <- struct{}{}
	return 0
}

func (l *loginLimit) reserve(g guesser) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.began) >= guessWindow {
		l.began, l.all = now, 0
		clear(l.wrong)
	}
	if l.wrong[g.name] >= guessesOfOne || !g.known && l.all >= guessesOfAll {
		return l.began.Add(guessWindow).Sub(now)
	}
	l.count(g, 1)
	return 0
}

func (l *loginLimit) end(g guesser, right bool) {
	<-l.comparing
	l.mu.Lock()
	defer l.mu.Unlock()
	if right && l.wrong[g.name] > 0 { // not of a window that has ended
		l.count(g, -1)
	}
}

func (l *loginLimit) count(g guesser, n int) {
	l.wrong[g.name] += n
	if !g.known {
		l.all += n
	}
}
