package outbox

import "time"

// simDB is webhook.outbox, the switches and their locks, as committed. Its
// methods are the statements of package store, each executed in one instant, except the claim, whose
// snapshot, locks and commit are three.
type simDB struct {
	s      *simSchedule
	flaw   simFlaw
	clock  func() time.Duration // clock_timestamp()
	rows   []*simRow            // in the order of their ids, which begin with 1
	newest int64                // the sequence; ahead of the rows by the ids that were drawn and rolled back
	drawn  int64                // by transactions that are open
	down   bool                 // connections are refused

	offline  bool
	channels []simChannel // as in Channels()
	claims   []*simTx     // claims that hold locks
	flip     *simFlip     // a change of a switch that is not committed yet
	retried  int          // a channel whose events are delivered at least once, beside the documents
}

// simRow is a row of webhook.outbox: the columns that the protocol depends on.
// Times are on the database's clock, zero is null.
type simRow struct {
	id          int64
	channel     int
	document    int // document_id, 0 is null
	isTest      bool
	broken      bool // it cannot be rendered
	status      string
	due         time.Duration
	atLeastOnce bool
	attempts    int
	claimID     string
	leasedUntil time.Duration
	finishedAt  time.Duration
	syncedAt    time.Duration
	httpStatus  int
	failure     Failure
	received    Received
	error       string

	lockedBy any // the transaction that locks it: a *simTx, or simOtherSession
}

// simChannel is a row of webhook.channels.
type simChannel struct {
	enabled     bool
	maxInFlight int
}

// simFlip is an update of a switch between its lock and its commit.
type simFlip struct {
	channel int // -1 is Offline Mode
	value   bool
}

const documentsChannel = 0

func (r *simRow) isDocument() bool { return r.channel == documentsChannel && !r.isTest }
func (r *simRow) finished() bool   { return r.finishedAt != 0 }
func (r *simRow) held() bool       { return r.leasedUntil != 0 }

// atLeastOnce is webhook.at_least_once, of a channel's event.
func (db *simDB) atLeastOnce(channel int) bool {
	return channel == documentsChannel || channel == db.retried
}

// priority is the second column of outbox_pending: 0 a test event, 1 claimed before, 2 fresh.
func (r *simRow) priority() int {
	switch {
	case r.isTest:
		return 0
	case r.attempts > 0:
		return 1
	}
	return 2
}

// simCycle is the spec's retry cycle.
const simCycle = 10 * time.Second

// nextMark is the next multiple of ten seconds, as store.recordSQL has it.
func (db *simDB) nextMark() time.Duration {
	return db.clock().Truncate(simCycle) + simCycle
}

// insert is webhook.publish, committed.
func (db *simDB) insert(r simRow) *simRow {
	r.id, r.status, r.due = int64(len(db.rows)+1), "pending", db.clock()
	if db.drawn > 0 {
		db.drawn--
	} else {
		db.newest++
	}
	if !r.isDocument() {
		r.document = 0
	}
	r.atLeastOnce = db.atLeastOnce(r.channel) && !r.isTest
	db.rows = append(db.rows, &r)
	return &r
}

// put changes a row, as far as the triggers of schema.sql allow it.
func (db *simDB) put(r *simRow, next simRow) {
	if r.finished() { // the trigger finished_rows_never_change
		db.s.fail("row %d is %s and was to become %s: a finished row never changes", r.id, r.status, next.status)
	}
	next.lockedBy = r.lockedBy
	*r = next
	if broken := r.brokenRule(); broken != "" {
		db.s.fail("row %d, now %s, breaks the rule %s", r.id, r.status, broken)
	}
	db.s.maySayReceived(r)
}

// brokenRule names the rule of webhook.outbox that a row breaks.
func (r *simRow) brokenRule() string {
	var finished, sending bool
	switch r.status {
	case "sent", "failed", "skipped", "superseded", "cancelled":
		finished = true
	case "sending":
		sending = true
	}
	leasable := sending || r.status == "pending" && r.atLeastOnce
	switch {
	case r.atLeastOnce && (sending || r.status == "failed" || r.status == "skipped"):
		return "outbox_at_least_once_stays_pending"
	case r.status == "superseded" && !r.isDocument():
		return "outbox_only_a_document_is_superseded"
	case sending && !r.held():
		return "outbox_sending_is_leased"
	case r.held() && (!leasable || r.attempts == 0 || r.claimID == ""):
		return "outbox_lease_is_of_a_claim"
	case r.finished() != finished:
		return "outbox_finished_at_is_set_when_finished"
	case (r.syncedAt != 0) != (r.status == "sent" && r.channel == documentsChannel):
		return "outbox_synced_at_is_set_when_a_document_is_sent"
	case r.status == "failed" && (r.failure == "" || r.received == ""):
		return "outbox_failed_has_a_failure"
	case r.status == "sent" && (r.httpStatus == 0 || r.error != "" || r.failure != "" || r.received != ReceivedYes):
		return "outbox_sent_has_an_answer"
	}
	return ""
}

// heldElsewhere says whether another row of this document is leased.
func heldElsewhere(rows []*simRow, document int, id int64) bool {
	if document == 0 {
		return false
	}
	for _, r := range rows {
		if r.document == document && r.id != id && r.held() {
			return true
		}
	}
	return false
}

// locked says whether a change of a switch holds this channel's row, or the settings'.
func (db *simDB) locked(channel int) bool {
	return db.flip != nil && (db.flip.channel == channel || db.flip.channel < 0)
}

// beginFlip takes the lock of a switch; false if a claim under way shares it.
func (db *simDB) beginFlip(f simFlip) bool {
	for _, tx := range db.claims {
		for _, p := range tx.picked {
			if f.channel < 0 || f.channel == p.row.channel {
				return false
			}
		}
	}
	db.flip = &f
	return true
}

// commitFlip makes a change of a switch visible.
func (db *simDB) commitFlip() {
	if f := db.flip; f.channel < 0 {
		db.offline = f.value
	} else {
		db.channels[f.channel].enabled = f.value
	}
	db.flip = nil
}

// off says whether the switches forbid a row to be claimed.
func (db *simDB) off(r *simRow) bool {
	return db.offline || !db.channels[r.channel].enabled && !r.isTest
}
