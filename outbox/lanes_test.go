package outbox

import (
	"fmt"
	"testing"
)

func due(id int64, at string, slots int) Event {
	ev := contact(id)
	ev.DueAt, ev.Attempts, ev.Endpoint.MaxInFlight = at, 1, slots
	return ev
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
	l.claimed(l.snapshot(), []Event{due(3, early, 3), due(1, late, 3), due(2, late, 3)})
	if got, want := l.of("contacts").Floor, (Floor{late, 2}); got != want {
		t.Errorf("the next claim starts at %v, not at %v", got, want)
	}
	if got := l.of("folders").Floor; got != (Floor{}) {
		t.Errorf("another lane starts at %v", got)
	}

	for name, then := range map[string]func(){
		"a claim that leaves a slot free": func() { l.free(due(1, late, 3), Sent); l.claimed(l.snapshot(), nil) },
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
	l.claimed(l.snapshot(), []Event{due(1, "2026-03-22 08:30:00+00", 3), due(2, "2026-03-22 08:30:00+00", 3)})
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("it starts at %v: what commits late would be missed", got)
	}
}

func TestRetriesAndTestsMoveNoFloor(t *testing.T) {
	l := newLanes(Channels(), 0)
	again, test := due(1, "2026-03-22 08:30:00+00", 2), due(2, "2026-03-22 08:30:00+00", 2)
	again.Attempts, test.IsTest = 2, true
	l.claimed(l.snapshot(), []Event{again, test})
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
	l.claimed(l.snapshot(), []Event{small})
	if got := l.of("contacts").Room; got != 87 {
		t.Errorf("beside 13 bytes there is room for %d", got)
	}
	l.claimed(l.snapshot(), []Event{big})
	if got := l.of("contacts").Room; got >= 0 {
		t.Errorf("beside more than the limit there is room for %d", got)
	}
	l.free(small, Sent)
	l.free(big, Failed)
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
			l.claimed(l.snapshot(), []Event{again})
			l.free(again, Later)
		}
	}
	fresh := doc(2)
	fresh.Attempts = 1
	l.claimed(l.snapshot(), []Event{fresh})
	l.free(fresh, Later)
	if l.of("documents").GivenUp {
		t.Error("a fresh document that failed counts as a retry")
	}
	fail(maxFailedRetries - 1)
	if l.of("documents").GivenUp {
		t.Error("given up too early")
	}
	fail(1)
	if !l.of("documents").GivenUp {
		t.Error("there is no end of retries in this cycle")
	}
	l.claimed(l.snapshot(), []Event{fresh})
	l.free(fresh, Sent)
	if l.of("documents").GivenUp {
		t.Error("still given up after a success")
	}
	fail(maxFailedRetries)
	l.cycle()
	if l.of("documents").GivenUp {
		t.Error("still given up in the next cycle")
	}
}

func TestACycleThatBeginsDuringAClaimIsNotForgotten(t *testing.T) {
	l := newLanes(Channels(), 0)
	const at = "2026-03-22 08:30:00+00"
	told := l.snapshot()
	l.cycle()
	l.claimed(told, []Event{due(1, at, 2), due(2, at, 2)})
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("the lane starts at %v: what committed late would wait for another cycle", got)
	}
	l.free(due(1, at, 2), Sent)
	l.claimed(l.snapshot(), []Event{due(3, at, 2)})
	if got := l.of("contacts").Floor; got != (Floor{at, 3}) {
		t.Errorf("after that the lane starts at %v", got)
	}
}

func TestALaneThatIsFullKeepsItsFloorWhileOthersClaim(t *testing.T) {
	l := newLanes(Channels(), 0)
	const at = "2026-03-22 08:30:00+00"
	l.claimed(l.snapshot(), []Event{due(1, at, 2), due(2, at, 2)})
	l.claimed(l.snapshot(), nil)
	if got := l.of("contacts").Floor; got != (Floor{at, 2}) {
		t.Errorf("the lane starts at %v", got)
	}
	l.cycle()
	if got := l.of("contacts").Floor; got != (Floor{}) {
		t.Errorf("in the next cycle the lane starts at %v", got)
	}
}
