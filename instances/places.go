package instances

import (
	"context"
	"sync"
)

// places are those of the instances that are awake. They are granted in the order of asking, among two kinds:
// instances whose last turn took long to drain, since their receivers hang, have half of them at most. So
// however many receivers hang, the others have the other half.
type places struct {
	mu      sync.Mutex
	free    int
	slow    int // places that slow ones may still have
	waiting [2][]*ticket
}

// ticket is an instance that waits for a place.
type ticket struct{ granted chan struct{} }

const (
	quick = iota
	slow
)

func newPlaces(n int) *places { return &places{free: n, slow: max(n/2, 1)} }

// acquire waits for a place, until ctx ends: false.
func (p *places) acquire(ctx context.Context, kind int) bool {
	t := &ticket{granted: make(chan struct{})}
	p.mu.Lock()
	p.waiting[kind] = append(p.waiting[kind], t)
	p.grant()
	p.mu.Unlock()
	select {
	case <-t.granted:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-t.granted: // meanwhile
		p.put(kind)
	default:
		p.abandon(kind, t)
	}
	return false
}

// release ends what acquire began.
func (p *places) release(kind int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(kind)
}

// wanted reports whether another instance waits, and could have the place of one of this kind.
func (p *places) wanted(kind int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting[quick]) > 0 || len(p.waiting[slow]) > 0 && (p.slow > 0 || kind == slow)
}

func (p *places) put(kind int) {
	p.free++
	if kind == slow {
		p.slow++
	}
	p.grant()
}

// grant grants what is free. Of the two kinds the slow ones come first, as far as their half reaches: they
// have waited for longer.
func (p *places) grant() {
	for p.free > 0 {
		switch {
		case len(p.waiting[slow]) > 0 && p.slow > 0:
			p.slow--
			p.grantTo(slow)
		case len(p.waiting[quick]) > 0:
			p.grantTo(quick)
		default:
			return
		}
	}
}

func (p *places) grantTo(kind int) {
	p.free--
	close(p.waiting[kind][0].granted)
	p.waiting[kind] = p.waiting[kind][1:]
}

func (p *places) abandon(kind int, t *ticket) {
	for i, each := range p.waiting[kind] {
		if each == t {
			p.waiting[kind] = append(p.waiting[kind][:i:i], p.waiting[kind][i+1:]...)
			return
		}
	}
}
