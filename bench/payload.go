package main

import (
	"context"
	"fmt"
)

// payload drains events of a hundred bytes to five megabytes: the worker's
// memory is to follow the bytes in flight that it allows itself, not the rows.
func payload(ctx context.Context, s *stage, r *report) error {
	t := table{{"payload", "channel", "events", "events/s", "MB/s", "beside the ceiling of that size", "worker's peak memory", "PostgreSQL's memory", "CPU per 1,000 events: worker", "PostgreSQL"}}
	for _, size := range []int{100, payloadBytes, 100_000, 5_000_000} {
		events := max(min(s.events, s.events*payloadBytes/size), 2*s.slots)
		all := []drainer{
			s.ceiling(size, ceilingSenders),
			s.ours("audit_log", "audit_log", "audit.log", size),
			s.ours("documents", "documents", "document.exported", size),
		}
		results, err := s.compare(ctx, all, events)
		if err != nil {
			return err
		}
		base := medians(results[0]).perSecond
		for i, d := range all {
			m := medians(results[i])
			t = append(t, []string{sizeName(m.bytes), d.name, number(m.events), number(m.perSecond), number(m.perSecond * m.bytes / 1e6), ratio(m.perSecond, base),
				megabytes(m.workerPeak), megabytes(m.postgresEnd), perThousand(m.worker, m.events), perThousand(m.postgres, m.events)})
		}
	}
	r.table(t)
	r.notef("The smallest payloads are what an envelope with next to no data comes to. A lane has %d slots, so the largest ones would need %d MB in flight if nothing limited them but their number.", s.slots, 5*s.slots)
	return nil
}

func sizeName(bytes float64) string {
	switch {
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", bytes/1e6)
	case bytes >= 1e4:
		return fmt.Sprintf("%.0f KB", bytes/1e3)
	}
	return number(bytes) + " B"
}
