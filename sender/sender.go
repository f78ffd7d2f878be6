// Package sender makes one HTTP attempt out of one outbox.Request and returns
// one outbox.Result: at most one POST, never a redirect, never a replay.
//
// Everything in a Result is safe to store and to show. The package never logs;
// the caller of Send logs its Result once.
//
//	sender.go      Send, the attempt as a straight line
//	check.go       can this URL and this token be called at all?
//	endpoint.go    a channel's URL and token, checked and parsed once
//	post.go        the request, and when it may be tried on another connection
//	transport.go   how connections are made and kept
//	guard.go       which addresses may be called
//	networks.go    the list of addresses that the operator allows
//	trail.go       how far an attempt came, above all: was anything written?
//	verdict.go     a status arrived: its Failure and Received, and its text
//	failure.go     no status arrived: the same
//	tlsfailure.go  the failures of TLS and what to do about each
//	readable.go    what may be stored of a foreign text
//	secrets.go     what must not be shown of token and URL
//	probe.go       a connection without a request, for `webhooks check`
package sender

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// defaultTimeout is the spec's "30-second timeout" ("Retry Behavior").
const defaultTimeout = 30 * time.Second

// errTimedOut is the cause of a context that ended because the attempt's own
// time ran out, as opposed to one that the worker cancelled.
var errTimedOut = errors.New("the attempt's time ran out")

// Options are the settings of a Sender. The zero value is usable.
type Options struct {
	Timeout       time.Duration  // of one attempt, name look-up to last byte read; 0 means 30 s
	AllowNetworks []netip.Prefix // may be called although not public; see ParseNetworks
	Version       string         // sent as User-Agent: RecordEngine-Webhooks/<version>; "" means devel
	RootCAs       *x509.CertPool // authorities to trust; nil means the system's
}

// Sender makes attempts. It is safe for concurrent use; connections are shared
// between the attempts on one host.
type Sender struct {
	timeout   time.Duration
	agent     string
	dialer    *dialer
	transport *http.Transport
	endpoints sync.Map // setting to *endpoint; one entry for each setting a channel had
}

// New returns a Sender. It opens nothing before the first Send.
func New(o Options) *Sender {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Version == "" {
		o.Version = "devel"
	}
	d := newDialer(o)
	return &Sender{
		timeout:   o.Timeout,
		agent:     "RecordEngine-Webhooks/" + o.Version,
		dialer:    d,
		transport: newTransport(d),
	}
}

// Close closes the idle connections. Attempts in flight are not affected, and the
// Sender remains usable.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// Send makes one attempt and always returns a complete Result, within the
// Sender's timeout. Delivered means exactly that the answer's status is one of
// req.Accept. A cancelled ctx ends the attempt at once, as FailureInterrupted.
func (s *Sender) Send(ctx context.Context, req outbox.Request) outbox.Result {
	start := time.Now()
	result := s.attempt(ctx, req)
	result.Took = time.Since(start)
	return result
}

// attempt is Send without the measurement of its time.
func (s *Sender) attempt(ctx context.Context, req outbox.Request) outbox.Result {
	to := s.endpoint(req.URL, req.Token)
	if to.err != nil {
		return outbox.Result{Failure: outbox.FailureConfig, Received: outbox.ReceivedNo, Error: message(to.err.Error())}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()

	answer, went, err := s.post(ctx, to.target, req)
	if err != nil {
		f := failure{err: err, cause: context.Cause(ctx), origin: originOf(to.target), timeout: s.timeout, trail: went, hidden: to.hidden}
		return f.result()
	}
	defer answer.Body.Close()
	return verdict(req, to.target, answer, to.hidden)
}
