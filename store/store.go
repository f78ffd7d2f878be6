// Package store is the SQL of the worker. Each method of Store is one statement
// beside the words that explain its locks; every time in it is the database's
// clock_timestamp(). The promises are those of outbox.Store.
package store

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Store is the database of one worker.
type Store struct {
	db     *sqlx.DB
	worker string // host and process, for claimed_by
	lease  time.Duration

	claiming  sync.Mutex // held by the one claim that may run at a time
	claimConn *sqlx.Conn // pinned; nil until the first claim, and after a failed one
	claim     *sqlx.Stmt // prepared on it

	record, recordWithRuns prepared  // on the pool
	passLocksBy            time.Time // see Record, which is called by one goroutine
}

// New is the database as a worker sees it. A claim lasts for lease.
func New(db *sqlx.DB, lease time.Duration) *Store {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return &Store{db: db, worker: fmt.Sprintf("%s:%d", host, os.Getpid()), lease: lease}
}

// Close gives the pinned connection back; the pool itself is the caller's.
func (s *Store) Close() {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	if s.claim != nil {
		s.closeClaim()
	}
	s.record.close()
	s.recordWithRuns.close()
}

// Problems names the channels that are on but cannot be called as configured.
func (s *Store) Problems(ctx context.Context) (map[string]string, error) {
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
