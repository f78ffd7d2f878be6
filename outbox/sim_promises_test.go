package outbox

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"
)

// mayCommitClaim: no claim commits after a switch has committed.
func (s *simSchedule) mayCommitClaim(r *simRow) {
	if s.db.off(r) {
		s.fail("row %d was claimed after its switch had committed", r.id)
	}
}

// mayHold: never more is claimed than there are slots, and as many that wait for one; where events are
// delivered at least once, retries hold at most half of the slots (at least one).
func (s *simSchedule) mayHold(w *simWorker, events []Event) {
	for i, ch := range s.db.channels {
		claimed, claimedAgain, held, again := 0, 0, 0, 0
		for _, ev := range events {
			if ev.Channel == channels[i].Name {
				claimed++
				if ev.Attempts > 1 && !ev.IsTest {
					claimedAgain++
				}
			}
		}
		for _, h := range w.holds {
			waited := !h.begun && s.now()-h.claimedAt >= slotWaitLimit // released, or about to be
			if !h.ended && !waited && h.event.Channel == channels[i].Name {
				held++
				if h.event.Attempts > 1 && !h.event.IsTest {
					again++
				}
			}
		}
		if claimed > 0 && held > 2*ch.maxInFlight {
			s.fail("worker %d holds %d events of %s, it has %d slots", w.id, held, channels[i].Name, ch.maxInFlight)
		}
		if before := int64((held - 1) * len(simData)); claimed > 0 && s.laneBytes > 0 && before >= s.laneBytes {
			s.fail("worker %d claimed an event of %s behind %d bytes, of %d", w.id, channels[i].Name, before, s.laneBytes)
		}
		if s.db.atLeastOnce(i) && claimedAgain > 0 && again > max(1, ch.maxInFlight/2) {
			s.fail("worker %d retries %d events at once in %d slots", w.id, again, ch.maxInFlight)
		}
	}
}

// mayBeginPost holds what is promised of the instant in which a POST begins.
func (s *simSchedule) mayBeginPost(c *simCall) {
	h, w := c.held, c.worker
	r := s.db.rows[h.event.ID-1]
	if within := min(beginLimit, s.lease-2*s.timeout); c.at-h.claimedAt > within {
		s.fail("row %d: its POST begins %s after its claim, at most %s were promised", r.id, c.at-h.claimedAt, within)
	}
	if w.released[h.event.ClaimID] {
		s.fail("row %d: a POST under a claim that is unknown or released", r.id)
	}
	if h.post != nil {
		s.fail("row %d: a second POST of one claim", r.id)
	}
	for _, p := range s.posts {
		if p.row == r && !r.atLeastOnce {
			s.fail("row %d: a second POST of an event that is sent at most once", r.id)
		}
		// One that is older than its time limit belongs to a worker that was frozen.
		if !p.over && r.document != 0 && p.row.document == r.document && c.at <= p.at+s.timeout {
			s.fail("document %d: rows %d and %d are POSTed at once", r.document, p.row.id, r.id)
		}
	}
	underWay := 0
	for _, other := range w.holds {
		if other.post != nil && !other.post.over && other.event.Channel == h.event.Channel {
			underWay++
		}
	}
	if most := s.db.channels[r.channel].maxInFlight; underWay >= most {
		s.fail("row %d: worker %d begins a POST beside %d others of %s, it has %d slots", r.id, w.id, underWay, h.event.Channel, most)
	}
	h.post = &simPost{row: r, held: h, at: c.at}
	s.posts = append(s.posts, h.post)
	s.sameBytes(h.post, c.request.Body)
}

// sameBytes: the bytes of one event never differ.
func (s *simSchedule) sameBytes(p *simPost, body []byte) {
	p.bodyHash = maphash.Bytes(bodySeed, body)
	for _, other := range s.posts {
		if other.row == p.row && other.bodyHash != p.bodyHash {
			s.fail("row %d: its bytes differ from one attempt to the next", p.row.id)
		}
	}
}

var bodySeed = maphash.MakeSeed()

