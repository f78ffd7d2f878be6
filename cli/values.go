package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recordengine/webhooks/admin"
)

// The kinds of settings: each is read from the environment, a flag overrides it.

// longest is ten years: sums of durations below it never overflow.
const longest = 10 * 365 * 24 * time.Hour

// duration is a setting like 20ms, 30s or 720h that must be above zero.
func (f *flags) duration(flagName, envName string, preset time.Duration, about string) *time.Duration {
	d := new(time.Duration)
	*d = preset
	set := func(text string) error {
		v, err := time.ParseDuration(text)
		if err != nil || v <= 0 || v > longest {
			return fmt.Errorf("%q is no duration above zero and up to ten years, such as 20ms, 30s or 720h", text)
		}
		*d = v
		return nil
	}
	f.fromEnv(envName, set)
	f.setting(flagName, "duration", fmt.Sprintf("%s (%s, default %s)", about, envName, brief(preset)), set)
	return d
}

// brief is a duration without the zeros at its end: 720h.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// setting is a flag whose value is checked and kept by a function. Its kind stands in the help.
func (f *flags) setting(name, kind, about string, set func(string) error) {
	f.Var(value{kind: kind, set: set}, name, about)
}

type value struct {
	kind string
	set  func(string) error
}

func (v value) String() string        { return "" }
func (v value) Type() string          { return v.kind }
func (v value) Set(text string) error { return v.set(text) }

// choice is a setting with a few words to choose from.
func (f *flags) choice(flagName, envName, preset, about string, words ...string) *string {
	s := new(string)
	*s = preset
	set := func(text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("%q is none of %s", text, strings.Join(words, ", "))
		}
		*s = text
		return nil
	}
	f.fromEnv(envName, set)
	f.setting(flagName, "word", fmt.Sprintf("%s: %s (%s, default %s)", about, strings.Join(words, ", "), envName, preset), set)
	f.offer(flagName, words)
	return s
}

// oneOf is a flag with a few words to choose from, without a setting in the environment; "": it is not set.
func (f *flags) oneOf(name, about string, words []string) *string {
	if len(words) < 10 {
		about += ": " + orList(words)
	}
	return f.word(name, "word", about, words)
}

// channel is the flag --channel; "": it is not set.
func (f *flags) channel(about string) *string {
	return f.word("channel", "channel", about, channelNames())
}

func (f *flags) word(name, kind, about string, words []string) *string {
	s := new(string)
	f.setting(name, kind, about, func(text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("unknown %s%s", name, expectedOr(text, words))
		}
		*s = text
		return nil
	})
	f.offer(name, words)
	return s
}

// time is a flag with an instant: a date, a time, or how long ago; zero: it is not set.
func (f *flags) time(name, about string) *time.Time {
	at := new(time.Time)
	f.setting(name, "time", about+": a date, a time, or 2h, 7d back", func(text string) (err error) {
		*at, err = admin.ReadTime(text, time.Now())
		return err
	})
	return at
}

// offer has the shell complete the values of a flag.
func (f *flags) offer(flagName string, words []string) {
	if f.command != nil {
		_ = f.command.RegisterFlagCompletionFunc(flagName, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

// environment is a name, as the CHECK of webhook.settings has it. It stays nil where it is not set.
func (f *flags) environment(name **string) {
	set := func(text string) error {
		if !regexp.MustCompile(`^[[:graph:]]{1,100}$`).MatchString(text) {
			return fmt.Errorf("%q is no name of one word, such as production", text)
		}
		*name = &text
		return nil
	}
	f.fromEnv("WEBHOOK_ENVIRONMENT", set)
	f.setting("environment", "name", "nothing is delivered unless it is that of webhook.settings.environment (WEBHOOK_ENVIRONMENT, default none)", set)
}

func (f *flags) fromEnv(name string, set func(string) error) {
	if text := f.env(name); text != "" {
		if err := set(text); err != nil {
			f.errs = append(f.errs, fmt.Errorf("%s: %w", name, err))
		}
	}
}
