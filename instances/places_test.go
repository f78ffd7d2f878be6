package instances

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// queue has instances of a kind ask for a place one after the other, and notes the order in which they get one.
func queue(ctx context.Context, p *places, kind int, got *[]string, names ...string) {
	for _, name := range names {
		go func() {
			if p.acquire(ctx, kind) {
				*got = append(*got, name)
			}
		}()
		synctest.Wait()
	}
}

func TestPlaces_InTheOrderOfAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, got := newPlaces(2), []string{}
		queue(t.Context(), p, quick, &got, "a", "b", "c", "d")
		if !slices.Equal(got, []string{"a", "b"}) || !p.wanted(quick) {
			t.Errorf("of two places %v got one", got)
		}
		p.release(quick)
		synctest.Wait()
		p.release(quick)
		synctest.Wait()
		if !slices.Equal(got, []string{"a", "b", "c", "d"}) || p.wanted(quick) {
			t.Errorf("then %v", got)
		}
	})
}

func TestPlaces_SlowOnesHaveHalfAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, got := newPlaces(4), []string{}
		queue(t.Context(), p, slow, &got, "s1", "s2", "s3", "s4")
		if !slices.Equal(got, []string{"s1", "s2"}) {
			t.Errorf("%v have a place", got)
		}
		if p.wanted(quick) {
			t.Error("the place of a quick one is wanted by one that could not have it")
		}
		queue(t.Context(), p, quick, &got, "q1", "q2", "q3")
		if !slices.Equal(got, []string{"s1", "s2", "q1", "q2"}) {
			t.Errorf("%v have a place", got)
		}
		p.release(slow)
		synctest.Wait()
		p.release(quick)
		synctest.Wait()
		if !slices.Equal(got[4:], []string{"s3", "q3"}) {
			t.Errorf("then %v", got[4:])
		}
	})
}

func TestPlaces_OneThatEndsWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, got := newPlaces(1), []string{}
		queue(t.Context(), p, quick, &got, "a")
		ctx, cancel := context.WithCancel(t.Context())
		queue(ctx, p, quick, &got, "b")
		queue(t.Context(), p, quick, &got, "c")
		cancel()
		synctest.Wait()
		p.release(quick)
		synctest.Wait()
		if !slices.Equal(got, []string{"a", "c"}) || p.wanted(quick) {
			t.Errorf("%v got a place", got)
		}
	})
}

func TestTurn_Ends(t *testing.T) {
	for name, c := range map[string]struct {
		turn turn
		want int
	}{
		"it works":                              {turn{lasted: time.Hour, inFlight: 3}, goesOn},
		"it has nothing to do, for a while":     {turn{worked: idleFor}, isOver},
		"for a moment":                          {turn{worked: restFor}, goesOn},
		"for a moment, and others wait":         {turn{worked: restFor, wanted: true}, isOver},
		"it waits for a receiver":               {turn{worked: time.Hour, inFlight: 1}, goesOn},
		"others wait for long":                  {turn{lasted: turnFor, inFlight: 3, wanted: true}, isOver},
		"others wait for a moment":              {turn{lasted: turnFor - 1, inFlight: 3, wanted: true}, goesOn},
		"its database does not answer":          {turn{polled: unavailableAfter, inFlight: 3}, isUnavailable},
		"its database does not answer just now": {turn{polled: unavailableAfter - 1, inFlight: 3}, goesOn},
	} {
		if got := c.turn.end(); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestPace_BecomesRarerUpToTheStatedLatency(t *testing.T) {
	for _, c := range []struct{ worked, most, want time.Duration }{
		{0, time.Second, 20 * time.Millisecond},
		{time.Second, time.Second, time.Second / 16},
		{16 * time.Second, time.Second, time.Second},
		{1<<63 - 1, time.Second, time.Second},
		{time.Hour, 30 * time.Second, 30 * time.Second},
		{time.Hour, 5 * time.Millisecond, 5 * time.Millisecond},
	} {
		if got := pace(c.worked, c.most); got != c.want {
			t.Errorf("%s after an event, at most %s: %s", c.worked, c.most, got)
		}
	}
}
