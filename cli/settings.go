package cli

import (
	"slices"
	"strings"
	"time"
)

// The settings of the environment. Each has a flag of the same name where a
// command uses it: WEBHOOK_POLL_INTERVAL is --poll-interval.
var environment = []struct{ name, about string }{
	{"DATABASE_URL", "PostgreSQL, as a URL or key=value pairs; or DATABASE_URL_FILE, a file that holds it, read for each new connection"},
	{"WEBHOOK_POLL_INTERVAL", "how often an idle worker polls (20ms)"},
	{"WEBHOOK_TIMEOUT", "the longest attempt, from name look-up to the last byte read (30s)"},
	{"WEBHOOK_LEASE", "how long a claim lasts; at least 2 × WEBHOOK_TIMEOUT + 1s (90s)"},
	{"WEBHOOK_LANE_BYTES", "how many bytes of data the events in flight of a channel may have, such as 512KiB or 32MiB (32MiB)"},
	{"WEBHOOK_ALLOW_NETWORKS", "CIDRs that may be called although loopback, private or reserved (none)"},
	{"WEBHOOK_CA_FILE", "certificate authorities in PEM form, to trust besides the system's; read again when it changes (none)"},
	{"WEBHOOK_ENVIRONMENT", "nothing is delivered unless it is that of webhook.settings.environment (none)"},
	{"WEBHOOK_RETENTION", "how long finished events are kept (720h)"},
	{"WEBHOOK_LOG_LEVEL", "debug, info, warn or error (info)"},
	{"WEBHOOK_LOG_FORMAT", "json, or console (console on a terminal, else json)"},
}

// unknownSettings are WEBHOOK_ variables that this program does not have. They are
// worth a warning and no more: Kubernetes sets some by itself.
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
	environment                             *string // nil: none
	logLevel, logFormat                     *string
	networks                                networks
	caFile                                  caFile
}

func (f *flags) worker() *workerConfig {
	c := &workerConfig{
		pollInterval: f.duration("poll-interval", "WEBHOOK_POLL_INTERVAL", 20*time.Millisecond, "how often an idle worker polls"),
		timeout:      f.duration("timeout", "WEBHOOK_TIMEOUT", 30*time.Second, "the longest attempt"),
		lease:        f.duration("lease", "WEBHOOK_LEASE", 90*time.Second, "how long a claim lasts"),
		retention:    f.duration("retention", "WEBHOOK_RETENTION", 720*time.Hour, "how long finished events are kept"),
		laneBytes:    f.bytes("lane-bytes", "WEBHOOK_LANE_BYTES", "32MiB", "how many bytes of data the events in flight of a channel may have"),
		logLevel:     f.choice("log-level", "WEBHOOK_LOG_LEVEL", "info", "what is logged", "debug", "info", "warn", "error"),
		logFormat:    f.choice("log-format", "WEBHOOK_LOG_FORMAT", presetFormat(f.p.Stderr), "how it is logged", "json", "console"),
	}
	f.environment(&c.environment)
	f.fromEnv("WEBHOOK_ALLOW_NETWORKS", c.networks.set)
	f.fromEnv("WEBHOOK_CA_FILE", c.caFile.set)
	f.Func("ca-file", "certificate authorities to trust besides the system's (WEBHOOK_CA_FILE)", c.caFile.set)
	f.Func("allow-networks", "CIDRs that may be called although loopback, private or reserved (WEBHOOK_ALLOW_NETWORKS)", c.networks.set)
	return c
}

// check compares the settings with each other.
func (c *workerConfig) check() error {
	if least := 2**c.timeout + time.Second; *c.lease < least {
		return usagef("WEBHOOK_LEASE: %s is too short for WEBHOOK_TIMEOUT %s: at least %s (twice the timeout and a second)", *c.lease, *c.timeout, least)
	}
	return nil
}
