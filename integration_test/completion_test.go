package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bashScript completes each line of its standard input as bash does on Tab, and prints the words that it offers.
const bashScript = `
source <(webhooks completion bash) || exit
while IFS= read -r line; do
  read -r -a COMP_WORDS <<<"$line"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
  __start_webhooks webhooks "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
  echo "$line=${COMPREPLY[*]%% *}"
done`

// TestCompletion_BashOffersWhatCanBeTyped runs the script in a shell.
func TestCompletion_BashOffersWhatCanBeTyped(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"webhooks stat":                    "status",
		"webhooks send-test ":              "documents contacts folders cases notifications rules audit_log",
		"webhooks send-test au":            "audit_log",
		"webhooks set no":                  "notifications",
		"webhooks render contact":          "contact.created",
		"webhooks secrets ":                "new list retire jwks encrypt",
		"webhooks run --log-l":             "--log-level",
		"webhooks run --log-level ":        "debug info warn error",
		"webhooks list --channel c":        "contacts cases",
		"webhooks list --status s":         "sending sent skipped superseded",
		"webhooks watch --status s":        "sent skipped superseded",
		"webhooks list --failure t":        "tls timeout",
		"webhooks volume --by ":            "channel day hour",
		"webhooks offline ":                "on off",
		"webhooks completion ":             "bash zsh fish",
		"webhooks help volu":               "volume",
		"webhooks help h":                  "health",
		"webhooks help _":                  "",
		"webhooks show ":                   "",
		"webhooks list --status=fai":       "failed",
		"webhooks send-test documents con": "",
	}
	var lines []string
	for line := range cases {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	shell := exec.Command("bash", "--norc", "-c", bashScript)
	shell.Env = []string{"PATH=" + filepath.Dir(path) + string(os.PathListSeparator) + os.Getenv("PATH"), "DATABASE_URL=" + nowhere}
	shell.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("bash: %v", err)
	}
	offered := map[string]string{}
	for _, answer := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		at := strings.LastIndex(answer, "=")
		offered[answer[:max(at, 0)]] = answer[at+1:]
	}
	for line, want := range cases {
		if got, completed := offered[line]; got != want || !completed {
			t.Errorf("%q offers %q, want %q", line, got, want)
		}
	}
}

// TestCompletion_OtherShellsReadTheirScript: where the shell is installed; without it the script is only written.
func TestCompletion_OtherShellsReadTheirScript(t *testing.T) {
	t.Parallel()
	for shell, check := range map[string]string{"bash": "-n", "zsh": "-n", "fish": "--no-execute"} {
		script, errs, status := runProgram(t, nil, nil, "completion", shell)
		if status != 0 || errs != "" || !strings.Contains(script, "webhooks __complete") && !strings.Contains(script, "__complete") {
			t.Errorf("%s: exit status %d: %s", shell, status, errs)
		}
		file := filepath.Join(t.TempDir(), "completion")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not installed: its script is not checked", shell)
		} else if out, err := exec.Command(shell, check, file).CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v: %s", shell, check, err, out)
		}
	}
}
