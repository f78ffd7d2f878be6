package main

import (
	"context"
	"fmt"
	"time"
)

// latency is the time from an application's commit to the receipt, on a system
// that has nothing else to do, and what looking out for events costs meanwhile.
func latency(ctx context.Context, s *stage, r *report) error {
	if err := s.only(ctx, "audit_log", "contacts", "rules", "documents"); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	alone, err := s.pollsAlone(ctx)
	if err != nil {
		return err
	}
	var rounds, polling []quiet
	var busy, busyPolling []steadyCost
	for range s.rounds {
		for _, one := range []struct {
			env    []string
			rounds *[]quiet
			busy   *[]steadyCost
		}{{nil, &rounds, &busy}, {alone, &polling, &busyPolling}} {
			q, err := s.quiet(ctx, one.env)
			if err != nil {
				return err
			}
			*one.rounds = append(*one.rounds, q)
			c, err := s.steadyLoad(ctx, one.env)
			if err != nil {
				return err
			}
			*one.busy = append(*one.busy, c)
		}
	}
	river, err := s.riverLatencies(ctx)
	if err != nil {
		return err
	}
	t := table{{"commit to receipt, ten events a second of each", "p50", "p99", "wanted"}}
	for _, channel := range []string{"audit_log", "documents"} {
		t = append(t, []string{"webhooks, " + channel,
			milliseconds(medianOf(rounds, func(q quiet) time.Duration { return percentile(q.busy[channel], 50) })),
			milliseconds(medianOf(rounds, func(q quiet) time.Duration { return percentile(q.busy[channel], 99) })), "≤ 4 / ≤ 8 ms"})
	}
	for i, open := range openFor {
		t = append(t, []string{fmt.Sprintf("webhooks, transactions that stay open for %s", open),
			milliseconds(medianOf(rounds, func(q quiet) time.Duration { return percentile(q.long[i], 50) })),
			milliseconds(medianOf(rounds, func(q quiet) time.Duration { return percentile(q.long[i], 99) })), fmt.Sprintf("≤ %s / –", milliseconds(min(open/4, 100*time.Millisecond)+4*time.Millisecond))})
	}
	t = append(t, []string{"webhooks that polls alone, audit_log",
		milliseconds(medianOf(polling, func(q quiet) time.Duration { return percentile(q.busy["audit_log"], 50) })),
		milliseconds(medianOf(polling, func(q quiet) time.Duration { return percentile(q.busy["audit_log"], 99) })), ""})
	for _, one := range river {
		t = append(t, []string{one.name,
			milliseconds(medianOf(one.rounds, func(all []time.Duration) time.Duration { return percentile(all, 50) })),
			milliseconds(medianOf(one.rounds, func(all []time.Duration) time.Duration { return percentile(all, 99) })), ""})
	}
	t = append(t, []string{fmt.Sprintf("webhooks, the first event after %s of silence", s.steady),
		milliseconds(medianOf(rounds, func(q quiet) time.Duration { return q.first })), "–", "≤ 8 ms"})
	r.table(t)
	worker := medianOf(rounds, func(q quiet) float64 { return q.worker })
	server := medianOf(rounds, func(q quiet) float64 { return q.postgres })
	without := medianOf(rounds, func(q quiet) float64 { return q.alone })
	r.table(table{
		{"nothing happens: CPU in % of one core", "worker", "PostgreSQL", "together", "wanted"},
		{"with a worker", percent(worker), percent(server), percent(worker + server), "≤ 3 %"},
		{"with one that polls alone", percent(medianOf(polling, func(q quiet) float64 { return q.worker })), percent(medianOf(polling, func(q quiet) float64 { return q.postgres })),
			percent(medianOf(polling, func(q quiet) float64 { return q.worker + q.postgres })), ""},
		{"without", "–", percent(without), percent(without), ""},
	})
	base := medianOf(busyPolling, steadyCost.perEvent)
	costs := table{{"500 events a second over four channels", "p50", "p99", "CPU per 1,000 events: worker", "PostgreSQL", "together, beside polling alone", "wanted"}}
	for _, one := range []struct {
		name, wanted string
		rounds       []steadyCost
	}{{"a worker that polls alone", "", busyPolling}, {"a worker", "≤ 1.10", busy}} {
		costs = append(costs, []string{one.name, milliseconds(medianOf(one.rounds, func(c steadyCost) time.Duration { return c.p50 })),
			milliseconds(medianOf(one.rounds, func(c steadyCost) time.Duration { return c.p99 })),
			perThousand(medianOf(one.rounds, func(c steadyCost) time.Duration { return c.usage.worker }), one.rounds[0].events),
			perThousand(medianOf(one.rounds, func(c steadyCost) time.Duration { return c.usage.postgres }), one.rounds[0].events),
			ratio(medianOf(one.rounds, steadyCost.perEvent), base), one.wanted})
	}
	r.table(costs)
	r.notef("A worker polls alone where its role may not read the sequence of the ids. PostgreSQL's CPU time includes that of the application's inserts.")
	return nil
}

