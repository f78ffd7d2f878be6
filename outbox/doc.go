// Package outbox is the domain: events, the channels that carry them, the
// envelopes they are sent in, and the dispatcher that sends them.
//
// An event is a row of webhook.outbox. Every event goes the same straight way:
//
//	claim → render → send → record
//
// A document (document.exported) is delivered at least once: of several exports
// of one document, the newest. Its row stays pending, leased or not, until a
// success sets synced_at:
//
//	             claim: lease                 a counted success
//	┌─────────┐ ─────────────▶ ┌───────────┐ ─────────────────▶ ┌──────┐
//	│ pending │                │  pending  │                    │ sent │
//	│         │ ◀───────────── │ (leased)  │                    └──────┘
//	└─────────┘    a failure:  └───────────┘
//	  │     ▲      due at the        │
//	  │     │      next 10 s mark    │ the worker died
//	  │     └────────────────────────┘ and the lease ran out: due again
//	  │ claim: a later export of the same document exists
//	  └──────────────▶ superseded
//
// An event of the other six channels is delivered at most once. The claim
// itself commits 'sending', and nothing leads from there to a second POST:
//
//	             claim                        a counted success
//	┌─────────┐ ─────────────▶ ┌───────────┐ ─────────────────▶ ┌──────┐
//	│ pending │                │  sending  │                    │ sent │
//	└─────────┘                │ (leased)  │ ──────┐            └──────┘
//	  │                        └───────────┘       │ a failure
//	  │ the channel is off           │             ▼
//	  └──────────────▶ skipped       │         ┌────────┐
//	                                 └───────▶ │ failed │
//	the worker died and the lease ran out:     └────────┘
//	'interrupted: outcome unknown'
//
// One more arrow leads back from both leased states to pending: a worker that
// has not begun the POST, and now never will, gives the row back. Test events
// take the second way on every channel.
//
// Exports of one document never overtake each other, but for a worker that was
// frozen in the middle of a POST: only one of them can be held at a time, and only
// the newest. While its channel is off a document waits.
//
// The two guarantees are the two functions in deliver.go; what a crash, a lost
// record or a second worker meets at each instant is written beside them. For a
// claim whose reply is lost see Dispatcher.lookUp, for a frozen worker
// Dispatcher.attempt, for all of it docs/guarantees.md.
package outbox
