package sender

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAnswersThatAreNoAnswers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		kind         string
	}{
		{"nothing", "", "connection lost: "},
		{"half a status line", "HTTP/1.1 20", "connection lost: "},
		{"headers break off", "HTTP/1.1 200 OK\r\nContent-Le", "connection lost: "},
		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n", "bad answer: "},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46\n\n", "bad answer: "},
		{"status in words", "HTTP/1.1 two hundred\r\n\r\n", "bad answer: "},
		{"header without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "bad answer: "},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "bad answer: "},
		{"unknown transfer encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: magic\r\n\r\n", "bad answer: "},
		{"16 MB in one header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 16<<20) + "\r\n\r\n", "answer too large: "},
		{"16 MB of headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: yyyyyyyyyyyy\r\n", 1<<20) + "\r\n", "answer too large: "},
		{"16 MB status line", "HTTP/1.1 200 " + strings.Repeat("x", 16<<20), "answer too large: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := answering(t, c.answer)
			got := send(t, newSender(t, 10*time.Second), newRequest(srv.url()))
			failsWith(t, got, c.kind, srv.url(), "outcome unknown")
			if got.Status != 0 || srv.requests.Load() != 1 {
				t.Errorf("%d requests, got %+v", srv.requests.Load(), got)
			}
		})
	}
}

func TestABadAnswerThatEchoesTheRequestIsMasked(t *testing.T) {
	for _, answer := range []string{
		plainToken + "\r\n\r\n",
		"POST /hook/0123456789abcdef?key=fedcba9876543210\r\n\r\n",
		"HTTP/1.1 200 OK\r\nbad header Bearer " + plainToken + " /hook/0123456789abcdef \r\n\r\n",
	} {
		req := newRequest(answering(t, answer).url() + "/hook/0123456789abcdef?key=fedcba9876543210")
		req.Token = plainToken
		got := send(t, newSender(t, 10*time.Second), req)
		failsWith(t, got, "bad answer: ", "***")
		for _, secret := range []string{plainToken, "0123456789", "fedcba"} {
			if strings.Contains(got.Error, secret) {
				t.Errorf("error %q", got.Error)
			}
		}
	}
}

func TestAnHTTPURLOnATLSPortSaysSo(t *testing.T) {
	got := send(t, newSender(t, 10*time.Second), newRequest(answering(t, "\x15\x03\x01\x00\x02\x02\x46\n").url()))
	failsWith(t, got, "bad answer: ", "https://")
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	failsWith(t, send(t, newSender(t, 10*time.Second), newRequest("http://"+l.Addr().String()+"/geheim")),
		"refused: nothing accepts connections at http://"+l.Addr().String()+"; nothing was sent")
}

func TestSlowAnswersTimeOutWithAnUnknownOutcome(t *testing.T) {
	for _, c := range []struct {
		name string
		talk func(*raw, *rawConn)
	}{
		{"no answer", func(r *raw, c *rawConn) { c.request(r); c.hang() }},
		{"headers do not end", func(r *raw, c *rawConn) { c.request(r); c.say("HTTP/1.1 200 OK\r\nX: y\r\n"); c.hang() }},
		{"interim answers only", func(r *raw, c *rawConn) { c.request(r); c.say("HTTP/1.1 102 Processing\r\n\r\n"); c.hang() }},
		{"the request is not read", func(r *raw, c *rawConn) { c.hang() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serveRaw(t, c.talk)
			got := send(t, newSender(t, 400*time.Millisecond), newRequest(srv.url()))
			failsWith(t, got, "timed out: 400ms ran out while waiting for the answer of "+srv.url()+"; outcome unknown")
			if srv.conns.Load() != 1 || got.Took > 2*time.Second {
				t.Errorf("%d connections, %v", srv.conns.Load(), got.Took)
			}
		})
	}
}

