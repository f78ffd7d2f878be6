package outbox

import (
	"testing"
)

func TestCursor_FullLaneContinuesBehindItsClaim(t *testing.T) {
	const early, late = "2026-03-22 08:30:00+00", "2026-03-22 08:30:00.5+00"
	q := newQueue(Channels(), 0)
	q.take(q.capacity(), []Event{due(3, early, 3), due(1, late, 3), due(2, late, 3)})
	if got, want := q.of("contacts").Cursor, (Cursor{late, 2}); got != want {
		t.Errorf("the next claim starts at %v, not at %v", got, want)
	}
	if got := q.of("folders").Cursor; got != (Cursor{}) {
		t.Errorf("another lane starts at %v", got)
	}

	for name, then := range map[string]func(){
		"a claim that leaves a slot free": func() { q.done(due(1, late, 3), Outcome{Verdict: Sent}); q.take(q.capacity(), nil) },
		"the next cycle":                  q.restart,
	} {
		before := append([]lane(nil), q.lanes...)
		then()
		if got := q.of("contacts").Cursor; got != (Cursor{}) {
			t.Errorf("after %s the lane starts at %v, not at its beginning", name, got)
		}
		q.lanes = before
	}
}

func TestCursor_LaneThatWasNotFilledStartsAgain(t *testing.T) {
	q := newQueue(Channels(), 0)
	q.take(q.capacity(), []Event{due(1, "2026-03-22 08:30:00+00", 3), due(2, "2026-03-22 08:30:00+00", 3)})
	if got := q.of("contacts").Cursor; got != (Cursor{}) {
		t.Errorf("it starts at %v: what commits late would be missed", got)
	}
}

func TestCursor_RetriesAndTestsDoNotMoveIt(t *testing.T) {
	q := newQueue(Channels(), 0)
	again, test := due(1, "2026-03-22 08:30:00+00", 2), due(2, "2026-03-22 08:30:00+00", 2)
	again.Attempts, test.IsTest = 2, true
	q.take(q.capacity(), []Event{again, test})
	if got := q.of("contacts").Cursor; got != (Cursor{}) {
		t.Errorf("the lane starts at %v", got)
	}
}

func TestCursor_CycleDuringAClaimRestartsTheScan(t *testing.T) {
	q := newQueue(Channels(), 0)
	const at = "2026-03-22 08:30:00+00"
	asked := q.capacity()
	q.restart()
	q.take(asked, []Event{due(1, at, 2), due(2, at, 2)})
	if got := q.of("contacts").Cursor; got != (Cursor{}) {
		t.Errorf("the lane starts at %v: what committed late would wait for another cycle", got)
	}
	q.done(due(1, at, 2), Outcome{Verdict: Sent})
	q.take(q.capacity(), []Event{due(3, at, 2)})
	if got := q.of("contacts").Cursor; got != (Cursor{at, 3}) {
		t.Errorf("after that the lane starts at %v", got)
	}
}

func TestCursor_FullLaneKeepsItsPlaceWhileOthersClaim(t *testing.T) {
	q := newQueue(Channels(), 0)
	const at = "2026-03-22 08:30:00+00"
	q.take(q.capacity(), []Event{due(1, at, 2), due(2, at, 2)})
	q.take(q.capacity(), nil)
	if got := q.of("contacts").Cursor; got != (Cursor{at, 2}) {
		t.Errorf("the lane starts at %v", got)
	}
	q.restart()
	if got := q.of("contacts").Cursor; got != (Cursor{}) {
		t.Errorf("in the next cycle the lane starts at %v", got)
	}
}
