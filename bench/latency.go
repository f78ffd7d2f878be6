package main

import (
	"context"
	"fmt"
	"time"
)

// latency is the time from an application's commit to the receipt, on a system
// that has nothing else to do, and what looking out for events costs meanwhile.
func latency(ctx context.Context, s *stage, r *report) error {
	if err := s.only(ctx, "audit_log", "documents"); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	var rounds []quiet
	for range s.rounds {
		q, err := s.quiet(ctx)
		if err != nil {
			return err
		}
		rounds = append(rounds, q)
	}
	river, err := s.riverLatencies(ctx)
	if err != nil {
		return err
	}
	t := table{{"commit to receipt, ten events a second of each", "p50", "p99", "wanted"}}
	for _, channel := range []string{"audit_log", "documents"} {
		t = append(t, []string{"webhooks, " + channel,
			milliseconds(medianOf(rounds, func(q quiet) time.Duration { return percentile(q.busy[channel], 50) })),
			milliseconds(medianOf(rounds, func(q quiet) time.Duration { return percentile(q.busy[channel], 99) })), "≤ 15 / ≤ 30 ms"})
	}
	for _, one := range river {
		t = append(t, []string{one.name,
			milliseconds(medianOf(one.rounds, func(all []time.Duration) time.Duration { return percentile(all, 50) })),
			milliseconds(medianOf(one.rounds, func(all []time.Duration) time.Duration { return percentile(all, 99) })), ""})
	}
	t = append(t, []string{fmt.Sprintf("webhooks, the first event after %s of silence", s.steady),
		milliseconds(medianOf(rounds, func(q quiet) time.Duration { return q.first })), "–", "≤ 30 ms"})
	r.table(t)
	worker := medianOf(rounds, func(q quiet) float64 { return q.worker })
	server := medianOf(rounds, func(q quiet) float64 { return q.postgres })
	alone := medianOf(rounds, func(q quiet) float64 { return q.alone })
	r.table(table{
		{"nothing happens: CPU in % of one core", "worker", "PostgreSQL", "together", "wanted"},
		{"with a worker", percent(worker), percent(server), percent(worker + server), "< 6 %"},
		{"without", "–", percent(alone), percent(alone), ""},
	})
	return nil
}

// quiet is one round on a quiet system.
type quiet struct {
	busy                    map[string][]time.Duration
	first                   time.Duration
	worker, postgres, alone float64 // share of one core
}

func (s *stage) quiet(ctx context.Context) (q quiet, err error) {
	before := s.postgres.cpu()
	time.Sleep(s.steady)
	q.alone = (s.postgres.cpu() - before).Seconds() / s.steady.Seconds()

	if err := s.note(ctx, "audit_log", "documents"); err != nil {
		return q, err
	}
	w, err := s.worker()
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
	q.busy, err = s.measured(ctx, load{"audit_log": 10, "documents": 10}, s.steady)
	return q, err
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
