package sender

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// selfSigned is a certificate of this template's names, valid now.
func selfSigned(t *testing.T, key any, names ...string) tls.Certificate {
	t.Helper()
	public := any(nil)
	switch k := key.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	if len(names) > 0 {
		c.IPAddresses = []net.IP{{127, 0, 0, 1}}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Check names what a delivery would fail with.
func TestTLSFailure_IsNamedByDeliveryAndLook(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	nameless, named, rsaNamed := selfSigned(t, ecKey(t)), selfSigned(t, ecKey(t), "localhost"), selfSigned(t, rsaKey, "localhost")
	pool := x509.NewCertPool()
	for _, c := range []tls.Certificate{nameless, named, rsaNamed} {
		pool.AddCert(c.Leaf)
	}
	for _, c := range []struct {
		name   string
		config *tls.Config
		says   []string
	}{
		{"no SAN", &tls.Config{Certificates: []tls.Certificate{nameless}}, []string{"no Subject Alternative Name", "must reissue it"}},
		{"RSA key exchange only", &tls.Config{Certificates: []tls.Certificate{rsaNamed}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
			[]string{"offers only RSA key exchange", "must enable cipher suites with ECDHE"}},
		{"client certificate, TLS 1.2", &tls.Config{Certificates: []tls.Certificate{named}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
			[]string{"requires a client certificate", "bearer token instead"}},
		{"client certificate, TLS 1.3", &tls.Config{Certificates: []tls.Certificate{named}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13},
			[]string{"requires a client certificate", "bearer token instead"}},
		{"TLS 1.1 at most", &tls.Config{Certificates: []tls.Certificate{named}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, []string{"no TLS version from 1.2", "must enable TLS 1.2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Options{AllowNetworks: loopback, RootCAs: pool, Timeout: 10 * time.Second})
			url := quiet(t, c.config).URL
			got := send(t, s, newRequest(url))
			failsWith(t, got, "tls: ", c.says...)
			if got.Failure != outbox.FailureTLS {
				t.Errorf("got %+v", got)
			}
			seen := s.Look(context.Background(), url, "")
			if seen.Failure != outbox.FailureTLS || !strings.HasPrefix(seen.Problem, "tls: ") || !strings.Contains(seen.Problem, c.says[0]) {
				t.Errorf("Look has seen %+v", seen)
			}
		})
	}
	optional := quiet(t, &tls.Config{Certificates: []tls.Certificate{named}, ClientAuth: tls.RequestClientCert}).URL
	s := New(Options{AllowNetworks: loopback, RootCAs: pool, Timeout: 10 * time.Second})
	if got := send(t, s, newRequest(optional)); !got.Delivered() {
		t.Errorf("a client certificate is not required: %+v", got)
	}
	if seen := s.Look(context.Background(), optional, ""); seen.Failure != "" {
		t.Errorf("a client certificate is not required: %+v", seen)
	}
}

func TestRoots_FileIsReadAgainWhenItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(c tls.Certificate) {
		t.Helper()
		next := file + ".next"
		if err := os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookAgain)
	}
	old, renewed := selfSigned(t, ecKey(t), "localhost"), selfSigned(t, ecKey(t), "localhost")
	for _, by := range []string{"WEBHOOK_CA_FILE", "SSL_CERT_FILE"} {
		t.Run(by, func(t *testing.T) {
			write(old)
			o := Options{AllowNetworks: loopback, Timeout: 10 * time.Second, CAFile: file}
			if by == "SSL_CERT_FILE" {
				o.CAFile = ""
				t.Setenv("SSL_CERT_FILE", file)
				t.Setenv("SSL_CERT_DIR", t.TempDir())
			}
			s := New(o)
			url := func(c tls.Certificate) string { return quiet(t, &tls.Config{Certificates: []tls.Certificate{c}}).URL }
			if got := send(t, s, newRequest(url(old))); !got.Delivered() {
				t.Fatalf("got %+v", got)
			}
			write(renewed)
			if got := send(t, s, newRequest(url(renewed))); !got.Delivered() {
				t.Errorf("renewed: %+v", got)
			}
			if got := send(t, s, newRequest(url(old))); got.Failure != outbox.FailureTLS {
				t.Errorf("replaced: %+v", got)
			}
			if err := os.WriteFile(file, []byte("half a file"), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * lookAgain)
			if got := send(t, s, newRequest(url(renewed))); !got.Delivered() {
				t.Errorf("unreadable for a moment: %+v", got)
			}
		})
	}
}

func TestSend_HostAndSNIAsCurlSendsThem(t *testing.T) {
	for in, want := range map[string][3]string{ // Host, SNI, address
		"https://EXAMPLE.com:443/":           {"example.com", "example.com", "example.com:443"},
		"http://Example.COM:80":              {"example.com", "example.com", "example.com:80"},
		"http://example.com:":                {"example.com", "example.com", "example.com:80"},
		"https://example.com:080/":           {"example.com:80", "example.com", "example.com:80"},
		"http://example.com:443/":            {"example.com:443", "example.com", "example.com:443"},
		"https://example.com./":              {"example.com.", "example.com", "example.com.:443"},
		"https://example.com.:443/":          {"example.com.", "example.com", "example.com.:443"},
		"https://bücher.example/":            {"xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example:443"},
		"https://BÜCHER.example:8443/":       {"xn--bcher-kva.example:8443", "xn--bcher-kva.example", "xn--bcher-kva.example:8443"},
		"https://例え.jp/":                     {"xn--r8jz45g.jp", "xn--r8jz45g.jp", "xn--r8jz45g.jp:443"},
		"https://a_b.example/":               {"a_b.example", "a_b.example", "a_b.example:443"},
		"https://[2001:DB8::1]:443/":         {"[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:443"},
		"http://[fe80::1%25eth0]:8080/":      {"[fe80::1]:8080", "fe80::1%eth0", "[fe80::1%eth0]:8080"},
		"HTTPS://user:pass@Example.com:0443": {"example.com", "example.com", "example.com:443"},
	} {
		to := newEndpoint(in, "", "")
		if to.err != nil {
			t.Errorf("%s: %v", in, to.err)
			continue
		}
		if got := [3]string{to.target.host, to.target.server, to.target.address}; got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	var sni string
	cert := selfSigned(t, ecKey(t), "localhost")
	srv := quiet(t, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { sni = h.ServerName; return &cert, nil }})
	hosts := make(chan string, 1)
	srv.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	s := New(Options{AllowNetworks: loopback, RootCAs: pool, Timeout: 10 * time.Second})
	s.dialer.connect = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return net.Dial(network, srv.Listener.Addr().String())
	}
	if got := send(t, s, newRequest("https://LocalHost.:443/")); !got.Delivered() || sni != "localhost" || <-hosts != "localhost." {
		t.Errorf("SNI %q: %+v", sni, got)
	}
}

// Once its time is over, a connection that is busy all along is not used again.
func TestPool_ConnectionIsUsedForHalfAMinute(t *testing.T) {
	p := newPool()
	mine, _ := net.Pipe()
	c := newConn(mine, mine)
	c.keep, c.made = keepIdle, time.Now().Add(-keepUsed)
	p.put("http://h:80", c)
	if c, _ := p.take("http://h:80", time.Now()); c != nil {
		t.Error("it is used again")
	}
	if keepUsed+defaultTimeout > time.Minute {
		t.Errorf("with its last attempt it lives for %v", keepUsed+defaultTimeout)
	}
}

// A receiver that speaks first is no HTTP server, whatever it says.
func TestSend_AnswerOnANewConnectionNeverCounts(t *testing.T) {
	for name, scheme := range map[string]string{"HTTP": keepAliveOK, "SSH": "SSH-2.0-OpenSSH\r\n"} {
		t.Run(name, func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) { conn.hang() })
			s := newSender(t, 10*time.Second)
			s.dialer.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return nil, err
				}
				defer l.Close()
				c, err := net.Dial(network, l.Addr().String())
				if err != nil {
					return nil, err
				}
				other, err := l.Accept()
				if err != nil {
					return nil, err
				}
				t.Cleanup(func() { other.Close() })
				_, err = other.Write([]byte(scheme))
				time.Sleep(10 * time.Millisecond)
				return c, err
			}
			got := send(t, s, newRequest(srv.url()))
			failsWith(t, got, "bad answer: ", "sent something before it was sent a request", "nothing was sent")
		})
	}
}

