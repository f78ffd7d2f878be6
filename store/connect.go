package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Limits of a session.
const (
	statementTimeout = 15 * time.Second
	lockTimeout      = 500 * time.Millisecond // every lock the worker waits for is held for an instant, or by a forgotten session
	maxConnections   = 6
)

// Open prepares a pool of connections; none is made yet. The error is about the DSN alone (lib/pq's URL
// or key=value form) and never quotes it.
func Open(dsn string) (*sqlx.DB, error) {
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, unusable(err)
	}
	n := &network{}
	connector.Dialer(n)
	db := sqlx.NewDb(sql.OpenDB(sessions{connector, n}), "postgres")
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// unusable says what is wrong with a DSN, without the text that lib/pq quotes: it may be the password.
func unusable(err error) error {
	if text := err.Error(); strings.HasPrefix(text, `pq: wrong value for "sslmode"`) {
		return errors.New(text)
	}
	return errors.New("it is neither a URL like postgres://user:password@host:5432/database?sslmode=disable nor a list of key=value pairs that lib/pq understands")
}

// sessions makes connections that behave alike whatever the database's defaults are.
type sessions struct {
	driver.Connector
	network *network
}

// sessionDriver names the network of a pool's connections, see networkOf.
type sessionDriver struct {
	driver.Driver
	network *network
}

// Driver implements driver.Connector.
func (s sessions) Driver() driver.Driver { return sessionDriver{s.Connector.Driver(), s.network} }

// ErrReadOnly means that after a failover the session is on the old primary.
var ErrReadOnly = errors.New("the database accepts no writes (a standby, or a primary that was demoted)")

// Connect opens a connection and sets up its session. The search_path leaves out every schema in which
// another role can create a function or an operator.
func (s sessions) Connect(ctx context.Context) (driver.Conn, error) {
	defer s.network.endWith(ctx)()
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, withoutDSN(err)
	}
	// "set" calls no function: one of the name set_config may be another role's, where pg_catalog is not
	// the first schema of the path that the session begins with.
	query := fmt.Sprintf(`
		set search_path = pg_catalog, pg_temp;
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
