// Command mutants breaks the protocol in one place at a time and checks that a test
// fails. list.txt has the mutants; each names the test that must fail. A mutant that
// survives is a missing test.
//
// Mutants are applied to copies of the tree, never to the tree itself. First the named
// tests run without a mutant, since a test that fails anyway or does not exist proves
// nothing. Exit status 0: all mutants were killed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "run the mutants whose name contains this text")
	parallel := flag.Int("parallel", 2, "how many to run at once, each in a copy of the tree")
	limit := flag.Duration("limit", 75*time.Second, "how long a test may take; one that hangs counts as failed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *parallel, *limit)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, parallel int, limit time.Duration) error {
	text, err := os.ReadFile("mutants/list.txt")
	if err != nil {
		return fmt.Errorf("run it from the root of the tree: %w", err)
	}
	all, err := parse(string(text))
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m mutant) bool { return !strings.Contains(m.name, only) })
	copies, err := copyTree(parallel)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(copies[0])) //nolint:errcheck // a copy that stays behind is in the temporary directory
	if err := unbroken(ctx, copies[0], all); err != nil {
		return err
	}
	began := time.Now()
	killed := tryAll(ctx, copies, all, limit)
	fmt.Printf("\n%d of %d killed, %s\n", killed, len(all), time.Since(began).Round(time.Second))
	if killed < len(all) {
		return fmt.Errorf("%d were not killed", len(all)-killed)
	}
	return nil
}

// tryAll runs every mutant, as many at once as there are copies, and prints each result
// when it is known.
func tryAll(ctx context.Context, copies []string, all []mutant, limit time.Duration) (killed int) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next = make(chan mutant)
	)
	for _, dir := range copies {
		wg.Go(func() {
			for m := range next {
				began := time.Now()
				v, detail := m.try(ctx, dir, limit)
				mu.Lock()
				if v == dead {
					killed++
				}
				fmt.Printf("%-14s %4.0fs  %s  (%s)\n", v, time.Since(began).Seconds(), m.name, m.test)
				if v != dead {
					fmt.Printf("    %s: %s\n", m.file, m.why)
				}
				fmt.Print(indent(detail))
				mu.Unlock()
			}
		})
	}
	for _, m := range all {
		if ctx.Err() == nil {
			next <- m
		}
	}
	close(next)
	wg.Wait()
	return killed
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}
