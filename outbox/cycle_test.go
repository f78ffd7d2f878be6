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

func TestCycle_LeasesExpireAfterALeaseOfUnbrokenHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := newTestDispatcher(s, &fakeSender{})
		pass := func(err error) {
			s.claim = func(int, string) ([]Event, error) { return nil, err }
			_, _ = d.Pass(t.Context())
		}
		cycle := func(want int, when string) {
			t.Helper()
			if d.Cycle(t.Context()); s.expiries != want {
				t.Errorf("%s: leases were expired %d times, %d were expected", when, s.expiries, want)
			}
		}
		cycle(0, "before the first claim")
		pass(nil)
		cycle(0, "just connected")
		time.Sleep(testLease - time.Second)
		cycle(0, "a second before the lease has passed")
		time.Sleep(time.Second)
		cycle(1, "a lease after connecting")
		pass(errDown)
		cycle(1, "the database is unavailable")
		time.Sleep(2 * testLease)
		cycle(1, "the database has been unavailable for long")
		pass(nil)
		cycle(1, "just reconnected")
		time.Sleep(testLease)
		cycle(2, "a lease after reconnecting")
		s.expire = func() (int, error) { return 0, errDown }
		cycle(3, "an expiry that fails")
		s.expire = nil
		pass(nil)
		cycle(3, "after an expiry that failed")
		time.Sleep(testLease)
		cycle(4, "a lease later")
		pass(errLost)
		cycle(4, "after a lost reply")
	})
}