func TestARequestThatIsNotTakenTimesOutWhileSending(t *testing.T) {
	stop := make(chan struct{})
	srv := serveRaw(t, func(r *raw, c *rawConn) { <-stop })
	defer close(stop)
	req := newRequest(srv.url())
	req.Body = make([]byte, 64<<20)
	failsWith(t, send(t, newSender(t, 300*time.Millisecond), req), "timed out: 300ms ran out while sending to "+srv.url()+"; outcome unknown")
}

func TestASilentTLSPortTimesOutWithNothingSent(t *testing.T) {
	srv := serveRaw(t, func(r *raw, c *rawConn) { c.hang() })
	failsWith(t, send(t, newSender(t, 400*time.Millisecond), newRequest("https://"+srv.Addr().String())),
		"timed out: 400ms ran out while in the TLS handshake with https://"+srv.Addr().String()+"; nothing was sent")
}

func TestAConnectThatNobodyAcceptsTimesOutWithNothingSent(t *testing.T) {
	address := fullQueue(t)
	failsWith(t, send(t, newSender(t, 400*time.Millisecond), newRequest("http://"+address)),
		"timed out: 400ms ran out while connecting to http://"+address+"; nothing was sent")
}

// fullQueue returns an address whose queue of connections is full, so that the
// kernel answers no further one.
func fullQueue(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestAStoppingWorkerInterrupts(t *testing.T) {
	t.Run("before anything was written", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		srv := answering(t, keepAliveOK)
		failsWith(t, sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest(srv.url())), "interrupted: nothing was sent")
		if srv.conns.Load() != 0 {
			t.Error("it was called")
		}
	})
	t.Run("in the handshake", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		srv := serveRaw(t, func(r *raw, c *rawConn) { c.in.Peek(1); cancel(errors.New("second signal")); c.hang() })
		failsWith(t, sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest("https://"+srv.Addr().String())), "interrupted: nothing was sent")
	})
	t.Run("after the request", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		srv := serveRaw(t, func(r *raw, c *rawConn) { c.request(r); cancel(); c.hang() })
		failsWith(t, sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest(srv.url())), "interrupted: outcome unknown")
	})
	t.Run("by a deadline of its own", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		srv := serveRaw(t, func(r *raw, c *rawConn) { c.request(r); c.hang() })
		failsWith(t, sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest(srv.url())), "interrupted: outcome unknown")
	})
	t.Run("after the status", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		s := newSender(t, 10*time.Second)
		s.transport.DialContext = func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := net.Dial(network, address)
			return &countedConn{Conn: &stoppingConn{Conn: conn, stop: cancel}}, err
		}
		if got := sendCtx(ctx, t, s, newRequest(srv.URL)); !got.Delivered() {
			t.Errorf("got %+v", got)
		}
	})
}

// stoppingConn calls stop upon the second reading: the first one brought the
// whole head of the answer, and only Send asks for the body.
type stoppingConn struct {
	net.Conn
	stop  func()
	reads int
}

func (c *stoppingConn) Read(p []byte) (int, error) {
	if c.reads++; c.reads == 2 {
		c.stop()
	}
	return c.Conn.Read(p)
}

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

