package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// failure is an attempt that ended without a status. Its text begins with a
// stable kind, which SQL functions match, then says what happened, where, and
// what it means: "nothing was sent" or "outcome unknown".
type failure struct {
	err     error
	cause   error // of the attempt's context; nil while it lasted
	origin  string
	timeout time.Duration
	trail   *trail
	hidden  secrets
}

// text asks the kinds in turn. The order matters where one error is of two
// kinds: our own end before all others, the guard before the dialler that
// reports it, a look-up before the sockets that it used.
func (f failure) text() string {
	for _, kind := range []func() string{
		f.stopped, f.blocked, f.dns, f.tls, f.refused, f.timedOut, f.lost, f.unreachable, f.tooLarge,
	} {
		if text := kind(); text != "" {
			return text
		}
	}
	return f.unreadable()
}

// says joins the parts that every text has, "kind: what; outcome".
func (f failure) says(format string, args ...any) string {
	return fmt.Sprintf(format, args...) + "; " + f.trail.outcome()
}

// detail is foreign text made fit to be shown: an answer that cannot be read
// may well echo the request.
func (f failure) detail(text string) string {
	return cut(f.hidden.mask(clean(text)), maxDetail)
}

// stopped is an attempt that we ended ourselves. Where the worker stops, the
// outcome comes first, as in the sweep's "interrupted: outcome unknown".
func (f failure) stopped() string {
	switch {
	case f.cause == nil || !errors.Is(f.err, f.cause):
		return ""
	case errors.Is(f.cause, errTimedOut):
		return f.ranOut()
	}
	return fmt.Sprintf("interrupted: %s; stopped while %s %s", f.trail.outcome(), f.trail.at(), f.origin)
}

func (f failure) ranOut() string {
	return f.says("timed out: %s ran out while %s %s", f.timeout, f.trail.at(), f.origin)
}

func (f failure) blocked() string {
	var e *blockedError
	if !errors.As(f.err, &e) {
		return ""
	}
	return f.says("address not allowed: %s leads to %s, which is %s; to allow it, add %s to WEBHOOK_ALLOW_NETWORKS",
		f.origin, e.addr, e.kind, e.smallest())
}

func (f failure) dns() string {
	var e *net.DNSError
	switch {
	case !errors.As(f.err, &e):
		return ""
	case e.IsNotFound:
		return f.says("dns: no such host as that of %s", f.origin)
	}
	return f.says("dns: the host of %s could not be looked up (%s)", f.origin, f.detail(e.Err))
}

func (f failure) refused() string {
	if !errors.Is(f.err, syscall.ECONNREFUSED) {
		return ""
	}
	return f.says("refused: nothing accepts connections at %s", f.origin)
}

// timedOut is the connection that ran out of time before the attempt's own
// clock did, which the operating system may decide.
func (f failure) timedOut() string {
	late := errors.Is(f.err, os.ErrDeadlineExceeded) || errors.Is(f.err, context.DeadlineExceeded) || errors.Is(f.err, syscall.ETIMEDOUT)
	switch {
	case !late:
		return ""
	case f.trail.conn == nil:
		return f.says("timed out: while %s %s", f.trail.at(), f.origin)
	}
	return f.says("timed out: the connection died while %s %s", f.trail.at(), f.origin)
}

func (f failure) lost() string {
	var how string
	switch {
	case f.trail.at() < handshaking:
		return ""
	case errors.Is(f.err, syscall.ECONNRESET), errors.Is(f.err, syscall.EPIPE), errors.Is(f.err, syscall.ECONNABORTED):
		how = "broke the connection"
	case errors.Is(f.err, io.EOF), f.trail.ended():
		how = "closed the connection"
	default:
		return ""
	}
	return f.says("connection lost: %s %s %s", f.origin, how, f.trail.at().before())
}

// before reads as "closed the connection …".
func (s stage) before() string {
	switch s {
	case handshaking:
		return "in the TLS handshake"
	case sending:
		return "while the request was being sent"
	}
	return "before it answered in full"
}

// unreachable is whatever else keeps a connection from being made: no route,
// no network, no free port or file here.
func (f failure) unreachable() string {
	var e *net.OpError
	switch {
	case errors.As(f.err, &e) && e.Op == "dial":
		return f.says("unreachable: cannot connect to %s (%s)", f.origin, f.detail(e.Err.Error()))
	case errors.As(f.err, &e):
		return f.says("connection lost: %s (%s)", f.origin, f.detail(e.Err.Error()))
	case f.trail.conn == nil:
		return f.says("cannot call: %s (%s)", f.origin, f.detail(f.err.Error()))
	}
	return ""
}

// tooLarge knows net/http's error by its words; it has no type.
func (f failure) tooLarge() string {
	if !strings.Contains(f.err.Error(), "server response headers exceeded") {
		return ""
	}
	return f.says("answer too large: %s sent more than %d KiB of headers", f.origin, maxHeader>>10)
}

// unreadable is an answer that is not HTTP.
func (f failure) unreadable() string {
	what := strings.TrimPrefix(f.err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	if !f.trail.wrote() {
		return f.says("cannot call: %s (%s)", f.origin, f.detail(what))
	}
	if strings.Contains(what, `"\x15\x03`) {
		what = "it speaks TLS, so the URL should begin with https://"
	}
	return f.says("bad answer: %s does not answer in HTTP (%s)", f.origin, f.detail(what))
}
