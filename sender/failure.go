package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// failure is an attempt that ended without a status.
type failure struct {
	err     error
	cause   error // of the attempt's context; nil while it lasted
	origin  string
	proxy   *Proxy // that was to connect; nil if none
	timeout time.Duration
	trail   *trail
	hidden  secrets
}

// reason is what a failure comes to: its class, and a sentence that says what
// happened, where, and what to do if the class alone cannot say it.
type reason struct {
	class outbox.Failure
	text  string
}

// result is the Result of a failure. What the receiver has follows from what was
// written, whatever the class.
func (f failure) result() outbox.Result {
	r := f.judge()
	return outbox.Result{Failure: r.class, Received: f.trail.received(), Error: message(r.text), Shortage: f.shortage()}
}

// judge tries the classes one after the other. The order matters where one error
// fits two of them: our own end before all others, the guard before the dialler
// that reports it, the proxy before the network to it, a look-up before the sockets that it used.
func (f failure) judge() reason {
	for _, kind := range []func() *reason{
		f.proxied, f.stopped, f.blocked, f.dns, f.unasked, f.tls, f.refused, f.timedOut, f.lost, f.unreachable, f.tooLarge,
	} {
		if r := kind(); r != nil {
			return *r
		}
	}
	return f.unreadable()
}

// reason ends a sentence with what the failure means for the event.
func (f failure) reason(class outbox.Failure, format string, args ...any) *reason {
	return &reason{class, fmt.Sprintf(format, args...) + "; " + f.trail.outcome()}
}

// detail is foreign text made fit to be shown: an answer that cannot be read
// may well echo the request.
func (f failure) detail(text string) string {
	return cut(f.hidden.mask(clean(text)), maxDetail)
}

// stopped is an attempt that this worker ended itself: its time ran out, or the
// worker stops.
func (f failure) stopped() *reason {
	switch {
	case f.cause == nil || !errors.Is(f.err, f.cause):
		return nil
	case errors.Is(f.cause, errTimedOut):
		return f.reason(outbox.FailureTimeout, "timed out: %s ran out while %s %s", f.timeout, f.trail.at(), f.origin)
	}
	return &reason{outbox.FailureInterrupted,
		fmt.Sprintf("interrupted: %s; the worker stopped while %s %s", f.trail.outcome(), f.trail.at(), f.origin)}
}

func (f failure) blocked() *reason {
	var e *blockedError
	if !errors.As(f.err, &e) {
		return nil
	}
	return f.reason(outbox.FailureBlockedAddress, "address not allowed: %s leads to %s, which is %s; to allow it, add %s to WEBHOOK_ALLOW_NETWORKS",
		f.origin, e.shown(), e.kind, e.smallest())
}

func (f failure) dns() *reason {
	var e *net.DNSError
	switch {
	case !errors.As(f.err, &e):
		return nil
	case e.IsNotFound:
		return f.reason(outbox.FailureDNS, "dns: no such host: %s", f.host())
	}
	return f.reason(outbox.FailureDNS, "dns: the host of %s could not be looked up (%s)", f.origin, f.detail(e.Err))
}

// host is that of the origin, without its port.
func (f failure) host() string {
	if u, err := url.Parse(f.origin); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return f.origin
}

func (f failure) refused() *reason {
	if !errors.Is(f.err, syscall.ECONNREFUSED) {
		return nil
	}
	return f.reason(outbox.FailureRefused, "refused: nothing accepts connections at %s", f.origin)
}

// timedOut is the connection that ran out of time before the attempt's own
// clock did, which the operating system may decide.
func (f failure) timedOut() *reason {
	late := errors.Is(f.err, os.ErrDeadlineExceeded) || errors.Is(f.err, context.DeadlineExceeded) || errors.Is(f.err, syscall.ETIMEDOUT)
	switch {
	case !late:
		return nil
	case f.trail.conn == nil:
		return f.reason(outbox.FailureTimeout, "timed out: while %s %s", f.trail.at(), f.origin)
	}
	return f.reason(outbox.FailureTimeout, "timed out: the connection died while %s %s", f.trail.at(), f.origin)
}

func (f failure) lost() *reason {
	var how string
	switch {
	case f.trail.at() < handshaking:
		return nil
	case errors.Is(f.err, syscall.ECONNRESET), errors.Is(f.err, syscall.EPIPE), errors.Is(f.err, syscall.ECONNABORTED):
		how = "broke the connection"
	case errors.Is(f.err, io.EOF), f.trail.ended():
		how = "closed the connection"
	default:
		return nil
	}
	return f.reason(outbox.FailureConnectionLost, "connection lost: %s %s %s", f.origin, how, f.trail.at().before())
}

// unasked is a connection on which the receiver spoke first.
func (f failure) unasked() *reason {
	if !errors.Is(f.err, errUnasked) {
		return nil
	}
	return f.reason(outbox.FailureBadAnswer, "bad answer: %s sent something before it was sent a request, so it is no HTTP server", f.origin)
}

// unreachable is whatever else keeps a connection from being made: no route, no
// network, no free port or file on this machine. Without a connection the request
// itself was rejected: a webhook-id that is no header value.
func (f failure) unreachable() *reason {
	var e *net.OpError
	switch {
	case errors.As(f.err, &e) && e.Op == "dial":
		return f.reason(outbox.FailureUnreachable, "unreachable: cannot connect to %s (%s)", f.origin, f.detail(e.Err.Error()))
	case errors.As(f.err, &e):
		return f.reason(outbox.FailureConnectionLost, "connection lost: %s (%s)", f.origin, f.detail(e.Err.Error()))
	case f.trail.conn == nil:
		return f.reason(outbox.FailureConfig, "cannot call: %s (%s)", f.origin, f.detail(f.err.Error()))
	}
	return nil
}

func (f failure) tooLarge() *reason {
	if !errors.Is(f.err, errHeadTooLarge) {
		return nil
	}
	return f.reason(outbox.FailureBadAnswer, "answer too large: %s sent more than %d KiB of headers", f.origin, maxHeader>>10)
}

// unreadable is an answer that is not HTTP.
func (f failure) unreadable() reason {
	what := f.err.Error()
	switch {
	case !f.trail.wrote():
		return *f.reason(outbox.FailureConnectionLost, "connection lost: %s (%s)", f.origin, f.detail(what))
	case strings.Contains(what, `"\x15\x03`): // how a TLS alert begins
		return *f.reason(outbox.FailureBadAnswer, "bad answer: %s speaks TLS on this port; change the URL to https://", f.origin)
	}
	return *f.reason(outbox.FailureBadAnswer, "bad answer: %s does not answer in HTTP (%s)", f.origin, f.detail(what))
}
