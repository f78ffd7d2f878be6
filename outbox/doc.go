// Package outbox is the domain: events, the channels that carry them, and the dispatcher that delivers
// them.
//
// An event is a row of webhook.outbox. Its path is a straight line, one file per step:
//
//	poll.go ──▶ claim.go ──▶ queue.go ──▶ deliver.go ──▶ record.go
//	capacity    lease        slot         render, send   outcome
//
// The queue owns what is in flight, from the claim until the outcome is recorded, in one lane per
// channel. A lane consists of slots (slots.go: what is posted now and what is prefetched behind it), a
// circuit breaker (breaker.go: how much may fail in one cycle) and a scan (cursor.go: where its next
// claims begin to read). Every ten seconds a cycle (cycle.go) lets the scans go back to what they have
// passed and expires leases (expiry.go), never those of claims that this worker holds (claims.go), and
// only after a whole lease in which the database accepted writes (health.go, watched.go). A receiver's
// Retry-After pauses its lane (pause.go).
//
// # Life cycles
//
// An event that is delivered at least once stays pending, leased or not, until a counted success:
//
//	             claim: lease                 a counted success
//	┌─────────┐ ─────────────▶ ┌───────────┐ ─────────────────▶ ┌──────┐
//	│ pending │                │  pending  │                    │ sent │
//	│         │ ◀───────────── │ (leased)  │                    └──────┘
//	└─────────┘    a failure:  └───────────┘
//	  │     ▲      due at the        │
//	  │     │      next 10 s mark    │ the lease expired:
//	  │     └────────────────────────┘ due again
//	  │ claim: a later export of the same document exists
//	  └──────────────▶ superseded
//
// An event that is delivered at most once is 'sending' as soon as its claim has committed, and nothing
// leads from there to a second POST:
//
//	             claim                        a counted success
//	┌─────────┐ ─────────────▶ ┌───────────┐ ─────────────────▶ ┌──────┐
//	│ pending │                │  sending  │                    │ sent │
//	└─────────┘                │ (leased)  │ ──────┐            └──────┘
//	  │                        └───────────┘       │ a failure
//	  │ the channel is off           │             ▼
//	  └──────────────▶ skipped       │         ┌────────┐
//	                                 └───────▶ │ failed │
//	    the lease expired: 'interrupted'       └────────┘
//
// One more arrow leads from both leased states to pending: a worker that has not begun the POST, and
// never will, releases the row. Test events are delivered at most once on every channel.
//
// # Where each guarantee is enforced
//
// Which guarantee a row has is decided by the SQL function webhook.at_least_once, stored in the column
// at_least_once of webhook.outbox and webhook.channels, and read from there by everything below.
//
// At least once:
//   - claimSQL (store/claim.go) leases the row and leaves it pending;
//   - atLeastOnce (deliver.go) turns every failure into Retry, and recordSQL (store/record.go) makes the
//     row due again;
//   - the recorder (record.go) repeats a write until the database accepts it;
//   - ExpireLeases (store/background.go) makes the row due again;
//   - the constraint outbox_at_least_once_stays_pending allows it neither 'sending' nor 'failed'.
//
// At most once:
//   - claimSQL commits 'sending' before the POST, and claims pending rows only;
//   - atMostOnce (deliver.go) turns every failure into Failed;
//   - lookUp (claim.go) sends the events of a claim with a lost reply only if it finds them, once, and
//     attempt (deliver.go) begins no POST later than beginLimit after its claim;
//   - recordSQL writes only under the claim that holds the row;
//   - ExpireLeases makes the row failed;
//   - the constraint outbox_sending_is_leased and the trigger finished_rows_never_change keep the row
//     where it is.
//
// Exports of one document are sent one at a time and in order, except by a worker that was frozen in
// the middle of a POST: claimSQL supersedes an export that has a later one, the unique index
// outbox_one_attempt_per_document refuses a second lease, and the trigger
// never_an_older_export_after_a_newer refuses a claim that was overtaken by a later export.
//
// What a crash, a lost reply or a second worker does at each instant stands beside atLeastOnce and
// atMostOnce in deliver.go.
package outbox