// mayArrive: a receiver never sees an older export after a newer one, except of a worker that was frozen
// in the middle of its request, for which it is not promised.
func (s *simSchedule) mayArrive(p *simPost) {
	late := s.now() > p.at+s.timeout
	if late {
		p.late = true
		return
	}
	if p.row.document == 0 {
		return
	}
	for _, other := range s.posts {
		if other.arrived && !other.late && other.row.document == p.row.document && other.row.id > p.row.id {
			s.fail("document %d: row %d arrives after row %d, which is newer", p.row.document, p.row.id, other.row.id)
		}
	}
}

// mayRecordOutcomes: what a worker records is what happened.
func (s *simSchedule) mayRecordOutcomes(c *simCall) {
	for _, o := range c.outcomes {
		h := s.holdings[simToken(o.EventID, o.ClaimID)]
		if h == nil || h.worker != c.worker {
			s.fail("row %d: an outcome of a claim that worker %d never made", o.EventID, c.worker.id)
			return
		}
		if problem := h.contradicts(o); problem != "" {
			s.fail("row %d: the outcome %q is untrue: %s", o.EventID, o.Verdict, problem)
		}
	}
}

// contradicts says what speaks against an outcome.
func (h *simHolding) contradicts(o Outcome) string {
	if h.post != nil && !h.post.over {
		return "its POST is still under way"
	}
	delivered := h.post != nil && h.post.result.Delivered()
	switch {
	case o.Verdict == Sent && !delivered:
		return "there was no counted success"
	case o.Verdict != Sent && delivered:
		return "there was a counted success"
	case o.Verdict == Released && h.post != nil:
		return "a POST was begun"
	case o.Verdict == Failed && h.event.AtLeastOnce:
		return "an event that is delivered at least once never fails"
	case o.Verdict == Retry && !h.event.AtLeastOnce && h.post != nil:
		return "it was the one attempt"
	case h.post != nil && o.Result.Status != h.post.result.Status:
		return fmt.Sprintf("the answer was HTTP %d", h.post.result.Status)
	case h.post != nil && (o.Result.Failure != h.post.result.Failure || o.Result.Received != h.post.result.Received):
		return fmt.Sprintf("failure %q, received %q", h.post.result.Failure, h.post.result.Received)
	case h.post == nil && o.Verdict != Released && (o.Result.Failure == "" || o.Result.Received != ReceivedNo):
		return "no POST was begun"
	}
	return ""
}

// maySayReceived: a row whose newest attempt may have reached its receiver never says that it did not.
func (s *simSchedule) maySayReceived(r *simRow) {
	for _, p := range s.posts {
		if p.row == r && p.has && p.held.event.ClaimID == r.claimID && !r.held() && r.received == ReceivedNo {
			s.fail("row %d is %s and says that its receiver does not have it", r.id, r.status)
		}
	}
}

// mayWrite: the row is still leased under the claim whose outcome is written.
func (s *simSchedule) mayWrite(r *simRow, o Outcome) {
	if r.claimID != o.ClaimID {
		s.fail("row %d: the outcome of a claim that lost its lease is recorded", r.id)
	}
	if !r.held() {
		s.fail("row %d: an outcome is recorded of a row that is not leased", r.id)
	}
	if o.Verdict == Sent {
		s.met.sent++
	}
}

// judgeHealth notes the failure of a statement that affects the database's health.
func (s *simSchedule) judgeHealth(w *simWorker, c *simCall) {
	judged := c.kind == simClaim || c.kind == simRecord || c.kind == simExpire
	if judged && c.err != nil && !errors.Is(c.err, ErrRejected) && !errors.Is(c.err, errLocked) {
		w.troubleAt = s.now()
	}
}

// mayExpire: a worker that has just connected, or reconnected, expires leases only after one lease, so
// that outcomes held during an outage are recorded first.
func (s *simSchedule) mayExpire(w *simWorker) {
	if since := s.now() - w.troubleAt; since < s.lease {
		s.fail("worker %d expires leases %s after a statement failed", w.id, since)
	}
}

// mayExpireRow: no worker expires a row that it holds itself.
func (s *simSchedule) mayExpireRow(c *simCall, r *simRow) {
	h := s.holdings[simToken(r.id, r.claimID)]
	if h != nil && h.worker == c.worker && !h.recorded && !c.orphan {
		s.fail("row %d: worker %d expires a lease that it holds", r.id, c.worker.id)
	}
}

