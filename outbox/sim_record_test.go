package outbox

import "slices"

// record is store.Record. A row that another session locks is waited for or skipped, as the scheduler
// decides. It returns false while it waits.
func (db *simDB) record(c *simCall) bool {
	if slices.ContainsFunc(c.outcomes, func(o Outcome) bool { return o.Result.Response == simPoison || o.Result.Error == simPoison }) {
		c.err = errValue
		return true
	}
	for _, o := range c.outcomes {
		if r := db.rows[o.EventID-1]; db.leasedUnder(r, o) && r.lockedBy != nil {
			c.locked = append(c.locked, o)
		}
	}
	if len(c.locked) > 0 && db.s.rng.IntN(2) == 0 {
		c.locked = nil
		return false
	}
	for _, o := range c.outcomes {
		switch r := db.rows[o.EventID-1]; {
		case !db.leasedUnder(r, o):
			c.leaseLost = append(c.leaseLost, o)
		case r.lockedBy == nil:
			db.write(r, o)
		}
	}
	return true
}

// simPoison is a text that no text column holds.
const simPoison = "\x00"

// leasedUnder: where o.id = r.id and o.leased_until is not null and o.claim_id = r.claim_id.
func (db *simDB) leasedUnder(r *simRow, o Outcome) bool {
	if db.flaw == recordedUnderAnyClaim {
		return !r.finished() && r.attempts > 0
	}
	return r.held() && r.claimID == o.ClaimID
}

func (db *simDB) write(r *simRow, o Outcome) {
	db.s.mayWrite(r, o)
	next := *r
	next.leasedUntil = 0
	next.status = "pending"
	if o.Verdict == Sent || o.Verdict == Failed {
		next.status, next.finishedAt = string(o.Verdict), db.clock()
	}
	if o.Verdict == Sent && r.channel == documentsChannel {
		next.syncedAt = db.clock()
	}
	if o.Verdict == Retry {
		next.due = db.nextMark()
	}
	if o.Verdict != Released {
		next.httpStatus, next.error = o.Result.Status, o.Result.Error
		next.failure, next.received = o.Result.Failure, o.Result.Received
	}
	db.put(r, next)
}

// waitForLock: a statement waits half a second for a lock, then SQLSTATE 55P03.
func (db *simDB) waitForLock(c *simCall) (over bool) {
	if db.s.rng.IntN(2) == 0 {
		return false
	}
	c.err = errLocked
	return true
}

// releaseClaims is the statement of store.ReleaseClaims.
func (db *simDB) releaseClaims(c *simCall) bool {
	given := func(r *simRow) bool { return r.held() && slices.Contains(c.claimIDs, r.claimID) }
	for _, r := range db.rows {
		if given(r) && r.lockedBy != nil {
			return db.waitForLock(c)
		}
	}
	for _, r := range db.rows {
		if given(r) {
			next := *r
			next.status, next.leasedUntil = "pending", 0
			db.put(r, next)
			c.n++
		}
	}
	return true
}
