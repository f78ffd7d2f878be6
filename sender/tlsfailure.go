package sender

import (
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
	case errors.As(f.err, &name):
		return "the certificate of " + f.origin + " is for another host name" + f.names(name.Certificate) +
			"; check the host in the URL, else the certificate's owner must reissue it"
	case errors.As(f.err, &unknown):
		return "the certificate of " + f.origin + " is signed by an authority that is not trusted here" +
			"; its owner should send the full chain, or add a private authority to this machine (SSL_CERT_FILE)"
	case errors.As(f.err, &roots):
		return "this machine has no certificate authorities to verify " + f.origin + "; install them (ca-certificates) or set SSL_CERT_FILE"
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
	case errors.As(f.err, &alert) && (alert.Op == "remote error" || alert.Op == "local error"):
		return f.origin + " and this worker do not agree on TLS (" + alert.Op + ": " + f.detail(alert.Err.Error()) + ")"
	case f.trail.at() == handshaking && strings.HasPrefix(f.err.Error(), "tls: "):
		return f.origin + " and this worker do not agree on TLS (" + f.detail(f.err.Error()) + ")"
	}
	return ""
}
