package outbox

import (
	"fmt"
	"testing"
	"time"
)

func due(id int64, at string, slots int) Event {
	ev := contact(id)
	ev.DueAt, ev.Attempts, ev.Endpoint.MaxInFlight = at, 1, slots
	return ev
}

// take admits events of one claim.
func (l *lanes) take(told []Lane, events []Event) (ready []claimed) {
	batch := make([]claimed, len(events))
	for i, ev := range events {
		batch[i] = claimed{event: ev}
	}
	return l.admit(told, batch)
}

// of is what a claim would be told of one channel.
func (l *lanes) of(channel string) Lane {
	for _, told := range l.snapshot() {
		if told.Channel == channel {
			return told
		}
	}
	return Lane{}
}

func TestAClaimThatFilledItsLaneIsFollowedByOneThatStartsBehindIt(t *testing.T) {
	const early, late = "2026-03-22 08:30:00+00", "2026-03-22 08:30:00.5+00"
	l := newLanes(Channels(), 0)
	l.take(l.snapshot(), []Event{due(3, early, 3), due(1, late, 3), due(2, late, 3)})
	if got, want := l.of("contacts").Floor, (Floor{late, 2}); got != want {
		t.Errorf("the next claim starts at %v, not at %v", got, want)
	}
	if got := l.of("folders").Floor; got != (Floor{}) {
		t.Errorf("another lane starts at %v", got)
	}

	for name, then := range map[string]func(){
		"a claim that leaves a slot free": func() { l.free(due(1, late, 3), Outcome{Verdict: Sent}); l.take(l.snapshot(), nil) },
		"the next cycle":                  l.cycle,
	} {
		before := append([]lane(nil), l.lanes...)
		then()
		if got := l.of("contacts").Floor; got != (Floor{}) {
			t.Errorf("after %s the lane starts at %v, not at its beginning", name, got)
		}
		l.lanes = before
	}
}

func TestALaneThatWasNotFilledIsLookedThroughFromItsStart(t *testing.T) {
	l := newLanes(Channels(), 0)
	l.take(l.snapshot(), []Event{due(1, "2026-03-22 08:30:00+00", 3), due(2, "2026-03-22 08:30:00+00", 3)})
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("it starts at %v: what commits late would be missed", got)
	}
}

func TestRetriesAndTestsMoveNoFloor(t *testing.T) {
	l := newLanes(Channels(), 0)
	again, test := due(1, "2026-03-22 08:30:00+00", 2), due(2, "2026-03-22 08:30:00+00", 2)
	again.Attempts, test.IsTest = 2, true
	l.take(l.snapshot(), []Event{again, test})
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("the lane starts at %v", got)
	}
}

func TestALaneTakesNoMoreBytesThanItsLimitAndAlwaysOneEvent(t *testing.T) {
	l := newLanes(Channels(), 100)
	big := due(1, "2026-03-22 08:30:00+00", 8)
	big.Data = []byte(fmt.Sprintf(`{"name": "%0200d"}`, 7))
	small := due(2, "2026-03-22 08:30:00+00", 8)
	small.Data = []byte(`{"name": "x"}`)

	if got := l.of("contacts").Room; got != 100 {
		t.Fatalf("an empty lane has room for %d bytes", got)
	}
	l.take(l.snapshot(), []Event{small})
	if got := l.of("contacts").Room; got != 87 {
		t.Errorf("beside 13 bytes there is room for %d", got)
	}
	l.take(l.snapshot(), []Event{big})
	if got := l.of("contacts").Room; got >= 0 {
		t.Errorf("beside more than the limit there is room for %d", got)
	}
	l.free(small, Outcome{Verdict: Sent})
	l.free(big, Outcome{Verdict: Failed})
	if got := l.of("contacts").Room; got != 100 {
		t.Errorf("empty again, it has room for %d", got)
	}
}

func TestRetriesThatAllFailAreBoundedInACycleUntilOneSucceeds(t *testing.T) {
	l := newLanes(Channels(), 0)
	again := doc(1)
	again.Attempts = 2
	fail := func(n int) {
		for range n {
			l.take(l.snapshot(), []Event{again})
			l.free(again, Outcome{Verdict: Retry})
		}
	}
	fresh := doc(2)
	fresh.Attempts = 1
	l.take(l.snapshot(), []Event{fresh})
	l.free(fresh, Outcome{Verdict: Retry})
	if l.of("documents").GivenUp {
		t.Error("a fresh document that failed counts as a retry")
	}
	fail(maxFailed - 1)
	if l.of("documents").GivenUp {
		t.Error("given up too early")
	}
	fail(1)
	if !l.of("documents").GivenUp {
		t.Error("there is no end of retries in this cycle")
	}
	l.take(l.snapshot(), []Event{fresh})
	l.free(fresh, Outcome{Verdict: Sent})
	if l.of("documents").GivenUp {
		t.Error("still given up after a success")
	}
	fail(maxFailed)
	l.cycle()
	if l.of("documents").GivenUp {
		t.Error("still given up in the next cycle")
	}
}

func TestFirstAttemptsThatAllFailAreBoundedInACycleUntilOneSucceeds(t *testing.T) {
	l := newLanes(Channels(), 0)
	fresh := doc(1)
	attempt := func(n int, v Verdict) {
		for range n {
			l.take(l.snapshot(), []Event{fresh})
			l.free(fresh, Outcome{Verdict: v})
			l.settle([]Outcome{{Channel: fresh.Channel}})
		}
	}
	stopped := func() bool { return l.of("documents").Busy > 1000 }
	for name, then := range map[string]func(){"a success": func() { attempt(1, Sent) }, "the next cycle": l.cycle} {
		attempt(maxFailed-1, Retry)
		if stopped() {
			t.Fatalf("stopped too early, before %s", name)
		}
		attempt(1, Retry)
		if !stopped() {
			t.Errorf("there is no end of first attempts in this cycle, before %s", name)
		}
		then()
		if stopped() {
			t.Errorf("still stopped after %s", name)
		}
	}
}

