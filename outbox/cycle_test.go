package outbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestCycle_DoesNotWaitForSkip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{skip: func(ctx context.Context) (int, error) { // a backlog without end
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		d, _ := newTestDispatcher(s, &fakeSender{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		d.Cycle(ctx)
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
		if d.Skip(ctx); ctx.Err() == nil {
			t.Error("nothing was skipped")
		}
	})
}
