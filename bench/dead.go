package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// dead is a documents endpoint that is not there, with a large backlog behind
// it: what each ten-second cycle costs, and how it drains once the endpoint is back.
func dead(ctx context.Context, s *stage, r *report) error {
	if err := s.only(ctx, "documents"); err != nil {
		return err
	}
	if err := s.fill(ctx, "document.exported", s.blocked, payloadBytes); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	address, err := closedPort()
	if err != nil {
		return err
	}
	if err := s.receiver.reset(ctx, 0, map[string]behaviour{"/documents": {Delay: blackHole}}); err != nil {
		return err
	}
	_, err = s.withWorker(ctx, func(w *process) (map[string][]time.Duration, error) {
		t := table{{"the endpoint", "seconds", "attempts in ten seconds", "worker's memory", "worker's CPU", "PostgreSQL's CPU", "table and indexes"}}
		for _, way := range []deadWay{{"never answers", "", s.posted}, {"is a closed port", "http://" + address + hook, s.updated}} {
			before, err := way.attempts(ctx)
			if err != nil {
				return nil, err
			}
			if way.url == "" {
				before = 0 // the first ones are under way already
			} else {
				if _, err := s.db.ExecContext(ctx, `update webhook.channels set url = $1 where name = 'documents'`, way.url); err != nil {
					return nil, err
				}
				if err := s.receiver.reset(ctx, 0, nil); err != nil { // what hangs ends
					return nil, err
				}
			}
			rows, err := s.deadCycles(ctx, w, way, before)
			if err != nil {
				return nil, err
			}
			t = append(t, rows...)
		}
		r.table(t)
		r.notef("%s documents wait. An attempt at a closed port fails in less than a millisecond, one that is never answered after 30 s. CPU is in %% of one core.", number(s.blocked))
		return nil, s.comesBack(ctx, w, address, r)
	})
	return err
}

// deadWay is one of the ways in which an endpoint can be dead.
type deadWay struct {
	name, url string
	attempts  func(context.Context) (int64, error)
}

// posted is how many attempts the receiver has seen of the documents.
func (s *stage) posted(ctx context.Context) (int64, error) {
	all, err := s.receiver.tally(ctx)
	return all["/documents"].Posts, err
}

// updated is how many attempts have failed at a closed port: each changes its
// row twice, when it is claimed and when it has failed.
func (s *stage) updated(ctx context.Context) (int64, error) {
	n, err := s.count(ctx, `select n_tup_upd from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`)
	return n / 2, err
}

// deadCycles watches some ten-second cycles, from a number of attempts on.
func (s *stage) deadCycles(ctx context.Context, w *process, way deadWay, before int64) (rows table, err error) {
	cpu, server := w.cpu(), s.postgres.cpu()
	for cycle := 1; cycle <= 3; cycle++ {
		time.Sleep(10 * time.Second)
		now, err := way.attempts(ctx)
		if err != nil {
			return nil, err
		}
		size, err := s.count(ctx, `select pg_total_relation_size('webhook.outbox')`)
		if err != nil {
			return nil, err
		}
		nowCPU, nowServer := w.cpu(), s.postgres.cpu()
		rows = append(rows, []string{way.name, fmt.Sprint(cycle * 10), number(now - before), megabytes(memoryOf(w.pid(), "status", "VmRSS:")),
			percent((nowCPU - cpu).Seconds() / 10), percent((nowServer - server).Seconds() / 10), megabytes(size)})
		before, cpu, server = now, nowCPU, nowServer
	}
	return rows, nil
}

// comesBack opens the port and watches the backlog go. The worker gets no signal.
func (s *stage) comesBack(ctx context.Context, w *process, address string, r *report) error {
	wanted := min(s.events, s.blocked*9/10)
	paths := map[string]behaviour{hook: {Counted: true, Noted: true}}
	if err := s.receiver.reset(ctx, wanted, paths); err != nil {
		return err
	}
	opened := time.Now()
	if err := s.receiver.listen(ctx, address); err != nil {
		return err
	}
	got, err := s.receiver.wait(ctx, drainLimit(wanted))
	if err != nil {
		return err
	}
	arrived, err := s.receiver.receipts(ctx)
	if err != nil {
		return err
	}
	oldest, far := inOrder(arrived[hook][:wanted])
	back := float64(wanted) / time.Duration(got.Last-got.First).Seconds()
	peak := w.peak()

	usual, err := s.beside(ctx, "usual")
	if err != nil {
		return err
	}
	if err := s.stopAll(ctx, []*process{w}); err != nil { // two workers would share the cores
		return err
	}
	plain, err := usual.drain(ctx, usual.ours("documents", "documents", "document.exported", payloadBytes), wanted)
	if err != nil {
		return err
	}
	r.table(table{
		{"the endpoint comes back", "", "wanted"},
		{"the first document arrives after", milliseconds(time.Unix(0, got.First).Sub(opened)), "≤ 10 s"},
		{"drain of the next " + number(wanted) + " of the backlog, documents/s", number(back), ""},
		{"beside a drain of as many that were never attempted", ratio(back, plain.perSecond), "full speed"},
		{"of the first " + number(wanted) + " to arrive, belong to the oldest " + number(wanted), fmt.Sprintf("%.1f %%", 100*oldest), "oldest first"},
		{"99 % of them arrive at most so many places from where their age puts them", number(far), ""},
		{"the worker's peak memory", megabytes(peak), "bounded"},
	})
	return nil
}

// inOrder says what part of the first n arrivals are the n oldest events, and
// how far from its place by age an arrival is that 99 % do not exceed.
func inOrder(arrived []receipt) (oldest float64, far int64) {
	var away []int64
	seen := map[int64]bool{}
	among := 0
	for _, one := range arrived {
		if seen[one.ID] {
			continue
		}
		place := int64(len(seen)) + 1 // ids are 1, 2, 3 …
		seen[one.ID] = true
		if one.ID <= int64(len(arrived)) {
			among++
		}
		away = append(away, max(one.ID-place, place-one.ID))
	}
	slices.Sort(away)
	return float64(among) / float64(len(seen)), percentile(away, 99)
}
