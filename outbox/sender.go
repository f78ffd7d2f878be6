package outbox

import (
	"context"
	"time"
)

// Sender makes one HTTP attempt. It never panics and makes no second attempt.
type Sender interface {
	// Check returns nil if a request to this URL with this token and these signing secrets can be made
	// at all, else an error that says what to correct in the settings and shows neither the path nor a secret.
	Check(url, token, secrets string) error

	// Send makes the attempt. It returns within its own time limit, and soon after ctx ends. The
	// Result holds everything, errors included.
	Send(ctx context.Context, req Request) Result
}

// Request is one rendered attempt, ready to be sent.
type Request struct {
	URL         string
	Token       string // bearer token; empty sends no Authorization header
	Secrets     string // signing secrets, with one space between them; empty sends no signature
	WebhookID   string // the same on every attempt of one event
	Traceparent string // the header of W3C Trace Context; empty sends none
	Channel     string // named in the error that says how to count a 2xx that does not count
	Body        []byte // the envelope, as it is signed and sent
	Accept      []int  // the HTTP statuses that count as delivered
}

// Result is the result of one attempt. It can be stored and shown: it holds no token, no userinfo
// and of a URL nothing except scheme and host. The zero Result belongs to no attempt and is not
// delivered.
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
