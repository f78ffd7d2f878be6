package outbox

// Cursor is a place in the order in which a lane's fresh events are claimed. The zero value is before
// all of them.
type Cursor struct {
	DueAt string // as Event.DueAt
	ID    int64
}

// after compares places. PostgreSQL's ISO texts in UTC sort like the times they stand for, in the
// years 1 to 9999.
func (c Cursor) after(other Cursor) bool {
	if c.DueAt != other.DueAt {
		return c.DueAt > other.DueAt
	}
	return c.ID > other.ID
}

// scan decides where the next claim of a lane begins to read.
type scan struct {
	cursor    Cursor
	restarted bool // since the claim that is under way read the cursor
}

// begin returns the cursor for a claim.
func (s *scan) begin() Cursor {
	s.restarted = false
	return s.cursor
}

// advance moves the cursor behind the fresh events that a claim returned. A claim that filled its
// lane is followed by another as soon as there is capacity, and the index still holds the dead entries
// of everything that was claimed, for as long as any transaction might see them: reading them again
// would make a poll slower with every claim. A row that commits late stands before the cursor. It is
// found as soon as a claim does not fill its lane, and in the next cycle at the latest.
func (s *scan) advance(events []claimed, filled bool) {
	if !filled || s.restarted {
		s.cursor = Cursor{}
		return
	}
	for _, c := range events {
		at := Cursor{c.event.DueAt, c.event.ID}
		if !c.event.isRetry() && !c.event.IsTest && at.after(s.cursor) {
			s.cursor = at
		}
	}
}

// restart lets the next claim read from the start, also if one is under way with an older cursor.
func (s *scan) restart() {
	s.cursor, s.restarted = Cursor{}, true
}
