package outbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// simTx is a claim between its snapshot and its commit.
type simTx struct {
	now      time.Duration // now(): when the statement began
	snapshot []simRow      // what had committed then
	enabled  []bool        // the switches in the snapshot
	offline  bool
	picked   []simPick
	tries    int
	leasedAt time.Duration // clock_timestamp() of its update
}

// simPick is a row of the CTE picked.
type simPick struct {
	row        *simRow
	followedBy int64
}

var errConflict = errors.New("SQLSTATE 23505")

// claimTries is store.claimTries.
const simClaimTries = 5

// look is the beginning of store.claimSQL: the snapshot. It says whether there
// is anything to claim.
func (db *simDB) look(c *simCall) bool {
	tx := db.s.newTx()
	c.tx = tx
	tx.now, tx.offline, tx.tries = db.clock(), db.offline, 0
	tx.snapshot, tx.enabled, tx.picked = tx.snapshot[:0], tx.enabled[:0], tx.picked[:0]
	found := false
	for _, r := range db.rows {
		tx.snapshot = append(tx.snapshot, *r)
		found = found || r.status == "pending" && !r.held() && r.due <= tx.now
	}
	for _, ch := range db.channels {
		tx.enabled = append(tx.enabled, ch.enabled)
	}
	return found
}

// pick is the CTE picked of store.claimSQL: the rows that fit, locked, and the
// switches, locked in share mode. What is locked by others is left out.
func (db *simDB) pick(c *simCall) {
	tx := c.tx
	tx.leasedAt = db.clock()
	for _, lane := range c.capacity {
		channel := slices.IndexFunc(channels[:], func(ch Channel) bool { return ch.Name == lane.Channel })
		ch := db.channels[channel]
		slots := max(ch.maxInFlight-lane.Occupied, 0)
		retries := slots
		if db.flaw != retriesFillTheLane {
			retries = max(max(1, ch.maxInFlight/2)-lane.Retrying, 0)
		}
		if lane.RetriesPaused {
			retries = 0
		}
		bytes := int64(0)
		for priority, most := range []int{slots, retries, slots} {
			for _, r := range db.claimable(tx, channel, priority) {
				if priority == 1 && tx.passed(lane.Retries, r) || priority == 2 && tx.passed(lane.Fresh, r) {
					continue
				}
				if slots == 0 || most == 0 {
					break
				}
				most--
				slots--
				fits := lane.ByteBudget == 0 || bytes < lane.ByteBudget
				bytes += int64(len(simData))
				if db.flaw != rowsNotLocked {
					r.lockedBy = tx // until the transaction ends, whatever its switch is
				}
				if fits && db.mayClaim(tx, r) {
					tx.picked = append(tx.picked, simPick{row: r, followedBy: db.followedBy(tx, r)})
				}
			}
		}
	}
	db.claims = append(db.claims, tx)
}

// claimable are the rows of one priority, in the order of the index outbox_pending. The conditions on
// the row hold as it is now, those on its document's other rows as the snapshot has them.
func (db *simDB) claimable(tx *simTx, channel, priority int) (rows []*simRow) {
	for i := range tx.snapshot {
		then, r := &tx.snapshot[i], db.rows[i]
		if then.channel != channel || then.priority() != priority || !then.isDue(tx.now) {
			continue
		}
		if (!r.isDue(tx.now) || r.priority() != priority) && db.flaw != rowsNotLocked || r.lockedBy != nil || tx.heldInSnapshot(then.document) {
			continue
		}
		if priority > 0 && !db.channels[channel].enabled && db.flaw != switchesNotLocked {
			continue
		}
		rows = append(rows, r)
	}
	if len(rows) > 1 {
		slices.SortStableFunc(rows, func(a, b *simRow) int { return cmp.Compare(a.due, b.due) })
	}
	return rows
}

// passed says whether a row stands before a cursor. A claim may overlook what the change of a switch
// uncovers here, until the next cycle.
func (tx *simTx) passed(c Cursor, r *simRow) bool {
	if c.DueAt == "" {
		return c.Age > 0 && r.due <= tx.now-c.Age
	}
	return !(Cursor{DueAt: simDueAt(r.due), ID: r.id}).after(c)
}

func (r *simRow) isDue(now time.Duration) bool {
	return r.status == "pending" && !r.held() && r.due <= now
}

func (tx *simTx) heldInSnapshot(document int) bool {
	if document == 0 {
		return false
	}
	return slices.ContainsFunc(tx.snapshot, func(r simRow) bool { return r.document == document && r.held() })
}

// mayClaim is "where c.enabled … and not s.offline_mode … for share of s, c skip
// locked". Under these locks the switches are as they are now; without them, as
// they were when the statement began.
func (db *simDB) mayClaim(tx *simTx, r *simRow) bool {
	if db.flaw == switchesNotLocked {
		return !tx.offline && (tx.enabled[r.channel] || r.isTest)
	}
	return !db.locked(r.channel) && !db.off(r)
}

