// Package sender makes one HTTP attempt out of one outbox.Request and returns
// one outbox.Result: at most one POST, never a redirect, never a replay.
//
// Everything in a Result is safe to store and to show. The package never logs;
// the caller of Send logs its Result once.
//
//	sender.go      Send, the attempt as a straight line
//	check.go       can this URL and this token be called at all?
//	text.go        what cannot be seen in a URL or a token
//	target.go      a URL as it is called: address, Host, request target
//	sign.go        the headers that end a request: when it is written, and its signatures
//	endpoint.go    a channel's URL and token, checked and parsed once
//	post.go        on which connection, and when on another one
//	conn.go        one connection: a request is written, then its answer is read
//	answer.go      the head of an answer, and what it asks for
//	body.go        as much of an answer's body as is kept, decoded
//	pool.go        which connections are used again
//	peek_*.go      has the other side closed it, or sent anything?
//	records.go     has a part of a TLS record come?
//	dial.go        how connections are made
//	proxy.go       connections that an egress proxy makes
//	roots.go       the authorities to trust
//	identity.go    the worker's own certificate
//	guard.go       which addresses may be called
//	networks.go    the list of addresses that the operator allows
//	trail.go       how far an attempt came, above all: was anything written?
//	verdict.go     a status arrived: its Failure and Received, and its text
//	failure.go     no status arrived: the same
//	shortage.go    what this machine lacks is no failure of the receiver
//	tlsfailure.go  the failures of TLS and what to do about each
//	readable.go    what may be stored of a foreign text
//	secrets.go     what must not be shown of token and URL
//	masked.go      where a foreign text shows it, in the forms of error pages
//	look.go        a connection without a request: can the endpoint be reached, and until when?
package sender

import (
	"context"
	"crypto/x509"
	"errors"
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
	CAFile        string         // authorities to trust besides; read again when it changes
	Proxy         *Proxy         // makes all connections; nil means none, whatever the environment says

	// The client certificate and its key in PEM form, both or neither; read again when one of them
	// changes. It is offered to a server that requests one.
	ClientCertFile, ClientKeyFile string
}

// Sender makes attempts. It is safe for concurrent use; connections are shared
// between the attempts on one host.
type Sender struct {
	timeout   time.Duration
	agent     string
	dialer    *dialer
	pool      *pool
	endpoints sync.Map // setting to *endpoint; one entry for each setting a channel had
	now       func() time.Time
}

// New returns a Sender. It opens nothing before the first Send.
func New(o Options) *Sender {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Version == "" {
		o.Version = "devel"
	}
	return &Sender{
		timeout: o.Timeout,
		agent:   "RecordEngine-Webhooks/" + o.Version,
		dialer:  newDialer(o),
		pool:    newPool(),
		now:     time.Now,
	}
}

// Close closes the idle connections. Attempts in flight are not affected, and the
// Sender remains usable.
func (s *Sender) Close() { s.pool.close() }

// Send makes one attempt and always returns a complete Result, within the
// Sender's timeout. Delivered means exactly that the answer's status is one of
// req.Accept. A cancelled ctx ends the attempt at once, as FailureInterrupted.
func (s *Sender) Send(ctx context.Context, req outbox.Request) outbox.Result {
	start := time.Now()
	result := s.attempt(ctx, req)
	if result.Shortage != "" {
		s.pool.close() // idle connections are the first to go
	}
	result.Took = time.Since(start)
	return result
}

// attempt is Send without the measurement of its time.
func (s *Sender) attempt(ctx context.Context, req outbox.Request) outbox.Result {
	to := s.endpoint(req.URL, req.Token, req.Secrets)
	if to.err != nil {
		return outbox.Result{Failure: outbox.FailureConfig, Received: outbox.ReceivedNo, Error: message(to.err.Error())}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()

	result, went, err := s.post(ctx, to, req)
	if err != nil {
		return s.failed(ctx, to, went, err).result()
	}
	return result
}

// failed is an attempt that ended without a status.
func (s *Sender) failed(ctx context.Context, to *endpoint, went *trail, err error) failure {
	return failure{err: err, cause: context.Cause(ctx), origin: to.target.origin, proxy: s.dialer.proxy, timeout: s.timeout, trail: went, hidden: to.hidden}
}
