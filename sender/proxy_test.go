package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// egress is a proxy for CONNECT that notes what it was asked for.
type egress struct {
	*raw
	mu    sync.Mutex
	asked []*http.Request
}

// connects is what an egress does with a connection that it is asked for: it connects.
func connects(c *rawConn, target string) {
	there, err := net.Dial("tcp", target)
	if err != nil {
		c.say("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer there.Close()
	c.say("HTTP/1.1 200 Connection established\r\n\r\n")
	ended := make(chan struct{})
	go func() { io.Copy(there, c.in); there.(*net.TCPConn).CloseWrite(); close(ended) }()
	io.Copy(c, there)
	c.Close()
	<-ended
}

func newEgress(t *testing.T, do func(c *rawConn, target string)) *egress {
	t.Helper()
	e := &egress{}
	e.raw = serveRaw(t, func(_ *raw, c *rawConn) {
		req, err := http.ReadRequest(c.in)
		if err != nil {
			return
		}
		e.mu.Lock()
		e.asked = append(e.asked, req)
		e.mu.Unlock()
		do(c, req.Host)
	})
	return e
}

func (e *egress) targets() (all []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, req := range e.asked {
		all = append(all, req.Method+" "+req.RequestURI)
	}
	return all
}

// through is a Sender that goes through a proxy at this address.
func through(t *testing.T, address string, timeout time.Duration, more ...func(*Options)) *Sender {
	t.Helper()
	p, err := ParseProxy("http://worker:pr0xy-5ecret@" + address)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Timeout: timeout, AllowNetworks: loopback, Proxy: p}
	for _, set := range more {
		set(&o)
	}
	s := New(o)
	t.Cleanup(s.Close)
	return s
}

func TestProxy_MakesAllConnections(t *testing.T) {
	cert := selfSigned(t, ecKey(t), "localhost")
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	secure := quiet(t, &tls.Config{Certificates: []tls.Certificate{cert}}).URL
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" || r.URL.IsAbs() {
			t.Errorf("the receiver sees %s with %v", r.RequestURI, r.Header)
		}
	}).URL
	for name, url := range map[string]string{"https": onLocalhost(secure), "http": plain} {
		t.Run(name, func(t *testing.T) {
			proxy := newEgress(t, connects)
			s := through(t, proxy.Addr().String(), 10*time.Second, func(o *Options) { o.RootCAs = pool })
			for range 3 {
				if got := send(t, s, newRequest(url+"/path")); !got.Delivered() {
					t.Fatalf("got %+v", got)
				}
			}
			seen := s.Look(context.Background(), url, "")
			if seen.Failure != "" || seen.Address != "" {
				t.Errorf("a look: %+v", seen)
			}
			_, target, _ := strings.Cut(url, "://")
			if got := proxy.targets(); !slices.Equal(got, []string{"CONNECT " + target, "CONNECT " + target}) { // the attempts share one
				t.Errorf("asked for %q", got)
			}
			auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("worker:pr0xy-5ecret"))
			if got := proxy.asked[0].Header.Get("Proxy-Authorization"); got != auth {
				t.Errorf("asked with %q", got)
			}
		})
	}
}

// The proxies of the environment are none, see dialer.
func TestProxy_OfTheEnvironmentIsIgnored(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	srv := serve(t, func(http.ResponseWriter, *http.Request) {})
	if got := send(t, newSender(t, 10*time.Second), newRequest(srv.URL)); !got.Delivered() {
		t.Errorf("got %+v", got)
	}
}

