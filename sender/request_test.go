package sender

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

func TestRequest_Bytes(t *testing.T) {
	for _, c := range []struct {
		name      string
		userinfo  string
		path      string
		token     string
		body      string
		wantLine  string
		wantExtra string
	}{
		{"bearer", "", "/hook?k=v", plainToken, `{"a":12500.00,"b":"<é>"}`, "POST /hook?k=v HTTP/1.1", "Authorization: Bearer " + plainToken + "\r\n"},
		{"no token", "", "", "", `{}`, "POST / HTTP/1.1", ""},
		{"no body", "", "/", "", ``, "POST / HTTP/1.1", ""},
		{"userinfo is Basic", "me:pass@", "/", "", `{}`, "POST / HTTP/1.1", "Authorization: Basic bWU6cGFzcw==\r\n"},
		{"a token wins over userinfo", "me:pass@", "/", "abc", `{}`, "POST / HTTP/1.1", "Authorization: Bearer abc\r\n"},
		{"the path is sent as it is written", "", "/a%2Fb/%C3%A9?q=%20+x#fragment", "", `{}`, "POST /a%2Fb/%C3%A9?q=%20+x HTTP/1.1", ""},
		{"a large body", "", "/", "", `"` + strings.Repeat("x", 1<<20) + `"`, "POST / HTTP/1.1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan []byte, 1)
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				var seen bytes.Buffer
				for !bytes.Contains(seen.Bytes(), []byte("\r\n\r\n")) {
					b, _ := conn.in.ReadByte()
					seen.WriteByte(b)
				}
				for range len(c.body) {
					b, _ := conn.in.ReadByte()
					seen.WriteByte(b)
				}
				conn.say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
				conn.hang()
				got <- seen.Bytes()
			})
			req := newRequest("http://" + c.userinfo + srv.Addr().String() + c.path)
			req.Token, req.Body = c.token, []byte(c.body)
			if res := send(t, newSender(t, 10*time.Second), req); !res.Delivered() {
				t.Fatalf("got %+v", res)
			}
			want := fmt.Sprintf("%s\r\nHost: %s\r\nUser-Agent: RecordEngine-Webhooks/1.2.3\r\nContent-Length: %d\r\n%sContent-Type: application/json\r\nwebhook-id: inst-42\r\n\r\n%s",
				c.wantLine, srv.Addr(), len(c.body), c.wantExtra, c.body)
			if seen := <-got; string(seen) != want {
				t.Errorf("got\n%.600s\nwant\n%.600s", seen, want)
			}
		})
	}
}

func TestNew_Defaults(t *testing.T) {
	s := New(Options{})
	if s.timeout != 30*time.Second || s.agent != "RecordEngine-Webhooks/devel" {
		t.Errorf("got %+v", s)
	}
	if keepIdle >= 2*time.Second {
		t.Errorf("idle connections are kept for %v", keepIdle)
	}
}

// All channels may have one host, and at the end of a burst all their connections
// are idle at once.
func TestPool_KeepsTheConnectionsOfABurst(t *testing.T) {
	idle := len(outbox.Channels()) * 1000
	p := newPool()
	for range idle {
		mine, _ := net.Pipe()
		c := newConn(mine, mine)
		c.keep = keepIdle
		p.put("http://h:80", c)
	}
	for n := range idle {
		if c, _ := p.take("http://h:80", time.Now()); c == nil {
			t.Fatalf("a burst of all channels at their highest max_in_flight leaves %d idle connections, %d are kept", idle, n)
		}
	}
}

func TestTransport_KeepsNoCookies(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			t.Error("a cookie came back")
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	s := newSender(t, 10*time.Second)
	send(t, s, newRequest(srv.URL))
	send(t, s, newRequest(srv.URL))
}

func TestTransport_NeverSpeaksHTTP2(t *testing.T) {
	var proto atomic.Value
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proto.Store(r.Proto) }))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	s := New(Options{AllowNetworks: loopback, RootCAs: pool})
	t.Cleanup(s.Close)
	if got := send(t, s, newRequest(srv.URL)); !got.Delivered() || proto.Load() != "HTTP/1.1" {
		t.Errorf("spoke %v: %+v", proto.Load(), got)
	}
}

// The environment is read once in a process, by net/http, and never for a
// loopback address: hence a process of its own and a name that has no address.
func TestTransport_IgnoresTheEnvironmentsProxy(t *testing.T) {
	t.Parallel()
	if os.Getenv("SENDER_PROXY_CHILD") != "" {
		s := New(Options{Timeout: 5 * time.Second, AllowNetworks: loopback})
		fmt.Println("child:", s.Send(context.Background(), newRequest("http://receiver.invalid/")).Error)
		return
	}
	var hits atomic.Int32
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	cmd := exec.Command(os.Args[0], "-test.run=^TestTransport_IgnoresTheEnvironmentsProxy$")
	cmd.Env = append(os.Environ(), "SENDER_PROXY_CHILD=1")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		cmd.Env = append(cmd.Env, name+"="+proxy.URL)
	}
	cmd.Env = append(cmd.Env, "NO_PROXY=", "no_proxy=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "child: ") || hits.Load() != 0 {
		t.Errorf("%d requests went to the proxy; %v\n%s", hits.Load(), err, out)
	}
}

func TestSender_ManyAttemptsAtOnce(t *testing.T) {
	var seen sync.Map
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, twice := seen.LoadOrStore(r.Header.Get("webhook-id"), true); twice {
			t.Errorf("%s came twice", r.Header.Get("webhook-id"))
		}
		if strings.HasSuffix(r.Header.Get("webhook-id"), "7") {
			w.WriteHeader(503)
		}
		fmt.Fprint(w, r.Header.Get("Authorization"))
	})
	s := newSender(t, time.Minute)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 20 {
				req := newRequest(srv.URL)
				req.WebhookID, req.Token = fmt.Sprintf("inst-%d-%d", i, j), fmt.Sprintf("token-%d", i)
				if got := s.Send(context.Background(), req); got.Delivered() == (j%10 == 7) || got.Response != "Bearer ***" {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
	wg.Wait()
}
