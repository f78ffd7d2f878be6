package instances

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// coordinators is in how many databases each process holds its lock: the first of the list, so that one
	// that is unavailable hides no process.
	coordinators = 3

	// beatEvery is how often the locks are read, and taken again where their session has ended.
	beatEvery = 2 * time.Second

	// goneAfter is how long a process is still treated as present after its lock was last seen. A lock is absent for a
	// beat where its session was replaced.
	goneAfter = 3*beatEvery + beatEvery/2

	// firstBeat is how long a process that starts waits to know the others.
	firstBeat = 5 * time.Second
)

// members are the processes that share the list.
type members struct {
	self int32
	now  func() time.Time

	mu    sync.Mutex
	seen  map[int32]time.Time
	heard time.Time // when a coordinator answered last
}

func newMembers() *members {
	return &members{self: rand.Int32(), now: time.Now, seen: map[int32]time.Time{}} //nolint:gosec // the number of a lock is no secret
}

// note adds what one coordinator showed.
func (m *members) note(numbers []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = m.now()
	for _, n := range numbers {
		m.seen[n] = m.heard
	}
}

// all are the processes that there are, this one included. While no coordinator answers, they are those that
// there were: else each process would begin to serve the whole list.
func (m *members) all() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []int32{m.self}
	for n, at := range m.seen {
		switch {
		case m.heard.Sub(at) > goneAfter:
			delete(m.seen, n)
		case n != m.self:
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// owner is the process that serves an instance: the one of the highest score, which depends on its number
// and the name alone.
func owner(all []int32, instance string) (of int32) {
	var best uint64
	for i, n := range all {
		if s := score(n, instance); i == 0 || s > best {
			best, of = s, n
		}
	}
	return of
}

func score(number int32, instance string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(instance))
	_, _ = h.Write([]byte{byte(number), byte(number >> 8), byte(number >> 16), byte(number >> 24)}) //nolint:gosec // the bytes of it
	x := h.Sum64()                                                                                  // of which similar names differ too little
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// beat takes and reads the lock in one coordinator. One that does not answer changes nothing.
func (m *members) beat(ctx context.Context, w Worker) error {
	numbers, err := w.Members(ctx, m.self)
	if err == nil {
		m.note(numbers)
	}
	return err
}
