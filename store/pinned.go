package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// pinnedFor is how long a pinned connection may be unused before it is replaced: firewalls forget idle
// connections, and then the next statement would wait for its deadline.
const pinnedFor = time.Minute

// pinned is a connection for one caller at a time, with its hot statements prepared on it: a plan costs
// 2 ms, a poll that finds nothing 0.3 ms.
type pinned struct {
	network *network
	locks   bool // each connection holds an advisory lock of its own, by which its end is noticed

	mu       sync.Mutex // held by the caller
	lock     int64      // of the connection
	conn     *sqlx.Conn // nil before the first statement and after a failed one
	prepared map[string]*sqlx.Stmt
	used     time.Time
}

// prepare returns a statement that is ready to be executed. An error means that it was not executed.
func (p *pinned) prepare(ctx context.Context, db *sqlx.DB, query string) (*sqlx.Stmt, error) {
	if time.Since(p.used) > pinnedFor || p.conn != nil && !p.open() {
		p.drop()
	}
	p.used = time.Now()
	if stmt := p.prepared[query]; stmt != nil {
		return stmt, nil
	}
	if p.conn == nil {
		conn, err := db.Connx(ctx)
		if err != nil {
			return nil, err
		}
		p.conn, p.prepared = conn, map[string]*sqlx.Stmt{}
		if err := p.setUp(ctx); err != nil {
			p.drop()
			return nil, err
		}
	}
	stmt, err := p.conn.PreparexContext(ctx, query)
	if err != nil {
		p.drop()
		return nil, err
	}
	p.prepared[query] = stmt
	return stmt, nil
}

func (p *pinned) setUp(ctx context.Context) error {
	if _, err := p.conn.ExecContext(ctx, plannerSettings(false)); err != nil || !p.locks {
		return err
	}
	p.lock = rand.Int64() //nolint:gosec // the number of a lock is no secret
	_, err := p.conn.ExecContext(ctx, fmt.Sprintf(`select pg_advisory_lock(%d)`, p.lock))
	return err
}

// open reports whether the server has neither closed the connection nor sent anything since its last
// answer, such as the end of the session. A statement that is not sent need not be looked up.
func (p *pinned) open() (open bool) {
	err := p.conn.Raw(func(conn any) error {
		open = p.network.quiet(conn)
		return nil
	})
	return err == nil && open
}

// endWith ends the statement that is under way as soon as ctx ends, by the end of this connection alone.
func (p *pinned) endWith(ctx context.Context) (over func()) {
	if p.conn == nil {
		return func() {}
	}
	var conn any
	_ = p.conn.Raw(func(c any) error { conn = c; return nil })
	stop := context.AfterFunc(ctx, func() { p.network.end(conn) })
	return func() { stop() }
}

// waitEnded reports whether a commit of this connection is not on its standby, see LookUpClaim.
func (p *pinned) waitEnded() (ended bool) {
	_ = p.conn.Raw(func(conn any) error {
		ended = p.network.waitEnded(conn)
		return nil
	})
	return ended
}

// drop closes the connection, whose settings the pool must not get; the next statement opens another.
func (p *pinned) drop() {
	if p.conn != nil {
		_ = p.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	p.conn, p.prepared = nil, nil
}

// plannerSettings sets the planner up for the worker's statements: each looks up a few rows by an index, in its
// order. The planner cannot know that, since the limits come from columns and arrays: left alone it may
// sort or hash a million rows to find ten. local: for the transaction, else for the session.
func plannerSettings(local bool) string {
	var values []string
	for _, p := range planner {
		values = append(values, fmt.Sprintf(`('%s', '%s')`, p.name, p.value))
	}
	return fmt.Sprintf(`
		select set_config(name, value, %t)
		  from (values %s) s (name, value)`, local, strings.Join(values, ", "))
}

// plannerStatements are the same for a session, as statements that return no row.
func plannerStatements() (text string) {
	for _, p := range planner {
		text += fmt.Sprintf("set %s = %s; ", p.name, p.value)
	}
	return text
}

var planner = []struct{ name, value string }{
	{"enable_seqscan", "off"}, {"enable_bitmapscan", "off"}, {"enable_sort", "off"}, {"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"}, {"enable_material", "off"}, {"plan_cache_mode", "force_generic_plan"},
}
