package sender

import (
	"context"
	"errors"
	"time"
)

// alertTime is how long Probe waits for a server that has requested a client
// certificate: with TLS 1.3 it rejects the client after the handshake.
const alertTime = time.Second

// Probe looks up the host of a URL, connects to it and, for https, completes the
// handshake and verifies the certificate, as an attempt would. It sends no
// request. The error has the text that an attempt's would have.
func (s *Sender) Probe(ctx context.Context, rawURL, token string) error {
	to := newEndpoint(rawURL, token)
	if to.err != nil {
		return to.err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()
	went := &trail{}
	if err := s.dialer.probe(ctx, to.target, went); err != nil {
		return errors.New(s.failed(ctx, to, went, causeOr(ctx, err)).result().Error)
	}
	return nil
}

func (d *dialer) probe(ctx context.Context, to *target, went *trail) error {
	c, err := d.dial(ctx, to, went)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if went.certRequested.Load() {
		_ = c.SetReadDeadline(time.Now().Add(alertTime))
		if _, err := c.Conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
			return err
		}
	}
	return nil
}
