package sender

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// pemPair is a certificate and its key as files have them.
func pemPair(t *testing.T, c tls.Certificate) (cert, key []byte) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// identified is a Sender with a client certificate, and how its files are replaced; of nil the file stays.
func identified(t *testing.T, roots *x509.CertPool) (s *Sender, replace func(cert, key []byte)) {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	s = New(Options{AllowNetworks: loopback, RootCAs: roots, Timeout: 10 * time.Second, ClientCertFile: cert, ClientKeyFile: key})
	t.Cleanup(s.Close)
	return s, func(newCert, newKey []byte) {
		t.Helper()
		for path, text := range map[string][]byte{cert: newCert, key: newKey} {
			if text == nil {
				continue
			}
			if err := os.WriteFile(path+".next", text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".next", path); err != nil {
				t.Fatal(err)
			}
		}
		s.dialer.identity.mu.Lock()
		s.dialer.identity.looked = time.Time{} // looked at again at once
		s.dialer.identity.mu.Unlock()
	}
}

// asking is a server that requests a client certificate, and notes which each request came with.
func asking(t *testing.T, config *tls.Config) (url string, roots *x509.CertPool, came func() []string) {
	t.Helper()
	own := selfSigned(t, ecKey(t), "localhost")
	roots = x509.NewCertPool()
	roots.AddCert(own.Leaf)
	config.Certificates = []tls.Certificate{own}
	var mu sync.Mutex
	var all []string
	srv := quiet(t, config)
	srv.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name := "none"
		if peer := r.TLS.PeerCertificates; len(peer) > 0 {
			name = peer[0].SerialNumber.String() + string(peer[0].Raw)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, name)
	})
	return srv.URL, roots, func() []string {
		mu.Lock()
		defer mu.Unlock()
		came := all
		all = nil
		return came
	}
}

func is(c tls.Certificate) string { return c.Leaf.SerialNumber.String() + string(c.Leaf.Raw) }

func TestIdentity_IsOfferedWhereItIsRequested(t *testing.T) {
	client := selfSigned(t, ecKey(t), "worker")
	accepted := x509.NewCertPool()
	accepted.AddCert(client.Leaf)
	for name, config := range map[string]*tls.Config{
		"required, TLS 1.2": {ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: accepted, MaxVersion: tls.VersionTLS12},
		"required, TLS 1.3": {ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: accepted, MinVersion: tls.VersionTLS13},
		"requested":         {ClientAuth: tls.RequestClientCert},
		"not requested":     {ClientAuth: tls.NoClientCert},
	} {
		t.Run(name, func(t *testing.T) {
			url, roots, came := asking(t, config)
			s, replace := identified(t, roots)
			replace(pemPair(t, client))
			if got := send(t, s, newRequest(url)); !got.Delivered() {
				t.Fatalf("got %+v", got)
			}
			want := is(client)
			if name == "not requested" {
				want = "none"
			}
			if got := came(); len(got) != 1 || got[0] != want {
				t.Errorf("%d requests, not with the expected certificate", len(got))
			}
			if seen := s.Look(context.Background(), url, ""); seen.Failure != "" {
				t.Errorf("Look has seen %+v", seen)
			}
		})
	}
}

// One that the receiver does not accept is named, and that it is the worker's.
func TestIdentity_ThatIsRejectedIsNamed(t *testing.T) {
	client, other := selfSigned(t, ecKey(t), "worker"), selfSigned(t, ecKey(t), "other")
	accepted := x509.NewCertPool()
	accepted.AddCert(other.Leaf)
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			url, roots, came := asking(t, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: accepted, MinVersion: version, MaxVersion: version})
			s, replace := identified(t, roots)
			replace(pemPair(t, client))
			got := send(t, s, newRequest(url))
			failsWith(t, got, "tls: ", url, "rejects the client certificate of WEBHOOK_CLIENT_CERT_FILE", "must accept it")
			if got.Failure != outbox.FailureTLS || version == tls.VersionTLS12 && got.Received != outbox.ReceivedNo {
				t.Errorf("got %+v", got)
			}
			if seen := s.Look(context.Background(), url, ""); !strings.Contains(seen.Problem, "rejects the client certificate") {
				t.Errorf("Look has seen %+v", seen)
			}
			if got := came(); len(got) > 0 {
				t.Errorf("%d requests", len(got))
			}
		})
	}
}

func TestIdentity_IsReadAgainWhenItChanges(t *testing.T) {
	url, roots, came := asking(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	s, replace := identified(t, roots)
	sent := func(when string, with tls.Certificate) {
		t.Helper()
		if got := send(t, s, newRequest(url)); !got.Delivered() {
			t.Fatalf("%s: got %+v", when, got)
		}
		if got := came(); len(got) != 1 || got[0] != is(with) {
			t.Errorf("%s: it came with another certificate", when)
		}
	}
	problem := func(when, says string) {
		t.Helper()
		switch err := s.ClientCertificateProblem(); {
		case says == "" && err != nil:
			t.Errorf("%s: %v", when, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: %v", when, err)
		}
	}
	first, second := selfSigned(t, ecKey(t), "first"), selfSigned(t, ecKey(t), "second")
	replace(pemPair(t, first))
	sent("first", first)
	sent("first, on the same connection", first)

	cert, key := pemPair(t, second)
	replace(cert, nil)
	sent("half replaced", first)
	problem("half replaced", "does not match")
	replace(nil, key)
	sent("replaced", second) // and not on the connection of the first
	problem("replaced", "")

	replace(nil, key[:len(key)/2])
	sent("half a key", second)
	problem("half a key", "client.key")
	if text := s.ClientCertificateProblem().Error(); strings.Contains(text, string(key[40:60])) {
		t.Errorf("it shows a part of the key: %s", text)
	}
	if err := os.Remove(s.dialer.identity.keyFile); err != nil {
		t.Fatal(err)
	}
	replace(cert, nil)
	sent("no key", second)
	problem("no key", "client.key: no such file")

	cert, key = pemPair(t, first)
	replace(cert, key)
	sent("the first one again", first)
	problem("the first one again", "")
}
