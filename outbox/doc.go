// Package outbox is the domain: events, the channels that carry them, and the dispatcher that delivers
// them.
//
// An event is a row of webhook.outbox. Pass begins its path, which has one file per step:
//
//	 probe.go, claim_schedule.go, announced.go: when a claim is due
//	    │
//	    │       ┌──▶ claim.go    what there is capacity for is leased
//	    ▼       │       │
//	poll.go ────┤       ▼
//	 (Pass)     ├──▶ queue.go    each event gets a slot, or waits for one ◀──┐
//	            │       │                                                    │ queue.done: the slot is
//	            │       ▼                                                    │ free, the next event
//	            └──▶ deliver.go  rendered and sent by a goroutine ───────────┘
//	                    │
//	                    ▼
//	                 record.go   outcomes are written in batches
//
// The queue owns what is in flight, from the claim until the outcome is recorded, in one lane per
// channel. A lane consists of slots (slots.go: what is posted now and what is prefetched behind it), a
// circuit breaker (breaker.go: how much may fail in one cycle) and two scans (cursor.go: where its
// next claims begin to read). Memory and POSTs at once are divided among the lanes (budget.go). A
// receiver's Retry-After pauses its lane (pause.go), and so does a shortage of this machine
// (shortage.go). Failed attempts are logged channel by channel, however many there are (failing.go).
//
// Every ten seconds a cycle (cycle.go) lets the scans go back to what they have passed and expires
// leases (expiry.go), never those of claims that this worker holds (claims.go), and only after a whole
// lease in which the database accepted writes (health.go, watched.go).
//
// # When a claim is due
//
// A worker polls, and between two polls it probes (probe.go): a statement waits until the identity
// sequence has moved, then the worker claims. An id is assigned before its transaction commits, so
// claims follow it with pauses that grow (announced.go). How many claims there may be is decided in
// claim_schedule.go: where events come one by one, one for each; where they come fast, hardly more
// than by polling alone. What no new id announces (retries, resends, a channel that was turned on) is
// found by a poll.
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
// More arrows lead from both leased states to pending, all before any POST: an event that is released
// (its due_at is unchanged), one whose channel cannot be called, and one for which the egress proxy made
// no connection (both due at the next ten-second mark). Test events are delivered at most once on every channel.
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
//   - the recorder (record.go) repeats a write, every second where it is denied, until the database
//     accepts it, or rejects it even without its texts; then the lease expires;
//   - ExpireLeases (store/background.go) makes the row due again;
//   - the rule outbox_at_least_once_stays_pending (webhook.state_is_possible, called by the triggers
//     what_is_written_is_an_event and each_row_keeps_the_rules) allows it neither 'sending', 'failed'
//     nor 'skipped'.
//
// At most once:
//   - claimSQL commits 'sending' before the POST, and claims pending rows only;
//   - atMostOnce (deliver.go) turns every failure of rendering or sending into Failed, except that of
//     the egress proxy, before anything was sent;
//   - lookUp (claim.go) sends the events of a claim with a lost reply only if it finds them, once, and
//     attempt (deliver.go) begins no POST later than beginWithin after its claim: five seconds, or
//     what two timeouts leave of the lease if that is less;
//   - a claim counts once a synchronous standby has it, also where the wait of its commit was ended
//     (LookUpClaim in store/lookup.go);
//   - recordSQL writes only under the claim that holds the row;
//   - ExpireLeases makes the row failed;
//   - only recordSQL and recordSkippingLockedSQL (a release, or a retry after a failed Check
//     or a failed proxy) and ReleaseClaims lead from 'sending' back to pending, always before a POST;
//   - the rule outbox_lease_is_of_a_claim (of the same triggers) lets no worker hold such a row as
//     pending, outbox_sending_is_leased leaves none 'sending' without a lease, where nothing would end
//     it, and the trigger finished_rows_never_change keeps what is 'sent' or 'failed', except from an
//     operator's retry, retry_failed or mark_delivered.
//
// Exports of one document are sent one at a time and in order, except by a worker that was frozen in
// the middle of a POST: claimSQL supersedes an export that has a later one, the unique index
// outbox_one_attempt_per_document refuses a second lease, and the trigger
// never_an_older_export_after_a_newer refuses a claim that was overtaken by a later export.
//
// What a crash, a lost reply or a second worker does at each instant stands beside atLeastOnce and
// atMostOnce in deliver.go.
package outbox
