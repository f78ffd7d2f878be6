package cli

import (
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// WriteReference writes docs/commands.md: every command with its flags, examples and exit statuses, and the shape of
// what --json prints.
func WriteReference(w io.Writer) error {
	nothing := context.Background()
	root := newRoot(nothing, nothing, Process{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
	r := &reference{root: root}
	r.prose("# Commands")
	r.prose("This page is written by `make commands` from the program's own descriptions; `webhooks COMMAND --help` shows the same.")
	r.prose("Settings come from the environment, secrets also from files that the setting's `_FILE` names; a flag overrides. " +
		"[operate.md](operate.md) explains them, and `webhooks help environment` lists them. Exit status: " + exitText(root) + ".")
	r.prose("With `--json` a command prints one JSON document. Its keys stay; others may be added. Times are RFC 3339 in UTC. " +
		"What is not known is null. Errors are text, on standard error.")
	for _, group := range groups {
		r.prose("## " + group)
		for _, c := range commands() {
			if c.group == group {
				r.command(root, c)
			}
		}
	}
	_, err := io.WriteString(w, strings.TrimRight(r.text.String(), "\n")+"\n")
	return err
}

type reference struct {
	root *cobra.Command
	text strings.Builder
}

// prose is a paragraph, or a heading.
func (r *reference) prose(text string) {
	r.text.WriteString(strings.Join(wrap(text, 100), "\n") + "\n\n")
}

func (r *reference) block(text string) { r.text.WriteString("```\n" + text + "\n```\n\n") }

func (r *reference) table(head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	for i, row := range append([][]string{head}, rows...) {
		r.text.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			r.text.WriteString(strings.Repeat("| --- ", len(head)) + "|\n")
		}
	}
	r.text.WriteString("\n")
}

// command is a command and the words below it.
func (r *reference) command(parent *cobra.Command, c command) {
	built, _, _ := parent.Find([]string{c.name})
	r.prose("### " + built.CommandPath())
	r.prose(strings.ToUpper(c.about[:1]) + c.about[1:] + ".")
	r.block(usageLine(built))
	for _, text := range strings.Split(c.text, "\n\n") {
		if text != "" {
			r.prose(markdown(text))
		}
	}
	r.table([]string{"flag", "meaning"}, flagRows(built))
	var examples []string
	for _, e := range c.examples {
		about, call, _ := strings.Cut(e, ": ")
		examples = append(examples, "# "+about+"\n"+call)
	}
	r.block(strings.Join(examples, "\n"))
	end := "Exit status: " + exitText(built) + "."
	if c.role != "" {
		end += " Database role: `" + c.role + "`."
	}
	r.prose(end)
	if c.document != nil {
		r.prose("`" + built.CommandPath() + " --json`:")
		var rows [][]string
		for _, k := range shapeOf(reflect.TypeOf(c.document), "") {
			rows = append(rows, []string{"`" + k.path + "`", k.kind, markdown(k.about)})
		}
		r.table([]string{"key", "type", "meaning"}, rows)
	}
	for _, word := range c.words {
		r.command(built, word)
	}
}

func flagRows(c *cobra.Command) (rows [][]string) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, about := pflag.UnquoteUsage(f)
		rows = append(rows, []string{"`" + strings.ReplaceAll(flagText(f, kind), "|", "\\|") + "`", markdown(about + presetText(f))})
	})
	return rows
}

// markdown is a text as Markdown shows it.
func markdown(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;").Replace(text)
}

// key is a key of a document.
type key struct {
	path  string // channels[].last_day.failed
	kind  string // string, integer, boolean, time, object or list, and " or null"
	about string
}

// shapeOf are the keys of a type, as encoding/json writes it, each before those within it.
func shapeOf(t reflect.Type, prefix string) (keys []key) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || name == "" {
			continue
		}
		k := key{path: prefix + name, about: f.Tag.Get("about")}
		inner, null := f.Type, ""
		if inner.Kind() == reflect.Pointer {
			inner, null = inner.Elem(), " or null"
		}
		switch {
		case inner == reflect.TypeFor[time.Time]():
			k.kind = "time" + null
		case inner == reflect.TypeFor[json.RawMessage]():
			k.kind = "object"
		case inner.Kind() == reflect.Struct:
			k.kind = "object" + null
			keys = append(keys, k)
			keys = append(keys, shapeOf(inner, k.path+".")...)
			continue
		case inner.Kind() == reflect.Slice:
			k.kind = "list"
			if f.Tag.Get("null") != "" {
				k.kind += " or null"
			}
			keys = append(keys, k)
			keys = append(keys, shapeOf(inner.Elem(), k.path+"[].")...)
			continue
		default:
			k.kind = map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Int64: "integer"}[inner.Kind()] + null
		}
		keys = append(keys, k)
	}
	return keys
}
