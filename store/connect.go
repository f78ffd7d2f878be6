package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Open prepares a pool of connections; none is made yet. The error is about the DSN alone (see parse)
// and never quotes it.
func Open(dsn string) (*sqlx.DB, error) {
	return OpenFor(DefaultLease, func() (string, error) { return dsn, nil })
}

// OpenFor prepares a pool for a worker with that lease. The DSN is read for each new connection: a
// password that is rotated in a file takes effect without a restart.
func OpenFor(lease time.Duration, read func() (dsn string, err error)) (*sqlx.DB, error) {
	return open(&sessions{read: read, network: &network{limits: limitsOf(lease)}})
}

func open(s *sessions) (*sqlx.DB, error) {
	if _, err := s.current(); err != nil {
		return nil, err
	}
	db := sqlx.NewDb(sql.OpenDB(s), "postgres")
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// sessions makes connections that behave alike whatever the database's defaults are.
type sessions struct {
	read    func() (string, error)
	network *network

	mu     sync.Mutex
	dsn    string // as it was read last
	target *target
}

// sessionDriver names the network of a pool's connections, see networkOf.
type sessionDriver struct {
	driver.Driver
	network *network
}

// Driver implements driver.Connector.
func (s *sessions) Driver() driver.Driver { return sessionDriver{pq.Driver{}, s.network} }

// current is the target that the DSN names now.
func (s *sessions) current() (*target, error) {
	dsn, err := s.read()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.target != nil && s.dsn == dsn {
		return s.target, nil
	}
	t, err := newTarget(dsn, s.network)
	if err != nil {
		return nil, err
	}
	s.dsn, s.target = dsn, t
	return t, nil
}

// ErrReadOnly means that after a failover the session is on the old primary.
var ErrReadOnly = errors.New("the database accepts no writes (a standby, a primary that was demoted, or default_transaction_read_only is on)")

// Connect opens a connection and sets up its session. The first connection to a target is preceded by
// the check that it leads to sessions of its own: a setting changes no other client's session.
func (s *sessions) Connect(ctx context.Context) (driver.Conn, error) {
	defer s.network.endWith(ctx)()
	t, err := s.current()
	if err != nil {
		return nil, err
	}
	conn, err := s.session(ctx, t)
	if err != nil {
		return nil, &ConnectError{Database: t.address, Err: err}
	}
	return conn, nil
}

func (s *sessions) session(ctx context.Context, t *target) (driver.Conn, error) {
	if err := t.requireOwnSessions(ctx); err != nil {
		return nil, err
	}
	m := &made{}
	conn, err := t.connect(context.WithValue(ctx, madeKey{}, m))
	if err != nil {
		return nil, err
	}
	settings := setUp(s.network.limits)
	if s.network.instance {
		settings = plannerStatements() + settings
	}
	readOnly, err := lastColumn(ctx, conn, settings)
	if err == nil && readOnly == "on" {
		err = ErrReadOnly
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("set up the session: %w", err)
	}
	s.network.established(m, conn)
	return conn, nil
}

// setUp sets what a session must not inherit from the database, the role or the DSN, and returns
// whether it is read-only. The search_path leaves out every schema in which another role can create a
// function or an operator. "set" calls none, while a set_config may be planted where pg_catalog is not
// the first schema of the path until then. PostgreSQL 13 has no idle_session_timeout, and 17 is the first
// with a transaction_timeout. The server notices a client that has vanished, and frees what
// it has locked.
func setUp(l limits) string {
	return fmt.Sprintf(`
		set search_path = pg_catalog, pg_temp;
		select set_config('standard_conforming_strings', 'on', false),
		       set_config('array_nulls', 'on', false),
		       set_config('default_transaction_isolation', 'read committed', false),
		       set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on'
		                                        else current_setting('synchronous_commit') end, false),
		       set_config('statement_timeout', '%d', false),
		       set_config('lock_timeout', '%d', false),
		       set_config('idle_in_transaction_session_timeout', '%d', false),
		       case when current_setting('idle_session_timeout', true) is not null then set_config('idle_session_timeout', '0', false) end,
		       case when current_setting('transaction_timeout', true) is not null then set_config('transaction_timeout', '0', false) end,
		       set_config('tcp_keepalives_idle', '30', false),
		       set_config('tcp_keepalives_interval', '10', false),
		       set_config('tcp_keepalives_count', '3', false),
		       set_config('application_name', case current_setting('application_name') when '' then 'webhooks' else current_setting('application_name') end, false),
		       set_config('timezone', 'UTC', false),
		       set_config('datestyle', 'ISO, YMD', false),
		       set_config('jit', 'off', false),
		       current_setting('transaction_read_only')`,
		l.statement.Milliseconds(), l.lock.Milliseconds(), l.statement.Milliseconds())
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
	case int64:
		return fmt.Sprint(v), nil
	}
	return "", nil
}