// Session tickets are read as they come: they are no answer, and no reason to give up a connection.
func TestPool_TLSConnectionIsUsedAgain(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			cert := selfSigned(t, ecKey(t), "localhost")
			pool := x509.NewCertPool()
			pool.AddCert(cert.Leaf)
			srv := quiet(t, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version})
			remotes := map[string]bool{}
			srv.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { remotes[r.RemoteAddr] = true })
			s := New(Options{AllowNetworks: loopback, RootCAs: pool, Timeout: 10 * time.Second})
			defer s.Close()
			for range 20 {
				if got := send(t, s, newRequest(srv.URL)); !got.Delivered() {
					t.Errorf("got %+v", got)
				}
			}
			if len(remotes) != 1 {
				t.Errorf("%d connections", len(remotes))
			}
		})
	}
}

// saidTwice answers twice. tardy: the machine was so busy that the second answer came when the connection had rested;
// nothing can tell it from the answer of the next request then.
func saidTwice(c *rawConn, pause time.Duration, tardy *atomic.Bool) {
	began := time.Now()
	c.say(keepAliveOK)
	time.Sleep(pause)
	c.say(keepAliveOK)
	if time.Since(began) > rest/2 {
		tardy.Store(true)
	}
}

// A second answer may be in the same record as the first, in one of its own, or come later.
func TestSend_AnswerOfAnotherRequestNeverCountsInTLS(t *testing.T) {
	cert := selfSigned(t, ecKey(t), "localhost")
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	for name, pause := range map[string]time.Duration{"one record": -1, "two records": 0, "later": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			var answered ledger
			var tardy atomic.Bool
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				secure := tls.Server(conn.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
				conn = &rawConn{Conn: secure, in: bufio.NewReader(secure)}
				for n := 0; ; n++ {
					id, ok := conn.read(r)
					switch {
					case !ok:
						return
					case n > 0:
						answered.note(id, 500)
						conn.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
					default:
						answered.note(id, 200)
						if pause < 0 {
							conn.say(keepAliveOK + keepAliveOK)
							continue
						}
						saidTwice(conn, pause, &tardy)
					}
				}
			})
			s := New(Options{AllowNetworks: loopback, RootCAs: pool, Timeout: 10 * time.Second})
			defer s.Close()
			storm(t, s, srv.origin("https"), 10, func(id string, delivered bool) {
				answered.mu.Lock()
				defer answered.mu.Unlock()
				if delivered && answered.seen[id] != 200 && !tardy.Load() {
					t.Errorf("%s is delivered, the receiver answered %d", id, answered.seen[id])
				}
			})
		})
	}
}

