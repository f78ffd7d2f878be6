package sender

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// keepIdle is how long an unused connection is kept. It has to be well
	// below what receivers keep (gunicorn 2 s, node and Apache 5 s): a request
	// on a connection that is being closed is a lost event where there is only
	// one attempt.
	keepIdle = time.Second

	// keepUsed is how long a connection is used: with the longest attempt it
	// lives a minute, and a change in DNS takes effect within it.
	keepUsed = 30 * time.Second

	// rest is how long the connections of an origin have to be idle before they
	// are used again, until one of them has shown that the receiver neither
	// closes them silently nor sends more than it was asked for.
	rest = 20 * time.Millisecond

	// maxSilent is how many attempts in a row may time out on a kept connection until
	// it is the keeping that is at fault: the receiver, or a firewall on the way,
	// forgets connections without closing them.
	maxSilent = 3

	// noReuse is how long each request to an origin gets a connection of its
	// own after the receiver has not kept a connection as it should.
	noReuse = time.Minute
)

// pool holds the idle connections by origin. It has no limit of its own: a
// connection is only made for an attempt, so max_in_flight bounds them, and at the
// end of a burst all of them are idle at once.
type pool struct {
	mu      sync.Mutex
	origins map[string]*origin
	reaping bool
}

// origin is what is known of a receiver's connections.
type origin struct {
	idle   []*conn // the longest idle first
	proven bool    // a connection was still good after a rest
	silent int     // attempts that timed out on a kept connection, since the last answer on one
	single time.Time
}

func newPool() *pool { return &pool{origins: map[string]*origin{}} }

// get returns a connection to use again, or nil.
func (p *pool) get(ctx context.Context, key string) *conn {
	for {
		c, wait := p.take(key, time.Now())
		if c == nil {
			return nil
		}
		if wait > 0 && !sleep(ctx, wait) {
			_ = c.Close()
			return nil
		}
		if c.reusable() == nil {
			p.prove(key, c)
			return c
		}
		p.endReuse(key)
		_ = c.Close()
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// take removes a connection from the idle ones: the newest that has rested a
// moment, or the one that has rested longest. wait is what it still has to rest.
func (p *pool) take(key string, now time.Time) (c *conn, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.origins[key]
	if o == nil {
		return nil, 0
	}
	for o.dropStale(now); len(o.idle) > 0; {
		at := len(o.idle) - 1
		for at > 0 && now.Sub(o.idle[at].rested) < time.Millisecond {
			at--
		}
		c = o.idle[at]
		o.idle = slices.Delete(o.idle, at, at+1)
		switch {
		case c.stale(now):
			_ = c.Close()
		case o.proven:
			return c, 0
		default:
			return c, rest - now.Sub(c.rested)
		}
	}
	return nil, 0
}

// put keeps a connection for the next request, or closes it.
func (p *pool) put(key string, c *conn) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.of(key)
	if c.keep <= 0 || now.Sub(c.made) >= keepUsed || now.Before(o.single) {
		_ = c.Close()
		return
	}
	c.rested = now
	o.idle = append(o.idle, c)
	if !p.reaping {
		p.reaping = true
		time.AfterFunc(keepIdle, p.reap)
	}
}

func (p *pool) of(key string) *origin {
	o := p.origins[key]
	if o == nil {
		o = &origin{}
		p.origins[key] = o
	}
	return o
}

// prove notes that the connections of this origin can be used again at once.
func (p *pool) prove(key string, c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.of(key); !o.proven && time.Since(c.rested) >= rest {
		o.proven = true
	}
}

// heard notes whether a kept connection answered, or was silent to the end.
func (p *pool) heard(key string, answer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.of(key)
	if o.silent++; answer {
		o.silent = 0
	}
	if o.silent >= maxSilent {
		o.endReuse()
	}
}

// endReuse closes the idle connections of an origin and keeps none for a while.
func (p *pool) endReuse(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(key).endReuse()
}

func (o *origin) endReuse() {
	o.proven, o.silent, o.single = false, 0, time.Now().Add(noReuse)
	o.close()
}

// reap closes what has been idle for too long.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaping = false
	now := time.Now()
	for _, o := range p.origins {
		if o.dropStale(now); len(o.idle) > 0 && !p.reaping {
			p.reaping = true
			time.AfterFunc(keepIdle, p.reap)
		}
	}
}

// close closes all idle connections.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.origins {
		o.close()
	}
}

func (o *origin) close() {
	for _, c := range o.idle {
		_ = c.Close()
	}
	o.idle = nil
}

// dropStale closes what has been idle for too long, the longest idle first.
func (o *origin) dropStale(now time.Time) {
	for len(o.idle) > 0 && o.idle[0].stale(now) {
		_ = o.idle[0].Close()
		o.idle[0] = nil
		o.idle = o.idle[1:]
	}
}

// stale reports whether a connection may not be used any more.
func (c *conn) stale(now time.Time) bool {
	return now.Sub(c.rested) >= c.keep || now.Sub(c.made) >= keepUsed
}
