package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// report is what was read so far.
type report struct {
	out                     io.Writer
	slow                    time.Duration
	printed                 map[string]map[string]string // by package and test that has not ended
	passed, failed, skipped int
	reasons                 map[string][]string // tests that were skipped, by the reason
	packages                int                 // that passed
	broken                  []string            // packages that did not
}

func newReport(out io.Writer, slow time.Duration) *report {
	return &report{out: out, slow: slow, printed: map[string]map[string]string{}, reasons: map[string][]string{}}
}

// line takes a line of the stream. What is not JSON comes from the go command itself.
func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(r.out, "%s", bytes.TrimLeft(line, "\n"))
		return
	}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "output" && e.Test == "":
		r.packagePrinted(e.Output)
	case e.Action == "output":
		r.testPrinted(e)
	case e.Test != "":
		r.testEnded(e)
	default:
		r.packageEnded(e)
	}
}

// packagePrinted passes on a package's own output, such as its last line and which server the tests
// use.
func (r *report) packagePrinted(text string) {
	if text != "PASS\n" && text != "FAIL\n" && !strings.HasPrefix(text, "=== ") && !strings.Contains(text, "[no test files]") {
		fmt.Fprint(r.out, text)
	}
}

// testPrinted keeps a test's output until it is known whether it is of interest.
func (r *report) testPrinted(e event) {
	if strings.HasPrefix(e.Output, "=== ") {
		return
	}
	if r.printed[e.Package] == nil {
		r.printed[e.Package] = map[string]string{}
	}
	r.printed[e.Package][e.Test] += e.Output
}

func (r *report) testEnded(e event) {
	text, isSubtest := r.printed[e.Package][e.Test], strings.Contains(e.Test, "/")
	switch e.Action {
	case "pass":
		if !isSubtest {
			r.passed++
		}
		if took := time.Duration(e.Elapsed * float64(time.Second)); took >= r.slow && !isSubtest {
			fmt.Fprintf(r.out, "%7.1f s  %s\n", e.Elapsed, e.Test)
		}
	case "fail":
		if !isSubtest {
			r.failed++
		}
		fmt.Fprint(r.out, text)
	case "skip":
		if !isSubtest {
			r.skipped++
		}
		// A fuzz target skips, without a reason, the kept inputs that it does not test.
		if why := reason(text); why != "" || !strings.HasPrefix(e.Test, "Fuzz") {
			r.reasons[why] = append(r.reasons[why], e.Test)
		}
	default: // run, pause, cont, bench
		return
	}
	delete(r.printed[e.Package], e.Test)
}

var position = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason is what a skipped test printed, in one line and without file and line.
func reason(text string) string {
	text, _, _ = strings.Cut(position.ReplaceAllString(text, ""), "--- SKIP")
	return strings.Join(strings.Fields(text), " ")
}

// packageEnded: the tests of a package that have not ended by now were running when it failed.
func (r *report) packageEnded(e event) {
	switch e.Action {
	case "pass":
		r.packages++
	case "fail":
		r.broken = append(r.broken, e.Package)
		for test, text := range r.printed[e.Package] {
			fmt.Fprintf(r.out, "--- did not end: %s\n%s", test, text)
		}
		delete(r.printed, e.Package)
	}
}

// summary prints what stands at the end and says whether all passed.
func (r *report) summary(note string) bool {
	for _, why := range slices.Sorted(maps.Keys(r.reasons)) {
		slices.Sort(r.reasons[why])
		fmt.Fprintf(r.out, "skipped: %s (%s)\n", why, strings.Join(r.reasons[why], ", "))
	}
	for _, name := range r.broken {
		fmt.Fprintln(r.out, "failed:", name)
	}
	if note != "" {
		fmt.Fprintln(r.out, note)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.packages > 0 && r.failed == 0 && len(r.broken) == 0
}
