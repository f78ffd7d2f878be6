package sender

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// alertTime is how long Look waits for a server that has requested a client
// certificate: with TLS 1.3 it rejects the client after the handshake.
const alertTime = time.Second

// Look is what a connection without a request shows of an endpoint. It can be
// stored and shown, as a Result.
type Look struct {
	Failure  outbox.Failure // what an attempt would fail with; empty if nothing
	Problem  string         // that in words; empty if nothing
	Shortage string         // what this machine lacked, see outbox.Result; then the rest says nothing about the endpoint

	Address    string // IP address and port that accepted the connection; empty if none, or behind a proxy
	TLSVersion string // as "TLS 1.3"; empty without TLS, or where the handshake failed

	// Of the server's own certificate, also where that was refused.
	Subject string // its common name, else the first name that it is for
	Issuer  string
	Ends    time.Time // zero without a certificate
}

// Look looks up the host of a URL, connects to it and, for https, completes the
// handshake and verifies the certificate, as an attempt would. It sends no
// request. A cancelled ctx ends it at once, as FailureInterrupted.
func (s *Sender) Look(ctx context.Context, rawURL, token string) Look {
	to := newEndpoint(rawURL, token, "")
	if to.err != nil {
		return Look{Failure: outbox.FailureConfig, Problem: message(to.err.Error())}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimedOut)
	defer cancel()
	went, seen := &trail{}, Look{}
	if err := s.dialer.look(ctx, to, went, &seen); err != nil {
		failed := s.failed(ctx, to, went, causeOr(ctx, err)).result()
		seen.Failure, seen.Problem, seen.Shortage = failed.Failure, failed.Error, failed.Shortage
	}
	return seen
}

func (d *dialer) look(ctx context.Context, to *endpoint, went *trail, seen *Look) error {
	socket, err := d.socket(ctx, to.target, went)
	if err != nil {
		return err
	}
	if d.proxy == nil {
		seen.Address = addressOf(socket)
	}
	c, err := d.secure(ctx, to.target, went, socket)
	if err != nil {
		seen.certificate(refused(err), to.hidden)
		return err
	}
	defer func() { _ = c.Close() }()
	if secure, ok := c.Conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		seen.TLSVersion = tls.VersionName(state.Version)
		seen.certificate(state.PeerCertificates, to.hidden)
	}
	if went.certRequested.Load() {
		_ = c.SetReadDeadline(time.Now().Add(alertTime))
		if _, err := c.Conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
			return err
		}
	}
	return nil
}

// addressOf is the other end of a connection, an IPv4 address in its own notation.
func addressOf(socket net.Conn) string {
	at, err := netip.ParseAddrPort(socket.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
}

// refused are the certificates that this error is about, the server's own first.
func refused(err error) []*x509.Certificate {
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) {
		return unverified.UnverifiedCertificates
	}
	return nil
}

// certificate notes the first of a chain. Its texts are the server's.
func (l *Look) certificate(chain []*x509.Certificate, hidden secrets) {
	if len(chain) == 0 {
		return
	}
	shown := func(text string) string { return cut(hidden.mask(clean(text)), maxDetail) }
	own := chain[0]
	l.Ends = own.NotAfter
	l.Subject = shown(cmp.Or(own.Subject.CommonName, first(own.DNSNames)))
	l.Issuer = shown(cmp.Or(own.Issuer.CommonName, first(own.Issuer.Organization)))
	if of := first(own.Issuer.Organization); of != "" && own.Issuer.CommonName != "" {
		l.Issuer = shown(own.Issuer.CommonName + " (" + of + ")") // the common name alone may be "E5"
	}
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
