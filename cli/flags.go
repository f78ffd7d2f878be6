package cli

import (
	"errors"
	"slices"
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
	repeatable    []string
	list          string // WEBHOOK_DATABASES_FILE; "": none
	instance      string // of the list; "": none
}

// mayRepeat is for flags that may be given several times.
func (f *flags) mayRepeat(name string) { f.repeatable = append(f.repeatable, name) }

// refuseRepeated makes it an error to give one of the other flags twice.
func (f *flags) refuseRepeated() {
	f.VisitAll(func(defined *pflag.Flag) {
		if !slices.Contains(f.repeatable, defined.Name) {
			defined.Value = &givenOnce{Value: defined.Value}
		}
	})
}

type givenOnce struct {
	pflag.Value
	given bool
}

func (g *givenOnce) Set(text string) error {
	if g.given { // of two values one would be ignored in silence, and perhaps the one that was meant
		return errors.New("it is given twice, and one is possible")
	}
	g.given = true
	return g.Value.Set(text)
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
