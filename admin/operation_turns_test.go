package admin

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// stepsStore has operations, each with so many steps; those of a negative number fail.
type stepsStore struct {
	Store
	ids   []int64
	steps map[int64]int
	done  []int64
}

func (s *stepsStore) UnfinishedOperations(context.Context) ([]int64, error) { return s.ids, nil }

func (s *stepsStore) AdvanceOperation(_ context.Context, id int64) (more bool, err error) {
	if s.steps[id] < 0 {
		return false, errors.New("it takes too long")
	}
	s.done = append(s.done, id)
	s.steps[id]--
	return s.steps[id] > 0, nil
}

func TestOperations_OneThatFailsDoesNotStopTheOthers(t *testing.T) {
	s, logs := newTestSite(onLoopback())
	store := &stepsStore{ids: []int64{1, 2, 3}, steps: map[int64]int{1: -1, 2: 2, 3: 1}}
	s.store = store
	s.advanceAll(t.Context())
	if !slices.Equal(store.done, []int64{2, 3, 2}) {
		t.Errorf("the steps were of %v", store.done)
	}
	if found := logs.FilterMessageSnippet("operation interrupted").All(); len(found) != 1 || found[0].ContextMap()["operation"] != int64(1) {
		t.Errorf("the log has %v", found)
	}
}
