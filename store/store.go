// Package store is the SQL of the worker, each statement whole and beside the words that explain its
// locks. What is atomic:
//   - Claim, LookUpClaim, ReleaseClaims and Pause: each is done whole or not at all;
//   - Record: the same, for the outcomes that it does not return as locked;
//   - ExpireLeases, Skip, Prune and Tally: in batches, each done whole or not at all; an error leaves the
//     earlier ones committed.
//
// Written times are the database's clock_timestamp(). A claim compares due_at with now(), see claimSQL.
// The promises are those of outbox.Store.
package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// Store is the database of one worker.
type Store struct {
	db      *sqlx.DB
	network *network
	worker  string // host and process, for claimed_by
	lease   time.Duration
	self    Worker
	opener  opener

	claimConn       pinned // one claim at a time
	recordConn      pinned
	newestConn      pinned
	skipLockedUntil time.Time  // see Record
	peek            *sqlx.Stmt // see Peek; nil: not prepared yet
	writeLock       int64      // see checkWrite

	newest struct { // the newest claim and the lock of its session, see LookUpClaim
		claimID string
		lock    int64
	}
}

// New is the database as a worker uses it, over a pool that Open returned. A claim lasts for lease.
func New(db *sqlx.DB, lease time.Duration) *Store {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	n := networkOf(db)
	if !n.instance {
		db.SetMaxOpenConns(workerConnections)
		db.SetMaxIdleConns(workerConnections)
	}
	return &Store{
		db: db, network: n, worker: fmt.Sprintf("%s:%d", host, os.Getpid()), lease: lease, writeLock: rand.Int64(), //nolint:gosec // the number of a lock is no secret
		self:      Worker{ID: uuid.NewString()},
		claimConn: pinned{network: n, locks: true}, recordConn: pinned{network: n}, newestConn: pinned{network: n},
	}
}

// Close closes the pinned connections; the pool itself is the caller's.
func (s *Store) Close() {
	for _, p := range []*pinned{&s.claimConn, &s.recordConn, &s.newestConn} {
		p.mu.Lock()
		p.drop()
		p.mu.Unlock()
	}
}

// ChannelProblems returns why channels that are on cannot be called as they are configured.
func (s *Store) ChannelProblems(ctx context.Context) (map[string]string, error) {
	defer s.network.endWith(ctx)()
	rows := []struct{ Channel, Problem string }{}
	err := s.db.SelectContext(ctx, &rows, `
		select c.name as channel, webhook.channel_problem(c, s) as problem
		  from webhook.channels c
		 cross join webhook.settings s
		 where c.enabled and webhook.channel_problem(c, s) is not null`)
	if err != nil {
		return nil, s.failed("read the channels", err)
	}
	problems := map[string]string{}
	for _, r := range rows {
		problems[r.Channel] = r.Problem
	}
	return problems, nil
}
