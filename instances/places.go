package instances

import (
	"context"
	"sync"
)

// places are those of the instances that are awake. They are given in the order of asking, among two kinds:
// instances whose last turn lingered, since their receivers hang, have half of them at most. So
// however many receivers hang, the others have the other half.
type places struct {
	mu      sync.Mutex
	free    int
	slow    int // places that slow ones may still have
	waiting [2][]*ticket
}

// ticket is an instance that waits for a place.
type ticket struct{ given chan struct{} }

const (
	quick = iota
	slow
)

func newPlaces(n int) *places { return &places{free: n, slow: max(n/2, 1)} }

// take waits for a place, until ctx ends: false.
func (p *places) take(ctx context.Context, kind int) bool {
	t := &ticket{given: make(chan struct{})}
	p.mu.Lock()
	p.waiting[kind] = append(p.waiting[kind], t)
	p.give()
	p.mu.Unlock()
	select {
	case <-t.given:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-t.given: // meanwhile
		p.back(kind)
	default:
		p.drop(kind, t)
	}
	return false
}

// leave ends what take began.
func (p *places) leave(kind int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.back(kind)
}

// wanted reports whether another instance waits, and could have the place of one of this kind.
func (p *places) wanted(kind int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting[quick]) > 0 || len(p.waiting[slow]) > 0 && (p.slow > 0 || kind == slow)
}

func (p *places) back(kind int) {
	p.free++
	if kind == slow {
		p.slow++
	}
	p.give()
}

// give gives what is free. Of the two kinds the slow ones come first, as far as their half reaches: they
// have waited for longer.
func (p *places) give() {
	for p.free > 0 {
		switch {
		case len(p.waiting[slow]) > 0 && p.slow > 0:
			p.slow--
			p.giveTo(slow)
		case len(p.waiting[quick]) > 0:
			p.giveTo(quick)
		default:
			return
		}
	}
}

func (p *places) giveTo(kind int) {
	p.free--
	close(p.waiting[kind][0].given)
	p.waiting[kind] = p.waiting[kind][1:]
}

func (p *places) drop(kind int, t *ticket) {
	for i, each := range p.waiting[kind] {
		if each == t {
			p.waiting[kind] = append(p.waiting[kind][:i:i], p.waiting[kind][i+1:]...)
			return
		}
	}
}
