package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutant is a block of list.txt.
type mutant struct {
	name  string
	file  string // from the root of the tree
	why   string // the promise that it breaks
	dir   string // the package of the test
	test  string // its name
	edits []edit
}

// edit is one pair of texts.
type edit struct{ old, new string }

func (e edit) apply(text string) (string, error) {
	if n := strings.Count(text, e.old); n != 1 {
		return "", fmt.Errorf("the old text occurs %d times:\n%s", n, e.old)
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}

// verdict is the result of a mutant.
type verdict string

const (
	dead       verdict = "killed"
	survived   verdict = "SURVIVED"
	notApplied verdict = "DOES NOT APPLY"
	notBuilt   verdict = "DOES NOT BUILD"
	notRun     verdict = "DID NOT RUN" // the environment failed, not the test
)

// try applies the mutant to a copy of the tree, runs the named test and restores the copy.
func (m mutant) try(ctx context.Context, root string, limit time.Duration) (v verdict, detail string) {
	path := filepath.Join(root, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return notApplied, err.Error()
	}
	broken := string(text)
	for _, e := range m.edits {
		if broken, err = e.apply(broken); err != nil {
			return notApplied, err.Error()
		}
	}
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return notApplied, err.Error()
	}
	defer os.WriteFile(path, text, 0o600) //nolint:errcheck // the copy is deleted afterwards
	out, ok := goTest(ctx, root, m.dir, m.test, limit)
	switch {
	case ok:
		return survived, ""
	case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"), strings.Contains(out, "go build: exit"):
		return notBuilt, out
	case !strings.Contains(out, "--- FAIL: ") && !strings.Contains(out, "panic: "):
		return notRun, out
	}
	return dead, seed.FindString(out)
}

// seed matches what the simulation prints for a schedule that broke a promise.
var seed = regexp.MustCompile(`seed \d+(, after \d+ schedules)?: .*`)

// parse reads list.txt: a block for each mutant, which begins with "== " and its name.
func parse(text string) (all []mutant, err error) {
	for i, block := range strings.Split("\n"+text, "\n== ") {
		if i == 0 {
			continue // the introduction
		}
		m, err := parseOne(block)
		if err != nil {
			return nil, fmt.Errorf("list.txt: %q: %w", m.name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func parseOne(block string) (m mutant, err error) {
	var before string // the word of the line before
	for i, line := range strings.Split(strings.TrimRight(block, "\n"), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		last := len(m.edits) - 1
		switch {
		case i == 0:
			m.name = line
		case word == "file":
			m.file = strings.TrimSpace(rest)
		case word == "why":
			m.why = strings.TrimSpace(rest)
		case word == "test":
			m.dir, m.test, _ = strings.Cut(strings.TrimSpace(rest), " ")
		case word == "-" && before == "-":
			m.edits[last].old += "\n" + rest
		case word == "-":
			m.edits = append(m.edits, edit{old: rest})
		case word == "+" && before == "+":
			m.edits[last].new += "\n" + rest
		case word == "+" && before == "-":
			m.edits[last].new = rest
		case line != "":
			return m, fmt.Errorf("unknown line %q: expected file, why, test, - or +", line)
		}
		before = word
	}
	if m.file == "" || m.why == "" || m.test == "" || len(m.edits) == 0 {
		return m, fmt.Errorf("incomplete: file, why, test and at least one line with - are required")
	}
	return m, nil
}
