package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals returns a context that ends with the second signal, and one that ends with the first. SIGHUP,
// which says that the terminal has closed, is a first signal only: the shell and the kernel may both send
// it. Where it is ignored (nohup), it stays so.
func signals() (ctx, stop context.Context, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	stop, cancelStop := context.WithCancel(ctx)
	first, second := make(chan os.Signal, 1), make(chan os.Signal, 2)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(first, syscall.SIGHUP)
	}
	signal.Notify(second, syscall.SIGTERM, os.Interrupt)
	go func() {
		select {
		case <-first:
		case <-second:
		}
		cancelStop()
		<-second
		cancel()
	}()
	return ctx, stop, func() { signal.Stop(first); signal.Stop(second); cancelStop(); cancel() }
}

// keepWithoutReader lets a write to a pipe without a reader fail, instead of ending the process.
// Programs that this one starts are not affected, as they would be by signal.Ignore.
func keepWithoutReader() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
