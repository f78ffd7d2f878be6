package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// throughput drains the same backlog by the worker and by each peer in turn.
func throughput(ctx context.Context, s *stage, r *report) error {
	tutorial, err := s.tutorial(ctx)
	if err != nil {
		return err
	}
	river, err := s.river(ctx)
	if err != nil {
		return err
	}
	const ( // where each stands in the table
		http = iota
		tutorial1
		tutorial16
		riverDefaults
		riverBest
		storeOnce
		storeDocuments
		once
		documents
	)
	all := []drainer{
		http:           s.ceiling(payloadBytes, ceilingSenders),
		tutorial1:      tutorial(1, 0.1),
		tutorial16:     tutorial(16, 0.25),
		riverDefaults:  river("River "+riverVersion()+", defaults (100 workers)", 0.1),
		riverBest:      river("River, tuned", 1, riverTuned...),
		storeOnce:      s.database("database only, audit.log: claim, render, record", "audit_log", "audit.log"),
		storeDocuments: s.database("database only, documents", "documents", "document.exported"),
		once:           s.ours("webhooks, one attempt (audit.log)", "audit_log", "audit.log", payloadBytes),
		documents:      s.ours("webhooks, documents", "documents", "document.exported", payloadBytes),
	}
	results, err := s.compare(ctx, all, s.events)
	if err != nil {
		return err
	}
	rates := make([]float64, len(all))
	for i := range all {
		rates[i] = medians(results[i]).perSecond
	}
	r.table(costs("backlog of "+number(s.events), all, results, rates[http]))
	verdicts := table{{"target", "wanted", "reached"}}
	for _, ours := range []struct {
		name        string
		rate, store float64
	}{{"one attempt", rates[once], rates[storeOnce]}, {"documents", rates[documents], rates[storeDocuments]}} {
		both := 1 / (1/rates[http] + 1/ours.store)
		verdicts = append(verdicts,
			[]string{ours.name + ", beside the HTTP ceiling", "≥ 0.40", ratio(ours.rate, rates[http])},
			[]string{ours.name + ", beside River tuned", "≥ 2.5", ratio(ours.rate, rates[riverBest])},
			[]string{ours.name + ", beside the tutorial, 16 at once", "≥ 5", ratio(ours.rate, rates[tutorial16])},
			[]string{ours.name + ", beside 1/(1/HTTP + 1/database) = " + number(both), "", ratio(ours.rate, both)})
	}
	r.table(verdicts)
	r.notef("Slow peers are given less of the backlog: %s.", shares(all, s.events))
	return nil
}

// costs is the table of rates, each with what it has cost.
func costs(heading string, all []drainer, results [][]drained, ceiling float64) table {
	t := table{{heading, "events/s", "beside the ceiling", "CPU per 1,000 events: worker", "PostgreSQL", "receiver", "all, beside the ceiling's",
		"worker's peak memory", "PostgreSQL's memory", "payload"}}
	least := medians(results[0]).all()
	for i, d := range all {
		m := medians(results[i])
		t = append(t, []string{d.name, number(m.perSecond), ratio(m.perSecond, ceiling), perThousand(m.worker, m.events), perThousand(m.postgres, m.events),
			perThousand(m.receiver, m.events), ratio(m.all(), least), megabytes(m.workerPeak), megabytes(m.postgresEnd), number(m.bytes) + " B"})
	}
	return t
}

// compare drains by each in turn, round by round, so that a noisy neighbour
// disturbs all alike.
func (s *stage) compare(ctx context.Context, all []drainer, events int) ([][]drained, error) {
	results := make([][]drained, len(all))
	for round := range s.rounds {
		for i, d := range all {
			result, err := s.drain(ctx, d, events)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "   round %d: %-80s %8s/s, CPU per 1,000: %s and PostgreSQL %s\n", round+1, d.name, number(result.perSecond),
				perThousand(result.worker, result.events), perThousand(result.postgres, result.events))
			results[i] = append(results[i], result)
		}
	}
	return results, nil
}

// medians takes the median of each figure by itself.
func medians(all []drained) (m drained) {
	m.events = all[0].events
	m.perSecond = medianOf(all, func(d drained) float64 { return d.perSecond })
	m.bytes = medianOf(all, func(d drained) float64 { return d.bytes })
	m.worker = medianOf(all, func(d drained) time.Duration { return d.worker })
	m.postgres = medianOf(all, func(d drained) time.Duration { return d.postgres })
	m.receiver = medianOf(all, func(d drained) time.Duration { return d.receiver })
	m.workerPeak = medianOf(all, func(d drained) int64 { return d.workerPeak })
	m.postgresEnd = medianOf(all, func(d drained) int64 { return d.postgresEnd })
	return m
}

func shares(all []drainer, events int) (text string) {
	for _, d := range all {
		if d.share < 1 {
			if text != "" {
				text += "; "
			}
			text += d.name + " " + number(float64(events)*d.share)
		}
	}
	return text
}
