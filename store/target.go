package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/lib/pq"
)

// target is where a DSN leads.
type target struct {
	encrypted, plain *pq.Connector // plain is nil if the DSN requires encryption, encrypted if it forbids it
	ownSessions      atomic.Bool   // see requireOwnSessions
	address          string        // host:port/name, for people
}

func newTarget(dsn string, n *network) (*target, error) {
	cfg, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	connector := func(mode pq.SSLMode) *pq.Connector {
		c := cfg.Clone()
		c.SSLMode = mode
		made, _ := pq.NewConnectorConfig(c) // it has no error
		made.Dialer(n)
		return made
	}
	switch cfg.SSLMode {
	case pq.SSLModeDisable:
		return &target{address: addressOf(cfg), plain: connector(pq.SSLModeDisable)}, nil
	case "", pq.SSLModePrefer, pq.SSLModeAllow:
		return &target{address: addressOf(cfg), encrypted: connector(pq.SSLModeRequire), plain: connector(pq.SSLModeDisable)}, nil
	}
	return &target{address: addressOf(cfg), encrypted: connector(cfg.SSLMode)}, nil
}

// addressOf is where a DSN leads: 127.0.0.1:5432/recordengine. Of several hosts each is named.
func addressOf(cfg pq.Config) string {
	address := func(host string, hostaddr netip.Addr, port uint16) string {
		if host == "" && hostaddr.IsValid() {
			host = hostaddr.String()
		}
		if strings.HasPrefix(host, "/") { // a socket's folder
			return fmt.Sprintf("%s:%d", host, port)
		}
		return net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	addresses := []string{address(cfg.Host, cfg.Hostaddr, cfg.Port)}
	for _, m := range cfg.Multi {
		addresses = append(addresses, address(m.Host, m.Hostaddr, m.Port))
	}
	return strings.Join(addresses, ",") + "/" + cfg.Database
}

// connect makes a connection with the driver. Without an sslmode it is encrypted if the server can do
// that, as psql has it. lib/pq's own prefer forgets to close the first connection, and gives up
// encryption for any error.
func (t *target) connect(ctx context.Context) (driver.Conn, error) {
	if t.encrypted != nil {
		conn, err := t.encrypted.Connect(ctx)
		switch {
		case err == nil:
			return conn, nil
		case !errors.Is(err, pq.ErrSSLNotSupported):
			return nil, connectError(err)
		case t.plain == nil:
			return nil, fmt.Errorf("%w; configure TLS at the server, or add sslmode=disable to DATABASE_URL if the network between is trusted", err)
		}
	}
	conn, err := t.plain.Connect(ctx)
	if err != nil {
		return nil, connectError(err)
	}
	return conn, nil
}

// ErrPooled means that the DSN leads through a pooler that hands each statement or transaction to any session.
var ErrPooled = errors.New("DATABASE_URL leads through a connection pooler in transaction or statement mode, " +
	"which gives one connection the session of another; use the server's own port, or the pooler in session mode")

// requireOwnSessions refuses a pooler that shares sessions between its clients, before anything is set.
// Of two connections that are open at once each has a server process of its own, for as long as it is
// open. The order of the questions is none that a pooler's rotation of two or three sessions repeats.
func (t *target) requireOwnSessions(ctx context.Context) error {
	if t.ownSessions.Load() {
		return nil
	}
	var conns [2]driver.Conn
	var pids [2]string
	for _, i := range [...]int{0, 1, 0, 0, 1} {
		if conns[i] == nil {
			conn, err := t.connect(ctx)
			if err != nil && i == 0 && code(err) != "" {
				return err // not the comparison, the server refuses the connection
			}
			if err != nil {
				return unchecked(i, err)
			}
			defer func() { _ = conn.Close() }() //nolint:gocritic // two at most, both open until they were compared
			conns[i] = conn
		}
		pid, err := lastColumn(ctx, conns[i], `select pg_catalog.pg_backend_pid()`)
		if err != nil {
			return unchecked(i, err)
		}
		if pids[i] != "" && pids[i] != pid || pid == pids[1-i] {
			return ErrPooled
		}
		pids[i] = pid
	}
	t.ownSessions.Store(true)
	return nil
}

// unchecked is the error of a connection that could not be compared. A lost connection is not passed on as
// one: database/sql would try twice more, and nothing would be logged for a minute.
func unchecked(connection int, err error) error {
	switch {
	case code(err) != "":
		return fmt.Errorf("check for a pooler: %w", err)
	case connection > 0:
		return fmt.Errorf("check for a pooler: a second connection is not answered; a pooler in session mode needs a pool of %d sessions for each worker: %v", workerConnections, err) //nolint:errorlint // see above
	case connectionLost(err):
		return fmt.Errorf("check for a pooler: the server does not answer, or has closed the connection: %v", err) //nolint:errorlint // see above
	}
	return err
}
