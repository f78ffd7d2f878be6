package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// profiled are what the section profile needs of PostgreSQL: the statements'
// times, and a sample of their plans in the log.
var profiled = []string{
	"shared_preload_libraries = pg_stat_statements, auto_explain",
	"auto_explain.log_min_duration = 0",
	"auto_explain.log_analyze = on",
	"auto_explain.log_buffers = on",
	"auto_explain.log_timing = on",
	"auto_explain.log_nested_statements = on",
	"auto_explain.sample_rate = 0.01",
}

// profile drains under pprof, pg_stat_statements and auto_explain and says where
// the time goes. The rates are not those of a drain without a profiler.
func profile(ctx context.Context, s *stage, r *report) error {
	if err := s.exec(ctx, `create extension pg_stat_statements`); err != nil {
		return err
	}
	for _, k := range drainedKinds {
		cpu := filepath.Join(s.profile, k.channel+".cpu.prof")
		d := s.ours(k.channel, k.channel, k.event, payloadBytes)
		d.start = func(int) (*process, error) {
			p, _, err := startRole(filepath.Join(s.dir, "engine.log"), []string{"DATABASE_URL=" + s.dsn()}, "engine", "--cpuprofile", cpu)
			return p, err
		}
		fill := d.fill
		d.fill = func(ctx context.Context, n int) error {
			if err := fill(ctx, n); err != nil {
				return err
			}
			return s.exec(ctx, `select pg_stat_statements_reset()`)
		}
		got, err := s.drain(ctx, d, s.events)
		if err != nil {
			return err
		}
		r.notef("%s: %s events/s; CPU per 1,000 events: worker %s, PostgreSQL %s; the CPU profile is %s.", k.channel, number(got.perSecond),
			perThousand(got.worker, got.events), perThousand(got.postgres, got.events), filepath.Base(cpu))
		if err := s.statements(ctx, r, got.events); err != nil {
			return err
		}
		top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodecount=70", cpu).Output()
		if err != nil {
			return fmt.Errorf("go tool pprof: %w", err)
		}
		r.notef("```\n%s```", top)
	}
	return s.plans(ctx, filepath.Join(s.profile, "plans.txt"))
}

// statements are those that took PostgreSQL longest.
func (s *stage) statements(ctx context.Context, r *report, events int) error {
	rows, err := s.db.QueryContext(ctx, `
		select calls, rows, total_exec_time, wal_bytes::bigint, shared_blks_hit, left(regexp_replace(query, '\s+', ' ', 'g'), 110)
		  from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database())
		 order by total_exec_time desc limit 8`)
	if err != nil {
		return err
	}
	defer rows.Close()
	t := table{{"statement", "calls", "rows", "ms", "µs per event", "WAL per event", "buffers per event"}}
	for rows.Next() {
		var calls, n, wal, buffers int64
		var ms float64
		var query string
		if err := rows.Scan(&calls, &n, &ms, &wal, &buffers, &query); err != nil {
			return err
		}
		t = append(t, []string{"`" + strings.ReplaceAll(query, "|", "\\|") + "`", number(calls), number(n), number(ms), fmt.Sprintf("%.1f", ms*1000/float64(events)),
			number(float64(wal)/float64(events)) + " B", fmt.Sprintf("%.1f", float64(buffers)/float64(events))})
	}
	r.table(t)
	return rows.Err()
}

// plans copies the server's log, in which auto_explain has written.
func (s *stage) plans(ctx context.Context, into string) error {
	var data string
	if err := s.db.QueryRowContext(ctx, "show data_directory").Scan(&data); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(data), "log"))
	if err != nil {
		return err
	}
	return os.WriteFile(into, text, 0o600)
}
