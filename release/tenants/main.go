// Command tenants computes what the webhooks of many tenants cost in a year, hour by hour: CPU, disk, log,
// memory, machines and money. Each tenant has a database of its own, as RecordEngine has it. What an event
// costs was measured (costs.go); how many events there are is a model (traffic.go); what a machine costs
// is a list price (money.go). The same seed gives the same year.
//
//	go run ./release/tenants                          # prints the table of docs/scale.md; half a minute
//	go run ./release/tenants -document docs/scale.md  # writes it there
//	go run ./release/tenants -tenants 500 -seed 7
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

func main() {
	m, polling := aYear, fleet
	flag.IntVar(&m.tenants, "tenants", m.tenants, "how many tenants")
	flag.IntVar(&m.hours, "hours", m.hours, "how many hours")
	flag.Float64Var(&m.perDay, "events-per-day", m.perDay, "events of the median tenant in a day")
	flag.Float64Var(&polling.awake, "awake", polling.awake, "seconds of polls each 20 ms after an event")
	flag.Float64Var(&polling.idle, "idle-poll", polling.idle, "seconds between two polls of an instance without events")
	flag.Uint64Var(&m.seed, "seed", m.seed, "of the random numbers")
	document := flag.String("document", "", "write the table into this document, between its markers")
	flag.Parse()
	if err := run(os.Stdout, *document, scenarios(m, polling)); err != nil {
		fmt.Fprintln(os.Stderr, "tenants:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, document string, all []scenario) error {
	if document == "" {
		printTable(out, all)
		return nil
	}
	var table bytes.Buffer
	printTable(&table, all)
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	text, err := between(string(old), table.String())
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	return os.WriteFile(document, []byte(text), 0o644) //nolint:gosec // a document that everyone may read
}

const begin, end = "<!-- tenants -->\n", "<!-- /tenants -->"

// between replaces what stands between the markers.
func between(document, table string) (string, error) {
	before, rest, found := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the markers %s and %s are missing", strings.TrimSpace(begin), end)
	}
	return before + begin + table + end + after, nil
}

// scenarios are the columns of the table: the first one, and what each change makes of it.
func scenarios(m model, p polling) []scenario {
	slow := scenario{"slower machine", m, slowMachine, p, thirtyDays}
	fast := scenario{"faster machine", m, fastMachine, p, thirtyDays}
	tenTimes, aYearKept, awake, processes := slow, slow, slow, slow
	tenTimes.name, tenTimes.perDay = "ten times the events", 10*m.perDay
	aYearKept.name, aYearKept.keptDays = "kept for 365 days", 365
	awake.name, awake.awake = "awake ten times as long", 10*p.awake
	processes.name, processes.polling = "a process for each tenant", ownProcess
	return []scenario{slow, fast, tenTimes, aYearKept, awake, processes}
}

// printTable prints a column for each scenario.
func printTable(out io.Writer, all []scenario) {
	uses := make([]usage, len(all))
	var done sync.WaitGroup
	for i, s := range all {
		done.Go(func() { uses[i] = s.run() })
	}
	done.Wait()
	first := all[0]
	row := func(what string, cell func(scenario, usage, bill) string) {
		fmt.Fprintf(out, "| %s |", what)
		for i, s := range all {
			fmt.Fprintf(out, " %s |", cell(s, uses[i], billOf(uses[i], s.tenants)))
		}
		fmt.Fprintln(out)
	}
	number := func(format string, of func(usage) float64) func(scenario, usage, bill) string {
		return func(_ scenario, u usage, _ bill) string { return fmt.Sprintf(format, of(u)) }
	}
	row(fmt.Sprintf("%d tenants, %d days", first.tenants, first.hours/24), func(s scenario, _ usage, _ bill) string { return s.name })
	fmt.Fprintln(out, "| --- |"+strings.Repeat(" --- |", len(all)))
	row("events, thousands of millions", number("%.2f", func(u usage) float64 { return u.events / 1e9 }))
	row("events/s, mean", func(s scenario, u usage, _ bill) string { return fmt.Sprintf("%.0f", u.events/float64(s.hours)/3600) })
	row("events/s, busiest hour", number("%.0f", func(u usage) float64 { return u.peak.events / 3600 }))
	row("cores of the workers, busiest hour", number("%.1f", func(u usage) float64 { return u.peakWorker / 3600 }))
	row("cores of PostgreSQL, busiest hour", number("%.1f", func(u usage) float64 { return u.peakDatabase / 3600 }))
	row("of both: polls that find nothing", number("%.1f", func(u usage) float64 { return u.idleCores }))
	row("log (WAL) in all, TB", number("%.1f", func(u usage) float64 { return u.log / 1e12 }))
	row("log, busiest hour, MB/s", number("%.1f", func(u usage) float64 { return u.peak.log / 3600 / 1e6 }))
	row("commits/s, busiest hour", number("%.0f", func(u usage) float64 { return u.peak.commits / 3600 }))
	row("disk, TB", number("%.2f", func(u usage) float64 { return u.disk / 1e12 }))
	row("sessions", number("%.0f", func(u usage) float64 { return float64(u.sessions) }))
	row("memory of the sessions, GB", number("%.0f", func(u usage) float64 { return u.memory / 1e9 }))
	row("PostgreSQL machines of 8 cores, with standbys", func(_ scenario, _ usage, b bill) string { return fmt.Sprint(b.databases) })
	row("worker machines of 2 cores", func(_ scenario, _ usage, b bill) string { return fmt.Sprint(b.workers) })
	row("$ a month", func(_ scenario, _ usage, b bill) string { return fmt.Sprintf("%.0f", b.perMonth) })
	row("$ a tenant and month", func(s scenario, _ usage, b bill) string { return fmt.Sprintf("%.2f", b.perMonth/float64(s.tenants)) })
	fmt.Fprintf(out, "\nThe median tenant has %.0f events a day; seed %d.\n", first.perDay, first.seed)
}
