package outbox

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// cycles runs a cycle every ten seconds for a while.
func cycles(t *testing.T, d *Dispatcher, howLong time.Duration) {
	for range howLong / (10 * time.Second) {
		time.Sleep(10 * time.Second)
		d.Cycle(t.Context())
	}
}

// Leases expire in the second cycle that sees them expired: between the two their own worker, which
// may have been waiting for a delayed commit, releases them.
func TestExpiry_InTheSecondCycleThatSeesALeaseExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := newTestDispatcher(s, &fakeSender{})
		d.Cycle(t.Context())
		cycles(t, d, 2*testLease)
		now := []string{"a", "b"}
		s.expired = func() ([]string, error) { return now, nil }
		cycles(t, d, 10*time.Second)
		if len(s.expiring) != 0 {
			t.Fatalf("in the first cycle: %v", s.expiring)
		}
		now = []string{"b", "c"}
		cycles(t, d, 10*time.Second)
		if got := fmt.Sprint(s.expiring); got != "[[b]]" {
			t.Errorf("in the second cycle: %s", got)
		}
		now = nil
		cycles(t, d, 10*time.Second)
		now = []string{"c"}
		cycles(t, d, 10*time.Second)
		if got := fmt.Sprint(s.expiring); got != "[[b]]" {
			t.Errorf("a lease that was renewed in between: %s", got)
		}
		d.Cycle(t.Context())
		if len(s.expiring) != 1 {
			t.Error("a second cycle at once counts as the next one")
		}
	})
}

// What this worker holds, or may hold, it still has to record or to release.
func TestExpiry_NeverOfClaimsThatThisWorkerHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{claim: firstOnly(contact(1), contact(2))}, &fakeSender{}
		var accepted atomic.Bool
		s.record = func(int, []Outcome) error { return map[bool]error{false: errDenied}[accepted.Load()] }
		s.expired = func() ([]string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return []string{"another worker's", s.ids[0]}, nil
		}
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		cycles(t, d, 3*testLease)
		if len(s.expiring) == 0 {
			t.Fatal("nothing expired")
		}
		for _, ids := range s.expiring {
			if fmt.Sprint(ids) != "[another worker's]" {
				t.Fatalf("expired %v", ids)
			}
		}
		accepted.Store(true)
		time.Sleep(2 * time.Second)
		cycles(t, d, 20*time.Second)
		if last := s.expiring[len(s.expiring)-1]; len(last) != 2 {
			t.Errorf("after its outcomes were recorded: %v", last)
		}
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}

var errDenied = fmt.Errorf("%w: 42501", ErrDenied)

func TestExpiry_AfterALeaseOfUnbrokenHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{expired: func() ([]string, error) { return []string{"a"}, nil }}
		d, _ := newTestDispatcher(s, &fakeSender{})
		pass := func(err error) {
			s.claim = func(int, string) ([]Event, error) { return nil, err }
			_, _ = d.Pass(t.Context())
		}
		mustWaitALease := func(after string) {
			t.Helper()
			before := s.expiries
			cycles(t, d, testLease-10*time.Second)
			if s.expiries != before {
				t.Errorf("after %s: leases expired before a lease has passed", after)
			}
			cycles(t, d, 20*time.Second)
			if s.expiries == before {
				t.Errorf("after %s: no lease expired when one has passed", after)
			}
		}
		d.Cycle(t.Context())
		mustWaitALease("the first connection")

		pass(errDown)
		s.checkWrite = func() error { return errDown }
		before := s.expiries
		cycles(t, d, 2*testLease)
		pass(nil) // which has written nothing
		cycles(t, d, 2*testLease)
		if s.expiries != before {
			t.Error("leases expired although no write has succeeded")
		}
		s.checkWrite = nil
		d.Cycle(t.Context())
		mustWaitALease("an outage")

		s.expire = func() ([]ExpiredLeases, error) { return nil, errors.New("EOF") }
		d.Cycle(t.Context())
		s.expire = nil
		d.Cycle(t.Context())
		mustWaitALease("an expiry that failed")

		s.claim = func(int, string) ([]Event, error) { time.Sleep(testLease / 5); return nil, nil }
		_, _ = d.Pass(t.Context())
		mustWaitALease("a statement that took too long")
	})
}

// A statement that hangs counts as one that failed: it may be a dead network, on which a crash of
// another process is only silence.
func TestExpiry_NotWhileAStatementHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{expired: func() ([]string, error) { return []string{"a"}, nil }}
		d, _ := newTestDispatcher(s, &fakeSender{})
		d.Cycle(t.Context())
		cycles(t, d, 2*testLease)
		before := s.expiries
		s.claim = func(int, string) ([]Event, error) { time.Sleep(testLease); return nil, nil }
		go func() { _, _ = d.Pass(t.Context()) }()
		time.Sleep(testLease / 6)
		cycles(t, d, testLease/2)
		if s.expiries != before {
			t.Error("leases expired while a claim hung")
		}
		synctest.Wait()
		time.Sleep(testLease)
	})
}
