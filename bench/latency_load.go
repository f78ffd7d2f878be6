package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/recordengine/webhooks/temppg"
)

// probesOrNot are the environments of a worker that probes, and of one that cannot, since its role may not read the
// sequence: what probing is compared with. Neither role is a superuser, whose statements cost less.
func (s *stage) probesOrNot(ctx context.Context) (probes, pollsAlone []string, err error) {
	if err = s.exec(ctx, `select webhook.create_roles()`, `revoke all on sequence webhook.outbox_id_seq from webhook_worker`); err != nil {
		return nil, nil, err
	}
	if probes, err = s.asWorker(ctx, "probes"); err != nil {
		return nil, nil, err
	}
	if pollsAlone, err = s.asWorker(ctx, "polls_alone"); err != nil {
		return nil, nil, err
	}
	return probes, pollsAlone, s.exec(ctx, `grant select on sequence webhook.outbox_id_seq to probes`)
}

// asWorker makes a role with the privileges of a worker and returns the environment of a worker that uses it.
func (s *stage) asWorker(ctx context.Context, role string) (env []string, err error) {
	const password = "of the bench"
	verifier, err := temppg.Verifier(password)
	if err != nil {
		return nil, err
	}
	if err := s.exec(ctx, fmt.Sprintf(`create role %s login password '%s' in role webhook_worker`, role, verifier)); err != nil {
		return nil, err
	}
	u, err := url.Parse(s.dsn())
	if err != nil {
		return nil, err
	}
	u.User = url.UserPassword(role, password)
	return []string{"DATABASE_URL=" + u.String()}, nil
}

// steadyCost is what steady traffic costs a worker, and how soon its events arrive.
type steadyCost struct {
	events   int
	p50, p99 time.Duration
	usage
}

// steadyLoad measures the traffic of an application that does much.
func (s *stage) steadyLoad(ctx context.Context, env []string) (c steadyCost, err error) {
	if err := s.note(ctx, "audit_log", "contacts", "rules", "documents"); err != nil {
		return c, err
	}
	w, err := s.worker(env...)
	if err != nil {
		return c, err
	}
	time.Sleep(time.Second) // its start is not what is measured
	worker, server := w.cpu(), s.postgres.cpu()
	written, err := s.apply(ctx, trafficLoad, s.steady)
	if err == nil {
		time.Sleep(200 * time.Millisecond) // what was written last is recorded
		c.usage.worker, c.usage.postgres = w.cpu()-worker, s.postgres.cpu()-server
		var arrived map[string][]time.Duration
		if arrived, err = s.arrivals(ctx, written); err == nil {
			all := slices.Sorted(slices.Values(slices.Concat(arrived["audit_log"], arrived["contacts"], arrived["rules"], arrived["documents"])))
			c.events, c.p50, c.p99 = len(all), percentile(all, 50), percentile(all, 99)
		}
	}
	if stopped := w.stop(stopWorker); err == nil {
		err = stopped
	}
	return c, err
}

// perEvent is the CPU time of the worker and PostgreSQL, the application's inserts included.
func (c steadyCost) perEvent() float64 {
	return (c.usage.worker + c.usage.postgres).Seconds() / float64(max(c.events, 1))
}

// longTransactions writes events whose transactions stay open, and returns the times from commit to receipt, sorted.
func (s *stage) longTransactions(ctx context.Context, open time.Duration) ([]time.Duration, error) {
	c := commits{}
	insert, filler, err := s.inserter(ctx, "audit_log")
	if err != nil {
		return nil, err
	}
	defer insert.Close() //nolint:errcheck // it was read to its end
	for until := time.Now().Add(s.steady); time.Now().Before(until); {
		time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond))))
		if err := s.commitLate(ctx, insert, filler, open, c); err != nil {
			return nil, err
		}
	}
	all, err := s.arrivals(ctx, map[string]commits{"audit_log": c})
	return all["audit_log"], err
}

func (s *stage) commitLate(ctx context.Context, insert *sql.Stmt, filler string, open time.Duration, c commits) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	var id int64
	if err := tx.StmtContext(ctx, insert).QueryRowContext(ctx, len(c)+1, filler).Scan(&id); err != nil {
		return err
	}
	time.Sleep(open)
	if err := tx.Commit(); err != nil {
		return err
	}
	c[id] = time.Now()
	return nil
}

// openFor are the transactions that are measured, beside those of one statement.
var openFor = []time.Duration{50 * time.Millisecond, 500 * time.Millisecond}
