package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// flags are the flags of one command, each with its default from the environment.
type flags struct {
	*flag.FlagSet
	p    Process
	args string   // how the arguments are written in the help
	rest []string // the arguments, once parsed
	errs []error  // what is malformed in the environment
}

func newFlags(p Process, command, args string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(command, flag.ContinueOnError), p: p, args: args}
	f.SetOutput(p.Stdout)
	f.Usage = func() {
		fmt.Fprintf(p.Stdout, "usage: webhooks %s [flags] %s\n", command, args)
		f.PrintDefaults()
	}
	return f
}

// parse reads the flags, which may stand before or after the arguments, and
// requires a number of arguments.
func (f *flags) parse(args []string, arguments int) error {
	f.SetOutput(io.Discard) // the error says it all
	var rest []string
	for {
		if err := f.FlagSet.Parse(args); errors.Is(err, flag.ErrHelp) {
			f.SetOutput(f.p.Stdout)
			f.Usage()
			return err
		} else if err != nil {
			return usagef("%s: %v", f.Name(), err)
		}
		if args = f.FlagSet.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if err := errors.Join(f.errs...); err != nil {
		return usageError{err.Error()}
	}
	switch {
	case len(rest) > arguments:
		return usagef("%s: unexpected argument %q", f.Name(), rest[arguments])
	case len(rest) < arguments:
		return usagef("%s: expected %s; see webhooks %s --help", f.Name(), f.args, f.Name())
	}
	f.rest = rest
	return nil
}

// env is a setting of the environment; "" where it is not set or empty.
func (f *flags) env(name string) string {
	for _, kv := range f.p.Environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
