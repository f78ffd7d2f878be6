package sender

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// TestMain raises the default of -parallel: the tests that run beside others wait most of the time,
// for timeouts.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", strconv.Itoa(8*runtime.GOMAXPROCS(0))) // a flag of the command line overrides it
	flag.Parse()
	os.Exit(m.Run())
}

const testToken = "tok_5ecret/with+signs=é"

// plainToken can be a header of Go's own client in tests.
const plainToken = "tok_5ecret-plain"

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// counted are the statuses that count by default.
var counted = []int{200, 201, 204}

// newSender returns a Sender that may call this machine.
func newSender(t *testing.T, timeout time.Duration) *Sender {
	t.Helper()
	s := New(Options{Timeout: timeout, AllowNetworks: loopback, Version: "1.2.3"})
	t.Cleanup(s.Close)
	return s
}

func newRequest(url string) outbox.Request {
	return outbox.Request{URL: url, WebhookID: "inst-42", Channel: "contacts", Body: []byte(`{"schema_version":"2.0"}`), Accept: counted}
}

// serve starts an HTTP server.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// raw is a TCP server that counts connections and the requests it has read.
type raw struct {
	net.Listener
	conns, requests atomic.Int32
}

func (r *raw) url() string { return "http://" + r.Addr().String() }

// serveRaw runs talk on each connection and closes it afterwards.
func serveRaw(t *testing.T, talk func(r *raw, conn *rawConn)) *raw {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{Listener: l}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	t.Cleanup(func() { l.Close(); close(stop); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.conns.Add(1)
			wg.Go(func() {
				defer c.Close()
				done := make(chan struct{})
				defer close(done)
				go func() {
					select {
					case <-stop:
						c.Close()
					case <-done:
					}
				}()
				talk(r, &rawConn{Conn: c, in: bufio.NewReader(c)})
			})
		}
	})
	return r
}

type rawConn struct {
	net.Conn
	in *bufio.Reader
}

// request reads one request, its body included.
func (c *rawConn) request(r *raw) bool {
	req, err := http.ReadRequest(c.in)
	if err != nil {
		return false
	}
	io.Copy(io.Discard, req.Body)
	r.requests.Add(1)
	return true
}

func (c *rawConn) say(format string, args ...any) { fmt.Fprintf(c, format, args...) }

// hang waits until the other side has closed the connection.
func (c *rawConn) hang() { io.Copy(io.Discard, c.in) }

// answering sends one fixed text per connection and closes.
func answering(t *testing.T, text string) *raw {
	t.Helper()
	return serveRaw(t, func(r *raw, c *rawConn) {
		if c.request(r) {
			c.say("%s", text)
		}
	})
}

// send makes one attempt and checks what holds for every Result.
func send(t *testing.T, s *Sender, req outbox.Request) outbox.Result {
	t.Helper()
	return sendCtx(context.Background(), t, s, req)
}

func sendCtx(ctx context.Context, t *testing.T, s *Sender, req outbox.Request) outbox.Result {
	t.Helper()
	got := s.Send(ctx, req)
	if got.Delivered() != (got.Error == "") || got.Delivered() != (got.Failure == "") {
		t.Errorf("a failure has a class and a text, a success neither: %+v", got)
	}
	for text, received := range map[string]outbox.Received{"nothing was sent": outbox.ReceivedNo, "outcome unknown": outbox.ReceivedMaybe} {
		if strings.Contains(got.Error, text) && got.Received != received {
			t.Errorf("received %q, error %q", got.Received, got.Error)
		}
	}
	if got.Received == "" || got.Received == outbox.ReceivedYes && got.Status/100 != 2 {
		t.Errorf("received %q with status %d", got.Received, got.Status)
	}
	if got.Took <= 0 {
		t.Errorf("took %v", got.Took)
	}
	checkReadable(t, got.Error, maxError)
	checkReadable(t, got.Response, maxResponse)
	return got
}

// failsWith checks the beginning of an error and what else it should say.
func failsWith(t *testing.T, got outbox.Result, begins string, more ...string) {
	t.Helper()
	if got.Delivered() || !strings.HasPrefix(got.Error, begins) {
		t.Errorf("got delivered %v, error %q, want an error that begins with %q", got.Delivered(), got.Error, begins)
	}
	for _, part := range more {
		if !strings.Contains(got.Error, part) {
			t.Errorf("error %q should say %q", got.Error, part)
		}
	}
}

// pipe is a connection without a network; the first one is how to get it.
func pipe(t *testing.T) (func(context.Context, string, string) (net.Conn, error), net.Conn) {
	t.Helper()
	mine, theirs := net.Pipe()
	t.Cleanup(func() { mine.Close(); theirs.Close() })
	return func(context.Context, string, string) (net.Conn, error) { return mine, nil }, theirs
}
