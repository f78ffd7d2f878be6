package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Limits of a session. The deadline of a single read or write is longer than
// any statement may take, so that it strikes only when the network is dead.
const (
	statementTimeout = 15 * time.Second
	lockTimeout      = 500 * time.Millisecond // every lock the worker waits for is held for an instant, or by a forgotten session
	dialTimeout      = 5 * time.Second
	networkTimeout   = 20 * time.Second
	maxConnections   = 6
)

// Open prepares a pool of connections; none is made yet. The error is about the
// DSN alone (lib/pq's URL or key=value form) and never quotes it.
func Open(dsn string) (*sqlx.DB, error) {
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, unusable(err)
	}
	connector.Dialer(dialer{})
	db := sqlx.NewDb(sql.OpenDB(session{connector}), "postgres")
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// unusable says what is wrong with a DSN, but for what lib/pq quotes: it may be
// the password.
func unusable(err error) error {
	if text := err.Error(); strings.HasPrefix(text, `pq: wrong value for "sslmode"`) {
		return errors.New(text)
	}
	return errors.New("it is neither a URL like postgres://user:password@host:5432/database?sslmode=disable nor a list of key=value pairs that lib/pq understands")
}

// session makes connections that behave alike whatever the database's defaults are.
type session struct{ driver.Connector }

// ErrReadOnly is met after a failover that left us with the old primary.
var ErrReadOnly = errors.New("the database accepts no writes (a standby, or a primary that was demoted)")

// Connect opens a connection and sets up its session. Every statement of the
// worker looks up a few rows by an index, in its order. The planner cannot know
// that, since the limits come from columns and arrays: left alone it may sort or
// hash a million rows to find ten. So it is left no other way.
func (s session) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, withoutDSN(err)
	}
	query := fmt.Sprintf(`
		select set_config('default_transaction_isolation', 'read committed', false),
		       set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on'
		                                        else current_setting('synchronous_commit') end, false),
		       set_config('statement_timeout', '%d', false),
		       set_config('lock_timeout', '%d', false),
		       set_config('idle_in_transaction_session_timeout', '%d', false),
		       set_config('application_name', case current_setting('application_name') when '' then 'webhooks' else current_setting('application_name') end, false),
		       set_config('timezone', 'UTC', false),
		       set_config('datestyle', 'ISO, YMD', false),
		       set_config('jit', 'off', false),
		       set_config('enable_seqscan', 'off', false),
		       set_config('enable_bitmapscan', 'off', false),
		       set_config('enable_sort', 'off', false),
		       set_config('enable_hashjoin', 'off', false),
		       set_config('enable_mergejoin', 'off', false),
		       set_config('enable_material', 'off', false),
		       set_config('plan_cache_mode', 'force_generic_plan', false),
		       current_setting('transaction_read_only')`,
		statementTimeout.Milliseconds(), lockTimeout.Milliseconds(), statementTimeout.Milliseconds())
	readOnly, err := lastColumn(ctx, conn, query)
	if err == nil && readOnly == "on" {
		err = ErrReadOnly
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("set up the session: %w", err)
	}
	return conn, nil
}

// lastColumn runs a query of one row and returns its last column as text.
func lastColumn(ctx context.Context, conn driver.Conn, query string) (text string, err error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil {
		if errors.Is(err, io.EOF) {
			return "", errors.New("no row")
		}
		return "", err
	}
	switch v := row[len(row)-1].(type) {
	case []byte:
		return string(v), nil
	case string:
		return v, nil
	}
	return "", nil
}

// dialer makes connections on which no read or write lasts for ever. A context
// does not do that: lib/pq waits for the server's answer to its cancel request.
type dialer struct{}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, dialTimeout)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nd := net.Dialer{Timeout: dialTimeout}
	conn, err := nd.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return deadlineConn{conn}, nil
}

// deadlineConn gives each read and write a deadline of its own.
type deadlineConn struct{ net.Conn }

func (c deadlineConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(networkTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c deadlineConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(networkTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
