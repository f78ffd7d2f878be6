package integration_test

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startMeasured runs a worker that serves its metrics, and returns their address.
func startMeasured(t testing.TB, env settings, args ...string) (w *worker, address string) {
	t.Helper()
	env["WEBHOOK_METRICS_LISTEN"] = "127.0.0.1:0"
	w = startWorker(t, env, args...)
	address = w.metricsAddress(t)
	return w, address
}

var metricsStarted = regexp.MustCompile(`"metrics started","address":"([^"]+)"`)

func (w *worker) metricsAddress(t testing.TB) (address string) {
	t.Helper()
	eventually(t, "the worker says where its metrics are", func() bool {
		found := metricsStarted.FindStringSubmatch(w.log.String())
		if found != nil {
			address = "http://" + found[1]
		}
		return found != nil
	})
	return address
}

// get is an answer of the listener.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// getAs is the status of an answer to a request that names a host; "": the address.
func getAs(t testing.TB, url, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// scrape is one scrape: values by series, such as webhook_pending{channel="contacts"}.
type scrape map[string]float64

func scraped(t testing.TB, address string) scrape {
	t.Helper()
	status, body := get(t, address+"/metrics")
	if status != 200 {
		t.Fatalf("/metrics answers %d: %s", status, body)
	}
	all := scrape{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			value, err := strconv.ParseFloat(line[i+1:], 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			all[line[:i]] = value
		}
	}
	return all
}

func (s scrape) expect(t testing.TB, want scrape) {
	t.Helper()
	for series, value := range want {
		if got, ok := s[series]; !ok || got != value {
			t.Errorf("%s is %v (%v), want %v", series, got, ok, value)
		}
	}
}

// attempts is a series of webhook_attempts_total.
func attempts(channel, outcome, failure string) string {
	return `webhook_attempts_total{channel="` + channel + `",failure="` + failure + `",outcome="` + outcome + `"}`
}

func of(name, channel string) string { return name + `{channel="` + channel + `"}` }

// TestMetrics_NamesAndLabelsAreThosePromised: the real binary, under traffic with failures. Every series
// of the program has the labels of its name and no others, and the values are those of the database.
func TestMetrics_NamesAndLabelsAreThosePromised(t *testing.T) {
	t.Parallel()
	demand := regexp.MustCompile(`answer (\d+)`)
	rcv := newReceiver(t, func(r receipt) int {
		if found := demand.FindStringSubmatch(r.body); found != nil {
			status, _ := strconv.Atoi(found[1])
			return status
		}
		return 200
	})
	db := ready(t, rcv.URL)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim'`)
	db.exec(`update webhook.channels set enabled = false where name = 'folders'`)
	db.exec(`update webhook.channels set url = null where name = 'cases'`)
	db.publish("case.created", `{}`) // waits
	for range 3 {
		db.publish("contact.created", `{}`)
	}
	db.publish("contact.created", `{"name": "answer 404"}`)
	db.publish("audit.log", `{"details": "answer 503"}`)
	db.publish("document.exported", `{"id": 1, "status": "Export", "custom_01": "answer 500"}`)
	db.publish("document.exported", `{"id": 2, "status": "Export"}`)
	db.exec(`select webhook.send_test('rules')`)
	_, address := startMeasured(t, quick(db.address))
	eventually(t, "everything was attempted, and the database read since", func() bool {
		s := scraped(t, address)
		return s[attempts("documents", "retry", "server_error")] >= 1 && s[attempts("contacts", "failed", "rejected")] == 1 && s[attempts("audit_log", "failed", "server_error")] == 1 &&
			s[attempts("documents", "sent", "")] == 1 && s[attempts("contacts", "sent", "")] == 3 && s[attempts("rules", "sent", "")] == 1 &&
			s[of("webhook_channel_last_success_timestamp_seconds", "contacts")] > 0 && s[of("webhook_channel_failing_since_timestamp_seconds", "audit_log")] > 0
	})
	s := scraped(t, address)
	s.expect(t, scrape{
		of("webhook_delivery_latency_seconds_count", "contacts"):         3,
		of("webhook_delivery_latency_seconds_count", "documents"):        1,
		of("webhook_delivery_latency_seconds_count", "audit_log"):        0,
		of("webhook_attempt_duration_seconds_count", "contacts"):         4,
		of("webhook_attempt_duration_seconds_count", "rules"):            1,
		of("webhook_in_flight", "contacts"):                              0,
		of("webhook_pending", "contacts"):                                0,
		of("webhook_pending", "cases"):                                   1,
		of("webhook_overdue", "cases"):                                   0, // it cannot be called
		of("webhook_channel_enabled", "contacts"):                        1,
		of("webhook_channel_enabled", "folders"):                         0,
		of("webhook_channel_misconfigured", "contacts"):                  0,
		of("webhook_channel_misconfigured", "cases"):                     1,
		of("webhook_channel_failing_since_timestamp_seconds", "folders"): 0,
		of("webhook_channel_last_success_timestamp_seconds", "folders"):  0,
		"webhook_offline_mode":                                           0,
		"webhook_leases_expired_total":                                   0,
		"webhook_log_lines_dropped_total":                                0,
	})
	now := float64(time.Now().Unix())
	for _, timestamp := range []string{"webhook_poll_last_success_timestamp_seconds", "webhook_database_read_timestamp_seconds",
		of("webhook_channel_last_success_timestamp_seconds", "contacts"), of("webhook_channel_failing_since_timestamp_seconds", "audit_log")} {
		if ago := now - s[timestamp]; ago < -60 || ago > 600 {
			t.Errorf("%s is %.0f s ago", timestamp, ago)
		}
	}
	if s[of("webhook_oldest_pending_seconds", "cases")] <= 0 {
		t.Error("what waits has no age")
	}
	checkLabels(t, s)
	for series := range s {
		for _, secret := range []string{"geheim", "127.0.0.1"} {
			if strings.Contains(series, secret) {
				t.Errorf("%s contains %q", series, secret)
			}
		}
	}
	eventually(t, "what the latency counts is what the tally does", func() bool {
		return db.ask(`select string_agg(format('%s %s', channel, n), ', ' order by channel) from (select channel, sum(events) as n from webhook.tally where latency > 0 group by 1) x`) == "contacts 3, documents 1"
	})
}

// promised are the names that are used from outside, with their labels.
var promised = map[string]string{
	"webhook_attempts_total":                           "channel,failure,outcome",
	"webhook_attempt_duration_seconds":                 "channel",
	"webhook_delivery_latency_seconds":                 "channel",
	"webhook_pending":                                  "channel",
	"webhook_oldest_pending_seconds":                   "channel",
	"webhook_overdue":                                  "channel",
	"webhook_in_flight":                                "channel",
	"webhook_channel_enabled":                          "channel",
	"webhook_channel_misconfigured":                    "channel",
	"webhook_channel_failing_since_timestamp_seconds":  "channel",
	"webhook_channel_last_success_timestamp_seconds":   "channel",
	"webhook_offline_mode":                             "",
	"webhook_leases_expired_total":                     "",
	"webhook_poll_last_success_timestamp_seconds":      "",
	"webhook_log_lines_dropped_total":                  "",
	"webhook_tls_certificate_expiry_timestamp_seconds": "channel",
	"webhook_database_oldest_transaction_seconds":      "",
	"webhook_build_info":                               "goversion,version",
	"webhook_database_read_timestamp_seconds":          "",
	"go_sql_in_use_connections":                        "db_name",
	"go_goroutines":                                    "",
	"process_open_fds":                                 "",
}

var label = regexp.MustCompile(`(\w+)="`)

func checkLabels(t *testing.T, s scrape) {
	t.Helper()
	seen := map[string]bool{}
	for series := range s {
		name, labels, _ := strings.Cut(series, "{")
		name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		var names []string
		for _, l := range label.FindAllStringSubmatch(labels, -1) {
			if l[1] != "le" {
				names = append(names, l[1])
			}
		}
		want, known := promised[name]
		if got := strings.Join(names, ","); known && got != want {
			t.Errorf("%s has the labels %s, want %s", series, got, want)
		}
		if !known && strings.HasPrefix(name, "webhook_") {
			t.Errorf("%s is not promised", name)
		}
		seen[name] = true
	}
	for name := range promised {
		if !seen[name] && name != "webhook_tls_certificate_expiry_timestamp_seconds" { // where none was seen there is none
			t.Errorf("%s is missing", name)
		}
	}
}
