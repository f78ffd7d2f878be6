package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// hour is an hour of steady load with clean-up, squeezed into minutes: do the
// table and its indexes come to a size and stay there?
//
// Everything that has to do with time is squeezed alike: autovacuum runs more
// often than once a minute, and a row is kept for a tenth of the hour.
func hour(ctx context.Context, s *stage, r *report) error {
	squeezed := float64(time.Hour) / float64(s.hour)
	naptime := max(int(60/squeezed), 1)
	if err := s.exec(ctx, fmt.Sprintf(`alter system set autovacuum_naptime = '%ds'`, naptime), `select pg_reload_conf()`); err != nil {
		return err
	}
	if err := s.only(ctx, "audit_log", "documents"); err != nil {
		return err
	}
	if err := s.receiver.reset(ctx, 0, nil); err != nil {
		return err
	}
	const perSecond = 400 // of each kind, if the machine is quick enough
	written := 0
	_, err := s.withWorker(ctx, func(*process) (map[string][]time.Duration, error) {
		wrote, pruned := make(chan error, 1), make(chan error, 1)
		stop, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			all, err := s.apply(ctx, load{"audit_log": perSecond, "documents": perSecond}, s.hour)
			written = len(all["audit_log"]) + len(all["documents"])
			wrote <- err
		}()
		go func() { pruned <- s.pruneSteadily(stop, s.hour/10, s.hour/60) }()
		if err := s.sizes(ctx, r); err != nil {
			return nil, err
		}
		err := <-wrote
		cancel()
		return nil, errors.Join(err, <-pruned)
	})
	r.notef("%s events a second over two channels, one transaction each; an hour is squeezed into %s: autovacuum runs every %d s, finished rows are kept for %s.",
		number(float64(written)/s.hour.Seconds()), s.hour, naptime, s.hour/10)
	return err
}

// pruneSteadily deletes what was finished longer ago than that.
func (s *stage) pruneSteadily(ctx context.Context, keep, every time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if _, err := s.db.ExecContext(ctx, `select webhook.prune($1 * interval '1 second', 100000)`, keep.Seconds()); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// sizes samples the table at even intervals.
func (s *stage) sizes(ctx context.Context, r *report) error {
	indexes, err := s.indexes(ctx)
	if err != nil {
		return err
	}
	const samples = 12
	t := table{append([]string{"minute of the hour", "rows", "dead rows", "HOT updates", "table"}, indexes...)}
	for sample := 1; sample <= samples; sample++ {
		time.Sleep(s.hour / samples)
		var rows, dead, updates, hot, size int64
		err := s.db.QueryRowContext(ctx, `
			select n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd, pg_relation_size(relid) from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`).
			Scan(&rows, &dead, &updates, &hot, &size)
		if err != nil {
			return err
		}
		row := []string{fmt.Sprint(sample * 60 / samples), number(rows), number(dead), percent(float64(hot) / float64(max(updates, 1))), megabytes(size)}
		for _, index := range indexes {
			n, err := s.count(ctx, `select pg_relation_size(('webhook.' || $1)::regclass)`, index)
			if err != nil {
				return err
			}
			row = append(row, fmt.Sprintf("%.1f MB", float64(n)/(1<<20)))
		}
		t = append(t, row)
	}
	r.table(t)
	return nil
}

func (s *stage) indexes(ctx context.Context) (names []string, err error) {
	rows, err := s.db.QueryContext(ctx, `select indexname from pg_indexes where schemaname = 'webhook' and tablename = 'outbox' order by 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
