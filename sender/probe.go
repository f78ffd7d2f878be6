package sender

import (
	"context"
	"errors"
	"net"
	"net/url"
)

// Probe looks up the host of a URL, connects to it and, for https, completes the
// handshake and verifies the certificate. It sends no request. The error has the
// text that an attempt's would have.
func (s *Sender) Probe(ctx context.Context, rawURL, token string) error {
	target, err := checkEndpoint(rawURL, token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()
	went := &trail{}
	conn, err := s.dialer.to(went.follow(ctx), target)
	if err != nil {
		f := failure{err: err, cause: context.Cause(ctx), origin: originOf(target), timeout: s.timeout, trail: went, hidden: secretsOf(target, token)}
		return errors.New(f.result().Error)
	}
	return conn.Close()
}

// to dials as a request to this URL would.
func (d *dialer) to(ctx context.Context, target *url.URL) (net.Conn, error) {
	port := target.Port()
	if target.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		return d.dialTLS(ctx, "tcp", net.JoinHostPort(target.Hostname(), port))
	}
	if port == "" {
		port = "80"
	}
	return d.dial(ctx, "tcp", net.JoinHostPort(target.Hostname(), port))
}