// quiet is one round on a quiet system.
type quiet struct {
	busy                    map[string][]time.Duration
	long                    [][]time.Duration
	first                   time.Duration
	worker, postgres, alone float64 // share of one core
}

func (s *stage) quiet(ctx context.Context, env []string) (q quiet, err error) {
	before := s.postgres.cpu()
	time.Sleep(s.steady)
	q.alone = (s.postgres.cpu() - before).Seconds() / s.steady.Seconds()

	if err := s.note(ctx, "audit_log", "documents"); err != nil {
		return q, err
	}
	w, err := s.worker(env...)
	if err != nil {
		return q, err
	}
	defer func() {
		if stopped := w.stop(stopWorker); err == nil {
			err = stopped
		}
	}()
	time.Sleep(time.Second) // its start is not what is measured
	worker, server := w.cpu(), s.postgres.cpu()
	time.Sleep(s.steady)
	q.worker = (w.cpu() - worker).Seconds() / s.steady.Seconds()
	q.postgres = (s.postgres.cpu() - server).Seconds() / s.steady.Seconds()

	if q.first, err = s.firstEvent(ctx); err != nil {
		return q, err
	}
	if q.busy, err = s.measured(ctx, load{"audit_log": 10, "documents": 10}, s.steady); err != nil || env != nil {
		return q, err
	}
	for _, open := range openFor {
		all, err := s.longTransactions(ctx, open)
		if err != nil {
			return q, err
		}
		q.long = append(q.long, all)
	}
	return q, nil
}

// firstEvent writes one event after all that silence.
func (s *stage) firstEvent(ctx context.Context) (time.Duration, error) {
	insert, filler, err := s.inserter(ctx, "audit_log")
	if err != nil {
		return 0, err
	}
	defer insert.Close() //nolint:errcheck // it was read to its end
	c := commits{}
	if err := c.add(ctx, insert, filler); err != nil {
		return 0, err
	}
	all, err := s.arrivals(ctx, map[string]commits{"audit_log": c})
	return percentile(all["audit_log"], 50), err
}

// note has the receiver note what arrives for these channels.
func (s *stage) note(ctx context.Context, channels ...string) error {
	paths := map[string]behaviour{}
	for _, channel := range channels {
		paths["/"+channel] = behaviour{Noted: true}
	}
	return s.receiver.reset(ctx, 0, paths)
}

// measured writes a load and returns the latencies of each channel, sorted. All
// of it must have arrived two seconds after the last commit.
func (s *stage) measured(ctx context.Context, l load, during time.Duration) (map[string][]time.Duration, error) {
	written, err := s.apply(ctx, l, during)
	if err != nil {
		return nil, err
	}
	return s.arrivals(ctx, written)
}

// arrivals are the latencies of what was written, by channel.
func (s *stage) arrivals(ctx context.Context, written map[string]commits) (map[string][]time.Duration, error) {
	time.Sleep(2 * time.Second)
	arrived, err := s.receiver.receipts(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string][]time.Duration{}
	for channel, c := range written {
		sorted, missing := latencies(c, arrived["/"+channel])
		if missing > 0 {
			return nil, fmt.Errorf("%d of %d events of %s have not arrived", missing, len(c), channel)
		}
		all[channel] = sorted
	}
	return all, nil
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
