package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// healthy are the channels whose endpoints answer at once; the other three are
// the ones that things go wrong with.
var healthy = []string{"documents", "notifications", "rules", "audit_log"}

// isolation measures what three bad endpoints cost the four good ones, and what
// documents that are refused for ever cost a fresh one.
func isolation(ctx context.Context, s *stage, r *report) error {
	closed, err := closedPort()
	if err != nil {
		return err
	}
	bad := map[string]behaviour{"/contacts": {Delay: blackHole}, "/folders": {Delay: 2 * time.Second}, "/cases": {Status: 503}}
	trials := []struct {
		name  string
		paths map[string]behaviour
		dead  string
	}{
		{name: "undisturbed: all seven answer at once"},
		{name: "contacts never answers, folders takes 2 s, cases refuses all", paths: bad},
		{name: "contacts is a closed port, folders takes 2 s, cases refuses all", paths: bad, dead: "http://" + closed + "/contacts"},
	}
	rounds := make([][]map[string][]time.Duration, len(trials))
	for range s.rounds {
		for i, trial := range trials {
			all, err := s.trial(ctx, trial.paths, trial.dead)
			if err != nil {
				return fmt.Errorf("%s: %w", trial.name, err)
			}
			rounds[i] = append(rounds[i], all)
		}
	}
	figure := func(i int, channel string, p float64) time.Duration {
		return medianOf(rounds[i], func(all map[string][]time.Duration) time.Duration { return percentile(all[channel], p) })
	}
	t := table{{"commit to receipt", "p50, worst of the four", "p99: " + healthy[0], healthy[1], healthy[2], healthy[3], "worst beside undisturbed", "wanted"}}
	for i, trial := range trials {
		row, worst, worst50 := []string{}, 0.0, time.Duration(0)
		for _, channel := range healthy {
			p99 := figure(i, channel, 99)
			row = append(row, milliseconds(p99))
			worst = max(worst, p99.Seconds()/figure(0, channel, 99).Seconds())
			worst50 = max(worst50, figure(i, channel, 50))
		}
		t = append(t, slices.Concat([]string{trial.name, milliseconds(worst50)}, row, []string{fmt.Sprintf("%.2f", worst), "≤ 1.50"}))
	}
	r.table(t)
	r.notef("All seven channels are given 20 events a second each for %s.", s.steady)
	return s.refusedForEver(ctx, r)
}

// trial loads all seven channels and returns the latencies of the healthy ones.
func (s *stage) trial(ctx context.Context, bad map[string]behaviour, dead string) (all map[string][]time.Duration, err error) {
	if err := s.exec(ctx, `truncate webhook.outbox, webhook.attempts`); err != nil {
		return nil, err
	}
	l := load{}
	paths := map[string]behaviour{}
	for channel := range eventOf {
		l[channel] = 20
		paths["/"+channel] = behaviour{Noted: true}
	}
	maps.Copy(paths, bad)
	if err := s.only(ctx, slices.Collect(maps.Keys(l))...); err != nil {
		return nil, err
	}
	if dead != "" {
		if _, err := s.db.ExecContext(ctx, `update webhook.channels set url = $1 where name = 'contacts'`, dead); err != nil {
			return nil, err
		}
	}
	if err := s.receiver.reset(ctx, 0, paths); err != nil {
		return nil, err
	}
	return s.withWorker(ctx, func(*process) (map[string][]time.Duration, error) {
		written, err := s.apply(ctx, l, s.steady)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(written, func(channel string, _ commits) bool { return !slices.Contains(healthy, channel) })
		return s.arrivals(ctx, written)
	})
}

// refusedForEver has documents that no attempt ever delivers, and writes a
// fresh one now and then.
func (s *stage) refusedForEver(ctx context.Context, r *report) error {
	refused := s.events / 10
	t := table{{number(refused) + " documents are refused for ever", "attempts a ten-second cycle", "a fresh document arrives after: p50", "longest", "wanted"}}
	for _, delay := range []time.Duration{0, time.Second} {
		if err := s.exec(ctx, `truncate webhook.outbox, webhook.attempts restart identity`); err != nil {
			return err
		}
		if err := s.only(ctx, "documents"); err != nil {
			return err
		}
		if err := s.fill(ctx, "document.exported", refused, payloadBytes); err != nil {
			return err
		}
		// Each has been attempted before: what is fresh must not wait behind it.
		if err := s.exec(ctx, `update webhook.outbox set attempts = 1, due_at = now()`); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		path := map[string]behaviour{"/documents": {RefuseUpTo: int64(refused), Delay: delay, Noted: true}}
		if err := s.receiver.reset(ctx, 0, path); err != nil {
			return err
		}
		cycles := max(s.steady, 20*time.Second)
		var posts int64
		all, err := s.withWorker(ctx, func(*process) (map[string][]time.Duration, error) {
			time.Sleep(5 * time.Second) // every slot that retries may have is taken by now
			before, err := s.receiver.tally(ctx)
			if err != nil {
				return nil, err
			}
			fresh, err := s.measured(ctx, load{"documents": 2}, cycles)
			if err != nil {
				return nil, err
			}
			after, err := s.receiver.tally(ctx)
			posts = after["/documents"].Posts - before["/documents"].Posts
			return fresh, err
		})
		if err != nil {
			return fmt.Errorf("refused for ever: %w", err)
		}
		name, wanted := "at once", "≤ 1 attempt"
		if delay > 0 {
			name, wanted = "after "+delay.String(), "≤ "+delay.String()
		}
		t = append(t, []string{name, number(float64(posts) / (cycles + 2*time.Second).Seconds() * 10),
			milliseconds(percentile(all["documents"], 50)), milliseconds(percentile(all["documents"], 100)), wanted})
	}
	r.table(t)
	return nil
}