// mayClaim: while a claim may still commit its worker makes no other.
func (s *simSchedule) mayClaim(w *simWorker) {
	for _, other := range s.calls {
		if other.kind == simClaim && other.worker == w && other.orphan {
			s.fail("worker %d claims, and its claim %d may still commit", w.id, s.claimNo(other.claimID))
		}
	}
}

// mayStillDrain: a worker that was asked to stop ends within an attempt and five seconds.
func (s *simSchedule) mayStillDrain() {
	for _, w := range s.workers {
		late := s.now() - w.stoppedAt - s.timeout - drainBeyond
		if w.alive() && w.stoppedAt != 0 && !w.everFrozen && late > time.Second {
			s.fail("worker %d has not stopped, %s too late", w.id, late)
		}
	}
}

// endOf is a worker whose Run has returned.
func (s *simSchedule) endOf(w *simWorker) {
	s.note("has ended", w)
	if w.stoppedAt == 0 {
		s.fail("worker %d ends although it was not asked to: %v", w.id, w.endErr)
	}
	open := 0
	for _, h := range w.holds {
		if !h.recorded {
			open++
		}
	}
	if w.endErr == nil && open > 0 {
		s.fail("worker %d says that all is recorded, %d attempts are not", w.id, open)
	}
	if w.endErr != nil && s.resting && s.stoppedAtRest(w) {
		s.fail("worker %d was stopped at rest and says: %v", w.id, w.endErr)
	}
	w.kill()
}

func (s *simSchedule) stoppedAtRest(w *simWorker) bool {
	return w.stoppedAt >= s.restedAt && s.restedAt > 0
}

// allFinished says whether nothing is left to deliver.
func (s *simSchedule) allFinished() bool {
	for _, r := range s.db.rows {
		if !r.finished() {
			return false
		}
	}
	return true
}

func (s *simSchedule) unfinished() string {
	var rows []string
	for _, r := range s.db.rows {
		if !r.finished() {
			rows = append(rows, fmt.Sprintf("row %d of %s is %s after %d attempts, due %s, leased until %s (now %s)",
				r.id, channels[r.channel].Name, r.status, r.attempts, r.due, r.leasedUntil, s.db.clock()))
		}
	}
	return strings.Join(rows, "; ")
}

// mustBeAtRest holds what is promised once the faults are over and everything is finished.
func (s *simSchedule) mustBeAtRest() {
	if s.failure != "" {
		return
	}
	if n := s.living(); n > 0 {
		s.fail("%d workers do not stop", n)
	}
	for _, r := range s.db.rows {
		s.mustBeTrue(r)
	}
}

// mustBeTrue compares a finished row with what its receiver has.
func (s *simSchedule) mustBeTrue(r *simRow) {
	begun, counted, thatStatus := 0, 0, 0
	for _, p := range s.posts {
		if p.row == r {
			begun++
			if p.counted && p.arrived && p.held.event.ClaimID == r.claimID {
				counted++
			}
			if p.arrived && p.result.Status == r.httpStatus {
				thatStatus++
			}
		}
	}
	switch r.status {
	case "sent":
		if counted != 1 {
			s.fail("row %d is sent, its newest attempt had %d counted successes", r.id, counted)
		}
		if r.failure != "" || r.received != ReceivedYes {
			s.fail("row %d is sent, its failure is %q and received %q", r.id, r.failure, r.received)
		}
	case "failed":
		if r.failure == "" || r.received == "" {
			s.fail("row %d failed, and says neither why nor whether its receiver has it", r.id)
		}
		if r.failure == FailureInterrupted {
			s.met.interrupted++
		} else if r.httpStatus != 0 && thatStatus == 0 {
			s.fail("row %d says HTTP %d, its receiver never answered that", r.id, r.httpStatus)
		}
	case "skipped", "cancelled":
		if begun > 0 {
			s.fail("row %d is %s, and was POSTed %d times", r.id, r.status, begun)
		}
	case "superseded":
		if !r.followed(s.db.rows) {
			s.fail("row %d is superseded, and no later export is sent", r.id)
		}
	}
}

// followed says whether a later export of the same document was sent, or was cancelled after this one
// had been superseded by it.
func (r *simRow) followed(rows []*simRow) bool {
	for _, later := range rows[r.id:] {
		if later.document == r.document && (later.status == "sent" || later.status == "cancelled") {
			return true
		}
	}
	return false
}
