// Package cli is the command line: a file for each command. A command is described by a value of type
// command: what its help says, its flags, and the function that runs it, which returns an error; Main
// turns that into a line and an exit status.
package cli

import (
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

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
	go func() { done <- execute(ctx, stop, p, args) }()
	select {
	case err := <-done:
		return report(p.Stderr, err)
	case <-ctx.Done():
		return report(p.Stderr, errors.New("stopped at once by a second signal"))
	}
}

// report prints an error and returns the exit status for it. A pipe that is not read does not delay it
// for long.
func report(w io.Writer, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.Is(err, store.ErrParameter):
		writeWithin(w, fmt.Sprintf("webhooks: %v\n", err))
		return exitUsage
	case errors.Is(err, errAttention):
		writeWithin(w, fmt.Sprintf("webhooks: %v\n", err))
		return exitAttention
	}
	writeWithin(w, fmt.Sprintf("webhooks: %s\n", withHint(err)))
	return exitFailed
}

// connecting adds to an error of connecting the command, unless it is named already, and the database.
func connecting(name string, err error) error {
	var connect *store.ConnectError
	if !errors.As(err, &connect) {
		return err
	}
	text := err.Error()
	if at := strings.LastIndex(text, connect.Error()); at >= 0 {
		text = text[:at] + "database " + visible(connect.Database) + ": " + text[at:]
	}
	if !strings.HasPrefix(text, name+": ") {
		text = name + ": " + text
	}
	return &unconnected{text: text, cause: err, hint: connect.Hint()}
}

// unconnected is an error of connecting, in the words of a command.
type unconnected struct {
	text, hint string
	cause      error
}

func (e *unconnected) Error() string { return e.text }

func (e *unconnected) Unwrap() error { return e.cause }

// withHint is an error with the hint that the database gave with it. What a function of the schema refuses is
// said in its words alone.
func withHint(err error) string {
	var connect *unconnected
	if errors.As(err, &connect) {
		if connect.hint == "" {
			return connect.text
		}
		return connect.text + "\nhint: " + connect.hint
	}
	pe := pq.As(err)
	if pe == nil {
		return err.Error()
	}
	text := err.Error()
	if pe.Routine == "exec_stmt_raise" {
		text = strings.Replace(text, pe.Error(), pe.Message, 1)
	}
	if pe.Hint != "" {
		text += "\nhint: " + pe.Hint
	}
	return inCommands(text)
}
