package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// trafficLoad is an application's steady traffic: 500 events a second, a transaction each.
var trafficLoad = load{"audit_log": 125, "contacts": 125, "rules": 125, "documents": 125}

// refusedDocuments are attempted anew in every cycle, and never accepted.
const refusedDocuments = 2000

// condition is what may make steady traffic dearer from minute to minute.
type condition struct {
	name    string
	prepare func(ctx context.Context, s *stage) error
	during  func(ctx context.Context, s *stage, end <-chan struct{}) error
	refuses int64 // documents up to this id are refused
}

var trafficConditions = []condition{
	{name: "nothing else"},
	{name: "an old snapshot: a repeatable-read transaction stays open", during: holdBack},
	{name: number(refusedDocuments) + " documents that are refused for ever", refuses: refusedDocuments, prepare: func(ctx context.Context, s *stage) error {
		expression, filler := dataOf("document.exported", payloadBytes)
		_, err := s.db.ExecContext(ctx, fmt.Sprintf(`
			insert into webhook.outbox (event, data)
			select 'document.exported', %s from (select $1::text as filler) one cross join generate_series(1000001, 1000000 + %d) n`, expression, refusedDocuments), fillerText(filler))
		return err
	}},
	{name: "statistics of an empty table: the last ANALYZE was before the first event", prepare: func(ctx context.Context, s *stage) error {
		return s.exec(ctx, `alter table webhook.outbox set (autovacuum_analyze_threshold = 2000000000)`, `analyze webhook.outbox, webhook.attempts`)
	}},
}

