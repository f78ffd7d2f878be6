package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// described are all commands with their paths: "secrets new".
func described() map[string]command {
	all := map[string]command{}
	var add func(path string, c command)
	add = func(path string, c command) {
		all[strings.TrimSpace(path+" "+c.name)] = c
		for _, w := range c.words {
			add(path+" "+c.name, w)
		}
	}
	for _, c := range commands() {
		add("", c)
	}
	return all
}

// tree is the command line, with what it prints.
func tree(environ ...string) (*cobra.Command, *bytes.Buffer) {
	var out bytes.Buffer
	return newRoot(context.Background(), context.Background(), Process{Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard, Environ: environ}), &out
}

func TestHelp_EachCommandIsDescribedInTheSameStyle(t *testing.T) {
	for path, c := range described() {
		first, _, _ := strings.Cut(c.about, " ")
		if first != strings.ToLower(first) || slices.Contains([]string{"the", "a", "an", "what", "where", "doctor:"}, first) || strings.HasSuffix(c.about, ".") {
			t.Errorf("%s: %q does not begin with what it does, as the others: run, show, send", path, c.about)
		}
		if n := utf8.RuneCountInString(c.about); n > 80 {
			t.Errorf("%s: its line in the list of commands has %d characters", path, n)
		}
		if len(c.examples) < 2 {
			t.Errorf("%s has %d examples, expected two at least", path, len(c.examples))
		}
		for _, e := range c.examples {
			if about, call, found := strings.Cut(e, ": "); !found || about == "" || !strings.Contains(call, "webhooks ") {
				t.Errorf("%s: the example %q is not \"what it does: webhooks …\"", path, e)
			}
		}
		uses := strings.Contains(helpOf(t, path, 100), "--database-url") && !slices.Contains([]string{"run", "admin", "migrate", "check"}, path)
		if uses != (c.role != "") {
			t.Errorf("%s names the role %q, which it needs exactly if it uses the database", path, c.role)
		}
		if (c.document != nil) != strings.Contains(helpOf(t, path, 100), "--json") {
			t.Errorf("%s: the shape of its document is described exactly if it has --json", path)
		}
	}
}

// helpOf is `webhooks PATH --help` at a width.
func helpOf(t *testing.T, path string, width int) string {
	t.Helper()
	return printed(t, path+" --help", width)
}

func printed(t *testing.T, args string, width int) string {
	t.Helper()
	root, out := tree(fmt.Sprint("COLUMNS=", width))
	root.SetArgs(strings.Fields(args))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestHelp_FitsTheTerminal(t *testing.T) {
	for _, width := range []int{60, 100} {
		for path := range described() {
			help, examples, _ := strings.Cut(helpOf(t, path, width), "\nexamples:\n")
			_, exits, found := strings.Cut(examples, "\nexit status: ")
			if !found {
				t.Errorf("%s --help says no exit status", path)
			}
			for _, line := range strings.Split(help+exits, "\n") { // an example can be copied as it is
				if utf8.RuneCountInString(line) > width {
					t.Errorf("%s --help at %d columns: %s", path, width, line)
				}
			}
		}
		for _, line := range strings.Split(helpOf(t, "", width)+printed(t, "help environment", width), "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("webhooks --help at %d columns: %s", width, line)
			}
		}
	}
}

func TestHelp_IsTheSameByEachWay(t *testing.T) {
	for path := range described() {
		if got := printed(t, "help "+path, 100); got != helpOf(t, path, 100) {
			t.Errorf("help %s is not %s --help:\n%s", path, path, got)
		}
	}
}

// calls are the command lines of this program in a line for a shell.
func calls(line string) (all [][]string) {
	for _, at := range regexp.MustCompile(`(^|[ (])webhooks `).FindAllStringIndex(line, -1) {
		all = append(all, argumentsOf(line[at[1]:]))
	}
	return all
}

// argumentsOf are the words up to the end of the command, as a shell reads them.
func argumentsOf(text string) (all []string) {
	word, quote := "", byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word += string(c)
		case c == '\'' || c == '"':
			quote = c
		case strings.IndexByte("|<>);&", c) >= 0:
			i = len(text)
		case c == ' ' && word != "":
			all, word = append(all, word), ""
		case c != ' ':
			word += string(c)
		}
	}
	if word != "" {
		all = append(all, word)
	}
	return all
}

// parse finds the command, reads its flags and judges its arguments, without running it.
func parse(t *testing.T, args []string) {
	t.Helper()
	root, _ := tree()
	c, rest, err := root.Find(args)
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil && c.Args != nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil || c == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		t.Errorf("webhooks %s: %v", strings.Join(args, " "), err)
	}
}

func TestHelp_ExamplesAreReadByTheProgram(t *testing.T) {
	for path, c := range described() {
		for _, e := range c.examples {
			_, line, _ := strings.Cut(e, ": ")
			found := calls(line)
			if len(found) == 0 {
				t.Errorf("%s: no call in %q", path, e)
			}
			for _, args := range found {
				parse(t, args)
			}
		}
	}
}

func TestInCommands_SaysTheCommandThatDoesTheSame(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"To send it again: select webhook.retry(12).", "To send it again: webhooks resend 12."},
		{"waits because the channel rules is off (update webhook.channels set enabled = true where name = 'rules').", "waits because the channel rules is off (webhooks set rules --enabled)."},
		{"Offline Mode is on: nothing is delivered until it is turned off (update webhook.settings set offline_mode = false).", "Offline Mode is on: nothing is delivered until it is turned off (webhooks offline off)."},
		{"it has no URL: update webhook.channels set url = 'https://...' where name = 'cases'", "it has no URL: webhooks set cases --url https://..."},
		{"there is no token: update webhook.settings set bearer_token = '...', or, to send none: update webhook.settings set auth = 'none'", "there is no token: webhooks set --token -, or, to send none: webhooks set --auth none"},
		{"add a bearer token in the settings (update webhook.settings set auth = 'bearer', bearer_token = '...').", "add a bearer token in the settings (webhooks set --auth bearer --token -)."},
		{"which doc_url needs: update webhook.settings set document_base_url = 'https://...'", "which doc_url needs: webhooks set --document-base-url https://..."},
		{"is a later export of the same document (select webhook.explain(7)).", "is a later export of the same document (webhooks show 7)."},
		{"or mark the event: select webhook.mark_delivered(id, note).", "or mark the event: webhooks mark-delivered id NOTE."},
	} {
		got := inCommands(c.said)
		if got != c.want {
			t.Errorf("%q is said as %q, want %q", c.said, got, c.want)
		}
		for _, args := range calls(got) {
			for i, a := range args {
				args[i] = strings.TrimRight(a, ".,")
			}
			if len(args) > 2 && args[1] == "--token" { // what follows is the sentence
				args = args[:3]
			}
			parse(t, args)
		}
	}
}
