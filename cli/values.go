package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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
	f.Func(flagName, fmt.Sprintf("%s (%s, default %s)", about, envName, preset), set)
	return d
}

// sizes are the units of a setting in bytes, the longest first.
var sizes = []struct {
	unit  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

// bytes is a setting like 512KiB or 32MiB that must be above zero.
func (f *flags) bytes(flagName, envName, preset, about string) *int64 {
	size := new(int64)
	set := func(text string) error {
		for _, s := range sizes {
			number, ok := strings.CutSuffix(text, s.unit)
			if !ok {
				continue
			}
			if v, err := strconv.ParseInt(number, 10, 32); err == nil && v > 0 {
				*size = v * s.bytes
				return nil
			}
			break
		}
		return fmt.Errorf("%q is no size above zero, such as 65536, 512KiB, 32MiB or 1GiB", text)
	}
	_ = set(preset) // our own
	f.fromEnv(envName, set)
	f.Func(flagName, fmt.Sprintf("%s (%s, default %s)", about, envName, preset), set)
	return size
}

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
	f.Func(flagName, fmt.Sprintf("%s: %s (%s, default %s)", about, strings.Join(words, ", "), envName, preset), set)
	return s
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
	f.Func("environment", "nothing is delivered unless it is that of webhook.settings.environment (WEBHOOK_ENVIRONMENT, default none)", set)
}

func (f *flags) fromEnv(name string, set func(string) error) {
	if text := f.env(name); text != "" {
		if err := set(text); err != nil {
			f.errs = append(f.errs, fmt.Errorf("%s: %w", name, err))
		}
	}
}
