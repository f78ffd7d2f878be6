package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError names the flag that is unknown or malformed, and one that may have been meant.
func flagError(c *cobra.Command, err error) error {
	name, see := "", "webhooks --help"
	if c.HasParent() {
		name = strings.TrimPrefix(c.CommandPath(), "webhooks ")
		name, see = name+": ", "webhooks "+name+" --help"
	}
	var refused *pflag.InvalidValueError // its text quotes the value, which may be a token or the key in a URL
	if errors.As(err, &refused) {
		return usagef("%s--%s: %v", name, refused.GetFlag().Name, refused.Unwrap())
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usagef("%s%v", name, err)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	word := "--" + unknown.GetSpecifiedName()
	if shorthands := unknown.GetSpecifiedShortnames(); shorthands != "" {
		word = "--" + shorthands // -once is --once written with one dash
	}
	return usagef("%s%v%s; see %s", name, err, didYouMean(word, known), see)
}

// didYouMean is ", did you mean "x"?" for the nearest of the words, "" where none is near.
func didYouMean(word string, words []string) string {
	if near := nearest(word, words); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// quoted is a word in quotation marks. Of a URL it is the scheme: its path may be a key, and logs of CI keep errors.
func quoted(word string) string {
	if scheme, _, ok := strings.Cut(word, "://"); ok {
		return scheme + "://…"
	}
	return fmt.Sprintf("%q", word)
}

// expectedOr names the nearest of a few words, and else all of them.
func expectedOr(word string, words []string) string {
	if suggestion := didYouMean(word, words); suggestion != "" {
		return suggestion
	}
	if len(words) == 0 {
		return ""
	}
	return ", expected " + orList(words)
}

// nearest is the word with the fewest letters changed, "" where that is more than a third of them.
func nearest(word string, words []string) (near string) {
	least := 1 + max(1, len(bare(word))/3)
	for _, w := range words {
		if d := distance(bare(word), bare(w)); d < least {
			near, least = w, d
		}
	}
	return near
}

// bare is a word without its dashes in front and its capitals: neither makes two words alike or different.
func bare(word string) string { return strings.ToLower(strings.TrimLeft(word, "-")) }

// distance is how many letters must be added, removed, replaced or swapped with their neighbour to make b of a
// (the optimal string alignment distance).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// orList is "a, b or c".
func orList(words []string) string { return list(words, " or ") }

// andList is "a, b and c".
func andList(words []string) string { return list(words, " and ") }

func list(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + last + words[len(words)-1]
}
