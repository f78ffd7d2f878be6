package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/atrest"
)

// Admin is the database as the page uses it; it implements admin.Store. Its role is webhook_admin: it
// has no privilege of a worker. The SQL of each page is in a file of its own.
type Admin struct {
	db      *sqlx.DB
	network *network
	schema  Schema
	turns   chan struct{} // one for each connection, held by a call
	keys    *atrest.Keys  // encrypt what is set, and decrypt it; nil: none

	examined    int           // rows that each step of a search examines
	rangesTime  time.Duration // that a statement of a search may take which reads ranges
	waitingTime time.Duration // that counting what waits may take
	waitingFrom atomic.Int64  // when what waits is counted again, in nanoseconds of Unix
}

// NewAdmin is the page's database over a pool that Open returned.
func NewAdmin(db *sqlx.DB, schema Schema) *Admin {
	return &Admin{db: db, network: networkOf(db), schema: schema, turns: make(chan struct{}, maxConnections),
		examined: mostExamined, rangesTime: rangesTime, waitingTime: waitingTime}
}

// Examine sets how many rows each step of a search for deliveries examines. A test sets few.
func (a *Admin) Examine(rows int) { a.examined = rows }

// Hurry sets how long a statement of such a search may read ranges, and how long counting what waits may take. A
// test leaves them too little.
func (a *Admin) Hurry(most time.Duration) { a.rangesTime, a.waitingTime = most, most }

// Ready implements admin.Store.
func (a *Admin) Ready(ctx context.Context) error {
	leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return a.failed(CheckSchema(ctx, a.db, a.schema))
}

// leastTime is what must be left of the time for a request when a call begins: its statements end before.
const leastTime = 2 * time.Second

// enter waits for one of the connections; the call ends with leave. The end of a context that waits for the pool
// itself would cost the calls of others their connections (see endWith): among many requests, one that had to
// wait too long would have failed them all.
func (a *Admin) enter(ctx context.Context) (leave func(), err error) {
	wait := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadline(ctx, deadline.Add(-leastTime))
		defer cancel()
	}
	if !a.turn(wait) {
		return nil, fmt.Errorf("%w: too many requests wait for a connection", admin.ErrUnavailable)
	}
	over := a.network.endWith(ctx)
	return func() {
		over()
		<-a.turns
	}, nil
}

func (a *Admin) turn(wait context.Context) (got bool) {
	if wait.Err() != nil {
		return false // the select below may choose either
	}
	select {
	case a.turns <- struct{}{}:
		return true
	case <-wait.Done():
		return false
	}
}

// as runs what a person does in one transaction. Their name is recorded with it: webhook.actor reads it.
// An error of do that is none of the database is returned as it is.
func (a *Admin) as(ctx context.Context, actor string, do func(*sqlx.Tx) error) error {
	leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	tx, err := a.db.BeginTxx(ctx, nil)
	if err != nil {
		return a.failed(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `select set_config('webhook.actor', $1, true)`, actor); err != nil {
		return a.failed(err)
	}
	if err := do(tx); err != nil {
		if code(err) == "" && !unanswered(err) {
			return err
		}
		return a.failed(err)
	}
	if err := tx.Commit(); err != nil && !rolledBack(err) {
		return fmt.Errorf("%w: %w", admin.ErrUncertain, a.failed(err))
	} else if err != nil {
		return a.failed(err)
	}
	return nil
}

// unanswered: the connection ended, or the time for an answer.
func unanswered(err error) bool {
	var network net.Error
	return connectionLost(err) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// failed is an error as admin.Store has it: where waiting can help, admin.ErrUnavailable. Where one
// connection is dead the others may be, and after a failover all are those of the old primary: the pool,
// which would keep them, is emptied. sql.ErrNoRows is an answer.
func (a *Admin) failed(err error) error {
	if err == nil || errors.Is(err, admin.ErrUnavailable) || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if code(err) == "" || readOnly(err) {
		a.db.SetMaxIdleConns(0)
		a.db.SetMaxIdleConns(maxConnections)
	}
	switch {
	case Transient(err):
		return fmt.Errorf("%w: %w", admin.ErrUnavailable, err)
	case schemaMissing(err):
		return fmt.Errorf("%w: %w", admin.ErrNoSchema, err)
	case Denied(err):
		return fmt.Errorf("%w: %w", admin.ErrDenied, err)
	}
	return err
}
