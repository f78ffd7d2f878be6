package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// writeHelp is the help of a command, or of the whole program.
func writeHelp(w io.Writer, p Process, c *cobra.Command) {
	width := widthOf(p)
	h := helpText{w: w, width: width}
	h.paragraph("", c.Short)
	if c.Run == nil && c.RunE == nil { // a topic
		h.environment()
		return
	}
	h.usage(c)
	for _, text := range strings.Split(c.Annotations["text"], "\n\n") {
		h.paragraph("", text)
	}
	h.words(c)
	h.flags(c)
	h.examples(c.Annotations["examples"])
	h.paragraph("exit status: ", exitText(c))
	if !c.HasParent() {
		h.paragraph("", "webhooks COMMAND --help shows a command's flags and examples. Settings come from the environment, a flag overrides: webhooks help environment lists them.")
	}
}

// exitText says what the exit status of a command can be.
func exitText(c *cobra.Command) string {
	if !c.HasParent() {
		return "0 done, 1 failed, 2 wrong usage, 3 needs attention (check)"
	}
	exits := cmp.Or(c.Annotations["exits"], "1 failed")
	before, attention, found := strings.Cut(exits, ", 3 ")
	if exits = "0 done, " + before + ", 2 wrong usage"; found {
		exits += ", 3 " + attention
	}
	return exits
}

// helpText writes paragraphs that fit the terminal, an empty line after each.
type helpText struct {
	w     io.Writer
	width int
}

func (h helpText) paragraph(title, text string) {
	if text != "" {
		fmt.Fprintf(h.w, "%s%s\n\n", title, strings.Join(wrap(text, h.width-utf8.RuneCountInString(title)), "\n"+strings.Repeat(" ", utf8.RuneCountInString(title))))
	}
}

func (h helpText) usage(c *cobra.Command) { h.paragraph("usage: ", usageLine(c)) }

// usageLine is how a command is called. Of one that does something itself, the words below it may be left out.
func usageLine(c *cobra.Command) string {
	line := c.CommandPath() + strings.TrimPrefix(c.Use, c.Name())
	switch words := strings.Join(wordNames(c), " | "); {
	case words == "":
	case !c.HasParent():
		line += " COMMAND"
	case c.Annotations["runs"] != "":
		line += " [" + words + "]"
	default:
		line += " " + words
	}
	return line + " [flags]"
}

// words are the commands below this one, under their headings.
func (h helpText) words(c *cobra.Command) {
	for _, group := range append(groups, "") {
		var rows [][2]string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Annotations["group"] == group {
				rows = append(rows, [2]string{sub.Use, sub.Short})
			}
		}
		h.table(group, rows)
	}
}

func (h helpText) flags(c *cobra.Command) {
	var rows [][2]string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, about := pflag.UnquoteUsage(f)
		rows = append(rows, [2]string{flagText(f, kind), about + presetText(f)})
	})
	h.table("flags", rows)
}

// flagText is a flag as it is written. The value of a switch stands behind =, and may be left out.
func flagText(f *pflag.Flag, kind string) string {
	if kind == switchKind {
		return "--" + f.Name + "[=false]"
	}
	return strings.TrimRight("--"+f.Name+" "+strings.ToUpper(kind), " ")
}

// presetText is the default of a flag that has one and does not name it already.
func presetText(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0s", "0", "[]":
		return ""
	}
	return fmt.Sprintf(" (default %s)", f.DefValue)
}

func (h helpText) examples(lines string) {
	if lines == "" {
		return
	}
	fmt.Fprintln(h.w, "examples:")
	for _, line := range strings.Split(lines, "\n") {
		about, call, _ := strings.Cut(line, ": ")
		fmt.Fprintf(h.w, "  # %s\n  %s\n", about, call)
	}
	fmt.Fprintln(h.w)
}

func (h helpText) environment() {
	var rows [][2]string
	for _, s := range environment {
		rows = append(rows, [2]string{s.name, s.about})
	}
	h.table("", rows)
}

// widestName is up to where the texts of a table stand beside its names; the text of a longer name, or on a
// narrow terminal of each, begins on a line of its own.
const widestName = 26

func (h helpText) table(title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(h.w, "%s:\n", title)
	}
	column := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r[0]); n <= widestName {
			column = max(column, n+4)
		}
	}
	if h.width-column < 32 {
		column = 6
	}
	indent := strings.Repeat(" ", max(column, 6))
	for _, r := range rows {
		text := strings.Join(wrap(r[1], h.width-len(indent)), "\n"+indent)
		if gap := len(indent) - 2 - utf8.RuneCountInString(r[0]); gap >= 2 {
			fmt.Fprintf(h.w, "  %s%s%s\n", r[0], strings.Repeat(" ", gap), text)
		} else {
			fmt.Fprintf(h.w, "  %s\n%s%s\n", r[0], indent, text)
		}
	}
	fmt.Fprintln(h.w)
}

// widthOf is how many columns help may have: those of the terminal, within what reads well.
func widthOf(p Process) int {
	width := 100
	if columns, err := strconv.Atoi(environ(p, "COLUMNS")); err == nil && columns > 0 {
		width = columns
	} else if file, ok := p.Stdout.(*os.File); ok {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			width = columns
		}
	}
	return min(max(width, 40), 100)
}

// wrap breaks a text at spaces into lines of at most so many characters; a longer word has a line of its own.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// environmentTopic is `webhooks help environment`.
func environmentTopic() *cobra.Command {
	return &cobra.Command{Use: "environment", Short: "The settings of the environment; a command's flag overrides them."}
}
