// Bench measures RecordEngine's webhook worker beside its peers, side by side in
// one run: `make bench` at the root, docs/performance.md for what it measures
// and how to read it.
//
// Absolute figures depend on the machine and its neighbours. So everything that
// is compared is measured in turn, several rounds of it, and printed as a ratio
// of medians.
//
//	main.go       the flags; sections in their order; what is written
//	stage.go      a PostgreSQL, the built worker and a receiver, in processes of their own
//	postgres.go   the server's settings and its CPU time
//	process.go    a process: its start, its CPU time, its memory, its end
//	receiver.go   the receiver's process; mirror.go is the bench's end of it
//	data.go       what is written into the outbox
//	drain.go      one drain of a backlog, by the worker or by a peer
//	table.go      medians, tables, the Markdown file
//
// A section is a file of its own, and so is each peer.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// roles are what the bench's own binary does when it is started by the bench.
var roles = map[string]func(ctx context.Context, args []string) error{
	"receiver": receiverRole,
	"ceiling":  ceilingRole,
	"tutorial": tutorialRole,
	"river":    riverRole,
	"engine":   engineRole,
}

func main() {
	if err := start(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) > 0 {
		if role, ok := roles[args[0]]; ok {
			return role(untilStdinEnds(ctx), args[1:])
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	return measure(ctx, o)
}

// untilStdinEnds ends a role with the bench that started it, however that ends.
func untilStdinEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		buffer := make([]byte, 64)
		for {
			if _, err := os.Stdin.Read(buffer); err != nil {
				return
			}
		}
	}()
	return ctx
}
