package sender

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// certified is a certificate for 127.0.0.1 that ends then, signed by itself.
func certified(t *testing.T, ends time.Time, subject pkix.Name) tls.Certificate {
	t.Helper()
	key := ecKey(t)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends,
		DNSNames: []string{"hooks.example.com"}, IPAddresses: []net.IP{{127, 0, 0, 1}}, IsCA: true, BasicConstraintsValid: true}
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

// tlsServer counts the requests that reach it.
func tlsServer(t *testing.T, config *tls.Config) (srv *httptest.Server, requests func() int) {
	t.Helper()
	seen := make(chan struct{}, 10)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen <- struct{}{} }))
	srv.TLS = config
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, func() int { return len(seen) }
}

func TestLook_ShowsAddressAndCertificateAlsoOfARefusedOne(t *testing.T) {
	soon, past := time.Now().Add(20*time.Hour).UTC().Truncate(time.Second), time.Now().Add(-20*time.Hour).UTC().Truncate(time.Second)
	valid := certified(t, soon, pkix.Name{CommonName: "R11", Organization: []string{"Authority"}})
	nameless := certified(t, soon, pkix.Name{})
	expired := certified(t, past, pkix.Name{CommonName: "old\x00.example"})
	foreign := certified(t, soon, pkix.Name{CommonName: "unknown"})
	pool := x509.NewCertPool()
	for _, c := range []tls.Certificate{valid, nameless, expired} {
		pool.AddCert(c.Leaf)
	}
	s := New(Options{AllowNetworks: loopback, RootCAs: pool})
	for _, c := range []struct {
		name    string
		config  *tls.Config
		failure outbox.Failure
		problem string
		want    Look
	}{
		{"valid", &tls.Config{Certificates: []tls.Certificate{valid}}, "", "", Look{TLSVersion: "TLS 1.3", Subject: "R11", Issuer: "R11 (Authority)", Ends: soon}},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{nameless}, MaxVersion: tls.VersionTLS12}, "", "", Look{TLSVersion: "TLS 1.2", Subject: "hooks.example.com", Ends: soon}},
		{"expired", &tls.Config{Certificates: []tls.Certificate{expired}}, outbox.FailureTLS, "has expired on " + past.Format(time.RFC3339), Look{Subject: "old .example", Issuer: "old .example", Ends: past}},
		{"authority not trusted", &tls.Config{Certificates: []tls.Certificate{foreign}}, outbox.FailureTLS, "not trusted here", Look{Subject: "unknown", Issuer: "unknown", Ends: soon}},
		{"client certificate required", &tls.Config{Certificates: []tls.Certificate{valid}, ClientAuth: tls.RequireAnyClientCert}, outbox.FailureTLS, "requires a client certificate",
			Look{TLSVersion: "TLS 1.3", Subject: "R11", Issuer: "R11 (Authority)", Ends: soon}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv, requests := tlsServer(t, c.config)
			got := s.Look(context.Background(), srv.URL+"/path", "")
			if got.Failure != c.failure || !strings.Contains(got.Problem, c.problem) || (got.Problem == "") != (c.failure == "") || got.Shortage != "" {
				t.Errorf("failure %q: %q", got.Failure, got.Problem)
			}
			if got.Address != srv.Listener.Addr().String() {
				t.Errorf("the address is %q", got.Address)
			}
			if got.TLSVersion != c.want.TLSVersion || got.Subject != c.want.Subject || got.Issuer != c.want.Issuer || !got.Ends.Equal(c.want.Ends) {
				t.Errorf("seen is %+v, expected %+v", got, c.want)
			}
			if n := requests(); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

func TestLook_JudgesAsAnAttempt(t *testing.T) {
	srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	if got := newSender(t, time.Second).Look(context.Background(), srv.URL, ""); got != (Look{Address: srv.Listener.Addr().String()}) {
		t.Errorf("without TLS: %+v", got)
	}
	if got := New(Options{}).Look(context.Background(), srv.URL, ""); got.Failure != outbox.FailureBlockedAddress || got.Address != "" {
		t.Errorf("an address that is not allowed: %+v", got)
	}
	if got := newSender(t, time.Second).Look(context.Background(), "https://", ""); got.Failure != outbox.FailureConfig {
		t.Errorf("no host: %+v", got)
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	if got := newSender(t, time.Second).Look(stopped, srv.URL, ""); got.Failure != outbox.FailureInterrupted {
		t.Errorf("a worker that stops: %+v", got)
	}
}

// A receiver knows the token from deliveries, and may write it into its certificate.
func TestLook_MasksSecretsInACertificate(t *testing.T) {
	c := certified(t, time.Now().Add(time.Hour), pkix.Name{CommonName: "key-0123456789"})
	srv, _ := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{c}})
	got := newSender(t, time.Second).Look(context.Background(), srv.URL+"/key-0123456789", "")
	if got.Subject != mask || got.Issuer != mask {
		t.Errorf("seen is %+v", got)
	}
}
