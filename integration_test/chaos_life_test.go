package integration_test

import (
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// life is one worker process from its start to its end, with a proxy of its own,
// through which only this process's messages pass.
type life struct {
	c       *chaos
	slot    int
	proxy   *proxy
	cmd     *exec.Cmd
	log     *logBuffer
	done    chan struct{} // closed when the process has ended
	started time.Time

	mu      sync.Mutex
	fate    fate
	next    int           // the step that strikes next
	taken   chan struct{} // closed when that step has struck
	struck  chan struct{} // closed when the last step has struck
	claimed map[int64]bool
	death   string // how it was killed
	wanted  bool   // the test has ended it
}

// begin starts a worker with a fate.
func (c *chaos) begin(slot int, f fate) *life {
	l := &life{
		c: c, slot: slot, proxy: newProxy(c.t, c.address), log: &logBuffer{}, done: make(chan struct{}),
		claimed: map[int64]bool{},
	}
	l.arm(f)
	l.proxy.onRequest(func(x *exchange) action { return l.passes(asked, x) })
	l.proxy.onAnswer(func(x *exchange) action { return l.passes(answered, x) })
	l.proxy.onDelivered(func(x *exchange) { l.passes(delivered, x) })
	l.cmd = program(c.t, c.settings(l.proxy.address), "run")
	l.cmd.Stderr = l.log
	l.started = time.Now()
	if err := l.cmd.Start(); err != nil {
		c.t.Errorf("start a worker: %v", err)
		close(l.done)
		return l
	}
	go func() {
		_ = l.cmd.Wait()
		close(l.done)
	}()
	c.tally.hit("started: worker processes")
	c.mu.Lock()
	c.alive[l] = true
	c.mu.Unlock()
	return l
}

// arm gives the worker another fate.
func (l *life) arm(f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fate, l.next, l.taken, l.struck = f, 0, make(chan struct{}), make(chan struct{})
	if len(f.steps) == 0 {
		close(l.struck)
	}
}

// passes is called for every message, and carries out the step that is due.
func (l *life) passes(where instant, x *exchange) action {
	due, name, taken, last := l.due(where, x)
	if due == nil {
		return pass
	}
	if due.kill {
		l.kill(name)
	}
	if due.hangUp {
		x.hangUp()
	}
	close(taken)
	l.linger(*due)
	if last != nil {
		last()
	}
	return due.then
}

// due returns the next step if it strikes at this point.
func (l *life) due(where instant, x *exchange) (due *step, name string, taken chan struct{}, last func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(where, x)
	if l.next >= len(l.fate.steps) {
		return nil, "", nil, nil
	}
	s := l.fate.steps[l.next]
	if s.where != where || x != nil && !x.runs(s.statement) || s.rows && (x.rows == 0 || x.failed) {
		return nil, "", nil, nil
	}
	taken = l.taken
	l.next++
	l.taken = make(chan struct{})
	if l.next == len(l.fate.steps) {
		name, struck := l.fate.name, l.struck
		last = func() {
			if !s.kill {
				l.c.tally.hit(name)
			}
			close(struck)
		}
	}
	return &s, l.fate.name, taken, last
}

// note keeps which events the worker has claimed. It is called before the answer is
// passed on, so no POST can be quicker.
func (l *life) note(where instant, x *exchange) {
	if where != answered || x.failed || !x.runs(claimStatement) && !x.runs(lookUpStatement) {
		return
	}
	for _, key := range x.keys {
		if id, err := strconv.ParseInt(key, 10, 64); err == nil {
			l.claimed[id] = true
		}
	}
}

// linger holds the message for as long as the step says.
func (l *life) linger(s step) {
	if s.untilNext {
		l.mu.Lock()
		next := l.taken
		l.mu.Unlock()
		l.wait(next, time.Second)
	}
	if s.pastMark {
		l.wait(nil, untilMark()+afterMark)
	}
	if s.hold > 0 {
		l.wait(nil, s.hold)
	}
}

// wait ends when the channel is closed, when the process has ended, or after most.
func (l *life) wait(happening <-chan struct{}, most time.Duration) (happened bool) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-happening:
		return true
	case <-l.done:
	case <-t.C:
	}
	return false
}

// meets waits until the fate has struck or the process has ended.
func (l *life) meets(most time.Duration) bool {
	l.mu.Lock()
	struck := l.struck
	l.mu.Unlock()
	return l.wait(struck, most)
}

// meetsOr waits like meets, and reports whether other was closed first.
func (l *life) meetsOr(other <-chan struct{}, most time.Duration) bool {
	l.mu.Lock()
	struck := l.struck
	l.mu.Unlock()
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-other:
		return true
	case <-struck:
	case <-l.done:
	case <-t.C:
	}
	return false
}

// holds reports whether the worker has claimed an event.
func (l *life) holds(id int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.claimed[id]
}

const atRandom = "killed: at a random instant"

// kill is kill -9, counted under this name unless the process has ended already.
func (l *life) kill(name string) {
	l.mu.Lock()
	if l.death == "" && !l.over() {
		l.death = name
		l.c.tally.hit(name)
	}
	l.mu.Unlock()
	l.signal(syscall.SIGKILL)
	<-l.done
}

// signal sends a signal that ends the process.
func (l *life) signal(s syscall.Signal) {
	l.mu.Lock()
	l.wanted = true
	l.mu.Unlock()
	_ = l.cmd.Process.Signal(s)
}

func (l *life) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// bury makes sure that the process has ended, and checks its log. A worker ends on a
// signal and never by itself, whatever has struck it.
func (l *life) bury() {
	l.mu.Lock()
	if l.over() && !l.wanted {
		l.c.t.Errorf("a worker ended by itself (%v) before %q; it logged:\n%s", l.cmd.ProcessState, l.fate.name, l.log)
	}
	l.mu.Unlock()
	l.kill(atRandom)
	l.proxy.setMode(closed)
	l.proxy.cutAll()
	l.c.remember(l)
}
