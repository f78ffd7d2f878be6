package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// section is one part of the measurements: it measures on a fresh stage and returns what
// is to be read about it.
type section struct {
	name      string
	about     string
	run       func(ctx context.Context, s *stage, r *report) error
	onRequest bool     // not part of a run that names no section
	settings  []string // of PostgreSQL, beside those of all sections
}

var sections []section

// init, since a section's function leads back to the list of sections.
func init() {
	sections = []section{
		{name: "throughput", about: "a backlog, drained: beside the HTTP ceiling and beside peers", run: throughput},
		{name: "slow", about: "receivers that take 10 and 100 ms to answer", run: slow},
		{name: "latency", about: "from commit to receipt on a quiet system, and what waiting costs", run: latency},
		{name: "growth", about: "tables that hold much else: finished rows, a transaction that holds xmin back, statistics of an empty table, a clean-up", run: growth},
		{name: "traffic", about: "steady traffic under an old snapshot, beside refused documents, with statistics of an empty table: what stays flat", run: traffic,
			settings: []string{"shared_preload_libraries = pg_stat_statements"}},
		{name: "front", about: "a great many pending rows of another channel in front", run: inFront},
		{name: "hour", about: "table and index sizes over a squeezed hour of steady load", run: hour},
		{name: "isolation", about: "bad endpoints beside good ones, and documents that are refused for ever", run: isolation},
		{name: "dead", about: "a dead documents endpoint with a large backlog", run: dead},
		{name: "workers", about: "one, two and four workers on one database", run: workers},
		{name: "instances", about: "one process that serves 1, 20 and 200 databases", run: instances},
		{name: "application", about: "what an event costs the application's transaction", run: commitsSection},
		{name: "insert", about: "the same by pgbench, in CPU time and in the server alone, too", run: insertSection},
		{name: "payload", about: "payloads of 100 bytes to 5 megabytes", run: payload},
		{name: "signature", about: "what signatures cost", run: signatures},
		{name: "page", about: "the administrator's page over ten million finished events and a million that wait", run: pageSection},
		{name: "river", about: "how River's settings were found", run: riverTuning, onRequest: true},
		{name: "profile", about: "where the time goes: pprof, pg_stat_statements, auto_explain", run: profile, onRequest: true, settings: profiled},
	}
}

func sectionNames() (names []string) {
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// measure runs the sections one after the other. What is measured is written at
// once: a section that fails, or a run that is stopped, loses nothing else.
func measure(ctx context.Context, o options) error {
	for _, part := range o.sections {
		began := time.Now()
		fmt.Fprintf(os.Stderr, "== %s: %s\n", part.name, part.about)
		r := &report{name: part.name, about: part.about}
		if err := stageFor(ctx, o, part.settings, func(s *stage) error { return part.run(ctx, s, r) }); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		r.notef("%s; it took %s.", conditions(o), time.Since(began).Round(time.Second))
		fmt.Println(r.text())
		if err := r.save(o); err != nil {
			return err
		}
	}
	return nil
}

// stageFor has a section play on a stage of its own, and clears it away.
func stageFor(ctx context.Context, o options, settings []string, play func(*stage) error) error {
	s, err := newStage(ctx, o, settings...)
	if err != nil {
		return err
	}
	defer s.clear()
	return play(s)
}
