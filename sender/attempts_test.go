package sender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// The attempts of networkErrors, each against the receiver that it needs.

type attempt = func(t *testing.T) (outbox.Result, string)

// answered is an attempt whose receiver sends this text and closes the connection.
func answered(text string) attempt {
	return func(t *testing.T) (outbox.Result, string) {
		srv := answering(t, text)
		got := send(t, newSender(t, 10*time.Second), newRequest(srv.url()+"/geheim"))
		if srv.requests.Load() != 1 {
			t.Errorf("%d requests", srv.requests.Load())
		}
		return got, srv.url()
	}
}

func (r *raw) origin(scheme string) string { return scheme + "://" + r.Addr().String() }

// talking is an attempt on a receiver that talks and closes the connection.
func talking(scheme string, talk func(*raw, *rawConn)) attempt {
	return func(t *testing.T) (outbox.Result, string) {
		srv := serveRaw(t, talk)
		return send(t, newSender(t, 10*time.Second), newRequest(srv.origin(scheme)+"/geheim")), srv.origin(scheme)
	}
}

// silent is an attempt of 400 ms on a receiver that keeps the connection open: without a time limit it
// would never end. The bound is that of a busy machine.
func silent(scheme string, body int, talk func(*raw, *rawConn)) attempt {
	return func(t *testing.T) (outbox.Result, string) {
		srv := serveRaw(t, talk)
		req := newRequest(srv.origin(scheme) + "/geheim")
		req.Body = make([]byte, body)
		got := send(t, newSender(t, 400*time.Millisecond), req)
		if srv.conns.Load() != 1 || got.Took > 20*time.Second {
			t.Errorf("%d connections, %v", srv.conns.Load(), got.Took)
		}
		return got, srv.origin(scheme)
	}
}

func refusedAttempt(t *testing.T) (outbox.Result, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	origin := "http://" + l.Addr().String()
	return send(t, newSender(t, 10*time.Second), newRequest(origin+"/geheim")), origin
}

func fullQueueAttempt(t *testing.T) (outbox.Result, string) {
	origin := "http://" + fullQueue(t)
	return send(t, newSender(t, 400*time.Millisecond), newRequest(origin+"/geheim")), origin
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

// blockedAttempt is made by a Sender that allows no network.
func blockedAttempt(t *testing.T) (outbox.Result, string) {
	srv := answering(t, keepAliveOK)
	got := send(t, New(Options{Timeout: 10 * time.Second}), newRequest(srv.url()+"/geheim"))
	if srv.conns.Load() != 0 {
		t.Error("it was called")
	}
	return got, srv.url()
}

func badHeaderAttempt(t *testing.T) (outbox.Result, string) {
	srv := answering(t, keepAliveOK)
	req := newRequest(srv.url() + "/geheim")
	req.WebhookID = "a\r\nX: y"
	got := send(t, newSender(t, 10*time.Second), req)
	if srv.conns.Load() != 0 {
		t.Error("it was called")
	}
	return got, srv.url()
}

// named is an attempt on a host for which the name server answers with this code.
func named(rcode byte) attempt {
	return func(t *testing.T) (outbox.Result, string) {
		s := withNames(t, Options{Timeout: 20 * time.Second}, nameServer(t, nil, rcode))
		return send(t, s, newRequest("http://gone.test/geheim")), "http://gone.test"
	}
}

func silentName(t *testing.T) (outbox.Result, string) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	s := withNames(t, Options{Timeout: 400 * time.Millisecond}, resolverAt(pc.LocalAddr().String()))
	return send(t, s, newRequest("http://slow.test/geheim")), "http://slow.test"
}

func stoppedAtOnce(t *testing.T) (outbox.Result, string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	srv := answering(t, keepAliveOK)
	got := sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest(srv.url()+"/geheim"))
	if srv.conns.Load() != 0 {
		t.Error("it was called")
	}
	return got, srv.url()
}

// stoppedIn is an attempt that the worker stops once the receiver has read.
func stoppedIn(scheme string, read func(*raw, *rawConn)) attempt {
	return func(t *testing.T) (outbox.Result, string) {
		ctx, cancel := context.WithCancelCause(context.Background())
		srv := serveRaw(t, func(r *raw, c *rawConn) { read(r, c); cancel(errors.New("second signal")); c.hang() })
		return sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest(srv.origin(scheme)+"/geheim")), srv.origin(scheme)
	}
}

func stoppedByDeadline(t *testing.T) (outbox.Result, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	srv := serveRaw(t, func(r *raw, c *rawConn) { c.request(r); c.hang() })
	return sendCtx(ctx, t, newSender(t, 10*time.Second), newRequest(srv.url()+"/geheim")), srv.url()
}
