package outbox

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// place is the place of an event by its id.
func place(id int64) Cursor {
	return Cursor{DueAt: fmt.Sprintf("2026-03-22 08:30:00.%06d+00", id), ID: id}
}

func dueBy(ids ...int64) (all []Event) {
	for _, id := range ids {
		all = append(all, due(id, place(id).DueAt, 4))
	}
	return all
}

func (c Cursor) withoutAge() Cursor { c.Age = 0; return c }

func TestCursor_ClaimLooksBackOneSecond(t *testing.T) {
	var s scan
	began := time.Now()
	for n := range 50 {
		s.begin(began.Add(time.Duration(n) * 100 * time.Millisecond))
		s.advance(began.Add(time.Duration(n)*100*time.Millisecond), dueBy(int64(n+1)), true)
	}
	s.deepAt = began.Add(4950 * time.Millisecond)
	if got, want := s.begin(began.Add(4990*time.Millisecond)), place(40); got.withoutAge() != want || got.Age != 1090*time.Millisecond {
		t.Errorf("after 5 s the scan begins at %+v, not at %+v", got, want)
	}
}

func TestCursor_EverySecondAClaimLooksBackFiveSeconds(t *testing.T) {
	var s scan
	began, deep := time.Now(), 0
	for n := range 500 { // 10 s of polls that find everything that is due
		now := began.Add(time.Duration(n) * 20 * time.Millisecond)
		c := s.begin(now)
		s.advance(now, nil, false)
		if n < 250 {
			continue
		}
		switch {
		case c.DueAt != "" || c.Age < lookBack || c.Age > deepLookBack+markEvery:
			t.Fatalf("the scan begins at %+v", c)
		case c.Age >= deepLookBack:
			deep++
		case c.Age > lookBack+markEvery:
			t.Fatalf("the scan looks back %s", c.Age)
		}
	}
	if deep != 5 {
		t.Errorf("%d of 250 polls look back for 5 s, 5 were expected", deep)
	}
}

func TestCursor_BusyScanLooksBackAHundredRows(t *testing.T) {
	var s scan
	began := time.Now()
	s.deepAt = began.Add(time.Hour)
	s.advance(began.Add(-time.Hour), nil, false)
	for n := range int64(100) {
		var batch []Event
		for id := range int64(64) {
			batch = append(batch, dueBy(n*64+id+1)...)
		}
		now := began.Add(time.Duration(n) * time.Millisecond)
		if c := s.begin(now); n > 10 && n*64-c.ID > lookBackRows+2*markEveryRows {
			t.Fatalf("behind %d claimed rows the scan begins at %d", n*64, c.ID)
		}
		s.advance(now, batch, true)
	}
}

func TestCursor_LaneThatHasNotReadForLongBeginsAtTheStart(t *testing.T) {
	var s scan
	now := time.Now()
	if c := s.begin(now); c != (Cursor{}) {
		t.Errorf("a new scan begins at %+v", c)
	}
	s.advance(now, dueBy(1), true)
	if c := s.begin(now.Add(20 * time.Millisecond)); c != (Cursor{}) {
		t.Errorf("after 20 ms it begins at %+v", c)
	}
}

func TestCursor_ReleasedEventIsReadByTheNextClaim(t *testing.T) {
	q := newQueue(Channels(), 0)
	ev := due(7, place(7).DueAt, 4)
	q.take(q.beginClaim(), []Event{ev})
	q.lane("contacts").retries.marks = []mark{{at: time.Now().Add(-time.Minute)}}
	q.done(ev, Outcome{Verdict: Released})
	q.remove([]Outcome{claimedEvent{event: ev}.outcome(Released)})
	want := Cursor{DueAt: place(7).DueAt, ID: 6}
	if got := q.of("contacts").Retries; got != want {
		t.Errorf("the retries are read from %+v, not from %+v", got, want)
	}
	q.take(q.beginClaim(), []Event{again(ev)})
	if got := q.of("contacts").Retries; got == want {
		t.Error("the retries are read from there once more, after everything behind it was read")
	}
}

