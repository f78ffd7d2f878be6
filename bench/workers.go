package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// workers drains by one, two and four processes on one database.
func workers(ctx context.Context, s *stage, r *report) error {
	shared := map[string][]string{}
	var all []drainer
	for _, kind := range []struct{ channel, event string }{{"audit_log", "audit.log"}, {"documents", "document.exported"}} {
		for _, processes := range []int{1, 2, 4} {
			d := s.ours(fmt.Sprintf("%s, %d", kind.channel, processes), kind.channel, kind.event, payloadBytes)
			d.processes = processes
			d.after = func(ctx context.Context) error {
				share, err := s.shares(ctx)
				shared[d.name] = append(shared[d.name], share)
				return err
			}
			all = append(all, d)
		}
	}
	results, err := s.compare(ctx, all, s.events)
	if err != nil {
		return err
	}
	t := table{{"channel, worker processes", "events/s together", "beside one", "CPU per 1,000 events: workers", "PostgreSQL", "all, beside one", "of the work, each did (last round)"}}
	for i, d := range all {
		m, one := medians(results[i]), medians(results[i-i%3])
		t = append(t, []string{d.name, number(m.perSecond), ratio(m.perSecond, one.perSecond),
			perThousand(m.worker, m.events), perThousand(m.postgres, m.events), ratio(m.all(), one.all()), shared[d.name][len(shared[d.name])-1]})
	}
	r.table(t)
	r.notef("Wanted: the total within 10 %% of one, or above (≥ 0.90), and the work shared. All of them share two cores with PostgreSQL and the receiver.")
	return nil
}

// shares is what part of the rows each worker has claimed, largest first.
func (s *stage) shares(ctx context.Context) (string, error) {
	rows, err := s.db.QueryContext(ctx, `select 100.0 * count(*) / sum(count(*)) over () from webhook.outbox group by claimed_by`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var percents []float64
	for rows.Next() {
		var p float64
		if err := rows.Scan(&p); err != nil {
			return "", err
		}
		percents = append(percents, p)
	}
	slices.Sort(percents)
	slices.Reverse(percents)
	var words []string
	for _, p := range percents {
		words = append(words, fmt.Sprintf("%.0f %%", p))
	}
	return strings.Join(words, ", "), rows.Err()
}
