// Command vuln looks for known vulnerabilities that the program reaches, by govulncheck.
// Where neither the database nor its copy on the Go module proxy can be reached, it says
// so and ends without a failure: a machine without a network can still check a commit.
//
// A vulnerability in a module is a failure: a newer version of the module, or another
// one, is the remedy. One in the standard library is a failure with -strict only, by
// which a release is checked: the remedy is a newer Go on the machine that builds.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
)

func main() {
	strict := flag.Bool("strict", false, "fail for vulnerabilities of the standard library too")
	scanner := flag.String("scanner", "golang.org/x/vuln/cmd/govulncheck@latest", "the package of govulncheck, with its version")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *scanner, *strict)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vuln:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, scanner string, strict bool) error {
	db, err := database(ctx, os.Getenv("GOVULNDB"))
	if err != nil {
		fmt.Fprintf(out, "vulnerabilities NOT CHECKED: the database is not reachable (%v)\n", err)
		return nil
	}
	fmt.Fprintln(out, "vulnerability database:", db)
	said, err := scan(ctx, scanner, db)
	if err != nil {
		return err
	}
	found, err := reached(said)
	if err != nil {
		return err
	}
	return judge(out, found, strict)
}

// scan returns what govulncheck says of the program, as a stream of JSON.
func scan(ctx context.Context, scanner, db string) (io.Reader, error) {
	cmd := exec.CommandContext(ctx, "go", "run", scanner, "-format", "json", "-db", db, ".") //nolint:gosec // the Makefile names it
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("govulncheck: %w", err)
	}
	return bytes.NewReader(said), nil
}

// judge prints what was found and returns an error if it fails the check.
func judge(out io.Writer, found []vulnerability, strict bool) error {
	failed := false
	for _, v := range found {
		fmt.Fprintln(out, v)
		failed = failed || strict || !v.ofGo()
	}
	switch {
	case failed:
		return errors.New("the program reaches known vulnerabilities")
	case len(found) > 0:
		fmt.Fprintln(out, "all of them in the standard library: build a release with the Go version that fixes them")
	default:
		fmt.Fprintln(out, "no known vulnerability is reached")
	}
	return nil
}
