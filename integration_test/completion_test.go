package integration_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completing has, for each shell, a script that completes each line of its standard input as that shell does on
// Tab. For each word that is offered it prints the line, a tab and the word.
var completing = map[string]string{
	"bash": `
source <(webhooks completion bash) || exit
while IFS= read -r line; do
  read -r -a COMP_WORDS <<<"$line"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
  __start_webhooks webhooks "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
  for word in "${COMPREPLY[@]}"; do printf '%s\t%s\n' "$line" "${word%% *}"; done
done`,

	// Only an interactive shell completes. What its completion system calls is called here as it does, with the words
	// of the line; _describe, by which the script offers words, prints those that go on with what is typed.
	"zsh": `
compdef() { [[ $1 == _webhooks && $2 == webhooks ]] && registered=1 }
_describe() {
  local -a matching=(${(M)${completions%%:*}:#${words[-1]##*=}*})
  [[ $#matching -gt 0 ]] && print -rl -- $typed$'\t'${^matching}
}
source <(webhooks completion zsh)
(( registered )) || exit
while IFS= read -r typed; do
  words=("${(@s: :)typed}") CURRENT=$#words
  _webhooks || true # it found nothing
done`,

	"fish": `
webhooks completion fish | source
while read -l line
  for word in (complete --do-complete "$line")
    echo "$line"\t(string split --fields 1 \t -- $word)
  end
end`,
}

// offers returns the words that a shell offers for each line, sorted.
func offers(t *testing.T, shell string, lines []string) map[string]string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	args := map[string][]string{"bash": {"--norc", "-c"}, "zsh": {"-f", "-c"}, "fish": {"--no-config", "-c"}}[shell]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, shell, append(args, completing[shell])...)
	home := t.TempDir()
	c.Env = []string{"PATH=" + filepath.Dir(path) + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + home, "TERM=xterm", "LANG=C.UTF-8", "DATABASE_URL=" + nowhere}
	c.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", shell, err, out)
	}
	words := map[string][]string{}
	for answer := range strings.Lines(string(out)) {
		line, word, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), "\t")
		words[line] = append(words[line], word)
	}
	offered := map[string]string{}
	for line, all := range words {
		slices.Sort(all)
		offered[line] = strings.Join(all, " ")
	}
	return offered
}

// TestCompletion_OffersWhatCanBeTyped runs the script in each shell: commands, their words, flags, and the values of
// flags and arguments.
func TestCompletion_OffersWhatCanBeTyped(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"webhooks stat":                    "status",
		"webhooks send-test ":              "audit_log cases contacts documents folders notifications rules",
		"webhooks send-test au":            "audit_log",
		"webhooks set no":                  "notifications",
		"webhooks render contact":          "contact.created",
		"webhooks secrets ":                "encrypt jwks list new retire",
		"webhooks run --log-l":             "--log-level",
		"webhooks run --log-level ":        "debug error info warn",
		"webhooks list --channel c":        "cases contacts",
		"webhooks list --status s":         "sending sent skipped superseded",
		"webhooks watch --status s":        "sent skipped superseded",
		"webhooks list --failure t":        "timeout tls",
		"webhooks volume --by ":            "channel day hour",
		"webhooks offline ":                "off on",
		"webhooks completion ":             "bash fish zsh",
		"webhooks help volu":               "volume",
		"webhooks help h":                  "health",
		"webhooks show ":                   "",
		"webhooks list --status=fai":       "failed",
		"webhooks send-test documents con": "",
	}
	var lines []string
	for line := range cases {
		lines = append(lines, line)
	}
	for shell := range completing {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("NOT TESTED, %s is missing: apt-get install %s", shell, shell)
			}
			offered := offers(t, shell, lines)
			for line, want := range cases {
				if got := strings.ReplaceAll(offered[line], "--status=", ""); got != want { // fish offers the whole word
					t.Errorf("%q offers %q, want %q", line, got, want)
				}
			}
		})
	}
}
