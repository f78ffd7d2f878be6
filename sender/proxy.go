package sender

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/recordengine/webhooks/outbox"
)

// Proxy is an egress proxy, which is asked by CONNECT for each connection, also for those of http:// URLs.
// So it never sees a request to an https:// URL.
type Proxy struct {
	address string // to look up and dial
	auth    string // the Proxy-Authorization header, or empty
}

// String is host and port, never the credentials.
func (p *Proxy) String() string { return p.address }

// ParseProxy reads WEBHOOK_PROXY, http://[user:password@]host:port. The error quotes nothing of it.
func ParseProxy(text string) (*Proxy, error) {
	u, err := url.Parse(trimmed(text))
	switch {
	case err != nil:
		return nil, fmt.Errorf("it cannot be parsed: %s", parseProblem(err))
	case u.Scheme != "http":
		return nil, errors.New("it does not begin with http://; no other kind of proxy is supported")
	case u.Hostname() == "":
		return nil, errors.New("it has no host")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it has more than http://user:password@host:port; escape / ? # and @ of the password with %")
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		return nil, errors.New("it has no port between 1 and 65535")
	}
	host, err := ascii(strings.ToLower(u.Hostname()))
	if err != nil {
		return nil, errors.New("its host cannot be written in ASCII")
	}
	p := &Proxy{address: net.JoinHostPort(host, u.Port())}
	if u.User != nil {
		password, _ := u.User.Password()
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p, nil
}

// proxyError is a connection that the proxy did not make.
type proxyError struct {
	how    string // in words, of this program only: what a proxy says may repeat its credentials
	status int    // of its answer to CONNECT; 0 if there was none
	err    error  // or nil
}

func (e *proxyError) Error() string { return e.how }
func (e *proxyError) Unwrap() error { return e.err }

// tunnel is a connection to a target through the proxy. The guard judges the target's name before the
// proxy is asked, and the proxy's own address never: the operator has set it.
func (d *dialer) tunnel(ctx context.Context, to *target, t *trail) (net.Conn, error) {
	if err := d.judgeName(ctx, to); err != nil {
		return nil, err
	}
	t.reach(tunnelling)
	dial := net.Dialer{Resolver: d.resolver, KeepAlive: -1}
	socket, err := dial.DialContext(ctx, "tcp", d.proxy.address)
	if err != nil {
		return nil, &proxyError{how: "cannot be reached (" + unaddressed(err) + ")", err: err}
	}
	if err := d.proxy.open(ctx, socket, to); err != nil {
		_ = socket.Close()
		return nil, err
	}
	return socket, nil
}

// judgeName requires that all addresses of a name may be called, since the proxy chooses among them. It
// looks the name up again, and may find others: docs/operate.md says what that is worth.
func (d *dialer) judgeName(ctx context.Context, to *target) error {
	host, _, err := net.SplitHostPort(to.address)
	if err != nil {
		return err
	}
	resolver := d.resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if err := d.guard.judge(address); err != nil {
			return err
		}
	}
	return nil
}

// unaddressed is the error of a dialler without the addresses in it.
func unaddressed(err error) string {
	var dial *net.OpError
	if errors.As(err, &dial) {
		return dial.Err.Error()
	}
	return err.Error()
}

// open has the proxy connect to a target. What comes with the proxy's answer counts as its own: a web server
// that is no proxy answers 200 with a page, and a receiver in HTTP or TLS says nothing before it is asked.
func (p *Proxy) open(ctx context.Context, socket net.Conn, to *target) error {
	c := newConn(socket, socket)
	release := context.AfterFunc(ctx, c.abort)
	err := p.ask(c, to)
	switch {
	case !release():
		return context.Cause(ctx)
	case err == nil && c.in.Buffered() > 0:
		return &proxyError{how: "has sent more than its answer", err: errUnasked}
	}
	return err
}

func (p *Proxy) ask(c *conn, to *target) error {
	target := withoutZone(to.address)
	request := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if p.auth != "" {
		request += "Proxy-Authorization: " + p.auth + "\r\n"
	}
	if _, err := c.Write([]byte(request + "\r\n")); err != nil {
		return &proxyError{how: "has closed the connection", err: err}
	}
	answer, err := c.answer() //nolint:bodyclose // a tunnel has no body, and a refusal's is not read
	switch {
	case err != nil && c.ended.Load():
		return &proxyError{how: "has closed the connection", err: err}
	case err != nil:
		return &proxyError{how: "does not answer in HTTP", err: err}
	case answer.StatusCode/100 != 2:
		return &proxyError{how: "has answered " + statusLine(answer.StatusCode), status: answer.StatusCode}
	}
	return nil
}

// proxied is the connection that a proxy did not make. It has failed itself, or it does not allow this
// target: both are for those to correct who run it, and nothing was sent, so the class is its own. With
// 502, 503 and 504 it says that it cannot reach the target (smokescreen: 502 and 504, and 407 for a target
// that it denies; Squid: 503), which is the target's failure as if it had been called directly.
func (f failure) proxied() *reason {
	if f.trail.at() != tunnelling {
		return nil
	}
	var e *proxyError
	late := f.cause != nil && errors.Is(f.err, f.cause) && errors.Is(f.cause, errTimedOut)
	switch {
	case late:
		return f.reason(outbox.FailureProxy, "proxy: %s ran out while the egress proxy %s was asked to connect to %s", f.timeout, f.proxy, f.origin)
	case !errors.As(f.err, &e):
		return nil
	}
	switch e.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return f.reason(outbox.FailureUnreachable, "unreachable: the egress proxy %s cannot connect to %s, it %s", f.proxy, f.origin, e.how)
	case http.StatusProxyAuthRequired:
		return f.reason(outbox.FailureProxy, "proxy: the egress proxy %s %s for %s: it does not accept the credentials in WEBHOOK_PROXY, or does not allow this target",
			f.proxy, e.how, f.origin)
	case http.StatusForbidden:
		return f.reason(outbox.FailureProxy, "proxy: the egress proxy %s %s for %s: it does not allow this target, or not this port", f.proxy, e.how, f.origin)
	}
	return f.reason(outbox.FailureProxy, "proxy: the egress proxy %s %s when it was asked to connect to %s", f.proxy, e.how, f.origin)
}
