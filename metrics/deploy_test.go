package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// promtool is the program that parses and tests what deploy/ has for Prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	switch {
	case err != nil && os.Getenv("WEBHOOK_TEST_PROMTOOL") == "required":
		t.Fatal("promtool is missing: apt-get install prometheus")
	case err != nil:
		t.Skip("NOT TESTED, promtool is missing: apt-get install prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestDeploy_AlertsFireWhenTheyShould: on series of what they are for, and of what they are not for.
func TestDeploy_AlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "test", "rules", "../deploy/prometheus/webhooks.test.yml")
	tests := file(t, "../deploy/prometheus/webhooks.test.yml")
	for _, alert := range alerts(t) {
		if !strings.Contains(tests, "- alertname: "+alert+"\n") || !strings.Contains(tests, "- {alertname: "+alert+",") {
			t.Errorf("%s is not tested, both firing and not", alert)
		}
	}
}

// TestDeploy_EachAlertHasItsRunbook: a summary, a description, and a heading of docs/runbook.md.
func TestDeploy_EachAlertHasItsRunbook(t *testing.T) {
	rules, runbook := file(t, "../deploy/prometheus/webhooks.rules.yml"), file(t, "../docs/runbook.md")
	for _, text := range strings.Split(rules, "- alert: ")[1:] {
		alert, _, _ := strings.Cut(text, "\n")
		for _, part := range []string{"severity: ", "summary: ", "description: ", "/docs/runbook.md#" + strings.ToLower(alert) + "\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %q", alert, part)
			}
		}
		if strings.Count(runbook, "\n## "+alert+"\n") != 1 {
			t.Errorf("docs/runbook.md has no heading %s", alert)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (Webhook\w+)$`).FindAllStringSubmatch(runbook, -1) {
		if !slices.Contains(alerts(t), heading[1]) {
			t.Errorf("docs/runbook.md explains %s, which is no alert", heading[1])
		}
	}
}

func alerts(t *testing.T) (names []string) {
	for _, found := range regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllStringSubmatch(file(t, "../deploy/prometheus/webhooks.rules.yml"), -1) {
		names = append(names, found[1])
	}
	return names
}

// TestDeploy_QueriesAreOfWhatIsExported: each query of the dashboard parses, and it and those of the
// alerts name metrics that exist. Where three workers report one value of the database, it counts once.
func TestDeploy_QueriesAreOfWhatIsExported(t *testing.T) {
	dashboard := dashboardQueries(t)
	if len(dashboard) < 20 {
		t.Fatalf("the dashboard has %d queries", len(dashboard))
	}
	exported := exportedNames(t)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, query := range dashboard {
		fmt.Fprintf(&rules, "  - record: query:%d\n    expr: %q\n", i, query)
		checkQuery(t, exported, query)
	}
	for _, query := range alertQueries(t) {
		checkQuery(t, exported, query)
	}
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}

func dashboardQueries(t *testing.T) (queries []string) {
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(file(t, "../deploy/grafana/webhooks.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$channel", ".*", "$instance", ".*").Replace(target.Expr))
		}
	}
	return queries
}

func alertQueries(t *testing.T) (queries []string) {
	for _, text := range strings.Split(file(t, "../deploy/prometheus/webhooks.rules.yml"), "expr: ")[1:] {
		query, _, _ := strings.Cut(text, "labels:\n")
		query, _, _ = strings.Cut(query, "for: ")
		queries = append(queries, query)
	}
	return queries
}

// exportedNames are the names of the series, and whether they come from the database.
func exportedNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for name, help := range exportedHelp(t) {
		names[name] = strings.HasSuffix(help, ofDatabase)
	}
	return names
}

// exportedHelp is the help of each metric of a worker whose database has been read.
func exportedHelp(t *testing.T) map[string]string {
	m := newTestMetrics()
	at := time.Now()
	if err := m.Read(t.Context(), source(func() (State, error) {
		return State{Channels: []ChannelState{{Name: "contacts", CertificateEnds: &at, Waiting: &Waiting{}}}}, nil
	})); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"webhook_in_flight": "read from a dispatcher"}
	for _, found := range regexp.MustCompile(`(?m)^# HELP (\w+) (.*)$`).FindAllStringSubmatch(scrape(t, ofMany(t))+scrape(t, m), -1) {
		all[found[1]] = found[2]
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(webhook|go|process)_\w+`)
	suffix     = regexp.MustCompile(`_(bucket|count|sum)$`)
	aggregates = regexp.MustCompile(`\b(max|min|sum|count)( by \([^)]*\))? \($|\b(max|min|sum|count|absent)\($`)
)

// checkQuery: a value of the database is below max or min, a counter below sum.
func checkQuery(t *testing.T, exported map[string]bool, query string) {
	t.Helper()
	for _, at := range metricName.FindAllStringIndex(query, -1) {
		name := query[at[0]:at[1]]
		if strings.HasPrefix(name, "go_sql_") {
			continue // of database/sql, not of ours
		}
		fromDatabase, known := exported[name]
		if !known {
			fromDatabase, known = exported[suffix.ReplaceAllString(name, "")]
		}
		around := enclosing(query[:at[0]])
		switch {
		case !known:
			t.Errorf("%s is not exported: %s", name, query)
		case fromDatabase && !slices.ContainsFunc(around, func(name string) bool { return name == "max" || name == "min" || name == "absent" }):
			t.Errorf("%s is the same on every worker, and not below max(): %s", name, query)
		case strings.HasSuffix(name, "_total") && !slices.Contains(around, "sum"):
			t.Errorf("%s is counted by each worker, and not below sum(): %s", name, query)
		}
	}
}

// enclosing are the aggregations whose parenthesis is still open at the end of a text.
func enclosing(text string) (names []string) {
	var open []string
	for i, c := range text {
		switch c {
		case '(':
			name := ""
			if found := aggregates.FindStringSubmatch(text[:i+1]); found != nil {
				name = found[1] + found[3]
			}
			open = append(open, name)
		case ')':
			open = open[:len(open)-1]
		}
	}
	return open
}

// TestDocs_EveryMetricIsExplained: docs/metrics.md has a row for each metric of this program, and for no
// other.
func TestDocs_EveryMetricIsExplained(t *testing.T) {
	exported := exportedHelp(t)
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(webhook_\\w+)`").FindAllStringSubmatch(file(t, "../docs/metrics.md"), -1) {
		documented[row[1]] = true
	}
	for name := range exported {
		if strings.HasPrefix(name, "webhook_") && !documented[name] {
			t.Errorf("%s is not explained", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if exported[name] == "" {
			t.Errorf("%s is explained and does not exist", name)
		}
	}
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
