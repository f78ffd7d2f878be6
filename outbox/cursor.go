package outbox

import "time"

// Cursor is a place in the order in which the events of one priority of a lane are claimed, by due time
// and id. The zero value is before all of them.
type Cursor struct {
	DueAt string        // as Event.DueAt; empty, with an Age: the place is behind everything that was due then
	ID    int64         //
	Age   time.Duration // how long ago a scan stood there; 0: not from a scan, it holds whatever was switched since
}

// after compares places that have a DueAt. PostgreSQL's ISO texts in UTC sort like the times they stand
// for, in the years 1 to 9999.
func (c Cursor) after(other Cursor) bool {
	if c.DueAt != other.DueAt {
		return c.DueAt > other.DueAt
	}
	return c.ID > other.ID
}

// How far a claim looks back behind the place where the scan stands, for transactions that commit late.
// The index still holds the entries of everything that was claimed, for as long as any transaction
// might see them: a claim that began at the start would become slower with every event. What commits
// later than that is found by Overlooked, in the next cycle.
const (
	lookBack      = time.Second            // by each claim,
	lookBackRows  = 100                    // but not behind more claimed rows than these,
	deepEvery     = time.Second            // and once a second
	deepLookBack  = 5 * time.Second        // so far, behind any number of rows
	markEvery     = 100 * time.Millisecond // places are kept so far apart,
	markEveryRows = 50                     // or so,
	keepMarks     = 40 * time.Second       // and so long: longer than an attempt lasts by default
)

// scan decides where the next claim begins to read one priority of a lane.
type scan struct {
	marks   []mark // where it stood, in the order of time
	claimed int    // rows, in all
	deepAt  time.Time
	since   time.Time // once: begin where the scan stood then; zero: no wish
	behind  *Cursor   // begin there until everything behind it was read; nil: no wish
	rewound bool      // since the claim that is under way began
}

// mark is where the scan stood after a claim.
type mark struct {
	at      time.Time // when the claim began
	place   Cursor    // its last row; zero: it read everything that was due
	claimed int
}

// begin returns the cursor for a claim.
func (s *scan) begin(now time.Time) Cursor {
	s.rewound = false
	if s.behind != nil {
		return *s.behind
	}
	until, rows := now.Add(-lookBack), lookBackRows
	if now.Sub(s.deepAt) >= deepEvery {
		s.deepAt, until, rows = now, now.Add(-deepLookBack), s.claimed+1
	}
	if !s.since.IsZero() && s.since.Before(until) {
		until, rows = s.since, s.claimed+1
	}
	s.since = time.Time{}
	for i := len(s.marks) - 1; i >= 0; i-- {
		if m := s.marks[i]; !m.at.After(until) || s.claimed-m.claimed >= rows {
			m.place.Age = now.Sub(m.at)
			return m.place
		}
	}
	return Cursor{}
}

// stands is the place before which everything was read.
func (s *scan) stands(now time.Time) Cursor {
	if s.behind != nil {
		return *s.behind
	}
	if len(s.marks) == 0 {
		return Cursor{}
	}
	m := s.marks[len(s.marks)-1]
	m.place.Age = now.Sub(m.at)
	return m.place
}

// advance moves the scan on after a claim that began at that instant and returned these events of its
// priority. filled: there may have been more.
func (s *scan) advance(at time.Time, events []Event, filled bool) {
	place, dueFor := Cursor{}, time.Duration(0)
	for _, ev := range events {
		if c := (Cursor{DueAt: ev.DueAt, ID: ev.ID}); place.DueAt == "" || c.after(place) {
			place, dueFor = c, ev.DueFor
		}
	}
	late := s.late(at, dueFor)
	s.claimed += len(events)
	switch {
	case !filled:
		if !s.rewound {
			s.behind = nil
		}
		s.mark(mark{at: at, claimed: s.claimed})
	case place.DueAt == "":
	case s.behind == nil && late:
		s.behind = &place // others of its transaction are due as early, and have committed as late
	case s.behind == nil:
		s.mark(mark{at: at, place: place, claimed: s.claimed})
	case s.rewound:
	case s.caughtUp(place):
		s.behind = nil
		s.mark(mark{at: at, place: place, claimed: s.claimed})
	default:
		s.behind = &place
	}
}

// late reports whether an event that was due for so long at a claim committed after a scan had read
// everything that was due then.
func (s *scan) late(at time.Time, dueFor time.Duration) bool {
	n := len(s.marks)
	return n > 0 && s.marks[n-1].place.DueAt == "" && dueFor > at.Sub(s.marks[n-1].at)
}

// caughtUp reports whether a scan that went back is where it stood before.
func (s *scan) caughtUp(place Cursor) bool {
	n := len(s.marks)
	return n > 0 && s.marks[n-1].place.DueAt != "" && place.after(s.marks[n-1].place)
}

// mark keeps a place, unless there is one near it.
func (s *scan) mark(m mark) {
	if n := len(s.marks); n > 0 && m.at.Sub(s.marks[n-1].at) < markEvery && m.claimed-s.marks[n-1].claimed < markEveryRows {
		return
	}
	old := 0
	for old < len(s.marks) && m.at.Sub(s.marks[old].at) > keepMarks {
		old++
	}
	s.marks = append(s.marks[old:], m)
}

// rewind lets the next claims read from a place on.
func (s *scan) rewind(to Cursor) {
	if s.behind == nil || s.behind.after(to) {
		s.behind = &to
	}
	s.rewound = true
}

// recall lets the next claim begin where the scan stood at an instant.
func (s *scan) recall(at time.Time) {
	if s.since.IsZero() || at.Before(s.since) {
		s.since = at
	}
}
