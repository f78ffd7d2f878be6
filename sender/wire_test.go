package sender

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Rude receivers, each as it was observed. What a receiver really answered to an
// event is its own ledger: an attempt may say nothing else.

// ledger notes by webhook-id what a receiver answered.
type ledger struct {
	mu   sync.Mutex
	seen map[string]int
}

func (l *ledger) note(id string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[id] = status
}

// read reads one request and returns its webhook-id.
func (c *rawConn) read(r *raw) (id string, ok bool) {
	req, err := http.ReadRequest(c.in)
	if err != nil {
		return "", false
	}
	_, err = io.Copy(io.Discard, req.Body)
	r.requests.Add(1)
	return req.Header.Get("webhook-id"), err == nil
}

// storm sends count events from each of eight slots and returns how many were
// delivered, lost on the way and otherwise failed.
func storm(t *testing.T, s *Sender, url string, count int, check func(id string, delivered bool)) (delivered, lost, failed int) {
	t.Helper()
	var ok, gone, bad atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range count {
				req := newRequest(url)
				req.WebhookID = fmt.Sprintf("%d-%d", i, j)
				got := s.Send(context.Background(), req)
				switch {
				case got.Delivered():
					ok.Add(1)
				case got.Received == "maybe":
					gone.Add(1)
				default:
					bad.Add(1)
				}
				if check != nil {
					check(req.WebhookID, got.Delivered())
				}
			}
		})
	}
	wg.Wait()
	return int(ok.Load()), int(gone.Load()), int(bad.Load())
}

func TestSend_AnswerOfAnotherRequestNeverCounts(t *testing.T) {
	const refusal = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
	for _, c := range []struct {
		name  string
		twice func(c *rawConn, tardy *atomic.Bool)
	}{
		{"in one segment", func(c *rawConn, _ *atomic.Bool) { c.say(keepAliveOK + keepAliveOK) }},
		{"one after the other", func(c *rawConn, tardy *atomic.Bool) { saidTwice(c, 0, tardy) }},
		{"a millisecond later", func(c *rawConn, tardy *atomic.Bool) { saidTwice(c, time.Millisecond, tardy) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var answered ledger
			var tardy atomic.Bool
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				for n := 0; ; n++ {
					id, ok := conn.read(r)
					switch {
					case !ok:
						return
					case n == 0:
						answered.note(id, 200)
						c.twice(conn, &tardy)
					default:
						answered.note(id, 500)
						conn.say(refusal)
					}
				}
			})
			storm(t, newSender(t, 10*time.Second), srv.url(), 50, func(id string, delivered bool) {
				answered.mu.Lock()
				defer answered.mu.Unlock()
				if delivered && answered.seen[id] != 200 && !tardy.Load() {
					t.Errorf("%s is delivered, the receiver answered %d", id, answered.seen[id])
				}
			})
		})
	}
}

func TestSend_BytesBehindAnAnswerHarmNoOther(t *testing.T) {
	for name, answer := range map[string]string{
		"204 with a body":       "HTTP/1.1 204 No Content\r\n\r\n{}",
		"one byte more":         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\n",
		"behind the last chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				for conn.request(r) {
					conn.say("%s", answer)
				}
			})
			if delivered, lost, failed := storm(t, newSender(t, 10*time.Second), srv.url(), 50, nil); delivered != 400 {
				t.Errorf("delivered %d, lost %d, failed %d", delivered, lost, failed)
			}
		})
	}
}

// The bytes come when the connection is idle, and in the end without a request.
func TestSend_AnswerBeforeTheRequestNeverCounts(t *testing.T) {
	idle := serveRaw(t, func(r *raw, conn *rawConn) {
		conn.request(r)
		conn.say(keepAliveOK)
		time.Sleep(100 * time.Millisecond)
		conn.say(keepAliveOK)
		conn.request(r)
		conn.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		conn.hang()
	})
	s := newSender(t, 10*time.Second)
	send(t, s, newRequest(idle.url()))
	time.Sleep(200 * time.Millisecond)
	if got := send(t, s, newRequest(idle.url())); !got.Delivered() || idle.conns.Load() != 2 {
		t.Errorf("%d connections, got %+v", idle.conns.Load(), got)
	}
}

