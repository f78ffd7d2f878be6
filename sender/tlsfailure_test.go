package sender

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// tlsErrors are the part of networkErrors that is about certificates and
// handshakes. Each text says its own remedy.
func tlsErrors(t *testing.T) []networkError {
	const no, either = outbox.ReceivedNo, outbox.Received("") // TLS 1.3 rejects a client while it may be writing
	now := time.Now()
	day := 24 * time.Hour
	good := certificate(t, now.Add(-day), now.Add(day))
	expired := certificate(t, now.Add(-2*day), now.Add(-day))
	early := certificate(t, now.Add(day), now.Add(2*day))
	with := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	clientCert := func(version uint16) *tls.Config {
		c := with(good)
		c.ClientAuth, c.MinVersion, c.MaxVersion = tls.RequireAnyClientCert, version, version
		return c
	}
	old := with(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	pool := x509.NewCertPool()
	for _, c := range []tls.Certificate{good, expired, early} {
		pool.AddCert(c.Leaf)
	}
	plain := strings.Replace(serve(t, nil).URL, "http:", "https:", 1)
	ssh := serveRaw(t, func(r *raw, c *rawConn) { c.say("SSH-2.0-OpenSSH\r\n"); c.hang() }).origin("https")
	var all []networkError
	for _, c := range []struct {
		name, url string
		roots     *x509.CertPool
		received  outbox.Received
		says      []string
	}{
		{"certificate expired", quiet(t, with(expired)).URL, pool, no, []string{"has expired on", "its owner must renew it"}},
		{"certificate not yet valid", quiet(t, with(early)).URL, pool, no, []string{"is not valid before", "check this machine's clock"}},
		{"certificate of an unknown authority", quiet(t, with(good)).URL, x509.NewCertPool(), no, []string{"authority that is not trusted", "send the full chain", "SSL_CERT_FILE"}},
		{"certificate for another host name", onLocalhost(quiet(t, with(good)).URL), pool, no, []string{"another host name", "check the host in the URL"}},
		{"https to a plain HTTP port", plain, pool, no, []string{"speaks plain HTTP", "change the URL to http://"}},
		{"https to another protocol", ssh, pool, no, []string{"does not speak TLS"}},
		{"TLS too old", quiet(t, old).URL, pool, no, []string{"do not agree on TLS"}},
		{"client certificate required, TLS 1.2", quiet(t, clientCert(tls.VersionTLS12)).URL, pool, no, []string{"do not agree on TLS"}},
		{"client certificate required, TLS 1.3", quiet(t, clientCert(tls.VersionTLS13)).URL, pool, either, []string{"do not agree on TLS"}},
	} {
		all = append(all, networkError{c.name, trusting(c.roots, c.url), outbox.FailureTLS, c.received, "tls: ", c.says})
	}
	return all
}

// trusting is an attempt of a Sender that trusts these authorities.
func trusting(roots *x509.CertPool, url string) attempt {
	return func(t *testing.T) (outbox.Result, string) {
		s := New(Options{AllowNetworks: loopback, RootCAs: roots, Timeout: 10 * time.Second})
		t.Cleanup(s.Close)
		return send(t, s, newRequest(url+"/geheim")), url
	}
}

func onLocalhost(url string) string { return "https://localhost" + url[strings.LastIndex(url, ":"):] }

// quiet is a TLS server that does not log handshakes that are meant to fail.
func quiet(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = config
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{{127, 0, 0, 1}}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestTLSFailure_ValidityWithoutACertificateAndNoAuthorities(t *testing.T) {
	for want, err := range map[string]error{
		"tls: the certificate of https://h has expired or is not yet valid": x509.CertificateInvalidError{Reason: x509.Expired},
		"tls: this machine has no certificate authorities to verify":        x509.SystemRootsError{},
	} {
		got := (failure{err: err, origin: "https://h", trail: &trail{}}).result()
		if got.Failure != outbox.FailureTLS || got.Received != outbox.ReceivedNo {
			t.Errorf("got %+v", got)
		}
		failsWith(t, got, want, "nothing was sent")
	}
}
