//go:build ha

package integration_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// haRate is how many events a second the applications write together, while the database accepts them.
const haRate = 500

// haApplications is how many write at once: each waits for its commit.
const haApplications = 8

// haAnswer is how long the applications and the test wait for the database. It ends a connection and sends no
// request to cancel: one that cancels a commit that waits for a standby turns it into a success.
const haAnswer = 5 * time.Second

// haDialer gives each read and write its limit.
type haDialer struct{}

func (haDialer) Dial(network, address string) (net.Conn, error) {
	return haDialer{}.DialTimeout(network, address, haAnswer)
}

func (haDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return haDialer{}.DialContext(ctx, network, address)
}

func (haDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return haConn{c}, nil
}

type haConn struct{ net.Conn }

func (c haConn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(haAnswer))
	return c.Conn.Read(b)
}

func (c haConn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(haAnswer))
	return c.Conn.Write(b)
}

// openHA opens a database of the cluster.
func openHA(t testing.TB, dsn string) *database {
	t.Helper()
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	connector.Dialer(haDialer{})
	db := &database{DB: sqlx.NewDb(sql.OpenDB(connector), "postgres"), t: t, address: dsn}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// haEnd is what an application knows of the end of a transaction.
type haEnd string

const (
	acknowledged haEnd = "acknowledged" // the server has confirmed the commit
	unknown      haEnd = "unknown"      // the commit was sent, and no answer came
	notCommitted haEnd = "refused"      // it failed before its commit was sent
)

// haKnown is an event as its application knows it.
type haKnown struct {
	end haEnd
	at  time.Time // when its transaction ended
}

// haBook is what all applications know: their events by their nonce.
type haBook struct {
	mu   sync.Mutex
	ends map[string]haKnown
}

func (b *haBook) note(nonces []string, end haEnd) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range nonces {
		b.ends[n] = haKnown{end, time.Now()}
	}
}

// commits are the instants at which commits were acknowledged.
func (b *haBook) commits() (at []time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.ends {
		if known.end == acknowledged {
			at = append(at, known.at)
		}
	}
	return at
}

func (b *haBook) count(end haEnd) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.ends {
		if known.end == end {
			n++
		}
	}
	return n
}

// nonce is what producer.draw gives each event, in its data as in its payload.
var nonce = regexp.MustCompile(`\bn\d+-\d+\.`)

// haApplication writes what a producer of the chaos draws, at its share of haRate.
type haApplication struct {
	*producer
	book *haBook
}

func newHAApplication(c *chaos, number int, dsn string, book *haBook) *haApplication {
	p := &producer{c: c, number: number, choose: chooser(c.seed, 100+uint64(number)), events: oneAttempts(), db: openHA(c.t, dsn)}
	p.db.SetMaxOpenConns(1)
	return &haApplication{p, book}
}

// run writes until the faults are over. What an outage has delayed is not made up for.
func (a *haApplication) run() {
	const each = time.Second * haApplications / haRate // of an event
	for next := time.Now(); a.c.blowing(); {
		events, data := a.draw()
		end := a.transact(events, data)
		a.book.note(nonce.FindAllString(strings.Join(data, ""), -1), end)
		next = next.Add(time.Duration(len(events)) * each)
		if end != acknowledged {
			next = time.Now().Add(100 * time.Millisecond)
		}
		if late := time.Since(next); late > time.Second {
			next = time.Now()
		}
		a.c.pause(time.Until(next)) // the rate of the traffic; no result depends on it
	}
}

func (a *haApplication) transact(events, data []string) (end haEnd) {
	ctx := context.Background()
	conn, err := a.db.Conn(ctx)
	if err != nil {
		return notCommitted
	}
	defer func() {
		if end != acknowledged {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		_ = conn.Close()
	}()
	if _, err := conn.ExecContext(ctx, `begin`); err != nil {
		return notCommitted
	}
	for _, statement := range []string{lockDocuments, writeEvents} {
		if _, err := conn.ExecContext(ctx, statement, pq.Array(events), pq.Array(data)); err != nil {
			return notCommitted
		}
	}
	_, err = conn.ExecContext(ctx, `commit`)
	var answered *pq.Error
	switch {
	case err == nil:
		return acknowledged
	case errors.As(err, &answered) && answered.Severity == "ERROR":
		return notCommitted
	}
	return unknown
}
