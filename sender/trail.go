package sender

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/recordengine/webhooks/outbox"
)

// stage is how far an attempt has come.
type stage int32

const (
	lookingUp stage = iota
	connecting
	tunnelling
	handshaking
	sending
	waiting
)

// String reads as the middle of "… ran out while … https://host".
func (s stage) String() string {
	return [...]string{
		"looking up the name of",
		"connecting to",
		"waiting for the egress proxy's connection to",
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
	conn   *conn // the connection it got, nil if none
	before int64 // bytes that conn had carried for others
	reused bool

	certRequested atomic.Bool      // the server wants a client certificate
	offered       *tls.Certificate // that it was offered; nil if none
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

func (t *trail) got(c *conn, reused bool) {
	t.conn, t.reused, t.before = c, reused, c.written.Load()
	t.reach(sending)
}

// wrote reports whether a byte of the request was passed to the network. It is
// exact once exchange has returned: an upload has ended by then.
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
