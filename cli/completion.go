package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that completion can be written for.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash": bashCompletion,
	"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
}

// bashCompletion is cobra's script, which needs the package bash-completion. Where that is not installed the words are
// taken from the line instead: none of this program's has a space.
func bashCompletion(root *cobra.Command, w io.Writer) error {
	var script strings.Builder
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.Replace(script.String(), `    _get_comp_words_by_ref "$@" cur prev words cword
`, `    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref "$@" cur prev words cword
        return
    fi
    local line=${COMP_LINE:0:COMP_POINT}
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword-1]}
`, 1))
	return err
}

// completionCommand is `webhooks completion SHELL`.
var completionCommand = command{
	name: "completion", group: groupOther,
	arguments: []argument{{name: "SHELL", choices: func() []string { return []string{"bash", "zsh", "fish"} }}},
	about:     "print the script with which a shell completes commands, flags and channels",
	text:      "The script asks this program at each completion; it stays right when the program is replaced by another version.",
	examples: []string{
		"for this bash session: source <(webhooks completion bash)",
		"for each new fish session: webhooks completion fish >~/.config/fish/completions/webhooks.fish",
	},
	flags: func(f *flags) action {
		return func(_, _ context.Context, args []string) error {
			return shells[args[0]](f.root, f.p.Stdout)
		}
	},
}