// The beginning of a record is something unread, too, although nothing of it can be decrypted yet.
func TestSend_PartOfAnAnswerNeverCountsInTLS(t *testing.T) {
	cert := selfSigned(t, ecKey(t), "localhost")
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	for _, first := range []int{3, 7} { // of the record's head, and of what follows it
		srv := serveRaw(t, func(r *raw, conn *rawConn) {
			link := &halting{Conn: conn.Conn, after: -1}
			secure := tls.Server(link, &tls.Config{Certificates: []tls.Certificate{cert}})
			conn = &rawConn{Conn: secure, in: bufio.NewReader(secure)}
			conn.request(r)
			conn.say(keepAliveOK)
			if r.conns.Load() == 1 {
				link.after = first
				conn.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
				time.Sleep(200 * time.Millisecond)
				link.Conn.Write(link.rest)
			}
			conn.hang()
		})
		s := New(Options{AllowNetworks: loopback, RootCAs: pool, Timeout: 10 * time.Second})
		send(t, s, newRequest(srv.origin("https")))
		time.Sleep(50 * time.Millisecond)
		if got := send(t, s, newRequest(srv.origin("https"))); !got.Delivered() || srv.conns.Load() != 2 {
			t.Errorf("%d bytes, %d connections: got %+v", first, srv.conns.Load(), got)
		}
		s.Close()
	}
}

// halting keeps the rest of what is written after so many bytes.
type halting struct {
	net.Conn
	after int // -1: nothing is kept
	rest  []byte
}

func (h *halting) Write(p []byte) (int, error) {
	if h.after < 0 {
		return h.Conn.Write(p)
	}
	h.rest = slices.Clone(p[h.after:])
	_, err := h.Conn.Write(p[:h.after])
	return len(p), err
}
