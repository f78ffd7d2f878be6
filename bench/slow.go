package main

import (
	"context"
	"fmt"
	"time"
)

// slow drains into receivers that take their time. What is reached is judged
// beside the lane's slots divided by the delay, and beside what net/http
// reaches with as many slots, since no timer is exact.
func slow(ctx context.Context, s *stage, r *report) error {
	t := table{{"an answer takes", "channel", "POSTs/s", fmt.Sprintf("beside %d slots / delay", s.slots), "beside net/http with as many", "CPU of the worker"}}
	for _, delay := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
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
			return err
		}
		base := medianOf(results[0], arriving)
		for i, d := range all {
			rate := medianOf(results[i], arriving)
			share := "–"
			if worker := medianOf(results[i], func(d drained) float64 { return d.worker.Seconds() }); i > 0 {
				share = fmt.Sprintf("%.0f %% of a core", 100*worker/(float64(events)/rate))
			}
			t = append(t, []string{milliseconds(delay), d.name, number(rate), ratio(rate, ideal), ratio(rate, base), share})
		}
	}
	r.table(t)
	r.notef("Wanted: within 5 %% of what the lane's concurrency allows (≥ 0.95).")
	return nil
}

func arriving(d drained) float64 { return d.arriving }
