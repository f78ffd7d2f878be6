// Package cli is the command line: a file for each command. Every command is a
// function that returns an error; Main turns it into a line and an exit status.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/store"
)

// The exit statuses.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitAttention = 3
)

// Process is the environment of a command.
type Process struct {
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
	Schema  store.Schema
}

// command is one word of the command line.
type command struct {
	name, args, about string
	run               func(ctx, stop context.Context, p Process, args []string) error
}

var commands = []command{
	{"run", "[--migrate] [--once]", "the worker: deliver events until SIGTERM", runWorker},
	{"migrate", "[--print] [--check] [--roles]", "apply the schema; show it; say whether it is applied", runMigrate},
	{"check", "", "doctor: database, schema, privileges, each endpoint, unknown settings", runCheck},
	{"status", "", "the state of each channel", runStatus},
	{"show", "ID", "where one event is, why, and what to do", runShow},
	{"send-test", "CHANNEL", "queue the specification's example of a channel, once, whatever its switch says", runSendTest},
	{"render", "EVENT [--occurred-at T] [--base-url U]", "the exact bytes that would be sent; data on standard input", runRender},
	{"receive", "[--listen A] [--status 503x3,200] …", "a receiver to try things on", runReceive},
	{"demo", "", "the sixty-second tour, on a temporary PostgreSQL", runDemo},
	{"version", "", "the version of this binary", runVersion},
}

// usageError is a mistake in how the program was called: exit status 2.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Main runs one command and returns the exit status. The first SIGTERM or
// interrupt makes the command finish what it has begun. The second one makes Main
// return at once, even while the command waits for a database that does not answer.
func Main(args []string, p Process) int {
	log.SetOutput(io.Discard) // net/http prints there what a receiver sent too much, and that may contain the token
	ctx, stop, release := signals()
	defer release()
	done := make(chan error, 1)
	go func() { done <- dispatch(ctx, stop, p, args) }()
	select {
	case err := <-done:
		return report(p.Stderr, err)
	case <-ctx.Done():
		return report(p.Stderr, errors.New("stopped at once by a second signal"))
	}
}

// report prints an error and returns the exit status for it.
func report(w io.Writer, err error) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, &usage), errors.Is(err, store.ErrParameter):
		fmt.Fprintf(w, "webhooks: %v\n", err)
		return exitUsage
	case errors.Is(err, errAttention):
		fmt.Fprintf(w, "webhooks: %v\n", err)
		return exitAttention
	}
	fmt.Fprintf(w, "webhooks: %s\n", withHint(err))
	return exitFailed
}

// withHint is an error with the hint that the database gave with it.
func withHint(err error) string {
	if pe := pq.As(err); pe != nil && pe.Hint != "" {
		return fmt.Sprintf("%v\nhint: %s", err, pe.Hint)
	}
	return err.Error()
}

func dispatch(ctx, stop context.Context, p Process, args []string) error {
	if len(args) == 0 {
		help(p.Stderr)
		return usagef("a command is missing")
	}
	if slices.Contains([]string{"help", "-h", "--help", "-help"}, args[0]) {
		help(p.Stdout)
		return nil
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, stop, p, args[1:])
		}
	}
	return usagef("unknown command %q; webhooks help lists them", args[0])
}

// signals returns a context that ends with the second signal, and one that ends
// with the first.
func signals() (ctx, stop context.Context, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	stop, cancelStop := context.WithCancel(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-ch
		cancelStop()
		<-ch
		cancel()
	}()
	return ctx, stop, func() { signal.Stop(ch); cancelStop(); cancel() }
}

func help(w io.Writer) {
	fmt.Fprint(w, `RecordEngine webhooks: delivers the events of webhook.outbox.

usage: webhooks COMMAND [flags]

`)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-9s %-40s %s\n", c.name, c.args, c.about)
	}
	fmt.Fprint(w, `
webhooks COMMAND --help shows a command's flags. Settings come from the environment, a flag overrides:

`)
	for _, s := range environment {
		fmt.Fprintf(w, "  %-24s %s\n", s.name, s.about)
	}
	fmt.Fprint(w, `
exit status: 0 done, 1 failed, 2 wrong usage, 3 needs attention (check)
`)
}
