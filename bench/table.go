package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what a section has to say: a table or some, and notes below them.
type report struct {
	name, about string
	parts       []string
}

// table is a Markdown table; its first row is its heading.
type table [][]string

func (r *report) table(t table) {
	var b strings.Builder
	for i, row := range t {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	r.parts = append(r.parts, strings.TrimSuffix(b.String(), "\n"))
}

func (r *report) notef(format string, args ...any) {
	r.parts = append(r.parts, fmt.Sprintf(format, args...))
}

func (r *report) text() string { return strings.Join(r.parts, "\n\n") + "\n" }

// save puts the section between its markers: in the file of results, and in the
// document if there is one.
func (r *report) save(o options) error {
	for _, path := range []string{o.out, o.document} {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil && !(os.IsNotExist(err) && path == o.out) {
			return err
		}
		if err := os.WriteFile(path, []byte(r.between(string(text))), 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	return nil
}

// between replaces what stands between the section's markers, or adds both at the end.
func (r *report) between(text string) string {
	begin, end := "<!-- bench:"+r.name+" -->\n", "<!-- /bench:"+r.name+" -->\n"
	before, rest, found := strings.Cut(text, begin)
	if !found {
		return text + "\n## " + strings.ToUpper(r.about[:1]) + r.about[1:] + "\n\n" + begin + r.text() + end
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		after = rest
	}
	return before + begin + r.text() + end + after
}

// conditions are what must be known beside every figure.
func conditions(o options) string {
	return fmt.Sprintf("%s, %d cores, PostgreSQL %s, %s; medians of %d", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.NumCPU(), postgresVersion(), runtime.Version(), o.rounds)
}

func postgresVersion() string {
	for _, name := range []string{"postgres", "pg_config"} {
		if said, err := exec.Command(name, "--version").Output(); err == nil { //nolint:noctx // it answers at once
			return strings.Fields(string(said))[2-btoi(name == "pg_config")]
		}
	}
	return "?"
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func median[T int | int64 | float64 | time.Duration](all []T) T {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// percentile is the value that p of a hundred do not exceed.
func percentile[T int64 | float64 | time.Duration](sorted []T, p float64) T {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(float64(len(sorted))*p/100), len(sorted)-1)]
}

func ratio(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// number writes 17340.2 as 17,340.
func number[T int | int64 | float64](v T) string {
	digits := fmt.Sprintf("%.0f", float64(v))
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func megabytes(bytes int64) string {
	if bytes == 0 {
		return "–"
	}
	return number(bytes>>20) + " MB"
}

// perThousand is CPU time in seconds for a thousand events.
func perThousand(cpu time.Duration, events int) string {
	if cpu == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f s", cpu.Seconds()*1000/float64(events))
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

func medianOf[S any, T int | int64 | float64 | time.Duration](all []S, figure func(S) T) T {
	var values []T
	for _, one := range all {
		values = append(values, figure(one))
	}
	return median(values)
}