func TestTLSFailuresAreToldApart(t *testing.T) {
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
	port := func(url string) string { return url[strings.LastIndex(url, ":"):] }
	for _, c := range []struct {
		name, url string
		roots     *x509.CertPool
		says      []string
	}{
		{"expired", quiet(t, with(expired)).URL, pool, []string{"has expired on", "nothing was sent"}},
		{"not yet valid", quiet(t, with(early)).URL, pool, []string{"is not valid before", "nothing was sent"}},
		{"unknown authority", quiet(t, with(good)).URL, x509.NewCertPool(), []string{"authority that is not trusted", "nothing was sent"}},
		{"wrong host name", "https://localhost" + port(quiet(t, with(good)).URL), pool, []string{"another host name", "nothing was sent"}},
		{"plain HTTP", strings.Replace(serve(t, nil).URL, "http:", "https:", 1), pool, []string{"speaks plain HTTP", "nothing was sent"}},
		{"no TLS at all", strings.Replace(serveRaw(t, func(r *raw, c *rawConn) { c.say("SSH-2.0-OpenSSH\r\n"); c.hang() }).url(), "http:", "https:", 1), pool, []string{"does not speak TLS", "nothing was sent"}},
		{"too old", quiet(t, old).URL, pool, []string{"do not agree on TLS", "nothing was sent"}},
		{"client certificate wanted, 1.2", quiet(t, clientCert(tls.VersionTLS12)).URL, pool, []string{"do not agree on TLS"}},
		{"client certificate wanted, 1.3", quiet(t, clientCert(tls.VersionTLS13)).URL, pool, []string{"do not agree on TLS"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Options{AllowNetworks: loopback, RootCAs: c.roots, Timeout: 10 * time.Second})
			t.Cleanup(s.Close)
			got := send(t, s, newRequest(c.url+"/geheim"))
			failsWith(t, got, "tls: ", append(c.says, c.url)...)
			if strings.Contains(got.Error, "geheim") {
				t.Error(got.Error)
			}
		})
	}
}

func TestAHandshakeThatBreaksOffSentNothing(t *testing.T) {
	srv := serveRaw(t, func(r *raw, c *rawConn) { c.in.Peek(1) })
	failsWith(t, send(t, newSender(t, 10*time.Second), newRequest("https://"+srv.Addr().String())),
		"connection lost: https://"+srv.Addr().String(), "in the TLS handshake", "nothing was sent")
}

// What this machine's network does not let happen.
func TestOtherFailures(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	fresh := func(at stage) *trail { tr := &trail{}; tr.reach(at); return tr }
	for _, c := range []struct {
		name, want string
		err        error
		trail      *trail
	}{
		{"no route", "unreachable: cannot connect to https://h (connect: no route to host); nothing was sent", dial(syscall.EHOSTUNREACH), fresh(connecting)},
		{"no network", "unreachable: cannot connect to https://h (connect: network is unreachable); nothing was sent", dial(syscall.ENETUNREACH), fresh(connecting)},
		{"no free port", "unreachable: cannot connect to https://h (connect: cannot assign requested address); nothing was sent", dial(syscall.EADDRNOTAVAIL), fresh(connecting)},
		{"no free file", "unreachable: cannot connect to https://h (connect: too many open files); nothing was sent", dial(syscall.EMFILE), fresh(connecting)},
		{"the kernel's timeout", "timed out: while connecting to https://h; nothing was sent", dial(syscall.ETIMEDOUT), fresh(connecting)},
		{"the dialler's timeout", "timed out: while connecting to https://h; nothing was sent", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, fresh(connecting)},
		{"name server silent", "dns: the host of https://h could not be looked up (i/o timeout); nothing was sent", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "h", IsTimeout: true}}, fresh(lookingUp)},
		{"refused name server is no refused receiver", "dns: the host of https://h could not be looked up (connection refused); nothing was sent", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "connection refused", UnwrapErr: syscall.ECONNREFUSED}}, fresh(lookingUp)},
		{"unheard of", "cannot call: https://h (strange); nothing was sent", errors.New("strange"), fresh(lookingUp)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (failure{err: c.err, origin: "https://h", trail: c.trail}).text(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAnUnusableWebhookIDIsNotSent(t *testing.T) {
	srv := answering(t, keepAliveOK)
	req := newRequest(srv.url())
	req.WebhookID = "a\r\nX: y"
	failsWith(t, send(t, newSender(t, 10*time.Second), req), "cannot call: ", "webhook-id", "nothing was sent")
	if srv.conns.Load() != 0 {
		t.Error("it was called")
	}
}

func TestAVeryLongHostDoesNotHideTheOutcome(t *testing.T) {
	got := send(t, newSender(t, 10*time.Second), newRequest("http://"+strings.Repeat("é", 2000)+".test/"))
	if !strings.HasSuffix(got.Error, "nothing was sent") {
		t.Errorf("error %q", got.Error)
	}
}