func TestSend_SilentlyClosedConnectionsLoseNext(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				conn.request(r)
				conn.say(keepAliveOK)
				time.Sleep(after)
			})
			delivered, lost, failed := storm(t, newSender(t, 10*time.Second), srv.url(), 50, nil)
			if lost > 2 || delivered+lost != 400 { // none, unless this machine pauses for longer than a connection rests
				t.Errorf("delivered %d, lost %d, failed %d", delivered, lost, failed)
			}
		})
	}
}

// The receiver closes only in the face of a second request, which no client can
// see coming: what was in flight is lost, and nothing after it.
func TestSend_LossOnAReusedConnectionEndsReuse(t *testing.T) {
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		conn.request(r)
		conn.say(keepAliveOK)
		conn.in.Peek(1)
	})
	delivered, lost, failed := storm(t, newSender(t, 10*time.Second), srv.url(), 50, nil)
	if lost > 8 || delivered+lost != 400 {
		t.Errorf("delivered %d, lost %d, failed %d", delivered, lost, failed)
	}
}

// A receiver, or what is on the way to it, forgets a connection without closing it.
func TestSend_SilenceOnReusedConnectionsEndsReuse(t *testing.T) {
	t.Parallel()
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		conn.request(r)
		conn.say(keepAliveOK)
		conn.hang()
	})
	s := newSender(t, 300*time.Millisecond)
	lost := 0
	for range 20 {
		if !send(t, s, newRequest(srv.url())).Delivered() {
			lost++
		}
	}
	if lost != maxSilent {
		t.Errorf("lost %d", lost)
	}
}

// One that is slow now and then is no such receiver: its connections are used again.
func TestSend_SlowAnswersDoNotEndReuse(t *testing.T) {
	t.Parallel()
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		for conn.request(r) && r.requests.Load()%4 != 0 {
			conn.say(keepAliveOK)
		}
		conn.hang()
	})
	s := newSender(t, 300*time.Millisecond)
	for range 24 {
		send(t, s, newRequest(srv.url()))
	}
	if n := srv.conns.Load(); n > 10 {
		t.Errorf("%d connections", n)
	}
}

func TestSend_KeepAliveTimeoutIsHonoured(t *testing.T) {
	t.Parallel()
	for header, conns := range map[string]int32{
		"Keep-Alive: timeout=0":          2,
		"Keep-Alive: timeout=1, max=100": 2, // after 600 ms
		"Keep-Alive: timeout=5, max=0":   2,
		"keep-alive: Timeout=5":          1,
		"Keep-Alive: timeout=soon":       1,
		"Connection: close":              2,
		"Connection: Keep-Alive, Close":  2,
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				for conn.request(r) {
					conn.say("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 0\r\n\r\n", header)
				}
			})
			s := newSender(t, 10*time.Second)
			send(t, s, newRequest(srv.url()))
			time.Sleep(600 * time.Millisecond)
			send(t, s, newRequest(srv.url()))
			if srv.conns.Load() != conns {
				t.Errorf("%d connections", srv.conns.Load())
			}
		})
	}
}

