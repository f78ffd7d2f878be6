package outbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// TestTurn_RecordsWhatItHasBegunHoweverLongThatTakes: only a stop limits a drain, the end of a turn does not.
func TestTurn_RecordsWhatItHasBegunHoweverLongThatTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(time.Hour)
		s := &fakeStore{claim: firstOnly(contact(1), doc(2)), record: func(int, []Outcome) error {
			if time.Now().Before(until) {
				return errDown
			}
			return nil
		}}
		d, _ := newTestDispatcher(s, &fakeSender{})
		rest, end := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- d.Turn(t.Context(), t.Context(), rest) }()
		time.Sleep(time.Second)
		end()
		synctest.Wait()
		claims := s.claims()
		time.Sleep(time.Hour + 10*time.Second)
		select {
		case err := <-over:
			if err != nil || d.queue.inFlight() != 0 {
				t.Errorf("%v, %d are open", err, d.queue.inFlight())
			}
		default:
			t.Error("the turn has not ended an hour later, when the database accepts the outcomes")
		}
		if s.claims() != claims {
			t.Error("it has claimed after its rest")
		}
	})
}

func TestTurn_StopLimitsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1)), record: func(int, []Outcome) error { return errDown }}
		d, _ := newTestDispatcher(s, &fakeSender{})
		stop, end := context.WithCancel(t.Context())
		rest, endTurn := context.WithCancel(stop)
		over := make(chan error, 1)
		go func() { over <- d.Turn(t.Context(), stop, rest) }()
		time.Sleep(time.Second)
		endTurn()
		time.Sleep(time.Minute)
		end()
		began := time.Now()
		if err := <-over; err == nil {
			t.Error("no error, and an outcome is not recorded")
		}
		if took := time.Since(began); took > testTimeout+drainBeyond {
			t.Errorf("it ended %s after the stop", took)
		}
	})
}

func TestTurn_MayFollowAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			if n%2 == 0 { // or no time would pass between two claims
				return nil, nil
			}
			return []Event{contact(int64(n))}, nil
		}}
		d, _ := newTestDispatcher(s, &fakeSender{})
		for turn := range 3 {
			rest, end := context.WithTimeout(t.Context(), time.Second)
			if err := d.Turn(t.Context(), t.Context(), rest); err != nil {
				t.Error(err)
			}
			end()
			if n := d.queue.inFlight(); n != 0 {
				t.Errorf("after turn %d %d are open", turn, n)
			}
			time.Sleep(time.Minute)
		}
		recorded := map[int64]int{}
		for _, batch := range s.writes() {
			for _, o := range batch {
				recorded[o.EventID]++
			}
		}
		if len(recorded) != (s.claims()+1)/2 || len(recorded) < 100 {
			t.Errorf("%d of %d events are recorded", len(recorded), s.claims())
		}
	})
}

// TestTurn_BeginsItsScansAnew: what committed while it rested stands anywhere.
func TestTurn_BeginsItsScansAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := newTestDispatcher(s, &fakeSender{})
		first := 0
		for range 2 {
			first = s.claims()
			rest, end := context.WithTimeout(t.Context(), time.Minute)
			if err := d.Turn(t.Context(), t.Context(), rest); err != nil {
				t.Error(err)
			}
			end()
			time.Sleep(time.Second)
		}
		for _, c := range s.asked[first] {
			if c.Fresh != s.asked[0][0].Fresh || c.Retries != s.asked[0][0].Retries {
				t.Errorf("the second turn begins to read %s from %+v", c.Channel, c.Fresh)
			}
		}
	})
}

func TestShares_DivideATotalAmongDispatchers(t *testing.T) {
	for _, c := range []struct{ held, want []int64 }{
		{[]int64{0, 0}, []int64{250, 250}},
		{[]int64{400, 0}, []int64{750, 250}},
		{[]int64{400, 300}, []int64{550, 450}},
		{[]int64{900, 0}, []int64{750, 250}},
	} {
		got := Shares(1000, c.held)
		if got[0] != c.want[0] || got[1] != c.want[1] {
			t.Errorf("who hold %v may hold %v, want %v", c.held, got, c.want)
		}
	}
}

// TestTurn_EndsNoStatementThatIsUnderWay: a probe that is cut off while it is being prepared costs all calls their
// connections, and those of the cycle go on between two turns.
func TestTurn_EndsNoStatementThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &probedStore{fakeStore: &fakeStore{newest: func(known int64) (int64, error) { return known, nil }}}
		d := New(s, &fakeSender{}, zap.NewNop(), Options{PollInterval: 20 * time.Millisecond, Timeout: testTimeout, Lease: testLease})
		for range 3 {
			rest, end := context.WithTimeout(t.Context(), time.Second+35*time.Millisecond)
			if err := d.Turn(t.Context(), t.Context(), rest); err != nil {
				t.Error(err)
			}
			end()
		}
		if s.probes == 0 || s.cut > 0 {
			t.Errorf("%d of %d probes were cut off", s.cut, s.probes)
		}
	})
}

// probedStore counts the probes, and those whose context ended while they were under way.
type probedStore struct {
	*fakeStore
	probes, cut int
}

func (s *probedStore) Newest(ctx context.Context, known int64, every time.Duration, times int) (int64, error) {
	s.probes++
	newest, err := s.fakeStore.Newest(ctx, known, every, times)
	if ctx.Err() != nil {
		s.cut++
	}
	return newest, err
}
