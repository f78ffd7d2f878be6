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
	probes, alone, err := s.probesOrNot(ctx)
	if err != nil {
		return err
	}
	var probing, polling latencyRounds
	for range s.rounds {
		if err := probing.add(ctx, s, probes, true); err != nil {
			return err
		}
		if err := polling.add(ctx, s, alone, false); err != nil {
			return err
		}
	}
	river, err := s.riverLatencies(ctx)
	if err != nil {
		return err
	}
	r.table(latencyTable(probing.quiet, polling.quiet, river, s.silence))
	r.table(idleTable(probing.quiet, polling.quiet))
	r.table(steadyTable(probing.steady, polling.steady))
	r.notef("A worker polls alone where its role may not read the sequence of the ids; neither role is a superuser. PostgreSQL's CPU time includes that of the application's inserts.")
	return nil
}

// latencyRounds are the rounds of one kind of worker.
type latencyRounds struct {
	quiet  []quiet
	steady []steadyCost
}

func (l *latencyRounds) add(ctx context.Context, s *stage, env []string, long bool) error {
	q, err := s.quiet(ctx, env, long)
	if err != nil {
		return err
	}
	c, err := s.steadyLoad(ctx, env)
	if err != nil {
		return err
	}
	l.quiet, l.steady = append(l.quiet, q), append(l.steady, c)
	return nil
}

// latencyTable is the time to the receipt on a quiet system, beside that of a worker that polls alone and of River.
func latencyTable(rounds, polling []quiet, river []*peerLatency, silence time.Duration) table {
	t := table{{"commit to receipt, ten events a second of each", "p50", "p99", "wanted"}}
	for _, channel := range []string{"audit_log", "documents"} {
		t = append(t, latencyRow("webhooks, "+channel, rounds, func(q quiet) []time.Duration { return q.busy[channel] }, "≤ 4 / ≤ 8 ms"))
	}
	for i, open := range openFor {
		t = append(t, latencyRow(fmt.Sprintf("webhooks, transactions that stay open for %s", open), rounds, func(q quiet) []time.Duration { return q.long[i] },
			fmt.Sprintf("≤ %s / –", milliseconds(min(open/4, 100*time.Millisecond)+4*time.Millisecond))))
	}
	t = append(t, latencyRow("webhooks that polls alone, audit_log", polling, func(q quiet) []time.Duration { return q.busy["audit_log"] }, ""))
	for _, one := range river {
		t = append(t, latencyRow(one.name, one.rounds, func(all []time.Duration) []time.Duration { return all }, ""))
	}
	return append(t, []string{fmt.Sprintf("webhooks, the first event after %s of silence", silence),
		milliseconds(medianOf(rounds, func(q quiet) time.Duration { return q.first })), "–", "≤ 8 ms"})
}

// latencyRow has the medians of the percentiles of all rounds.
func latencyRow[R any](name string, rounds []R, sorted func(R) []time.Duration, wanted string) []string {
	at := func(p float64) string {
		return milliseconds(medianOf(rounds, func(r R) time.Duration { return percentile(sorted(r), p) }))
	}
	return []string{name, at(50), at(99), wanted}
}

// idleTable is what it costs that nothing happens.
func idleTable(rounds, polling []quiet) table {
	row := func(name string, rounds []quiet, wanted string) []string {
		worker := medianOf(rounds, func(q quiet) float64 { return q.worker })
		server := medianOf(rounds, func(q quiet) float64 { return q.postgres })
		return []string{name, percent(worker), percent(server), percent(worker + server), wanted}
	}
	without := medianOf(rounds, func(q quiet) float64 { return q.alone })
	return table{
		{"nothing happens: CPU in % of one core", "worker", "PostgreSQL", "together", "wanted"},
		row("with a worker", rounds, "≤ 3 %"),
		row("with one that polls alone", polling, ""),
		{"without", "–", percent(without), percent(without), ""},
	}
}

// steadyTable is what an event costs under steady traffic.
func steadyTable(rounds, polling []steadyCost) table {
	row := func(name string, rounds []steadyCost, wanted string) []string {
		of := func(figure func(steadyCost) time.Duration) time.Duration { return medianOf(rounds, figure) }
		return []string{name, milliseconds(of(func(c steadyCost) time.Duration { return c.p50 })), milliseconds(of(func(c steadyCost) time.Duration { return c.p99 })),
			perThousand(of(func(c steadyCost) time.Duration { return c.usage.worker }), rounds[0].events),
			perThousand(of(func(c steadyCost) time.Duration { return c.usage.postgres }), rounds[0].events),
			ratio(medianOf(rounds, steadyCost.perEvent), medianOf(polling, steadyCost.perEvent)), wanted}
	}
	return table{
		{"500 events a second over four channels", "p50", "p99", "CPU per 1,000 events: worker", "PostgreSQL", "together, beside polling alone", "wanted"},
		row("a worker that polls alone", polling, ""),
		row("a worker", rounds, "≤ 1.10"),
	}
}

// quiet is one round on a quiet system.
type quiet struct {
	busy                    map[string][]time.Duration
	long                    [][]time.Duration
	first                   time.Duration
	worker, postgres, alone float64 // share of one core
}

func (s *stage) quiet(ctx context.Context, env []string, long bool) (q quiet, err error) {
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

	time.Sleep(s.silence - s.steady)
	if q.first, err = s.firstEvent(ctx); err != nil {
		return q, err
	}
	if q.busy, err = s.measured(ctx, load{"audit_log": 10, "documents": 10}, s.steady); err != nil || !long {
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
