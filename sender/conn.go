package sender

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxHeader bounds an answer's headers, interim 1xx answers included.
	maxHeader = 64 << 10

	// piece is how much is written at once. The first piece fits into the send
	// buffer of a connection on which nothing else is under way, so a request of
	// this size needs no second goroutine to read the answer meanwhile.
	piece = 16 << 10

	// lastWords is how long an answer is waited for after a write has failed. A
	// receiver that rejects a body answers and then closes: what it said has
	// arrived by then.
	lastWords = 100 * time.Millisecond
)

// conn is one connection to an origin. It carries one request at a time, and
// nothing reads from it except the attempt that owns it, after the first byte of
// its request was written. Written bytes are counted above TLS: a record that
// was not written in full cannot be decrypted and counts nothing.
type conn struct {
	net.Conn                  // TLS, or the socket itself
	socket   net.Conn         // without TLS
	records  *records         // what of TLS was read from it; nil without TLS
	offered  *tls.Certificate // the client certificate of its handshake; nil if none

	in       *bufio.Reader
	headRest int          // bytes that may still be read, while an answer's head is read
	written  atomic.Int64 // ever, by the attempt that owns it or its upload
	ended    atomic.Bool  // reading came to an end: to net/http, headers that break off are merely malformed

	made   time.Time
	rested time.Time     // since when it is idle
	keep   time.Duration // how long it may be idle
}

func newConn(c, socket net.Conn) *conn {
	made := &conn{Conn: c, socket: socket, made: time.Now(), headRest: -1}
	made.in = bufio.NewReader(made)
	return made
}

func (c *conn) Read(p []byte) (int, error) {
	if c.headRest == 0 {
		return 0, errHeadTooLarge
	}
	if c.headRest > 0 && len(p) > c.headRest {
		p = p[:c.headRest]
	}
	n, err := c.Conn.Read(p)
	if c.headRest > 0 {
		c.headRest -= n
	}
	if err != nil {
		c.ended.Store(true)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// errUnasked is a connection on which the receiver has sent something that no
// request has asked for.
var errUnasked = errors.New("it sent something before it was sent a request")

// quiet returns nil if the connection may carry a request: the receiver has
// neither closed it nor sent anything unasked.
func (c *conn) quiet() error {
	if c.in.Buffered() > 0 {
		return errUnasked
	}
	readable := readable(c.socket)
	if c.Conn == c.socket && !readable {
		return nil
	}
	// In TLS, what is readable may be a session ticket, and what was read may be
	// decrypted later. A read that runs out of time leaves the stream whole.
	until := longAgo
	if readable {
		until = time.Now().Add(5 * time.Millisecond)
	}
	_ = c.SetReadDeadline(until)
	n, err := c.Conn.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	switch {
	case n > 0:
		return errUnasked
	case isTimeout(err):
		return nil
	}
	c.ended.Store(true)
	return err
}

// reusable is quiet for a connection that has carried a request. On a new one, the
// part of a record may be that of a session ticket, which comes before all answers.
func (c *conn) reusable() error {
	if err := c.quiet(); err != nil || c.records == nil || !c.records.within() {
		return err
	}
	return errUnasked
}

// longAgo is a deadline that ends every read or write.
var longAgo = time.Unix(1, 0)

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// abort ends every read and write on the connection, now and later.
func (c *conn) abort() { _ = c.SetDeadline(longAgo) }

// upload is the part of a large request that is written while the answer is read.
type upload struct {
	done chan struct{}
	err  error // once done
}

// send writes a request. Of a large one it returns after the first piece.
func (c *conn) send(head, body []byte, t *trail) (*upload, error) {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	first := (*buf)[:0]
	first = append(first, head...)
	n := max(0, min(len(body), piece-len(first)))
	first = append(first, body[:n]...)
	*buf = first
	if _, err := c.Write(first); err != nil || n == len(body) {
		if err == nil {
			t.reach(waiting)
		}
		return nil, err
	}
	up := &upload{done: make(chan struct{})}
	go up.run(c, body[n:], t)
	return up, nil
}

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, piece); return &b }}

func (u *upload) run(c *conn, body []byte, t *trail) {
	defer close(u.done)
	for len(body) > 0 {
		n, err := c.Write(body[:min(len(body), 4*piece)])
		if err != nil {
			u.err = err
			_ = c.SetReadDeadline(time.Now().Add(lastWords))
			return
		}
		body = body[n:]
	}
	t.reach(waiting)
}

// whole reports whether the request has been written to its end.
func (u *upload) whole() bool {
	if u == nil {
		return true
	}
	select {
	case <-u.done:
		return u.err == nil
	default:
		return false
	}
}

// finish waits for the upload: after a success, which may have come early, for
// as long as the receiver keeps reading; otherwise not at all.
func (u *upload) finish(c *conn, success bool) {
	if u == nil || u.whole() {
		return
	}
	for before := int64(-1); success && before != c.written.Load(); {
		before = c.written.Load()
		select {
		case <-u.done:
			return
		case <-time.After(bodyTime):
		}
	}
	_ = c.SetWriteDeadline(longAgo)
	<-u.done
}

// exchange writes one request and reads the head of its answer. Without an
// error, the upload is to be finished by the caller.
func (c *conn) exchange(head, body []byte, t *trail) (*http.Response, *upload, error) {
	before := c.written.Load()
	up, err := c.send(head, body, t)
	if err != nil {
		if c.written.Load() == before {
			return nil, nil, err
		}
		_ = c.SetReadDeadline(time.Now().Add(lastWords))
	}
	answer, readErr := c.answer()
	if readErr == nil {
		return answer, up, nil
	}
	if up.finish(c, false); up != nil && up.err != nil && !isTimeout(up.err) {
		err = up.err
	}
	if err == nil {
		err = readErr
	}
	return nil, nil, err
}
