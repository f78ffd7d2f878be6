package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how soon after the first signal one of the same kind is the same: timeout(1) sends it to the
// process and to its group, and a program that starts this one may pass on a Ctrl-C that the terminal sent to both.
const sameSignal = 50 * time.Millisecond

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
	go obey(first, second, time.Now, cancelStop, cancel)
	return ctx, stop, func() { signal.Stop(first); signal.Stop(second); cancelStop(); cancel() }
}

// obey calls finish on the first signal, and end on the second.
func obey(first, second <-chan os.Signal, now func() time.Time, finish, end func()) {
	var got os.Signal
	select {
	case <-first:
	case got = <-second:
	}
	at := now()
	finish()
	for s := range second {
		if s != got || now().Sub(at) > sameSignal {
			break
		}
	}
	end()
}

// keepWithoutReader lets a write to a pipe without a reader fail, instead of ending the process.
// Programs that this one starts are not affected, as they would be by signal.Ignore.
func keepWithoutReader() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