// What the proxy cannot do, or does not allow, is no failure of the receiver; that it cannot reach the
// receiver is one. Nothing is sent, whichever it is.
func TestProxy_FailureHasItsOwnClass(t *testing.T) {
	t.Parallel()
	say := func(text string) func(*rawConn, string) {
		return func(c *rawConn, _ string) { c.say("%s", text); c.hang() }
	}
	status := func(code int) func(*rawConn, string) {
		return say(fmt.Sprintf("HTTP/1.1 %d X pr0xy-5ecret\r\nContent-Length: 11\r\n\r\npr0xy-5ecret", code))
	}
	for name, c := range map[string]struct {
		do      func(*rawConn, string)
		failure outbox.Failure
		says    string
	}{
		"denied":                 {status(403), outbox.FailureProxy, "does not allow this target"},
		"denied, or credentials": {status(407), outbox.FailureProxy, "the credentials in WEBHOOK_PROXY"},
		"another status":         {status(500), outbox.FailureProxy, "has answered HTTP 500 Internal Server Error"},
		"a redirect":             {status(302), outbox.FailureProxy, "has answered HTTP 302"},
		"bad gateway":            {status(502), outbox.FailureUnreachable, "cannot connect to"},
		"unavailable":            {status(503), outbox.FailureUnreachable, "cannot connect to"},
		"gateway timeout":        {status(504), outbox.FailureUnreachable, "cannot connect to"},
		"closes":                 {func(*rawConn, string) {}, outbox.FailureProxy, "has closed the connection"},
		"half an answer":         {func(c *rawConn, _ string) { c.say("HTTP/1.1 200 Connec") }, outbox.FailureProxy, "has closed the connection"},
		"no HTTP":                {say("SSH-2.0 pr0xy-5ecret\r\n\r\n"), outbox.FailureProxy, "does not answer in HTTP"},
		"headers without an end": {say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader)), outbox.FailureProxy, "does not answer in HTTP"},
		"silent":                 {func(c *rawConn, _ string) { c.hang() }, outbox.FailureProxy, "400ms ran out while the egress proxy"},
		"speaks for the target":  {say("HTTP/1.1 200 OK\r\n\r\n" + keepAliveOK), outbox.FailureProxy, "has sent more than its answer"},
		"is a web server":        {status(200), outbox.FailureProxy, "has sent more than its answer"},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := newEgress(t, c.do)
			srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
			timeout := 10 * time.Second
			if name == "silent" {
				timeout = 400 * time.Millisecond
			}
			s := through(t, proxy.Addr().String(), timeout)
			got := send(t, s, newRequest(srv.URL+"/geheim"))
			if got.Failure != c.failure || got.Received != outbox.ReceivedNo || got.Shortage != "" || got.Response != "" {
				t.Errorf("got %+v", got)
			}
			failsWith(t, got, "", c.says, srv.URL, "nothing was sent")
			if !strings.Contains(got.Error, "the egress proxy "+proxy.Addr().String()) {
				t.Errorf("the proxy is not named: %s", got.Error)
			}
			if strings.Contains(got.Error, "5ecret") || strings.Contains(got.Error, "geheim") {
				t.Errorf("a secret is shown: %s", got.Error)
			}
		})
	}
}

func TestProxy_ThatIsNotThereHasItsOwnClass(t *testing.T) {
	srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for address, says := range map[string]string{l.Addr().String(): "connection refused", "no-such-proxy.invalid:3128": "lookup"} {
		s := through(t, address, 10*time.Second)
		got := send(t, s, newRequest(srv.URL))
		if got.Failure != outbox.FailureProxy || got.Received != outbox.ReceivedNo || got.Shortage != "" {
			t.Errorf("got %+v", got)
		}
		failsWith(t, got, "proxy: the egress proxy "+address+" cannot be reached", says, srv.URL, "nothing was sent")
		if seen := s.Look(context.Background(), srv.URL, ""); seen.Failure != outbox.FailureProxy || seen.Problem != got.Error {
			t.Errorf("a look: %+v", seen)
		}
	}
}

// A worker that stops has not met a failure of the proxy.
func TestProxy_StoppedWhileItIsAskedIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	proxy := newEgress(t, func(c *rawConn, _ string) { cancel(); c.hang() })
	got := sendCtx(ctx, t, through(t, proxy.Addr().String(), 10*time.Second), newRequest("http://127.0.0.1:1"))
	if got.Failure != outbox.FailureInterrupted || got.Received != outbox.ReceivedNo {
		t.Errorf("got %+v", got)
	}
}

// TLS is between the worker and the receiver: its failures are the receiver's.
func TestProxy_FailureOfTLSIsTheReceivers(t *testing.T) {
	proxy := newEgress(t, connects)
	srv := quiet(t, &tls.Config{Certificates: []tls.Certificate{selfSigned(t, ecKey(t), "localhost")}})
	got := send(t, through(t, proxy.Addr().String(), 10*time.Second), newRequest(srv.URL))
	if got.Failure != outbox.FailureTLS {
		t.Errorf("got %+v", got)
	}
}

