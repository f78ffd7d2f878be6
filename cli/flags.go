package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flags are the flags of one command, each with its default from the environment.
type flags struct {
	*pflag.FlagSet
	name          string // the command, as errors begin: "secrets new"
	role          string // the database role that it needs
	root, command *cobra.Command
	p             Process
	errs          []error // what is malformed in the environment
	list          string  // WEBHOOK_DATABASES_FILE; "": none
	instance      string  // of the list; "": none
}

// env is a setting of the environment; "" where it is not set or empty.
func (f *flags) env(name string) string { return environ(f.p, name) }

func environ(p Process, name string) string {
	for _, kv := range p.Environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