func TestSend_StreamingAnswerFreesItsSlot(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"chunked":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"event stream":   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nhello",
		"a body missing": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
		"a refusal":      "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serveRaw(t, func(r *raw, conn *rawConn) { conn.request(r); conn.say("%s", answer); conn.hang() })
			got := send(t, newSender(t, 30*time.Second), newRequest(srv.url()))
			if got.Status == 0 || got.Response != "hello" || got.Took > 20*time.Second {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSend_AnswerToAnUnreadBodyIsFound(t *testing.T) {
	t.Parallel()
	for _, status := range []int{413, 401, 200} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				for { // the head only
					line, err := conn.in.ReadString('\n')
					if err != nil || line == "\r\n" {
						break
					}
				}
				conn.say("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", status)
				conn.Conn.(*net.TCPConn).SetLinger(0)
			})
			s := newSender(t, 10*time.Second)
			for range 20 {
				req := newRequest(srv.url())
				req.Body = bytes.Repeat([]byte("x"), 4<<20)
				if got := send(t, s, req); got.Status != status {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
}

// The receiver answers, keeps the connection open and reads nothing more.
func TestSend_AnswerToABodyThatIsNeverRead(t *testing.T) {
	t.Parallel()
	for _, status := range []int{413, 200} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			sent := make(chan struct{})
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				conn.in.Peek(1)
				conn.say("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", status)
				select {
				case <-sent:
				case <-time.After(25 * time.Second):
				}
			})
			req := newRequest(srv.url())
			req.Body = make([]byte, 64<<20)
			if got := send(t, newSender(t, 30*time.Second), req); got.Status != status || got.Took > 20*time.Second {
				t.Errorf("got %+v", got)
			}
			close(sent)
		})
	}
}

// A receiver that answers early and goes on reading, slowly, gets the whole body.
func TestSend_EarlySuccessGetsTheWholeBody(t *testing.T) {
	t.Parallel()
	got := make(chan int64, 1)
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		req, err := http.ReadRequest(conn.in)
		if err != nil {
			return
		}
		conn.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		var n int64
		for {
			m, err := io.CopyN(io.Discard, req.Body, 1<<20)
			if n += m; err != nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		got <- n
	})
	req := newRequest(srv.url())
	req.Body = make([]byte, 32<<20)
	if res := send(t, newSender(t, 30*time.Second), req); !res.Delivered() {
		t.Errorf("got %+v", res)
	}
	if n := <-got; n != 32<<20 {
		t.Errorf("the receiver has %d bytes", n)
	}
}

// wire returns the request line and the Host header of one request.
func wire(t *testing.T, s *Sender, url func(address string) string) (line, host string) {
	t.Helper()
	seen := make(chan [2]string, 1)
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		in := bufio.NewReader(conn.in)
		line, _ := in.ReadString('\n')
		host, _ := in.ReadString('\n')
		seen <- [2]string{strings.TrimRight(line, "\r\n"), strings.TrimRight(host, "\r\n")}
		conn.say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, in)
	})
	if got := send(t, s, newRequest(url(srv.Addr().String()))); !got.Delivered() {
		t.Fatalf("got %+v", got)
	}
	both := <-seen
	return both[0], both[1]
}

func TestSend_RequestTargetIsEncodedExactlyWhereRFC3986Requires(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "/",
		"/":                     "/",
		"?":                     "/?",
		"?a=b":                  "/?a=b",
		"#frag":                 "/",
		"/?ü{}|\"":              "/?%C3%BC%7B%7D%7C%22",
		"/a%2Fb//c|d":           "/a%2Fb//c%7Cd",
		"/%c3%bc/%7e~":          "/%c3%bc/%7e~",
		"/a:b@c!$&'()*+,;=-._~": "/a:b@c!$&'()*+,;=-._~",
		"/a/../b/./c":           "/a/../b/./c",
		"//double":              "//double",
		"/x?a=/?:@b+c%20d%":     "/x?a=/?:@b+c%20d%25",
		"/x?a=%zz":              "/x?a=%25zz",
		"/x?a[]=<1>^`\\":        "/x?a%5B%5D=%3C1%3E%5E%60%5C",
		"/例え?q=1#x?y":           "/%E4%BE%8B%E3%81%88?q=1",
		"/x;p=1?b&c;d#e":        "/x;p=1?b&c;d",
	} {
		t.Run(in, func(t *testing.T) {
			line, _ := wire(t, newSender(t, 10*time.Second), func(a string) string { return "http://" + a + in })
			if line != "POST "+want+" HTTP/1.1" {
				t.Errorf("got %q, want %q", line, want)
			}
		})
	}
}
