package outbox

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClaim_CommittedClaimWithLostReplyIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		s.claimed = func(n int, _ string) ([]Event, error) {
			if n <= 3 {
				return nil, errDown
			}
			return []Event{contact(1), doc(2)}, nil
		}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.lookUps != 4 || post.count() != 2 || len(d.unknown.list()) != 0 {
			t.Errorf("%d look-ups, %d requests, unknown: %v", s.lookUps, post.count(), d.unknown.list())
		}
		for _, batch := range s.writes() {
			for _, o := range batch {
				if o.ClaimID != s.ids[0] || o.Verdict != Sent {
					t.Errorf("recorded %+v, claim %s was expected", o, s.ids[0])
				}
			}
		}
	})
}

func TestClaim_UnknownClaimIsReleasedForALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		d, logs := newTestDispatcher(s, post)
		if n, _ := d.Pass(t.Context()); n != 0 {
			t.Fatalf("%d events", n)
		}
		id := s.ids[0]
		for range 9 { // 10 s to 90 s: within a lease
			time.Sleep(10 * time.Second)
			d.Cycle(t.Context())
		}
		if len(s.released) != 9 {
			t.Fatalf("released %d times", len(s.released))
		}
		for _, ids := range s.released {
			if len(ids) != 1 || ids[0] != id {
				t.Errorf("released: %v, %s was expected", ids, id)
			}
		}
		s.release = func() (int, error) { return 0, errDown }
		time.Sleep(10 * time.Second)
		d.Cycle(t.Context())
		if len(d.unknown.list()) != 1 {
			t.Error("forgotten although it could not be released")
		}
		s.release = func() (int, error) { return 2, nil }
		d.Cycle(t.Context())
		d.Cycle(t.Context())
		if len(s.released) != 11 || len(d.unknown.list()) != 0 {
			t.Errorf("released %d times, 11 were expected; unknown: %v", len(s.released), d.unknown.list())
		}
		if n := logs.FilterMessage("released events of a claim whose reply was lost").Len(); n != 1 {
			t.Errorf("logged %d times", n)
		}
		if post.count() != 0 {
			t.Errorf("%d requests", post.count())
		}
	})
}

// Any other error means that nothing was claimed: it is not looked up, and the next
// claim has another id.
func TestClaim_FailedClaimIsRepeatedUnderAnotherID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) {
			switch {
			case n <= 5:
				return nil, errDown
			case n == 6:
				return []Event{contact(1)}, nil
			}
			return nil, nil
		}
		d, logs := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Minute)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		seen := map[string]bool{}
		for _, id := range s.ids {
			seen[id] = true
		}
		if len(seen) != len(s.ids) || s.lookUps != 0 || post.count() != 1 {
			t.Errorf("%d claims under %d ids, %d look-ups, %d requests", len(s.ids), len(seen), s.lookUps, post.count())
		}
		down, up := logs.FilterMessage("database unavailable, retrying").Len(), logs.FilterMessage("database available again").Len()
		if down != 1 || up != 1 {
			t.Errorf("%d lines say that the database is unavailable, %d that it is available again", down, up)
		}
	})
}

func TestClaim_UnknownClaimIsReleasedOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }}
		d, _ := newTestDispatcher(s, &fakeSender{})
		r := start(t, d)
		time.Sleep(time.Second)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		if len(s.released) != 1 || len(s.released[0]) != 1 || s.released[0][0] != s.ids[0] {
			t.Errorf("released: %v", s.released)
		}
	})
}