// A later export of the same document has waited, and the scan has passed it.
func TestCursor_OutcomeOfADocumentRecallsTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Channels(), 0)
		ev := doc(1)
		claimedAt := time.Now()
		q.take(q.beginClaim(), []Event{ev})
		for range 600 { // 12 s
			time.Sleep(20 * time.Millisecond)
			q.take(q.beginClaim(), nil)
		}
		q.done(ev, Outcome{Verdict: Retry})
		q.remove([]Outcome{claimedEvent{event: ev, at: claimedAt}.outcome(Retry)})
		if got := q.of("documents").Fresh; got.withoutAge() != (Cursor{}) || got.Age != 0 && got.Age < 12*time.Second {
			t.Errorf("fresh documents are read from %+v", got)
		}
		if got := q.of("documents").Fresh; got.Age > deepLookBack+markEvery {
			t.Errorf("after that still from %+v", got)
		}
	})
}

func TestCursor_OverlookedEventIsReadUntilTheScanHasCaughtUp(t *testing.T) {
	var s scan
	now := time.Now()
	s.advance(now, dueBy(100), true)
	s.rewind(place(10))
	for _, to := range []int64{20, 30} {
		if c := s.begin(now); c.ID != to-10 {
			t.Fatalf("the scan begins at %d, not at %d", c.ID, to-10)
		}
		s.advance(now, dueBy(to), true)
	}
	s.begin(now)
	s.advance(now, nil, false)
	if s.behind != nil {
		t.Errorf("everything was read, and the scan still begins at %+v", *s.behind)
	}
	s.begin(now)
	s.rewind(Cursor{})
	s.advance(now, nil, false)
	if c := s.begin(now); c != (Cursor{}) || s.behind == nil {
		t.Errorf("the scan went back during a claim, and begins at %+v", c)
	}
}

func TestCursor_LimitedClaimHasNotReadEverything(t *testing.T) {
	for name, c := range map[string]struct {
		events         []Event
		retries, fresh Cursor // where the scans stand
	}{
		"all slots":       {dueBy(1, 2, 3, 4), Cursor{}, place(4)},
		"a slot is free":  {dueBy(1, 2, 3), Cursor{}, Cursor{}},
		"half retries":    {[]Event{again(dueBy(1)[0]), again(dueBy(2)[0])}, place(2), Cursor{}},
		"superseded only": {superseded(1, 2, 3, 4), Cursor{}, place(4)},
	} {
		q := newQueue(Channels(), 0)
		q.take(q.beginClaim(), c.events)
		l := q.lane("contacts")
		if got := l.retries.stands(time.Now()).withoutAge(); got != c.retries {
			t.Errorf("%s: the retries stand at %+v", name, got)
		}
		if got := l.fresh.stands(time.Now()).withoutAge(); got != c.fresh {
			t.Errorf("%s: the fresh events stand at %+v", name, got)
		}
	}
}

func superseded(ids ...int64) []Event {
	all := dueBy(ids...)
	for i := range all {
		all[i].Superseded, all[i].Attempts = true, 0
	}
	return all
}

func TestQueue_SupersededRowsTakeNoSlot(t *testing.T) {
	q := newQueue(Channels(), 0)
	if ready := q.take(q.beginClaim(), superseded(1, 2, 3, 4)); len(ready) != 0 || q.of("contacts").Occupied != 0 || q.inFlight() != 0 {
		t.Errorf("%d events to post, %+v", len(ready), q.of("contacts"))
	}
}

// TestCursor_RowsOfALateCommitAreReadOneAfterAnother: a transaction that wrote many rows commits after the scan has
// passed the instant at which they were due. Once a claim has found the first of them, the next ones go on there.
func TestCursor_RowsOfALateCommitAreReadOneAfterAnother(t *testing.T) {
	idle := time.Date(2026, 3, 22, 8, 30, 0, 0, time.UTC)
	var batch []Event
	for id := range int64(128) {
		batch = append(batch, Event{ID: id + 1, DueAt: "2026-03-22 08:29:59.9+00", DueFor: 250 * time.Millisecond})
	}
	for name, dueFor := range map[string]time.Duration{"late": 250 * time.Millisecond, "in time": 100 * time.Millisecond} {
		for i := range batch {
			batch[i].DueFor = dueFor
		}
		s := scan{deepAt: idle}
		s.advance(idle, nil, false) // everything that was due is read
		s.advance(idle.Add(150*time.Millisecond), batch, true)
		got, want := s.begin(idle.Add(170*time.Millisecond)), Cursor{Age: 170 * time.Millisecond}
		if name == "late" {
			want = Cursor{DueAt: "2026-03-22 08:29:59.9+00", ID: 128}
		}
		if got != want {
			t.Errorf("%s: the next claim begins at %+v, want %+v", name, got, want)
		}
	}
}
