package sender

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/recordengine/webhooks/outbox"
)

// stage is how far an attempt has come.
type stage int32

const (
	lookingUp stage = iota
	connecting
	handshaking
	sending
	waiting
)

// String reads as the middle of "… ran out while … https://host".
func (s stage) String() string {
	return [...]string{
		"looking up the name of",
		"connecting to",
		"in the TLS handshake with",
		"sending to",
		"waiting for the answer of",
	}[s]
}

// before reads as "closed the connection …".
func (s stage) before() string {
	switch s {
	case handshaking:
		return "in the TLS handshake"
	case sending:
		return "while the request was being sent"
	}
	return "before it answered in full"
}

// trail is what one attempt left behind. Its stage may still be set by a
// connection in the making after the attempt has ended, hence the atomic; the
// rest is written in Send's own goroutine.
type trail struct {
	stage  atomic.Int32
	conn   *countedConn // the connection it got, nil if none
	before int64        // bytes that conn had carried for others
	reused bool
}

// follow returns a context whose connection events are noted in t.
func (t *trail) follow(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		ConnectStart:      func(string, string) { t.reach(connecting) },
		TLSHandshakeStart: func() { t.reach(handshaking) },
		GotConn:           t.gotConn,
		WroteRequest:      t.wroteRequest,
	})
}

// reach notes a stage; the stage never goes backwards.
func (t *trail) reach(s stage) {
	for {
		old := t.stage.Load()
		if old >= int32(s) || t.stage.CompareAndSwap(old, int32(s)) {
			return
		}
	}
}

func (t *trail) at() stage { return stage(t.stage.Load()) }

func (t *trail) gotConn(info httptrace.GotConnInfo) {
	t.conn, t.reused = info.Conn.(*countedConn), info.Reused
	t.before = t.conn.written.Load()
	t.reach(sending)
}

func (t *trail) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		t.reach(waiting)
	}
}

// wrote reports whether a byte of the request was passed to the network. It is
// exact once RoundTrip has returned an error: net/http waits for its writing
// goroutine first (mapRoundTripError).
func (t *trail) wrote() bool {
	return t.conn != nil && t.conn.written.Load() > t.before
}

// ended reports whether the receiver's side of the connection has ended.
func (t *trail) ended() bool { return t.conn != nil && t.conn.ended.Load() }

// received is what a failure without a status says about the receiver.
func (t *trail) received() outbox.Received {
	if t.wrote() {
		return outbox.ReceivedMaybe
	}
	return outbox.ReceivedNo
}

// outcome is received in words.
func (t *trail) outcome() string {
	if t.wrote() {
		return "outcome unknown"
	}
	return "nothing was sent"
}

// countedConn counts the bytes written through it, above TLS: a TLS record
// that was not written in full cannot be decrypted and counts nothing.
// It also remembers that reading came to an end: to net/http, headers that
// break off are merely malformed.
type countedConn struct {
	net.Conn
	written atomic.Int64
	ended   atomic.Bool
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}
