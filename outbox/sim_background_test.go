package outbox

import "slices"

// expired is the query of store.Expired.
func (db *simDB) expired(c *simCall) {
	for _, r := range db.rows {
		if r.held() && r.leasedUntil < db.clock() && !slices.Contains(c.claimIDs, r.claimID) {
			c.claimIDs = append(c.claimIDs, r.claimID)
		}
	}
}

// expire is the statement of store.ExpireLeases.
func (db *simDB) expire(c *simCall) {
	for _, r := range db.rows {
		if !r.held() || r.leasedUntil >= db.clock() || r.lockedBy != nil || !slices.Contains(c.claimIDs, r.claimID) {
			continue
		}
		db.s.mayExpireRow(c, r)
		next := *r
		next.leasedUntil, next.httpStatus = 0, 0
		next.failure, next.received, next.error = FailureInterrupted, ReceivedMaybe, "interrupted"
		if !r.atLeastOnce && db.flaw != expiryRequeues {
			next.status, next.finishedAt = "failed", db.clock()
		} else {
			next.status, next.due = "pending", db.clock()
		}
		db.put(r, next)
		c.expired(ExpiredLeases{Channel: channels[r.channel].Name, AtLeastOnce: r.atLeastOnce, Events: 1})
	}
}

// expired adds to the leases that were ended.
func (c *simCall) expired(one ExpiredLeases) {
	for i := range c.leases {
		if l := &c.leases[i]; l.Channel == one.Channel && l.AtLeastOnce == one.AtLeastOnce {
			l.Events += one.Events
			return
		}
	}
	c.leases = append(c.leases, one)
}

// skip is the statement of store.Skip.
func (db *simDB) skip(c *simCall) {
	for _, r := range db.rows {
		off := !db.channels[r.channel].enabled && !db.offline && !db.locked(r.channel)
		if !off || db.atLeastOnce(r.channel) || r.isTest || r.status != "pending" || r.held() || r.lockedBy != nil {
			continue
		}
		next := *r
		next.status, next.finishedAt = "skipped", db.clock()
		db.put(r, next)
		c.n++
	}
}
