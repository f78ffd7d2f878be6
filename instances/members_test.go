package instances

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestOwner_IsOneOfAllAndTheSameForAll(t *testing.T) {
	all, counts := []int32{7, 1 << 30, 99}, map[int32]int{}
	for n := range 3000 {
		counts[owner(all, fmt.Sprintf("inst%d", n))]++
	}
	for _, n := range all {
		if counts[n] < 850 || counts[n] > 1150 {
			t.Errorf("process %d serves %d of 3000 among 3", n, counts[n])
		}
	}
}

func TestOwner_OnlyThePartOfOneThatComesOrGoesMoves(t *testing.T) {
	before, after := []int32{7, 99, 1 << 30}, []int32{7, 1 << 30}
	for n := range 1000 {
		name := fmt.Sprintf("inst%d", n)
		was, is := owner(before, name), owner(after, name)
		if was != 99 && is != was {
			t.Fatalf("%s moves from %d to %d, since process 99 has gone", name, was, is)
		}
	}
}

func TestMembers_OneIsPresentUntilItsLockWasNotSeenForAWhile(t *testing.T) {
	m, now := newMembers(), time.Now()
	m.self, m.now = 5, func() time.Time { return now }
	if got := m.all(); !slices.Equal(got, []int32{5}) {
		t.Errorf("alone: %v", got)
	}
	m.note([]int32{5, 3})
	m.note([]int32{9}) // of another coordinator
	now = now.Add(goneAfter)
	m.note([]int32{3})
	if got := m.all(); !slices.Equal(got, []int32{3, 5, 9}) {
		t.Errorf("a lock that was not seen for three beats: %v", got)
	}
	now = now.Add(time.Hour)
	if got := m.all(); !slices.Equal(got, []int32{3, 5, 9}) {
		t.Errorf("no coordinator answers for an hour: %v", got)
	}
	m.note([]int32{3})
	if got := m.all(); !slices.Equal(got, []int32{3, 5}) {
		t.Errorf("for longer, by one that answers: %v", got)
	}
}
