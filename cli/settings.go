package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/recordengine/webhooks/atrest"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/temppg"
)

// The settings of the environment. Each has a flag of the same name where a
// command uses it: WEBHOOK_POLL_INTERVAL is --poll-interval.
var environment = []struct{ name, about string }{
	{"DATABASE_URL", "PostgreSQL, as a URL or key=value pairs; or DATABASE_URL_FILE, a file that holds it, read for each new connection"},
	{"WEBHOOK_DATABASES_FILE", "many databases instead: a file with a name and a URL on each line, read again when it changes (none)"},
	{"WEBHOOK_IDLE_POLL", "of many databases, how often an idle one is polled at least (1s)"},
	{"WEBHOOK_INSTANCES_AWAKE", "of many databases, how many deliver at once at most (32)"},
	{"WEBHOOK_POLL_INTERVAL", "how often a worker polls, a tenth of that while it notices new events between polls (20ms)"},
	{"WEBHOOK_TIMEOUT", "the longest attempt, from name look-up to the last byte read (30s)"},
	{"WEBHOOK_LEASE", "how long a claim lasts; at least 2 × WEBHOOK_TIMEOUT + 1s (90s)"},
	{"WEBHOOK_ALLOW_NETWORKS", "CIDRs that may be called although loopback, private or reserved (none)"},
	{"WEBHOOK_CA_FILE", "certificate authorities in PEM form, to trust besides the system's; read again when it changes (none)"},
	{"WEBHOOK_CLIENT_CERT_FILE", "the worker's certificate in PEM form, for receivers that request one; read again when it changes (none)"},
	{"WEBHOOK_CLIENT_KEY_FILE", "its key in PEM form (none)"},
	{"WEBHOOK_PROXY", "the egress proxy, http://[user:password@]host:port; or WEBHOOK_PROXY_FILE, a file that holds it (none)"},
	{"WEBHOOK_ENVIRONMENT", "nothing is delivered unless it is that of webhook.settings.environment (none)"},
	{"WEBHOOK_SECRET_KEY", "keys of 32 bytes in base64 that encrypt the token and the signing secrets in the database: the first encrypts, all decrypt; or WEBHOOK_SECRET_KEY_FILE (none)"},
	{"WEBHOOK_RETENTION", "how long finished events are kept (720h)"},
	{"WEBHOOK_METRICS_LISTEN", "where /metrics, /livez and /readyz are served; on a loopback address /debug/pprof/ as well (none)"},
	{"WEBHOOK_ADMIN_LISTEN", "where the page is served (127.0.0.1:8098)"},
	{"WEBHOOK_ADMIN_PASSWORD_HASH", "the page's password, as webhooks admin hash-password prints it; or WEBHOOK_ADMIN_PASSWORD_HASH_FILE (none)"},
	{"WEBHOOK_ADMIN_TRUST_USER_HEADER", "the header in which a proxy names the user; needs WEBHOOK_ADMIN_TRUSTED_PROXIES (none)"},
	{"WEBHOOK_ADMIN_TRUSTED_PROXIES", "CIDRs of the proxies of which that header counts (none)"},
	{"WEBHOOK_ADMIN_HOSTS", "the host names to which the page answers (on a loopback address: its names, else all)"},
	{"WEBHOOK_ADMIN_BASE_PATH", "where a proxy has put the page, such as /webhooks (none)"},
	{"WEBHOOK_ADMIN_READ_ONLY", "true: the page shows, and changes nothing (false)"},
	{"WEBHOOK_ADMIN_DATABASE_URL", "the database of the page where its role is another one than the worker's; or WEBHOOK_ADMIN_DATABASE_URL_FILE (DATABASE_URL)"},
	{"WEBHOOK_ADMIN_URL", "where people find the page, for the links of alerts, such as https://webhooks.example.com (none)"},
	{"WEBHOOK_ALERT_URL", "where alerts are posted; or WEBHOOK_ALERT_URL_FILE, a file that holds it (none)"},
	{"WEBHOOK_ALERT_INTERVAL", "at most one alert of a kind and channel in it (15m)"},
	{"WEBHOOK_LOG_LEVEL", "debug, info, warn or error (info)"},
	{"WEBHOOK_LOG_FORMAT", "json, or console (console on a terminal, else json)"},
	{temppg.MirrorVariable, "of webhooks demo: the mirror of Maven Central that PostgreSQL is downloaded from (none)"},
}

func settingNames() (names []string) {
	for _, s := range environment {
		names = append(names, s.name)
	}
	return names
}

// unknownSettings are WEBHOOK_ variables that this program does not have. They are
// worth a warning and no more: Kubernetes sets some by itself.
func (f *flags) unknownSettings() []string {
	var unknown []string
	for _, kv := range f.p.Environ {
		name, _, _ := strings.Cut(kv, "=")
		known := slices.ContainsFunc(environment, func(s struct{ name, about string }) bool {
			return s.name == name || strings.HasSuffix(name, "_FILE") && strings.Contains(s.about, name)
		})
		if strings.HasPrefix(name, "WEBHOOK_") && !known {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// workerConfig are the settings of `webhooks run`.
type workerConfig struct {
	pollInterval, timeout, lease, retention *time.Duration
	environment                             *string // nil: none
	logLevel, logFormat                     *string
	networks                                networks
	caFile                                  caFile
	keys                                    *atrest.Keys // nil: none
	identity                                identity
	proxy                                   *sender.Proxy // nil: none
	alerts                                  alertConfig
	metrics                                 *string // where they are served; "": nowhere
	many                                    manyConfig
	files                                   uint64 // open files that the page beside it and the metrics may need
}

func (f *flags) worker() *workerConfig {
	c := &workerConfig{
		pollInterval: f.duration("poll-interval", "WEBHOOK_POLL_INTERVAL", 20*time.Millisecond, "how often a worker polls, a tenth of that while it notices new events between polls"),
		timeout:      f.duration("timeout", "WEBHOOK_TIMEOUT", 30*time.Second, "the longest attempt"),
		lease:        f.duration("lease", "WEBHOOK_LEASE", 90*time.Second, "how long a claim lasts"),
		retention:    f.duration("retention", "WEBHOOK_RETENTION", 720*time.Hour, "how long finished events are kept"),
		logLevel:     f.choice("log-level", "WEBHOOK_LOG_LEVEL", "info", "what is logged", "debug", "info", "warn", "error"),
		logFormat:    f.logFormat(),
	}
	f.environment(&c.environment)
	c.metrics = f.metricsAddress()
	c.keys = f.secretKeys()
	f.many(&c.many)
	f.fromEnv("WEBHOOK_ALLOW_NETWORKS", c.networks.set)
	f.fromEnv("WEBHOOK_CA_FILE", c.caFile.set)
	f.identity(&c.identity)
	f.proxy(&c.proxy)
	f.alerts(&c.alerts)
	f.setting("ca-file", "file", "certificate authorities to trust besides the system's (WEBHOOK_CA_FILE)", c.caFile.set)
	f.setting("allow-networks", "cidrs", "CIDRs that may be called although loopback, private or reserved (WEBHOOK_ALLOW_NETWORKS)", c.networks.set)
	return c
}

// check compares the settings with each other.
func (c *workerConfig) check() error {
	if least := 2**c.timeout + time.Second; *c.lease < least {
		return usagef("WEBHOOK_LEASE: %s is too short for WEBHOOK_TIMEOUT %s: at least %s (twice the timeout and a second)", *c.lease, *c.timeout, least)
	}
	return c.identity.check()
}
