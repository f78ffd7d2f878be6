package outbox

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestClaim_CommittedClaimWithLostReplyIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		s.claimed = func(n int, _ string) ([]Event, bool, error) {
			if n <= 3 {
				return nil, false, errDown
			}
			return []Event{contact(1), doc(2)}, false, nil
		}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.lookUps != 4 || post.count() != 2 || d.claims.unknowns() != 0 {
			t.Errorf("%d look-ups, %d requests, unknown: %d", s.lookUps, post.count(), d.claims.unknowns())
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

// A commit that is delayed: the look-up finds nothing for minutes, then events that are too old to be
// sent. Until then nothing else is claimed; then they are released.
func TestClaim_FoundLateIsReleasedAndNoOtherIsMadeBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		began := time.Now()
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		s.claimed = func(int, string) ([]Event, bool, error) {
			if time.Since(began) < 4*time.Minute {
				return nil, false, nil
			}
			return []Event{contact(1), doc(2)}, false, nil
		}
		releases := 0
		s.release = func() (int, error) {
			if releases++; releases == 1 {
				return 0, errDown
			}
			return 2, nil
		}
		d, logs := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(4*time.Minute - time.Second)
		if s.claims() != 1 || s.lookUps < 4*60 || len(s.released) != 0 {
			t.Errorf("before: %d claims, %d look-ups, released %v", s.claims(), s.lookUps, s.released)
		}
		time.Sleep(5 * time.Second)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		if releases != 2 || s.released[1][0] != s.ids[0] || s.claims() < 2 || post.count() != 0 {
			t.Errorf("after: released %v, %d claims, %d requests", s.released, s.claims(), post.count())
		}
		if n := logs.FilterMessage("released events of a claim whose reply was lost").Len(); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// The session of the claim has ended, and nothing is found: it will never commit.
func TestClaim_ThatIsOverIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		s.claimed = func(n int, _ string) ([]Event, bool, error) { return nil, n == 3, nil }
		d, _ := newTestDispatcher(s, &fakeSender{})
		if _, err := d.Pass(t.Context()); !errors.Is(err, ErrReplyLost) {
			t.Fatal(err)
		}
		if _, err := d.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.claims() != 2 || s.lookUps != 3 || len(s.released) != 0 || d.claims.unknowns() != 0 {
			t.Errorf("%d claims, %d look-ups, released %v", s.claims(), s.lookUps, s.released)
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

// The database has answered: it is available, and leases go on to expire.
func TestClaim_LostRaceOrDenialIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{expired: func() ([]string, error) { return []string{"another worker's"}, nil }}
		d, logs := newTestDispatcher(s, &fakeSender{})
		d.Cycle(t.Context())
		s.claim = func(n int, _ string) ([]Event, error) {
			return nil, fmt.Errorf("claim: %w", []error{ErrConflict, ErrDenied, ErrRejected}[n%3])
		}
		r := start(t, d)
		cycles(t, d, 2*testLease)
		if len(s.expiring) == 0 {
			t.Error("no lease expired")
		}
		if n := s.claims(); n > 300 {
			t.Errorf("%d claims in %s", n, 2*testLease)
		}
		if n := logs.FilterMessage("claim failed, retrying").Len(); n < 2 || n > 20 {
			t.Errorf("logged %d times", n)
		}
		if n := logs.FilterMessage("database unavailable, retrying").Len(); n != 0 {
			t.Errorf("an outage was logged %d times", n)
		}
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}
