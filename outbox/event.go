package outbox

import (
	"encoding/json"
	"time"
)

// Event is one claimed row of webhook.outbox together with the endpoint that
// the claim read, under lock, for it.
type Event struct {
	ID         int64
	Name       string          // "document.exported", "contact.created", …
	Channel    string          // "documents", "contacts", …
	Data       json.RawMessage // the facts, exactly as the application wrote them
	Parsed     bool            // Data comes from a column of type json: it is valid JSON
	DueAt      string          // PostgreSQL's ISO text, in UTC
	OccurredAt string          // RFC 3339 or PostgreSQL's ISO text; envelope.Render checks it
	Attempts   int             // claims committed, this one included
	IsTest     bool
	ClaimID    string // the claim that fences this attempt's outcome, a UUID

	Endpoint Endpoint
}

// Endpoint is where and how a channel's events are sent, read inside the claim.
type Endpoint struct {
	URL             string
	Token           string // bearer token; empty sends no Authorization header
	AcceptStatus    []int  // the HTTP statuses that count as delivered
	MaxInFlight     int    // slots of the channel's lane, in each worker
	DocumentBaseURL string // prefix of doc_url
	InstanceID      string // prefix of the webhook-id header, a UUID
}

// Request is one rendered attempt, ready to be sent.
type Request struct {
	URL       string
	Token     string // bearer token; empty sends no Authorization header
	WebhookID string // the same on every attempt of one event
	Channel   string // named in the error that tells how to count an uncounted 2xx
	Body      []byte // the envelope
	Accept    []int  // the HTTP statuses that count as delivered
}

// Result is what one attempt met. It is safe to store and to show: it holds no
// token, no userinfo and nothing of a URL but scheme and host. The zero Result
// is of no attempt, and not delivered.
type Result struct {
	Failure  Failure       // why it did not succeed; empty after a success
	Received Received      // whether the receiver has the event
	Status   int           // HTTP status; 0 when no answer arrived
	Error    string        // Failure in words, for people; empty after a success
	Response string        // the first 2 KiB of the answer's body, readable, secrets masked
	Took     time.Duration // from name lookup to the last byte read

	// RetryAfter is how long the receiver asks to be left alone, with 429 or 503;
	// at most five minutes, and 0 if it does not ask.
	RetryAfter time.Duration

	// Shortage is what this machine lacked for the attempt (a free file, a free
	// port, memory) and what to raise, in words; empty if nothing. Not a byte was
	// written then, and the failure is not the receiver's.
	Shortage string
}

// Delivered reports a counted success.
func (r Result) Delivered() bool { return r.Failure == "" && r.Received == ReceivedYes }
