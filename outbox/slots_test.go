package outbox

import (
	"testing"
	"testing/synctest"
	"time"
)

// attempted delivers n events of a lane one after the other, each in the same time.
func attempted(q *queue, n, slots int, took time.Duration) {
	for range n {
		q.take(q.beginClaim(), events(1, 1, slots))
		q.done(due(1, "", slots), Outcome{Verdict: Sent, Result: Result{Took: took}})
	}
}

func events(from, n int64, slots int) (all []Event) {
	for id := from; id < from+n; id++ {
		all = append(all, due(id, "2026-03-22 08:30:00+00", slots))
	}
	return all
}

func TestSlots_PrefetchIsWhatIsPostedInTenMilliseconds(t *testing.T) {
	for _, c := range []struct {
		slots int
		took  time.Duration
		ahead int
	}{
		{40, time.Millisecond, 40}, {40, 10 * time.Millisecond, 40}, {40, 20 * time.Millisecond, 20}, {40, 401 * time.Millisecond, 0},
		{40, 0, 0}, {31, time.Millisecond, 0},
	} {
		q := newQueue(Channels(), 0)
		attempted(q, 50, c.slots, c.took)
		if busy := q.of("contacts").Occupied; busy != 0 {
			t.Errorf("an empty lane has %d slots in use", busy)
		}
		q.take(q.beginClaim(), events(1, int64(c.slots), c.slots))
		if ahead := c.slots - q.of("contacts").Occupied; ahead != c.ahead {
			t.Errorf("%d slots, attempts of %s: %d events are prefetched, not %d", c.slots, c.took, ahead, c.ahead)
		}
	}
}

func TestSlots_LatencyFollowsTheNewestAttempts(t *testing.T) {
	q := newQueue(Channels(), 0)
	attempted(q, 50, 40, time.Millisecond)
	attempted(q, 3, 40, 30*time.Second)
	q.take(q.beginClaim(), events(1, 40, 40))
	if busy := q.of("contacts").Occupied; busy != 40 {
		t.Errorf("after three attempts that timed out, %d events are still prefetched", 40-busy)
	}
}

func TestSlots_NoMorePOSTsThanSlotsInClaimOrder(t *testing.T) {
	q := newQueue(Channels(), 0)
	ready := q.take(q.beginClaim(), events(1, 6, 4))
	if len(ready) != 4 {
		t.Fatalf("%d of 6 events may be posted at once, in 4 slots", len(ready))
	}
	if more := q.take(q.beginClaim(), events(7, 1, 4)); len(more) != 0 {
		t.Errorf("one more may be posted beside 4")
	}
	for want := int64(5); want <= 7; want++ {
		next, ok := q.done(due(1, "", 4), Outcome{Verdict: Sent})
		if !ok || next.event.ID != want {
			t.Errorf("a free slot goes to event %d (%t), not to %d", next.event.ID, ok, want)
		}
	}
	if next, ok := q.done(due(1, "", 4), Outcome{Verdict: Sent}); ok {
		t.Errorf("event %d was never claimed", next.event.ID)
	}
}

// The next claim comes as soon as it is worth it, and in time for the slots.
func TestSlots_NextClaimWaitsUntilItReturnsEnough(t *testing.T) {
	for _, c := range []struct {
		took         time.Duration
		held, finish int
	}{{time.Millisecond, 80, 30}, {time.Second, 40, 1}} {
		q := newQueue(Channels(), 0)
		attempted(q, 50, 40, c.took)
		q.take(q.beginClaim(), events(1, int64(c.held), 40))
		if len(q.wake) > 0 {
			t.Error("attempts whose claims had room for more make a claim")
		}
		finished := 0
		for ready := false; !ready && finished < c.held; {
			q.done(due(1, "", 40), Outcome{Verdict: Sent, Result: Result{Took: c.took}})
			finished++
			select {
			case <-q.wake:
				ready = true
			default:
			}
		}
		if finished != c.finish {
			t.Errorf("attempts of %s: the next claim comes after %d of %d have finished, not after %d", c.took, finished, c.held, c.finish)
		}
	}
}

func TestSlots_SingleSlotAlternatesBetweenRetriesAndFreshEvents(t *testing.T) {
	q := newQueue(Channels(), 0)
	ev := due(1, "2026-03-22 08:30:00+00", 1)
	paused := func() bool { return q.of("contacts").RetriesPaused }
	q.take(q.beginClaim(), []Event{again(ev)})
	q.take(q.beginClaim(), nil) // no slot was free
	if !paused() {
		t.Error("a retry is claimed after a retry")
	}
	q.done(again(ev), Outcome{Verdict: Sent})
	q.take(q.beginClaim(), []Event{ev})
	if paused() {
		t.Error("no retry is claimed after a fresh event")
	}
	q.done(ev, Outcome{Verdict: Sent})
	q.take(q.beginClaim(), []Event{again(ev)})
	q.done(again(ev), Outcome{Verdict: Sent})
	q.take(q.beginClaim(), nil) // no fresh event waits
	if paused() {
		t.Error("no retry is claimed although no fresh event waits")
	}
}

func TestSlots_PacedLaneAlternatesAndPrefetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Channels(), 0)
		ev := due(1, "2026-03-22 08:30:00+00", 128)
		ev.Endpoint.MaxPerSecond = 10
		q.take(q.beginClaim(), []Event{again(ev)})
		q.done(again(ev), Outcome{Verdict: Sent, Result: Result{Took: time.Millisecond}})
		for range 5 {
			q.take(q.beginClaim(), nil) // the rate is used up
			if !q.of("contacts").RetriesPaused {
				t.Fatal("a retry is claimed after a retry")
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		q.take(q.beginClaim(), nil)
		if q.of("contacts").RetriesPaused {
			t.Error("no retry is claimed although no fresh event waits")
		}
		q.take(q.beginClaim(), []Event{ev})
		if c := q.of("contacts"); c.Occupied != 1 {
			t.Errorf("beside one event there is room for %d more than the slots", 1-c.Occupied)
		}
	})
}