// followedBy is the later export of the same document that the snapshot shows.
func (db *simDB) followedBy(tx *simTx, r *simRow) int64 {
	if r.document == 0 || db.flaw == laterExportsOverlooked {
		return 0
	}
	for _, later := range tx.snapshot[r.id:] {
		if later.document == r.document && later.status != "cancelled" {
			if db.flaw == finishedExportsOverlooked && later.finished() {
				continue
			}
			return later.id
		}
	}
	return 0
}

// commit is the end of store.claimSQL. A claim that the unique index or the
// trigger refuses begins anew, as store.Claim does.
func (db *simDB) commit(c *simCall) {
	for c.tx.tries++; db.conflict(c.tx) || db.overtaken(c.tx); c.tx.tries++ {
		tries := c.tx.tries
		db.release(c)
		if tries >= simClaimTries {
			c.err = errConflict
			return
		}
		db.look(c)
		db.pick(c)
		c.tx.tries = tries
	}
	for _, p := range c.tx.picked {
		if p.followedBy != 0 {
			db.supersede(p.row, p.followedBy)
		} else {
			db.lease(c, p.row)
		}
	}
	db.release(c)
}

// conflict says whether outbox_one_attempt_per_document refuses the claim.
func (db *simDB) conflict(tx *simTx) bool {
	return db.flaw != noUniqueIndex && slices.ContainsFunc(tx.picked, func(p simPick) bool {
		return p.followedBy == 0 && heldElsewhere(db.rows, p.row.document, p.row.id)
	})
}

// overtaken is the trigger never_an_older_export_after_a_newer: whether an
// export was followed by another one since the snapshot. It stands on the unique
// index, which keeps that one from being leased later.
func (db *simDB) overtaken(tx *simTx) bool {
	switch db.flaw {
	case overtakenExportsSent, noUniqueIndex, laterExportsOverlooked, finishedExportsOverlooked:
		return false // the trigger would hide what the others are for
	}
	return slices.ContainsFunc(tx.picked, func(p simPick) bool {
		return p.followedBy == 0 && p.row.document != 0 && slices.ContainsFunc(db.rows[p.row.id:], func(later *simRow) bool {
			return later.document == p.row.document && later.status != "cancelled"
		})
	})
}

func (db *simDB) supersede(r *simRow, by int64) {
	next := *r
	next.status, next.finishedAt, next.httpStatus = "superseded", db.clock(), 0
	next.failure, next.received, next.error = "", "", "superseded"
	db.put(r, next)
}

// lease is the update of store.claimSQL. It may be committed long after the row was updated.
func (db *simDB) lease(c *simCall, r *simRow) {
	db.s.mayCommitClaim(r)
	next := *r
	next.status = "sending"
	if r.atLeastOnce {
		next.status = "pending"
	}
	next.attempts++
	next.claimID = c.claimID
	next.leasedUntil = c.tx.leasedAt + db.s.lease
	db.put(r, next)
	c.events = append(c.events, db.event(r))
}

// release ends a claim's transaction, whether it has committed or not.
func (db *simDB) release(c *simCall) {
	if c.tx == nil {
		return
	}
	for _, r := range db.rows {
		if r.lockedBy == any(c.tx) {
			r.lockedBy = nil
		}
	}
	db.claims = slices.DeleteFunc(db.claims, func(tx *simTx) bool { return tx == c.tx })
	db.s.spareTx = append(db.s.spareTx, c.tx)
	c.tx = nil
}

// claimed is the query of store.LookUpClaim.
func (db *simDB) claimed(c *simCall) {
	c.over = !slices.ContainsFunc(db.s.calls, func(other *simCall) bool { return other.kind == simClaim && other.claimID == c.claimID })
	for _, r := range db.rows {
		if r.claimID == c.claimID && r.held() {
			c.events = append(c.events, db.event(r))
		}
	}
}

// event is a row as a claim returns it. Its token names row and claim, so that each Check and each POST
// can be attributed.
func (db *simDB) event(r *simRow) Event {
	ev := Event{
		ID: r.id, Name: channels[r.channel].Event, Channel: channels[r.channel].Name,
		Data: simData, Validated: true, DueAt: simDueAt(r.due), OccurredAt: "2026-03-22 08:30:00+00",
		Attempts: r.attempts, IsTest: r.isTest, AtLeastOnce: r.atLeastOnce, ClaimID: r.claimID,
		Endpoint: Endpoint{URL: "https://re.example", Token: simToken(r.id, r.claimID), DocumentBaseURL: "https://re.example", InstanceID: "i", MaxInFlight: db.channels[r.channel].maxInFlight},
	}
	if r.broken {
		ev.OccurredAt = "infinity"
	}
	return ev
}

var simData = json.RawMessage(`{"id":1,"status":"Export"}`)

// simDueAt is a time as text that sorts like the time.
func simDueAt(at time.Duration) string { return fmt.Sprintf("%020d", at) }

func simToken(id int64, claimID string) string {
	return string(rune('0'+id)) + claimID
}