// traffic sends steady traffic under each condition, and samples ten times. A drain of a full lane says
// nothing about it: here a poll finds one event or two, a hundred thousand times, and what earlier polls
// have left behind is in its way.
func traffic(ctx context.Context, s *stage, r *report) error {
	verdict := table{{"500 events a second beside", "latency p50, last third beside first", "p99", "blocks per poll", "CPU per 1,000 events", "flat (wanted: p50, blocks and CPU ≤ 1.25, p99 ≤ 1.50)"}}
	for i, c := range trafficConditions {
		other, err := s.beside(ctx, fmt.Sprintf("traffic_%d", i))
		if err != nil {
			return err
		}
		if err := other.exec(ctx, `create extension pg_stat_statements`); err != nil {
			return err
		}
		samples, err := other.steadily(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		t := table{{"beside " + c.name + ": of " + s.traffic.String(), "events/s", "p50", "p99", "blocks per poll", "CPU per 1,000 events: worker", "PostgreSQL"}}
		for n, one := range samples {
			t = append(t, []string{fmt.Sprintf("%d/10", n+1), number(one.perSecond), milliseconds(one.p50), milliseconds(one.p99),
				fmt.Sprintf("%.1f", one.blocks), perThousand(one.worker, one.events), perThousand(one.postgres, one.events)})
		}
		r.table(t)
		verdict = append(verdict, append([]string{c.name}, flatness(samples)...))
	}
	r.table(verdict)
	r.notef("Each condition has a database and a worker of its own. Blocks per poll: what a claim reads of tables and indexes, in blocks of 8 KB, from memory or not. The first tenth is warm-up and does not count.")
	return nil
}

// sample is a tenth of the time.
type sample struct {
	perSecond float64
	events    int
	p50, p99  time.Duration
	blocks    float64
	usage
}

// flatness compares the last third with the first, without the first sample. Where the machine has not
// kept the rate, a poll finds more events and an event costs less, or both the other way round: there is
// no verdict then.
func flatness(samples []sample) []string {
	samples = samples[1:]
	third := len(samples) / 3
	first, last := samples[:third], samples[len(samples)-third:]
	flat, row := "yes", []string(nil)
	wanted := 0.0
	for _, perSecond := range trafficLoad {
		wanted += perSecond
	}
	for _, figure := range []struct {
		of    func(sample) float64
		bound float64
	}{
		{func(x sample) float64 { return x.p50.Seconds() }, 1.25},
		{func(x sample) float64 { return x.p99.Seconds() }, 1.5},
		{func(x sample) float64 { return x.blocks }, 1.25},
		{func(x sample) float64 { return (x.worker + x.postgres).Seconds() / float64(max(x.events, 1)) }, 1.25},
	} {
		before, after := medianOf(first, figure.of), medianOf(last, figure.of)
		if after > before*figure.bound {
			flat = "**no**"
		}
		row = append(row, ratio(after, before))
	}
	if slices.ContainsFunc(samples, func(x sample) bool { return x.perSecond < wanted*0.9 }) {
		flat = "no verdict: the machine did not keep the rate"
	}
	return append(row, flat)
}

// steadily applies the load under a condition, and samples it.
func (s *stage) steadily(ctx context.Context, c condition) (samples []sample, err error) {
	if err := s.only(ctx, "audit_log", "contacts", "rules", "documents"); err != nil {
		return nil, err
	}
	if c.prepare != nil {
		if err := c.prepare(ctx, s); err != nil {
			return nil, err
		}
	}
	paths := map[string]behaviour{}
	for channel := range trafficLoad {
		paths["/"+channel] = behaviour{Noted: true}
	}
	paths["/documents"] = behaviour{Noted: true, RefuseUpTo: c.refuses}
	if err := s.receiver.reset(ctx, 0, paths); err != nil {
		return nil, err
	}
	end, held := make(chan struct{}), make(chan error, 1)
	go func() {
		if c.during == nil {
			held <- nil
			return
		}
		held <- c.during(ctx, s, end)
	}()
	_, err = s.withWorker(ctx, func(w *process) (map[string][]time.Duration, error) {
		samples, err = s.sampled(ctx, w)
		return nil, err
	})
	close(end)
	return samples, errors.Join(err, <-held)
}

// instant is what is read at the end of a sample.
type instant struct {
	at                time.Time
	worker, postgres  time.Duration
	polls, blocksRead int64
}

func (s *stage) instantNow(ctx context.Context, w *process) (now instant, err error) {
	now = instant{at: time.Now(), worker: w.cpu(), postgres: s.postgres.cpu()}
	err = s.db.QueryRowContext(ctx, `
		select coalesce(sum(calls), 0)::bigint, coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint from pg_stat_statements
		 where query like '%with capacity as (%' and dbid = (select oid from pg_database where datname = current_database())`). // store.claimSQL
		Scan(&now.polls, &now.blocksRead)
	if err == nil && now.polls == 0 {
		err = errors.New("no claim is among the statements of pg_stat_statements")
	}
	return now, err
}

const samplesOfTraffic = 10

func (s *stage) sampled(ctx context.Context, w *process) (samples []sample, err error) {
	type result struct {
		written map[string]commits
		err     error
	}
	wrote := make(chan result, 1)
	instants := make([]instant, 1, samplesOfTraffic+1)
	if instants[0], err = s.instantNow(ctx, w); err != nil {
		return nil, err
	}
	go func() {
		written, err := s.apply(ctx, trafficLoad, s.traffic)
		wrote <- result{written, err}
	}()
	for range samplesOfTraffic {
		time.Sleep(time.Until(instants[0].at.Add(time.Duration(len(instants)) * s.traffic / samplesOfTraffic)))
		now, err := s.instantNow(ctx, w)
		if err != nil {
			return nil, err
		}
		instants = append(instants, now)
	}
	done := <-wrote
	if done.err != nil {
		return nil, done.err
	}
	time.Sleep(2 * time.Second) // what was written last arrives
	arrived, err := s.receiver.receipts(ctx)
	if err != nil {
		return nil, err
	}
	for i, now := range instants[1:] {
		before := instants[i]
		var all []time.Duration
		for channel, c := range done.written {
			sorted, missing := latencies(between(c, before.at, now.at), arrived["/"+channel])
			if missing > 0 {
				return nil, fmt.Errorf("%d events of %s have not arrived", missing, channel)
			}
			all = append(all, sorted...)
		}
		slices.Sort(all)
		samples = append(samples, sample{
			perSecond: float64(len(all)) / now.at.Sub(before.at).Seconds(), events: len(all), p50: percentile(all, 50), p99: percentile(all, 99),
			blocks: float64(now.blocksRead-before.blocksRead) / float64(max(now.polls-before.polls, 1)),
			usage:  usage{worker: now.worker - before.worker, postgres: now.postgres - before.postgres},
		})
	}
	return samples, nil
}

// between are the commits of one sample.
func between(c commits, from, until time.Time) commits {
	some := commits{}
	for id, at := range c {
		if !at.Before(from) && at.Before(until) {
			some[id] = at
		}
	}
	return some
}
