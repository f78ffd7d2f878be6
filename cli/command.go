package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recordengine/webhooks/outbox"
)

// command describes a command, or a subcommand of one.
type command struct {
	name      string
	arguments []argument
	about     string    // one line in a list of commands
	text      string    // what its help says beyond that: paragraphs, wrapped when they are shown
	examples  []string  // "what it does: the command line"
	exits     string    // when the exit status is 1 or 3: "1 when the database cannot be reached"
	role      string    // the database role that its help names, and the error of a missing privilege; "": none
	document  any       // a value of the type that --json prints; nil: it has no --json
	group     string    // the heading under which the program's help lists it
	words     []command // the subcommands
	// flags defines the flags and returns what runs with them; nil where there are only words.
	flags func(f *flags) action
}

// action runs a command: stop ends when the command should finish what it has begun, ctx when it must end.
type action func(ctx, stop context.Context, args []string) error

// argument is a positional argument.
type argument struct {
	name string // as help and errors write it: ID
	// choices are its values where they are few, for completion and "did you mean"; nil: any text.
	choices func() []string
	// optional: it may be left out, as those behind it.
	optional bool
}

// commands are in the order in which the program's help lists them.
func commands() []command {
	return []command{
		runCommand, adminCommand, migrateCommand, demoCommand,
		checkCommand, statusCommand, showCommand, listCommand, volumeCommand, watchCommand, healthCommand,
		sendTestCommand, resendCommand, cancelCommand, markDeliveredCommand, discardCommand, pruneCommand,
		setCommand, offlineCommand, secretsCommand,
		renderCommand, receiveCommand,
		completionCommand, versionCommand,
	}
}

// The headings of the program's help.
const (
	groupRun     = "Run"
	groupRead    = "Read"
	groupAct     = "Act"
	groupSet     = "Settings"
	groupDevelop = "Develop"
	groupOther   = "Other"
)

var groups = []string{groupRun, groupRead, groupAct, groupSet, groupDevelop, groupOther}

// execute runs the command that the arguments name.
func execute(ctx, stop context.Context, p Process, args []string) error {
	root := newRoot(ctx, stop, p)
	root.SetArgs(args)
	var wrong error // a word that is no command, before --help
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if words := c.Flags().Args(); c.HasSubCommands() && len(words) > 0 {
			wrong = unknownWord(c, words[0])
			return
		}
		help(c, args)
	})
	return cmp.Or(root.Execute(), wrong)
}

func init() { cobra.EnableCommandSorting = false } // they are listed as commands has them

func newRoot(ctx, stop context.Context, p Process) *cobra.Command {
	root := &cobra.Command{
		Use:               "webhooks",
		Short:             "RecordEngine webhooks: delivers the events of webhook.outbox.",
		Version:           Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownWord(c, args[0])
			}
			writeHelp(c.ErrOrStderr(), p, c)
			return usagef("a command is missing")
		},
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.Flags().Bool("version", false, "the version of this binary")
	root.SetVersionTemplate("webhooks {{.Version}}\n")
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { writeHelp(c.OutOrStdout(), p, c) })
	root.SetHelpCommand(helpCommand(root))
	for _, c := range commands() {
		root.AddCommand(c.build(ctx, stop, root, p, "webhooks"))
	}
	root.AddCommand(environmentTopic())
	root.SetFlagErrorFunc(flagError)
	return root
}

// helpCommand makes "help run" the same as "run --help".
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "the help of a command, or of its settings: help environment", Hidden: true,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				if !strings.HasPrefix(c.Name(), "__") && c.Name() != "help" {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownWord(c, rest[0])
			}
			return c.Help()
		},
	}
}

// build is the command as cobra has it.
func (c command) build(ctx, stop context.Context, root *cobra.Command, p Process, parent string) *cobra.Command {
	path := parent + " " + c.name
	built := &cobra.Command{Use: c.use(), Short: c.about, Annotations: map[string]string{"group": c.group, "exits": c.exits, "text": c.text, "examples": strings.Join(c.examples, "\n")}}
	built.Flags().SortFlags = false
	for _, w := range c.words {
		built.AddCommand(w.build(ctx, stop, root, p, path))
	}
	if c.flags == nil {
		built.Args = cobra.ArbitraryArgs
		built.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownWord(cmd, args[0])
			}
			return usagef("%s: expected %s", c.name, orList(wordNames(cmd)))
		}
		return built
	}
	built.Annotations["runs"] = "true"
	name := strings.TrimPrefix(path, "webhooks ")
	f := &flags{FlagSet: built.Flags(), name: name, role: c.role, root: root, command: built, p: p}
	run := c.flags(f)
	f.refuseRepeated()
	built.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.HasSubCommands() && len(args) > len(c.arguments) {
			return unknownWord(cmd, args[0])
		}
		return c.checkArguments(name, args)
	}
	built.ValidArgsFunction = c.complete
	built.RunE = func(_ *cobra.Command, args []string) error {
		if err := errors.Join(f.errs...); err != nil {
			return usageError{err.Error()}
		}
		return connecting(name, run(ctx, stop, args))
	}
	return built
}

// use is the command line without "webhooks".
func (c command) use() string {
	parts := []string{c.name}
	for _, a := range c.arguments {
		if a.optional {
			parts = append(parts, "["+a.name+"]")
		} else {
			parts = append(parts, a.name)
		}
	}
	return strings.Join(parts, " ")
}

func (c command) checkArguments(name string, args []string) error {
	var expected []string
	for _, a := range c.arguments {
		if !a.optional {
			expected = append(expected, a.name)
		}
	}
	switch {
	case len(args) > len(c.arguments):
		extra := args[len(c.arguments)]
		if slices.Contains([]string{"true", "false", "on", "off", "yes", "no"}, extra) {
			return usagef("%s: unexpected argument %q; a switch has its value behind =, such as --enabled=false", name, extra)
		}
		return usagef("%s: unexpected argument %s", name, quoted(extra))
	case len(args) < len(expected):
		return usagef("%s: expected %s; see webhooks %s --help", name, strings.Join(expected, " "), name)
	}
	for i, arg := range args {
		a := c.arguments[i]
		if a.choices == nil || slices.Contains(a.choices(), arg) {
			continue
		}
		return usagef("%s: unknown %s %s%s", name, strings.ToLower(a.name), quoted(arg), expectedOr(arg, a.choices()))
	}
	return nil
}

// complete offers the values of the argument that comes next.
func (c command) complete(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) < len(c.arguments) && c.arguments[len(args)].choices != nil {
		return c.arguments[len(args)].choices(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// unknownWord is a word that is no command here.
func unknownWord(c *cobra.Command, word string) error {
	if c.HasParent() {
		return usagef("%s: unknown word %q%s", strings.TrimPrefix(c.CommandPath(), "webhooks "), word, expectedOr(word, wordNames(c)))
	}
	return usagef("unknown command %q%s; webhooks help lists them", word, didYouMean(word, wordNames(c)))
}

func wordNames(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// writeLine is for what a command says in one line on standard output.
func writeLine(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(w, format+"\n", args...)
	return err
}

// channelArgument is the name of a channel.
var channelArgument = argument{name: "CHANNEL", choices: channelNames}

func channelNames() (names []string) {
	for _, c := range outbox.Channels() {
		names = append(names, c.Name)
	}
	return names
}
