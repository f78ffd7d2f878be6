package sender

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"
)

// tls tells apart what an operator mends in different places: a certificate
// that ran out, an authority that this machine does not know, a certificate
// for other names, a port that does not speak TLS.
func (f failure) tls() string {
	what := f.certificate()
	if what == "" {
		what = f.handshake()
	}
	if what == "" {
		return ""
	}
	return f.says("tls: %s", what)
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
		return "the certificate of " + f.origin + " is for another host name" + f.names(name.Certificate)
	case errors.As(f.err, &unknown):
		return "the certificate of " + f.origin + " is signed by an authority that is not trusted here"
	case errors.As(f.err, &roots):
		return "this machine has no certificate authorities to judge " + f.origin + " by (SSL_CERT_FILE)"
	case errors.As(f.err, &other):
		return "the certificate of " + f.origin + " is not valid (" + f.detail(other.Err.Error()) + ")"
	}
	return ""
}

// validity tells expired from not yet valid; Go has one error for both.
func validity(c *x509.Certificate) string {
	if c == nil {
		return " has expired or is not yet valid"
	}
	if time.Now().Before(c.NotBefore) {
		return " is not valid before " + c.NotBefore.UTC().Format(time.RFC3339)
	}
	return " has expired on " + c.NotAfter.UTC().Format(time.RFC3339)
}

// names lists what the certificate is for.
func (f failure) names(c *x509.Certificate) string {
	if c == nil || len(c.DNSNames) == 0 {
		return ""
	}
	return " (" + f.detail(strings.Join(c.DNSNames, ", ")) + ")"
}

// handshake tells what else went wrong in TLS. A refused client certificate
// arrives, with TLS 1.3, only after the request was written.
func (f failure) handshake() string {
	var (
		record tls.RecordHeaderError
		alert  *net.OpError
	)
	switch {
	case errors.As(f.err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return f.origin + " speaks plain HTTP on this port, so the URL should begin with http:// or name another port"
	case errors.As(f.err, &record):
		return f.origin + " does not speak TLS on this port"
	case errors.As(f.err, &alert) && (alert.Op == "remote error" || alert.Op == "local error"):
		return f.origin + " and this worker do not agree on TLS (" + alert.Op + ": " + f.detail(alert.Err.Error()) + ")"
	case f.trail.at() == handshaking && strings.HasPrefix(f.err.Error(), "tls: "):
		return f.origin + " and this worker do not agree on TLS (" + f.detail(f.err.Error()) + ")"
	}
	return ""
}