func TestACycleThatBeginsDuringAClaimIsNotForgotten(t *testing.T) {
	l := newLanes(Channels(), 0)
	const at = "2026-03-22 08:30:00+00"
	told := l.snapshot()
	l.cycle()
	l.take(told, []Event{due(1, at, 2), due(2, at, 2)})
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("the lane starts at %v: what committed late would wait for another cycle", got)
	}
	l.free(due(1, at, 2), Outcome{Verdict: Sent})
	l.take(l.snapshot(), []Event{due(3, at, 2)})
	if got := l.of("contacts").Floor; got != (Floor{at, 3}) {
		t.Errorf("after that the lane starts at %v", got)
	}
}

func TestALaneThatIsFullKeepsItsFloorWhileOthersClaim(t *testing.T) {
	l := newLanes(Channels(), 0)
	const at = "2026-03-22 08:30:00+00"
	l.take(l.snapshot(), []Event{due(1, at, 2), due(2, at, 2)})
	l.take(l.snapshot(), nil)
	if got := l.of("contacts").Floor; got != (Floor{at, 2}) {
		t.Errorf("the lane starts at %v", got)
	}
	l.cycle()
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("in the next cycle the lane starts at %v", got)
	}
}

// attempted has n events of a lane come and go, each in the same time.
func attempted(l *lanes, n, slots int, took time.Duration) {
	for range n {
		l.take(l.snapshot(), events(1, 1, slots))
		l.free(due(1, "", slots), Outcome{Verdict: Sent, Result: Result{Took: took}})
	}
}

func events(from, n int64, slots int) (all []Event) {
	for id := from; id < from+n; id++ {
		all = append(all, due(id, "2026-03-22 08:30:00+00", slots))
	}
	return all
}

func TestALaneIsGivenItsSlotsAndWhatItPostsInTenMilliseconds(t *testing.T) {
	for _, c := range []struct {
		slots int
		took  time.Duration
		ahead int
	}{
		{40, time.Millisecond, 40}, {40, 10 * time.Millisecond, 40}, {40, 20 * time.Millisecond, 20}, {40, 401 * time.Millisecond, 0},
		{40, 0, 0}, {31, time.Millisecond, 0},
	} {
		l := newLanes(Channels(), 0)
		attempted(l, 50, c.slots, c.took)
		if busy := l.of("contacts").Busy; busy != 0 {
			t.Errorf("an empty lane is told to have %d slots in use", busy)
		}
		l.take(l.snapshot(), events(1, int64(c.slots), c.slots))
		if ahead := c.slots - l.of("contacts").Busy; ahead != c.ahead {
			t.Errorf("%d slots, attempts of %s: %d events are claimed ahead, not %d", c.slots, c.took, ahead, c.ahead)
		}
	}
}

func TestALaneFollowsHowLongItsAttemptsTake(t *testing.T) {
	l := newLanes(Channels(), 0)
	attempted(l, 50, 40, time.Millisecond)
	attempted(l, 3, 40, 30*time.Second)
	l.take(l.snapshot(), events(1, 40, 40))
	if busy := l.of("contacts").Busy; busy != 40 {
		t.Errorf("after three attempts that timed out, %d events are still claimed ahead", 40-busy)
	}
}

func TestNoMoreIsPostedAtOnceThanThereAreSlotsAndTheRestInItsOrder(t *testing.T) {
	l := newLanes(Channels(), 0)
	ready := l.take(l.snapshot(), events(1, 6, 4))
	if len(ready) != 4 {
		t.Fatalf("%d of 6 events may be posted at once, in 4 slots", len(ready))
	}
	if more := l.take(l.snapshot(), events(7, 1, 4)); len(more) != 0 {
		t.Errorf("one more may be posted beside 4")
	}
	for want := int64(5); want <= 7; want++ {
		next, ok := l.free(due(1, "", 4), Outcome{Verdict: Sent})
		if !ok || next.event.ID != want {
			t.Errorf("a free slot goes to event %d (%t), not to %d", next.event.ID, ok, want)
		}
	}
	if next, ok := l.free(due(1, "", 4), Outcome{Verdict: Sent}); ok {
		t.Errorf("event %d comes from nowhere", next.event.ID)
	}
}

// The next claim comes as soon as it is worth it, and in time for the slots.
func TestAClaimWaitsUntilItBringsEnough(t *testing.T) {
	for _, c := range []struct {
		took         time.Duration
		held, finish int
	}{{time.Millisecond, 80, 30}, {time.Second, 40, 1}} {
		l := newLanes(Channels(), 0)
		attempted(l, 50, 40, c.took)
		l.take(l.snapshot(), events(1, int64(c.held), 40))
		<-l.freed // of the attempts before
		finished := 0
		for ready := false; !ready && finished < c.held; {
			l.free(due(1, "", 40), Outcome{Verdict: Sent, Result: Result{Took: c.took}})
			finished++
			select {
			case <-l.freed:
				ready = true
			default:
			}
		}
		if finished != c.finish {
			t.Errorf("attempts of %s: the next claim comes after %d of %d have finished, not after %d", c.took, finished, c.held, c.finish)
		}
	}
}
