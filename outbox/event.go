package outbox

import (
	"encoding/json"
	"time"
)

// Event is one claimed row of webhook.outbox together with the endpoint that the claim read for it,
// under lock, or, if the reply was lost, that the look-up read.
type Event struct {
	ID          int64
	Name        string          // "document.exported", "contact.created", …
	Channel     string          // "documents", "contacts", …
	Data        json.RawMessage // the application's data, exactly as written
	Validated   bool            // Data comes from a column of type json: it is valid JSON
	DueAt       string          // PostgreSQL's ISO text, in UTC
	DueFor      time.Duration   // since DueAt, by the database's clock, when the claim or its look-up read it
	OccurredAt  string          // RFC 3339 or PostgreSQL's ISO text; envelope.Render checks it
	Attempts    int             // claims committed, this one included
	IsTest      bool
	AtLeastOnce bool   // the guarantee: true, attempted until a counted success; false, attempted once
	Superseded  bool   // by this claim: a later export of the document exists, nothing is left to do
	Traceparent string // the header of that name; empty: none is sent, see webhook.sent_traceparent
	ClaimID     string // a UUID; the outcome is recorded only while this claim holds the row

	held int64 // bytes of this process's memory, see budget

	Endpoint Endpoint
}

// claimedBefore reports whether the event had been claimed before: retried, resent by a person, or
// released without a POST. Such events are called retries for short, the others fresh.
func (e Event) claimedBefore() bool { return e.Attempts > 1 || e.Superseded && e.Attempts > 0 }

// Endpoint is where and how a channel's events are sent, read by the claim or its look-up.
type Endpoint struct {
	URL             string
	Token           string // bearer token; empty sends no Authorization header
	Secrets         string // signing secrets, with one space between them; empty sends no signature
	Problem         string // why it cannot be called, in words; empty: nothing is known against it
	AcceptStatus    []int  // the HTTP statuses that count as delivered
	MaxInFlight     int    // slots of the channel's lane, in each worker
	MaxPerSecond    int    // POSTs that all workers together may begin in a second; 0: no limit
	DocumentBaseURL string // prefix of doc_url
	InstanceID      string // beginning of the webhook-id header, a UUID
}

// Verdict is the state that an attempt leaves its event in.
type Verdict string

// The verdicts.
const (
	Sent     Verdict = "sent"     // finished: a counted success
	Failed   Verdict = "failed"   // finished: the one attempt did not succeed
	Retry    Verdict = "retry"    // pending again, due at the next multiple of ten seconds
	Released Verdict = "released" // pending again as before: no POST was begun
)

// Outcome is what is recorded of one attempt.
type Outcome struct {
	EventID int64
	Channel string
	ClaimID string
	Verdict Verdict
	Result  Result // without meaning for Released

	// Where the event stood, for the scan that has passed it.
	DueAt     string
	ClaimedAt time.Time // on this worker's clock
	Document  bool      // exports of one document wait for each other

	DueSince time.Time // since when it was due, on this worker's clock
	First    bool      // its first attempt, and no test
}

// claimedEvent is an event together with the instant before its claim was sent.
type claimedEvent struct {
	event    Event
	at       time.Time
	dueSince time.Time // on this worker's clock
}

// outcome is the outcome of an attempt without its result.
func (c claimedEvent) outcome(v Verdict) Outcome {
	return Outcome{EventID: c.event.ID, Channel: c.event.Channel, ClaimID: c.event.ClaimID, Verdict: v,
		DueAt: c.event.DueAt, ClaimedAt: c.at, Document: c.event.AtLeastOnce,
		DueSince: c.dueSince, First: !c.event.claimedBefore() && !c.event.IsTest}
}
