package main

import (
	"context"
	"fmt"
	"time"
)

// slow drains into receivers that take their time. What is reached is judged
// beside the lane's slots divided by the delay, and beside what net/http
// reaches with as many goroutines, since no timer is exact.
func slow(ctx context.Context, s *stage, r *report) error {
	t := table{{"an answer takes", "slots", "channel", "POSTs/s", "beside slots / delay", "beside net/http with as many", "CPU of the worker"}}
	for _, trial := range []struct {
		delay time.Duration
		slots int
	}{{10 * time.Millisecond, 64}, {10 * time.Millisecond, s.slots}, {100 * time.Millisecond, s.slots}} {
		with := *s
		with.slots = trial.slots
		rows, err := with.slowly(ctx, trial.delay)
		if err != nil {
			return err
		}
		t = append(t, rows...)
	}
	r.table(t)
	r.notef("Wanted: within 5 %% of what the lane's concurrency allows (≥ 0.95). A lane has %d slots unless max_in_flight says otherwise.", s.slots)
	return nil
}

// slowly is one delay with one number of slots.
func (s *stage) slowly(ctx context.Context, delay time.Duration) (rows table, err error) {
	ideal := float64(s.slots) / delay.Seconds()
	events := min(s.events, int(ideal*s.steady.Seconds()))
	all := []drainer{
		s.ceiling(payloadBytes, s.slots),
		s.ours("audit_log", "audit_log", "audit.log", payloadBytes),
		s.ours("documents", "documents", "document.exported", payloadBytes),
	}
	for i := range all {
		all[i].paths = map[string]behaviour{hook: {Delay: delay}}
	}
	results, err := s.compare(ctx, all, events)
	if err != nil {
		return nil, err
	}
	base := medianOf(results[0], arriving)
	for i, d := range all {
		rate := medianOf(results[i], arriving)
		worker := medianOf(results[i], func(d drained) float64 { return d.worker.Seconds() })
		rows = append(rows, []string{milliseconds(delay), fmt.Sprint(s.slots), d.name, number(rate), ratio(rate, ideal), ratio(rate, base),
			fmt.Sprintf("%.0f %% of a core", 100*worker/(float64(events)/rate))})
	}
	return rows, nil
}

func arriving(d drained) float64 { return d.arriving }
