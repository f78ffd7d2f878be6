package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// printStatus fits 60 columns: the figures are a table, and what is longer stands below it.
func (f *flags) printStatus(s statusDocument) error {
	w, width := f.p.Stdout, f.screenWidth()
	out := screen{w: w, colour: f.colour()}
	t := table{rows: [][]string{{"CHANNEL", "STATE", "WAITING", "OLDEST", "SENT", "FAILED", "SKIPPED"}},
		right: map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true}}
	for _, c := range s.Channels {
		t.add(c.Channel, c.State, count(c.Pending+c.InFlight), age(c.OldestPending, s.At),
			count(c.LastDay.Delivered), count(c.LastDay.Failed), count(c.LastDay.Skipped))
	}
	t.paint = func(row, column int, text string) string {
		switch c := s.Channels[row-1]; {
		case column == 1 && c.State == "failing", column == 5 && c.LastDay.Failed > 0:
			return out.red(text)
		case column == 1 && c.State == "held":
			return out.yellow(text)
		}
		return text
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if s.uncounted() {
		paragraph(w, width, "", "  ", "SENT, FAILED and SKIPPED: counted "+ago(&s.CountedUntil, s.At)+", more was delivered since")
	}
	for _, c := range s.Channels {
		if line := c.endpoint(s.At); line != "" {
			paragraph(w, width, "", "  ", c.Channel+": "+line)
		}
	}
	printWorkers(w, width, s)
	printProblems(out, width, s)
	return nil
}

// uncounted reports that events were delivered which the counts of the day do not have yet.
func (s statusDocument) uncounted() bool {
	return slices.ContainsFunc(s.Channels, func(c statusChannel) bool {
		return c.LastSuccess != nil && c.LastSuccess.After(s.CountedUntil)
	})
}

// endpoint is where a channel leads, and how that went; "" where there is nothing to say.
func (c *statusChannel) endpoint(now time.Time) string {
	var parts []string
	if c.Host != nil {
		parts = append(parts, *c.Host)
	}
	if c.InFlight > 0 {
		parts = append(parts, fmt.Sprintf("%d in flight", c.InFlight))
	}
	if c.LastSuccess != nil {
		parts = append(parts, "last success "+ago(c.LastSuccess, now))
	}
	if c.LastErrorAt != nil && c.FailingSince == nil { // else it stands among the problems
		parts = append(parts, "last error "+ago(c.LastErrorAt, now)+": "+visible(text(c.LastError)))
	}
	return strings.Join(parts, ", ")
}

func printWorkers(w io.Writer, width int, s statusDocument) {
	for _, worker := range s.Workers {
		state := "seen " + ago(&worker.SeenAt, s.At)
		if !worker.Running {
			state = "NOT RUNNING, last " + state
		}
		paragraph(w, width, "", "  ", fmt.Sprintf("worker %s: version %s, started %s, %s", visible(worker.Name), visible(worker.Version), ago(&worker.StartedAt, s.At), state))
	}
	if len(s.Workers) == 0 {
		fmt.Fprintln(w, "worker: none was seen in the last hour")
	}
}

func printProblems(out screen, width int, s statusDocument) {
	alike := map[string][]string{} // the channels that cannot be called, by why
	for _, p := range s.Problems {
		if p.Kind == "channel" {
			alike[p.Problem] = append(alike[p.Problem], *p.Channel)
		}
	}
	for _, p := range s.Problems {
		what := visible(inCommands(p.Problem))
		switch {
		case p.Kind == "channel" && *p.Channel != alike[p.Problem][0]:
			continue // named with the first one
		case p.Kind == "channel":
			channels := alike[p.Problem]
			what = fmt.Sprintf("%s %s on, but cannot be called: %s", andList(channels), plural(int64(len(channels)), "is", "are"), what)
		case p.Channel != nil:
			what = *p.Channel + ": " + what
		}
		if p.Since != nil && p.Kind != "worker" {
			what += " (for " + age(p.Since, s.At) + ")"
		}
		fmt.Fprintln(out.w)
		paragraph(out.w, width, out.red("!")+" ", "  ", what)
		if p.Hint != "-" && p.Hint != "" {
			paragraph(out.w, width, "  ", "  ", visible(inCommands(p.Hint)))
		}
	}
}

// ago is an age in a sentence: "3m ago".
func ago(at *time.Time, now time.Time) string {
	if a := age(at, now); !strings.HasPrefix(a, "in ") {
		return a + " ago"
	}
	return "just now"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
