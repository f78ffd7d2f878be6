package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/sender"
)

// workerRow is a worker that runs, with what it has written of its settings.
type workerRow struct {
	Name, Version string
	Environment   *string
	Shown         json.RawMessage
	Settings      workerSettings `db:"-"`
}

// workerSettings is the part of webhook.workers.settings that matters for what is checked here.
type workerSettings struct {
	AllowNetworks     []string `json:"allow_networks"`
	CAFile            string   `json:"ca_file"`
	ClientCertificate bool     `json:"client_certificate"`
	Proxy             string   `json:"proxy"`
	Lease             string   `json:"lease"`
	Timeout           string   `json:"timeout"`
	Posts             int      `json:"posts"` // 0: any number
	Alerts            bool     `json:"alerts"`
}

// workers are those that run on this database, and the one that would run with these settings.
func (d *doctor) workers(ctx context.Context, cfg *workerConfig, canWork bool) (running []workerRow) {
	var state struct {
		Problems    pq.StringArray
		Hints       pq.StringArray
		Environment *string
		Slots       int
	}
	err := d.db.GetContext(ctx, &state, `
		select array(select problem from webhook.problems where kind = 'worker' order by problem) as problems,
		       array(select hint from webhook.problems where kind = 'worker' order by problem) as hints,
		       (select environment from webhook.settings) as environment,
		       (select coalesce(sum(max_in_flight) filter (where enabled), 0) from webhook.channels) as slots`)
	if err == nil {
		err = d.db.SelectContext(ctx, &running, `
			select name, version, environment, settings as shown from webhook.workers
			 where seen_at > clock_timestamp() - interval '1 minute' order by started_at`)
	}
	if err != nil {
		d.bad("workers", "%v", err)
		return nil
	}
	for i, problem := range state.Problems {
		d.bad("workers", "%s", problem)
		d.fix("%s", state.Hints[i])
	}
	for i := range running {
		_ = json.Unmarshal(running[i].Shown, &running[i].Settings) // of another version: what is not there is not compared
		d.worker(running[i], state.Slots)
	}
	switch {
	case len(running) > 0:
		d.ok("workers", "%d running", len(running))
		d.alike(running)
	case len(state.Problems) == 0:
		d.warn("workers", "none is running")
		d.fix("webhooks run")
	}
	if canWork && text(state.Environment) != text(cfg.environment) {
		d.bad("environment", "WEBHOOK_ENVIRONMENT is %s here, webhook.settings.environment is %s: a worker with these settings delivers nothing",
			orNotSet(cfg.environment), orNotSet(state.Environment))
		set := "unset WEBHOOK_ENVIRONMENT"
		if state.Environment != nil {
			set = "export WEBHOOK_ENVIRONMENT=" + visible(*state.Environment)
		}
		d.fix("leave a copy of another database as it is; else: %s", set)
	}
	return running
}

// worker judges one of those that run.
func (d *doctor) worker(w workerRow, slots int) {
	if posts := w.Settings.Posts; posts > 0 && posts < slots {
		d.warn("workers", "%s may open files for %d POSTs at once, the channels that are on have %d slots: some events wait for a file", w.Name, posts, slots)
		d.fix("LimitNOFILE=4096 in its systemd unit, or ulimit -n 4096, then restart it")
	}
}

// alike compares the workers with each other: all should run with the same settings.
func (d *doctor) alike(running []workerRow) {
	differ := func(what string, of func(workerRow) string) {
		var values []string
		for _, w := range running {
			if v := of(w); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		if len(values) > 1 {
			d.warn("workers", "they run with different values of %s: %s", what, strings.Join(values, "; "))
			d.fix("give all of them the same, and restart them")
		}
	}
	differ("version", func(w workerRow) string { return w.Version })
	differ("WEBHOOK_LEASE", func(w workerRow) string { return w.Settings.Lease })
	differ("WEBHOOK_TIMEOUT", func(w workerRow) string { return w.Settings.Timeout })
	differ("WEBHOOK_ALLOW_NETWORKS", func(w workerRow) string { return orNone(strings.Join(w.Settings.AllowNetworks, ",")) })
	differ("WEBHOOK_CA_FILE", func(w workerRow) string { return orNone(w.Settings.CAFile) })
	differ("WEBHOOK_PROXY", func(w workerRow) string { return orNone(w.Settings.Proxy) })
}

func orNotSet(text *string) string {
	if text == nil {
		return "not set"
	}
	return *text
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// adopt judges the endpoints with the settings of the workers where this command has none of its own, and says
// what of them is not known here.
func (d *doctor) adopt(cfg *workerConfig, running []workerRow) {
	if len(running) == 0 {
		return
	}
	w := running[0]
	if networks := strings.Join(w.Settings.AllowNetworks, ","); networks != "" && len(cfg.networks) == 0 {
		if err := cfg.networks.set(networks); err == nil {
			d.ok("settings", "endpoints are judged with WEBHOOK_ALLOW_NETWORKS of the worker %s: %s", w.Name, networks)
		}
	} else if own := networkNames(cfg.networks); own != networks {
		d.warn("settings", "WEBHOOK_ALLOW_NETWORKS is %s here, and %s for the worker %s: what is said of endpoints may not hold for it", orNone(own), orNone(networks), w.Name)
	}
	if file := w.Settings.CAFile; file != "" && cfg.caFile == "" {
		if sender.CheckCAFile(file) == nil {
			cfg.caFile = caFile(file)
			d.ok("settings", "certificates are judged with WEBHOOK_CA_FILE of the worker %s: %s", w.Name, file)
		} else {
			d.unknown("settings", "the worker %s also trusts the authorities in %s, which cannot be read here: a certificate that is refused here may be good there", w.Name, file)
			d.fix("run this on the worker's machine, or set WEBHOOK_CA_FILE to a copy")
		}
	}
	if w.Settings.ClientCertificate && cfg.identity.certFile == "" {
		d.unknown("settings", "the worker %s offers a client certificate: an endpoint that requests one may refuse this command, and not the worker", w.Name)
		d.fix("set WEBHOOK_CLIENT_CERT_FILE and WEBHOOK_CLIENT_KEY_FILE as for the worker")
	}
	if w.Settings.Proxy != "" && cfg.proxy == nil {
		d.unknown("settings", "the worker %s reaches endpoints through the proxy %s, this command does not: what is said of endpoints may not hold for it", w.Name, w.Settings.Proxy)
		d.fix("set WEBHOOK_PROXY as for the worker")
	}
}

func networkNames(n networks) string {
	var names []string
	for _, prefix := range n {
		names = append(names, prefix.String())
	}
	return strings.Join(names, ",")
}
