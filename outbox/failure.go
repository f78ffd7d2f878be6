package outbox

// Failure is the class of an attempt that did not succeed, as it stands in
// webhook.outbox.failure. The empty Failure is a success. What a class means and
// what to do about it is webhook.hint in schema.sql.
type Failure string

// The classes. The first ones arise before an answer, the last ones from its status.
const (
	FailureConfig         Failure = "config"          // the channel cannot be called as it is configured
	FailureRender         Failure = "render"          // the data cannot be rendered
	FailureBlockedAddress Failure = "blocked_address" // loopback, private or reserved, and not allowed
	FailureDNS            Failure = "dns"             // the host name does not resolve
	FailureProxy          Failure = "proxy"           // the egress proxy made no connection
	FailureRefused        Failure = "refused"         // no process listens at that address
	FailureUnreachable    Failure = "unreachable"     // no route, or no connection for another reason
	FailureTLS            Failure = "tls"             // certificate or handshake
	FailureTimeout        Failure = "timeout"         // the attempt's time ran out
	FailureConnectionLost Failure = "connection_lost" // the connection broke before the answer was complete
	FailureBadAnswer      Failure = "bad_answer"      // what answered is not a final HTTP response
	FailureRedirect       Failure = "redirect"        // 3xx
	FailureNotCounted     Failure = "not_counted"     // a 2xx that is not in accept_status
	FailureRejected       Failure = "rejected"        // 4xx, except 429
	FailureRateLimited    Failure = "rate_limited"    // 429
	FailureServerError    Failure = "server_error"    // 5xx and above
	FailureInterrupted    Failure = "interrupted"     // the worker ended during the attempt
)

// Failures returns the classes.
func Failures() []Failure {
	return []Failure{FailureConfig, FailureRender, FailureBlockedAddress, FailureDNS, FailureProxy, FailureRefused,
		FailureUnreachable, FailureTLS, FailureTimeout, FailureConnectionLost, FailureBadAnswer, FailureRedirect,
		FailureNotCounted, FailureRejected, FailureRateLimited, FailureServerError, FailureInterrupted}
}

// Received says whether the receiver has the event, as far as one attempt can
// tell; it stands in webhook.outbox.received.
type Received string

// What one attempt can tell.
const (
	ReceivedNo    Received = "no"    // not a byte was written, or the receiver rejected it
	ReceivedMaybe Received = "maybe" // written, perhaps in part, and not answered
	ReceivedYes   Received = "yes"   // a 2xx, or another status that the channel counts
)
