package sender

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"context"
)

const keepAliveOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// The receiver answers the first request and drops the connection upon the
// second one, which may have been worked on: it must never come again.
func TestPost_WrittenRequestIsNeverSentTwice(t *testing.T) {
	for _, c := range []struct {
		name     string
		drop     func(*raw, *rawConn)
		requests int32
	}{
		{"closed after reading it", func(r *raw, c *rawConn) { c.request(r) }, 2},
		{"reset after reading it", func(r *raw, c *rawConn) { c.request(r); c.Conn.(*net.TCPConn).SetLinger(0) }, 2},
		{"closed before reading it", func(r *raw, c *rawConn) { awaitUnread(t, c) }, 1},
		{"closed amid reading it", func(r *raw, c *rawConn) { c.in.Discard(10) }, 1},
		{"half an answer", func(r *raw, c *rawConn) { c.request(r); c.say("HTTP/1.1 200 OK\r\nCont") }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				conn.request(r)
				conn.say(keepAliveOK)
				c.drop(r, conn)
			})
			s := newSender(t, 10*time.Second)
			if got := send(t, s, newRequest(srv.url())); !got.Delivered() {
				t.Fatalf("first: %+v", got)
			}
			failsWith(t, send(t, s, newRequest(srv.url())), "connection lost: "+srv.url(), "outcome unknown")
			if srv.requests.Load() != c.requests || srv.conns.Load() != 1 {
				t.Errorf("%d requests on %d connections", srv.requests.Load(), srv.conns.Load())
			}
		})
	}
}

// awaitUnread returns once there is something to read, and reads nothing.
func awaitUnread(t *testing.T, c *rawConn) {
	rc, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	rc.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return !errors.Is(err, syscall.EAGAIN)
	})
}

// breakingConn lets whole requests pass and then fails after some bytes.
type breakingConn struct {
	net.Conn
	whole, bytes int
}

func (c *breakingConn) Write(p []byte) (int, error) {
	if c.whole--; c.whole >= 0 {
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:min(c.bytes, len(p))])
	return n, syscall.EPIPE
}

func TestPost_OnlyAnUnwrittenRequestMovesToAnotherConnection(t *testing.T) {
	for _, c := range []struct {
		name      string
		whole     int // requests that pass on the first connection
		bytes     int // of the next request that still pass
		delivered bool
		conns     int32
		says      string
	}{
		{"kept connection, nothing written", 1, 0, true, 2, ""},
		{"kept connection, one byte written", 1, 1, false, 1, "outcome unknown"},
		{"kept connection, many bytes written", 1, 100, false, 1, "outcome unknown"},
		{"new connection, nothing written", 0, 0, false, 1, "nothing was sent"},
		{"new connection, one byte written", 0, 1, false, 1, "outcome unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serveRaw(t, func(r *raw, conn *rawConn) {
				for conn.request(r) {
					conn.say(keepAliveOK)
				}
			})
			s := newSender(t, 10*time.Second)
			var dials atomic.Int32
			s.dialer.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := net.Dial(network, address)
				if dials.Add(1) == 1 {
					conn = &breakingConn{Conn: conn, whole: c.whole, bytes: c.bytes}
				}
				return conn, err
			}
			for range c.whole {
				send(t, s, newRequest(srv.url()))
			}
			got := send(t, s, newRequest(srv.url()))
			if got.Delivered() != c.delivered || dials.Load() != c.conns {
				t.Errorf("%d connections, got %+v", dials.Load(), got)
			}
			if !c.delivered {
				failsWith(t, got, "connection lost: ", c.says)
			}
		})
	}
}

func TestPost_ManyStaleConnections(t *testing.T) {
	const stale = 20
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		for conn.request(r) {
			conn.say(keepAliveOK)
		}
	})
	s := newSender(t, 10*time.Second)
	var dials, together atomic.Int32
	ready := make(chan struct{})
	s.dialer.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		if dials.Add(1) <= stale {
			conn = &breakingConn{Conn: conn, whole: 1}
			if together.Add(1) == stale {
				close(ready)
			}
			<-ready
		}
		return conn, err
	}
	var wg sync.WaitGroup
	for range stale {
		wg.Go(func() { send(t, s, newRequest(srv.url())) })
	}
	wg.Wait()
	if got := send(t, s, newRequest(srv.url())); !got.Delivered() || srv.requests.Load() != stale+1 {
		t.Errorf("%d requests, got %+v", srv.requests.Load(), got)
	}
}

// A receiver that closes each connection right after its answer, without
// announcing it, is the worst case for a kept connection.
func TestPost_ReceiverThatClosesSilentlyGetsNoEventTwice(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		req, err := http.ReadRequest(conn.in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		mu.Lock()
		seen[req.Header.Get("webhook-id")]++
		mu.Unlock()
		conn.say(keepAliveOK)
	})
	s := newSender(t, 10*time.Second)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				req := newRequest(srv.url())
				req.WebhookID = fmt.Sprintf("%d-%d", i, j)
				if got := s.Send(context.Background(), req); !got.Delivered() {
					failsWith(t, got, "connection lost: ", "outcome unknown")
				}
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

func TestTransport_KeptConnectionIsUsedAgain(t *testing.T) {
	srv := serveRaw(t, func(r *raw, conn *rawConn) {
		for conn.request(r) {
			conn.say(keepAliveOK)
		}
	})
	s := newSender(t, 10*time.Second)
	for range 5 {
		send(t, s, newRequest(srv.url()))
	}
	if srv.conns.Load() != 1 || srv.requests.Load() != 5 {
		t.Errorf("%d requests on %d connections", srv.requests.Load(), srv.conns.Load())
	}
}
