package store

import (
	"context"
	"database/sql/driver"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// network makes the connections of a pool. Each read and write has a limit, and so has the wait for the
// answer to a statement, which is a read. A context does not ensure that: while the network is dead lib/pq goes on reading after its context has ended, and then
// waits for the connection by which it asks the server to cancel (measured). So when the context of a call
// ends, the deadlines of all connections are brought forward.
type network struct {
	limits   limits
	instance bool // of OpenInstance: each session has the settings of plannerSettings

	mu    sync.Mutex
	open  map[*deadlineConn]bool
	ended int // calls under way whose context has ended
}

// networkOf is the network of a pool that Open returned.
func networkOf(db *sqlx.DB) *network {
	if d, ok := db.Driver().(sessionDriver); ok {
		return d.network
	}
	return &network{limits: limitsOf(DefaultLease)}
}

// endWith ends the reads and writes of all connections soon after ctx ends, also of those that are made
// before the returned function is called, at the end of the call. The calls of other contexts may lose
// their connections, too. A context ends when the worker stops, and what is still to be recorded then is
// repeated on another connection.
func (n *network) endWith(ctx context.Context) (over func()) {
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.ended++
		for c := range n.open {
			c.end(time.Now().Add(endWithin))
		}
	})
	return func() {
		if !stop() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.ended--
		}
	}
}

// Dial implements pq.Dialer.
func (n *network) Dial(network, address string) (net.Conn, error) {
	return n.DialTimeout(network, address, n.limits.dial)
}

// DialTimeout implements pq.Dialer.
func (n *network) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return n.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext. Until the session is set up (see established) everything
// together has one limit.
func (n *network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.limits.dial)
	defer cancel()
	c := &deadlineConn{network: n, stopDial: cancel, setUpBy: time.Now().Add(n.limits.network)}
	if made, ok := ctx.Value(madeKey{}).(*made); ok {
		made.conn = c
	}
	defer c.awaitsAnswer()()
	n.add(c)
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		n.remove(c)
		return nil, err
	}
	c.dialled(conn)
	return c, nil
}

// made receives the connection that a driver's connection is made of, from the context of its Connect.
type made struct{ conn *deadlineConn }

type madeKey struct{}

// established notes that the session of a driver's connection is set up.
func (n *network) established(m *made, conn driver.Conn) {
	if m.conn == nil {
		return
	}
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	m.conn.setUpBy = time.Time{}
	m.conn.driverConn = conn
	pq.SetNoticeHandler(conn, func(notice *pq.Error) {
		if waitEnded(notice) {
			m.conn.waitEnded.Store(true)
		}
	})
}

// quiet reports whether a driver's connection is open and has nothing to be read.
func (n *network) quiet(conn any) bool {
	c := n.of(conn)
	return c != nil && socketQuiet(c.Conn)
}

// waitEnded reports whether the server has ever given that warning on a driver's connection.
func (n *network) waitEnded(conn any) bool {
	c := n.of(conn)
	return c != nil && c.waitEnded.Load()
}

// of returns the open connection that a driver's is made of, or nil.
func (n *network) of(conn any) *deadlineConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		if c.isOf(conn) {
			return c
		}
	}
	return nil
}

// end ends the reads and writes of a driver's connection at once.
func (n *network) end(conn any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		if c.isOf(conn) {
			c.end(time.Now())
		}
	}
}

// Silent is how long the server of a pool that OpenInstance made owes an answer: the one that is owed for longest.
func Silent(db *sqlx.DB) (longest time.Duration) {
	n := networkOf(db)
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		if asked := c.asked.Load(); asked != nil {
			longest = max(longest, time.Since(*asked))
		}
	}
	return longest
}

func (n *network) add(c *deadlineConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		n.open = map[*deadlineConn]bool{}
	}
	n.open[c] = true
	if n.ended > 0 {
		c.end(time.Now().Add(endWithin))
	}
}

func (n *network) remove(c *deadlineConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, c)
}

// deadlineConn gives each read and write a deadline of its own.
type deadlineConn struct {
	net.Conn // nil while it is dialled
	network  *network
	stopDial context.CancelFunc

	mu         sync.Mutex
	ends       time.Time // not zero: neither the dial nor a read or write lasts longer
	setUpBy    time.Time // the same, until the session is set up
	driverConn any       // the driver's connection, once its session is set up
	waitEnded  atomic.Bool
	asked      atomic.Pointer[time.Time] // since when an answer of the server is awaited; nil: none is
}

// awaitsAnswer notes, for Silent, that the server owes an answer until the returned function is called.
func (c *deadlineConn) awaitsAnswer() (answered func()) {
	if !c.network.instance {
		return func() {}
	}
	now := time.Now()
	c.asked.Store(&now)
	return func() { c.asked.Store(nil) }
}

func (c *deadlineConn) isOf(conn any) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.driverConn == conn
}

func (c *deadlineConn) Read(b []byte) (int, error) {
	if err := c.limit(c.SetReadDeadline); err != nil {
		return 0, err
	}
	defer c.awaitsAnswer()()
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
	c.network.remove(c)
	return c.Conn.Close()
}

func (c *deadlineConn) limit(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.ends.IsZero():
		return set(c.ends)
	case !c.setUpBy.IsZero():
		return set(c.setUpBy)
	}
	return set(time.Now().Add(c.network.limits.network))
}

func (c *deadlineConn) dialled(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Conn = conn
}

func (c *deadlineConn) end(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = at
	if c.Conn == nil {
		time.AfterFunc(time.Until(at), c.stopDial)
	} else {
		_ = c.SetDeadline(at) // one that is closed needs none
	}
}
