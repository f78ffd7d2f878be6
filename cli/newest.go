package cli

import (
	"net"
	"slices"
	"sync"
)

// newestListener bounds how many connections are open at once, and never keeps a new one waiting: the oldest is closed
// for it. So clients that connect and send nothing, or read slowly, keep no other out.
type newestListener struct {
	net.Listener
	most int

	mu   sync.Mutex
	open []*newestConn // the oldest first
}

// Accept implements net.Listener.
func (l *newestListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &newestConn{accepted, l}
	if oldest := l.add(c); oldest != nil {
		_ = oldest.Close()
	}
	return c, nil
}

// add returns the connection that is one too many, or nil.
func (l *newestListener) add(c *newestConn) (oldest *newestConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		oldest, l.open = l.open[0], l.open[1:]
	}
	l.open = append(l.open, c)
	return oldest
}

type newestConn struct {
	net.Conn
	of *newestListener
}

// Close implements net.Conn.
func (c *newestConn) Close() error {
	c.of.mu.Lock()
	if at := slices.Index(c.of.open, c); at >= 0 {
		c.of.open = slices.Delete(c.of.open, at, at+1)
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}