// The proxy may choose any address of a name, and so may its own look-up: one that is not allowed is one too many.
func TestProxy_IsNotAskedForAnAddressThatIsNotAllowed(t *testing.T) {
	proxy := newEgress(t, connects)
	srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	for _, allowed := range [][]netip.Prefix{nil, {netip.MustParsePrefix("127.0.0.2/32")}, {netip.MustParsePrefix("10.0.0.0/8")}} {
		for _, url := range []string{srv.URL, onLocalhost(srv.URL), "http://127.0.0.1:1", "http://[::1]:1", "http://169.254.169.254"} {
			s := through(t, proxy.Addr().String(), 10*time.Second, func(o *Options) { o.AllowNetworks = allowed })
			if got := send(t, s, newRequest(url)); got.Failure != outbox.FailureBlockedAddress || got.Received != outbox.ReceivedNo {
				t.Errorf("%s: got %+v", url, got)
			}
		}
	}
	s := through(t, proxy.Addr().String(), 10*time.Second)
	s.dialer.resolver = nameServer(t, map[string][]string{"two": {"127.0.0.1", "10.0.0.1"}}, 0)
	if got := send(t, s, newRequest("http://two.test")); got.Failure != outbox.FailureBlockedAddress {
		t.Errorf("one address of two is not allowed: %+v", got)
	}
	if got := send(t, s, newRequest("http://none.test")); got.Failure != outbox.FailureDNS {
		t.Errorf("a name without an address: %+v", got)
	}
	if got := proxy.targets(); len(got) > 0 {
		t.Errorf("asked for %q", got)
	}
}

// It is asked for the name, for which it may have rules and certificates have names; the worker itself opens
// no connection to the name's address.
func TestProxy_IsAskedForTheName(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	proxy := newEgress(t, func(c *rawConn, _ string) { connects(c, srv.Listener.Addr().String()) })
	s := through(t, proxy.Addr().String(), 10*time.Second, func(o *Options) { o.AllowNetworks = nil }) // the proxy's own is not judged
	s.dialer.resolver = nameServer(t, map[string][]string{"public": {"8.8.8.8"}}, 0)
	if got := send(t, s, newRequest("http://Public.test")); !got.Delivered() || got.Response != "public.test" {
		t.Errorf("got %+v", got)
	}
	if got := proxy.targets(); !slices.Equal(got, []string{"CONNECT public.test:80"}) {
		t.Errorf("asked for %q", got)
	}
}

func TestParseProxy(t *testing.T) {
	for text, want := range map[string]string{
		"http://proxy.internal:3128":              "proxy.internal:3128 ",
		"\ufeffhttp://Proxy.Internal:3128/\n":     "proxy.internal:3128 ",
		"http://[fd00::1]:3128":                   "[fd00::1]:3128 ",
		"http://worker:pr%40xy-5ecret@proxy:8080": "proxy:8080 worker:pr@xy-5ecret",
		"http://worker@proxy:8080":                "proxy:8080 worker:",
	} {
		p, err := ParseProxy(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		auth, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.auth, "Basic "))
		if got := p.String() + " " + string(auth); got != want {
			t.Errorf("%q: got %q", text, got)
		}
		if shown := fmt.Sprint(p); strings.Contains(shown, "5ecret") {
			t.Errorf("it shows %s", shown)
		}
	}
	for text, says := range map[string]string{
		"proxy:3128":                        "http://",
		"https://u:pr0xy-5ecret@proxy:3128": "no other kind of proxy",
		"socks5://proxy:1080":               "no other kind of proxy",
		"http://u:pr0xy-5ecret@proxy":       "no port",
		"http://u:pr0xy-5ecret@proxy:0":     "no port",
		"http://u:pr0xy-5ecret@:3128":       "no host",
		"http://u:pr0xy-5ecret@proxy:x":     "no port",
		"http://u:pr0xy/5ecret@proxy:3128":  "no port",
		"http://proxy:3128/pr0xy-5ecret":    "more than",
		"http://proxy:3128?pr0xy-5ecret":    "more than",
		"http://proxy:3128#pr0xy-5ecret":    "more than",
	} {
		if _, err := ParseProxy(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "5ecret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
