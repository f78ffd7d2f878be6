package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// tls distinguishes what an operator fixes in different places: a certificate
// that has expired, an authority that this machine does not trust, a certificate
// for other names, a port that does not speak TLS. They are one class, so each
// text says its own remedy.
func (f failure) tls() *reason {
	what := f.certificate()
	if what == "" {
		what = f.handshake()
	}
	if what == "" {
		return nil
	}
	return f.reason(outbox.FailureTLS, "tls: %s", what)
}

func (f failure) certificate() string {
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		roots   x509.SystemRootsError
		other   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(f.err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate of " + f.origin + validity(invalid.Cert)
	case errors.As(f.err, &name) && nameless(name.Certificate):
		return "the certificate of " + f.origin + " is for no host at all: it has no Subject Alternative Name" +
			", and a Common Name no longer counts; its owner must reissue it with one"
	case errors.As(f.err, &name):
		return "the certificate of " + f.origin + " is for another host name" + f.names(name.Certificate) +
			"; check the host in the URL, else the certificate's owner must reissue it"
	case errors.As(f.err, &unknown):
		return "the certificate of " + f.origin + " is signed by an authority that is not trusted here" +
			"; its owner should send the full chain, or add a private authority to this machine (WEBHOOK_CA_FILE or SSL_CERT_FILE)"
	case errors.As(f.err, &roots):
		return "this machine has no certificate authorities to verify " + f.origin + "; install them (ca-certificates) or set WEBHOOK_CA_FILE or SSL_CERT_FILE"
	case errors.As(f.err, &other):
		return "the certificate of " + f.origin + " is not valid (" + f.detail(other.Err.Error()) + ")"
	}
	return ""
}

// validity distinguishes expired from not yet valid; Go has one error for both.
func validity(c *x509.Certificate) string {
	switch {
	case c == nil:
		return " has expired or is not yet valid; its owner must renew it"
	case time.Now().Before(c.NotBefore):
		return " is not valid before " + c.NotBefore.UTC().Format(time.RFC3339) + "; check this machine's clock"
	}
	return " has expired on " + c.NotAfter.UTC().Format(time.RFC3339) + "; its owner must renew it"
}

// nameless reports whether a certificate names nothing that it is for.
func nameless(c *x509.Certificate) bool {
	return c != nil && len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) == 0
}

// names lists what the certificate is for.
func (f failure) names(c *x509.Certificate) string {
	if c == nil || len(c.DNSNames) == 0 {
		return ""
	}
	return " (" + f.detail(strings.Join(c.DNSNames, ", ")) + ")"
}

// handshake is what else went wrong in TLS. A rejected client certificate is
// reported, with TLS 1.3, only after the request was written.
func (f failure) handshake() string {
	var (
		record tls.RecordHeaderError
		alert  *net.OpError
	)
	switch {
	case errors.As(f.err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return f.origin + " speaks plain HTTP on this port; change the URL to http://, or to the port that speaks TLS"
	case errors.As(f.err, &record):
		return f.origin + " does not speak TLS on this port"
	case errors.Is(f.err, errOnlyRSA):
		return f.disagree("it offers only RSA key exchange; its owner must enable cipher suites with ECDHE")
	case errors.As(f.err, &alert) && alert.Op == "remote error" && f.trail.certRequested.Load():
		return f.disagree(f.unidentified(f.detail(alert.Err.Error())))
	case isAlert(f.err, protocolVersion):
		return f.tooOld(alert.Err.Error())
	case strings.HasPrefix(f.err.Error(), choseAnOldVersion):
		return f.tooOld(f.err.Error())
	case errors.As(f.err, &alert) && (alert.Op == "remote error" || alert.Op == "local error"):
		return f.disagree(alert.Op + ": " + f.detail(alert.Err.Error()))
	case f.trail.at() == handshaking && strings.HasPrefix(f.err.Error(), "tls: "):
		return f.disagree(f.detail(f.err.Error()))
	}
	return ""
}

// tooOld is a server that refuses TLS 1.2, or answers in the version before it as if that had been offered.
func (f failure) tooOld(how string) string {
	return f.disagree("it supports no TLS version from 1.2 (" + f.detail(how) + "); its owner must enable TLS 1.2 or 1.3")
}

// choseAnOldVersion begins the error of crypto/tls for such an answer, which has no type of its own.
const choseAnOldVersion = "tls: server selected unsupported protocol version"

// unidentified is the rejection by a server that requested a client certificate.
func (f failure) unidentified(alert string) string {
	if f.trail.offered != nil {
		return "it rejects the client certificate of WEBHOOK_CLIENT_CERT_FILE (" + alert +
			"); check when that ends, else its owner must accept it or the authority that signed it"
	}
	return "it requires a client certificate, and the worker has none (" + alert +
		"); set WEBHOOK_CLIENT_CERT_FILE and WEBHOOK_CLIENT_KEY_FILE, or give the worker an address there that accepts its bearer token instead"
}

func (f failure) disagree(why string) string {
	return f.origin + " and this worker do not agree on TLS: " + why
}

// The alerts that are named for what they mean (RFC 8446, section 6.2).
const (
	handshakeFailure tls.AlertError = 40
	protocolVersion  tls.AlertError = 70
)

// isAlert compares by the alert's own name: crypto/tls returns it in a type that it does not export.
func isAlert(err error, which tls.AlertError) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == "remote error" && alert.Err.Error() == which.Error()
}

// errOnlyRSA is a server that offers no key exchange but RSA's.
var errOnlyRSA = errors.New("only RSA key exchange")

// onlyRSA are the cipher suites that crypto/tls no longer offers, since their
// key exchange has no forward secrecy.
var onlyRSA = []uint16{
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
}

// diagnose finds out why a server has ended a handshake without a word. With
// the cipher suites that are not offered it would go on; nothing is sent on that
// connection, and no certificate is verified.
func (d *dialer) diagnose(ctx context.Context, to *target, t *trail, err error) error {
	if !isAlert(err, handshakeFailure) || t.certRequested.Load() {
		return err
	}
	socket, dialErr := d.socket(ctx, to, &trail{})
	if dialErr != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	agreed := false
	c := tls.Client(socket, &tls.Config{
		ServerName: to.server, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA,
		InsecureSkipVerify: true, //nolint:gosec // the handshake is abandoned, see above
		VerifyConnection:   func(tls.ConnectionState) error { agreed = true; return errOnlyRSA },
	})
	if _ = c.HandshakeContext(ctx); agreed {
		return errOnlyRSA
	}
	return err
}
