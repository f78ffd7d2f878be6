package store

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// dialTimeout bounds making a connection. networkTimeout bounds a single read or write; it is longer
// than any statement may take, so that it only passes when the network is dead. endWithin is what remains
// of both when the context of a call ends: enough for the server to cancel the statement.
const (
	dialTimeout    = 5 * time.Second
	networkTimeout = 20 * time.Second
	endWithin      = 200 * time.Millisecond
)

// network makes the connections of a pool, on which no read or write lasts without end. A context does
// not ensure that: while the network is dead lib/pq goes on reading after its context has ended
// (measured), so the deadlines of its connections are brought forward.
type network struct {
	mu   sync.Mutex
	open map[*deadlineConn]bool
}

// networkOf is the network of a pool that Open returned.
func networkOf(db *sqlx.DB) *network {
	if d, ok := db.Driver().(sessionDriver); ok {
		return d.network
	}
	return &network{}
}

// endWith ends the reads and writes of all connections soon after ctx ends, and returns a function to
// call when the call of that ctx is over. The contexts of a worker's calls end when the worker does.
func (n *network) endWith(ctx context.Context) (over func() bool) {
	return context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for c := range n.open {
			c.end(time.Now().Add(endWithin))
		}
	})
}

// Dial implements pq.Dialer.
func (n *network) Dial(network, address string) (net.Conn, error) {
	return n.DialTimeout(network, address, dialTimeout)
}

// DialTimeout implements pq.Dialer.
func (n *network) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return n.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (n *network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &deadlineConn{Conn: conn, network: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		n.open = map[*deadlineConn]bool{}
	}
	n.open[c] = true
	if ctx.Err() != nil { // endWith may have come before it
		c.end(time.Now().Add(endWithin))
	}
	return c, nil
}

// deadlineConn gives each read and write a deadline of its own.
type deadlineConn struct {
	net.Conn
	network *network

	mu   sync.Mutex
	ends time.Time // not zero: no read or write lasts longer
}

func (c *deadlineConn) Read(b []byte) (int, error) {
	if err := c.limit(c.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *deadlineConn) Write(b []byte) (int, error) {
	if err := c.limit(c.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *deadlineConn) Close() error {
	c.network.mu.Lock()
	delete(c.network.open, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

func (c *deadlineConn) limit(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ends.IsZero() {
		return set(c.ends)
	}
	return set(time.Now().Add(networkTimeout))
}

func (c *deadlineConn) end(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = at
	_ = c.SetDeadline(at) // one that is closed needs none
}
