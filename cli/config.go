package cli

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/store"
)

// The settings of the environment. Each has a flag of the same name where a
// command uses it: WEBHOOK_POLL_INTERVAL is --poll-interval.
var environment = []struct{ name, about string }{
	{"DATABASE_URL", "PostgreSQL, as a lib/pq URL or key=value DSN; or DATABASE_URL_FILE, a file that holds it"},
	{"WEBHOOK_POLL_INTERVAL", "how often an idle worker looks for events (20ms)"},
	{"WEBHOOK_TIMEOUT", "the longest attempt, from name look-up to the last byte read (30s)"},
	{"WEBHOOK_LEASE", "how long a claim lasts; at least 2 × WEBHOOK_TIMEOUT + 1s (90s)"},
	{"WEBHOOK_LANE_BYTES", "how many bytes of facts a channel's events under way may hold, such as 512KiB or 32MiB (32MiB)"},
	{"WEBHOOK_ALLOW_NETWORKS", "CIDRs that may be called although loopback, private or reserved (none)"},
	{"WEBHOOK_RETENTION", "how long finished events are kept (720h)"},
	{"WEBHOOK_LOG_LEVEL", "debug, info, warn or error (info)"},
	{"WEBHOOK_LOG_FORMAT", "json, or console (console on a terminal, else json)"},
}

// flags are the flags of one command, each with its default from the environment.
type flags struct {
	*flag.FlagSet
	p    Process
	args string   // how the arguments are written in the help
	rest []string // the arguments, once parsed
	errs []error  // what is malformed in the environment
}

func newFlags(p Process, command, args string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(command, flag.ContinueOnError), p: p, args: args}
	f.SetOutput(p.Stdout)
	f.Usage = func() {
		fmt.Fprintf(p.Stdout, "usage: webhooks %s [flags] %s\n", command, args)
		f.PrintDefaults()
	}
	return f
}

// parse reads the flags, which may stand before or after the arguments, and
// requires a number of arguments.
func (f *flags) parse(args []string, arguments int) error {
	f.SetOutput(discard{}) // the error says it all
	var rest []string
	for {
		if err := f.FlagSet.Parse(args); errors.Is(err, flag.ErrHelp) {
			f.SetOutput(f.p.Stdout)
			f.Usage()
			return err
		} else if err != nil {
			return usagef("%s: %v", f.Name(), err)
		}
		if args = f.FlagSet.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if err := errors.Join(f.errs...); err != nil {
		return usageError{err.Error()}
	}
	switch {
	case len(rest) > arguments:
		return usagef("%s: unexpected argument %q", f.Name(), rest[arguments])
	case len(rest) < arguments:
		return usagef("%s: expected %s; see webhooks %s --help", f.Name(), f.args, f.Name())
	}
	f.rest = rest
	return nil
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// env is a setting of the environment; "" where it is not set or empty.
func (f *flags) env(name string) string {
	for _, kv := range f.p.Environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// secret is a setting that may also stand in a file, named by NAME_FILE.
func (f *flags) secret(name string) string {
	path := f.env(name + "_FILE")
	if path == "" {
		return f.env(name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("%s_FILE: %w", name, err))
	}
	return strings.TrimSpace(string(text))
}

// longest is ten years: sums of durations below it never overflow.
const longest = 10 * 365 * 24 * time.Hour

// duration is a setting like 20ms, 30s or 720h that must be above zero.
func (f *flags) duration(flagName, envName string, preset time.Duration, about string) *time.Duration {
	d := new(time.Duration)
	*d = preset
	set := func(text string) error {
		v, err := time.ParseDuration(text)
		if err != nil || v <= 0 || v > longest {
			return fmt.Errorf("%q is no duration above zero and of at most ten years, such as 20ms, 30s or 720h", text)
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

func (f *flags) fromEnv(name string, set func(string) error) {
	if text := f.env(name); text != "" {
		if err := set(text); err != nil {
			f.errs = append(f.errs, fmt.Errorf("%s: %w", name, err))
		}
	}
}

// database is the DSN, which every command that needs one must have.
func (f *flags) database() *string {
	return f.FlagSet.String("database-url", "", "PostgreSQL, as a lib/pq URL or DSN (DATABASE_URL; better there or in DATABASE_URL_FILE, since others can see flags)")
}

// open prepares the database of the flag, or of the environment.
func (f *flags) open(flagValue string) (*sqlx.DB, error) {
	dsn := flagValue
	if dsn == "" {
		dsn = f.secret("DATABASE_URL")
	}
	if err := errors.Join(f.errs...); err != nil {
		return nil, usageError{err.Error()}
	}
	if dsn == "" {
		return nil, usagef("%s: DATABASE_URL is not set; for example DATABASE_URL=postgres://user:password@localhost/recordengine?sslmode=disable", f.Name())
	}
	db, err := store.Open(dsn)
	if err != nil {
		return nil, usagef("DATABASE_URL: %v", err)
	}
	return db, nil
}

// unknownSettings are WEBHOOK_ variables that mean nothing to this program. They
// are worth a warning and no more: Kubernetes sets some by itself.
func (f *flags) unknownSettings() []string {
	var unknown []string
	for _, kv := range f.p.Environ {
		name, _, _ := strings.Cut(kv, "=")
		known := slices.ContainsFunc(environment, func(s struct{ name, about string }) bool { return s.name == name })
		if strings.HasPrefix(name, "WEBHOOK_") && !known {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// workerConfig are the settings of `webhooks run`.
type workerConfig struct {
	pollInterval, timeout, lease, retention *time.Duration
	laneBytes                               *int64
	logLevel, logFormat                     *string
	networks                                networks
}

func (f *flags) worker() *workerConfig {
	c := &workerConfig{
		pollInterval: f.duration("poll-interval", "WEBHOOK_POLL_INTERVAL", 20*time.Millisecond, "how often an idle worker looks"),
		timeout:      f.duration("timeout", "WEBHOOK_TIMEOUT", 30*time.Second, "the longest attempt"),
		lease:        f.duration("lease", "WEBHOOK_LEASE", 90*time.Second, "how long a claim lasts"),
		retention:    f.duration("retention", "WEBHOOK_RETENTION", 720*time.Hour, "how long finished events are kept"),
		laneBytes:    f.bytes("lane-bytes", "WEBHOOK_LANE_BYTES", "32MiB", "how many bytes of facts a channel's events under way may hold"),
		logLevel:     f.choice("log-level", "WEBHOOK_LOG_LEVEL", "info", "what is logged", "debug", "info", "warn", "error"),
		logFormat:    f.choice("log-format", "WEBHOOK_LOG_FORMAT", presetFormat(f.p.Stderr), "how it is logged", "json", "console"),
	}
	f.fromEnv("WEBHOOK_ALLOW_NETWORKS", c.networks.set)
	f.Func("allow-networks", "CIDRs that may be called although loopback, private or reserved (WEBHOOK_ALLOW_NETWORKS)", c.networks.set)
	return c
}

// check holds the settings against each other.
func (c *workerConfig) check() error {
	if least := 2**c.timeout + time.Second; *c.lease < least {
		return usagef("WEBHOOK_LEASE: %s is too short for WEBHOOK_TIMEOUT %s: at least %s (twice the timeout and a second)", *c.lease, *c.timeout, least)
	}
	return nil
}
