package outbox

// sweep is the statement of store.ExpireLeases.
func (db *simDB) sweep(c *simCall) {
	for _, r := range db.rows {
		if !r.held() || r.leasedUntil >= db.clock() || r.lockedBy != nil {
			continue
		}
		next := *r
		next.leasedUntil, next.httpStatus = 0, 0
		next.error = simInterrupted
		if r.status == "sending" && db.flaw != sweepRequeues {
			next.status, next.finishedAt = "failed", db.clock()
		} else {
			next.status, next.due = "pending", db.clock()
		}
		db.put(r, next)
		c.n++
	}
}

const simInterrupted = "interrupted: outcome unknown"

// skip is the statement of store.Skip.
func (db *simDB) skip(c *simCall) {
	for _, r := range db.rows {
		off := !db.channels[r.channel].enabled && !db.offline && !db.locked(r.channel)
		if !off || r.channel == documentsChannel || r.isTest || r.status != "pending" || r.held() || r.lockedBy != nil {
			continue
		}
		next := *r
		next.status, next.finishedAt = "skipped", db.clock()
		db.put(r, next)
		c.n++
	}
}
