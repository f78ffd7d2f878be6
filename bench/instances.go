package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Many databases, served by one process.
const (
	instancesSettle = 30 * time.Second // until idle ones are polled at the stated interval
	instancesEvents = 20_000           // spread over all of them
	instancesFirsts = 20               // first events after silence
)

// many is what so many databases cost.
type many struct {
	databases        int
	start            time.Duration // until each was reached
	worker, postgres float64       // idle: share of one core
	memory, server   int64         // bytes, idle; of the server without the worker's sessions, subtracted
	sessions         int
	most             int // of one database
	first            []time.Duration
	perSecond        float64
	busy             usage
	busySessions     int
}

// instances serves 1, 20 and 200 databases of one server.
func instances(ctx context.Context, s *stage, r *report) error {
	if err := s.only(ctx, "audit_log"); err != nil {
		return err
	}
	if err := s.note(ctx, "audit_log"); err != nil {
		return err
	}
	s.db.Close() // a template must not be in use
	server, err := s.postgres.open("postgres")
	if err != nil {
		return err
	}
	defer server.Close()
	var all []many
	for _, n := range []int{1, 20, 200} {
		m, err := s.many(ctx, server, n)
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	t := table{{"databases", "all reached after", "idle: worker, % of one core", "PostgreSQL, % of one core", "worker, resident", "PostgreSQL, more than without", "sessions (most of one)", "first event after silence: p50", "longest"}}
	u := table{{"databases", "20,000 events over all: events/s", "CPU per 1,000 events: worker", "PostgreSQL", "most sessions"}}
	for _, m := range all {
		t = append(t, []string{number(m.databases), m.start.Round(10 * time.Millisecond).String(), percent(m.worker), percent(m.postgres), megabytes(m.memory), megabytes(m.server),
			fmt.Sprintf("%d (%d)", m.sessions, m.most), milliseconds(percentile(m.first, 50)), milliseconds(m.first[len(m.first)-1])})
		u = append(u, []string{number(m.databases), number(m.perSecond), perThousand(m.busy.worker, instancesEvents), perThousand(m.busy.postgres, instancesEvents), number(m.busySessions)})
	}
	r.table(t)
	r.table(u)
	return nil
}

// many measures one number of databases: copies of the stage's.
func (s *stage) many(ctx context.Context, server *sql.DB, n int) (m many, err error) {
	m.databases = n
	list := ""
	for i := range n {
		name := fmt.Sprintf("instance_%d_%d", n, i)
		if _, err := server.ExecContext(ctx, "create database "+name+" template "+s.name); err != nil {
			return m, err
		}
		list += name + " " + s.postgres.server.DSN(name) + "\n"
	}
	path := filepath.Join(s.dir, fmt.Sprintf("list-%d", n))
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		return m, err
	}
	before := s.postgres.memory()
	began := time.Now()
	w, err := startProcess(filepath.Join(s.dir, "worker.log"), []string{"WEBHOOK_DATABASES_FILE=" + path, "WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8", "DATABASE_URL="}, s.binary, "run")
	if err != nil {
		return m, err
	}
	defer func() {
		if stopped := w.stop(stopWorker); err == nil {
			err = stopped
		}
	}()
	for {
		sessions, _, err := sessionsOf(ctx, server, n)
		if err != nil {
			return m, err
		}
		if sessions >= n {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	m.start = time.Since(began)
	time.Sleep(instancesSettle)
	cpu, pg := w.cpu(), s.postgres.cpu()
	time.Sleep(s.steady)
	m.worker = (w.cpu() - cpu).Seconds() / s.steady.Seconds()
	m.postgres = (s.postgres.cpu() - pg).Seconds() / s.steady.Seconds()
	m.memory = memoryOf(w.pid(), "status", "VmRSS:")
	m.server = s.postgres.memory() - before
	if m.sessions, m.most, err = sessionsOf(ctx, server, n); err != nil {
		return m, err
	}
	if err := s.firsts(ctx, n, &m); err != nil {
		return m, err
	}
	return m, s.spread(ctx, server, n, w, &m)
}

// sessionsOf is how many sessions workers have, and the most of one database.
func sessionsOf(ctx context.Context, server *sql.DB, n int) (all, most int, err error) {
	err = server.QueryRowContext(ctx, `select coalesce(sum(n), 0), coalesce(max(n), 0) from (
		select count(*) as n from pg_stat_activity where application_name = 'webhooks' and datname like $1 group by datname) s`, fmt.Sprintf(`instance\_%d\_%%`, n)).Scan(&all, &most)
	return all, most, err
}

// firsts writes events into databases that were silent.
func (s *stage) firsts(ctx context.Context, n int, m *many) error {
	for i := range min(instancesFirsts, max(n, 3)) {
		other := *s
		other.name = fmt.Sprintf("instance_%d_%d", n, i*max(n/instancesFirsts, 1)%n)
		var err error
		if other.db, err = s.postgres.open(other.name); err != nil {
			return err
		}
		if err := s.note(ctx, "audit_log"); err != nil {
			return err
		}
		took, err := other.firstEvent(ctx)
		other.db.Close()
		if err != nil {
			return err
		}
		m.first = append(m.first, took)
		if n < instancesFirsts {
			time.Sleep(20 * time.Second) // it is silent again, and polled at the stated interval
		}
	}
	slices.Sort(m.first)
	return nil
}

// spread has many events delivered that are spread over all databases.
func (s *stage) spread(ctx context.Context, server *sql.DB, n int, w *process, m *many) error {
	if err := s.receiver.reset(ctx, 0, map[string]behaviour{"/audit_log": {}}); err != nil {
		return err
	}
	cpu, pg, began := w.cpu(), s.postgres.cpu(), time.Now()
	for i := range n {
		db, err := s.postgres.open(fmt.Sprintf("instance_%d_%d", n, i))
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `insert into webhook.outbox (event, data) select 'audit.log', json_build_object('details', $2::text) from generate_series(1, $1)`, instancesEvents/n, strings.Repeat("x", 300))
		db.Close()
		if err != nil {
			return err
		}
	}
	for {
		tallies, err := s.receiver.tally(ctx)
		if err != nil {
			return err
		}
		sessions, _, err := sessionsOf(ctx, server, n)
		if err != nil {
			return err
		}
		m.busySessions = max(m.busySessions, sessions)
		if int(tallies["/audit_log"].Posts) >= instancesEvents/n*n {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.perSecond = float64(instancesEvents/n*n) / time.Since(began).Seconds()
	m.busy = usage{worker: w.cpu() - cpu, postgres: s.postgres.cpu() - pg}
	return nil
}
