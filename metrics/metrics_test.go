package metrics

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

func newTestMetrics() *Metrics {
	return New(Options{Version: "1.2.3", DroppedLines: func() int64 { return 7 }, PollWithin: 30 * time.Second})
}

// values are the series of one scrape, by name and the values of their labels, with one space between
// them; of a histogram only the sum and the count.
func values(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(scrape(t, m)) {
		series, text, ok := cutLast(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil && !strings.HasPrefix(line, "#") {
			name, labels, _ := strings.Cut(series, "{")
			for _, l := range labelValue.FindAllStringSubmatch(labels, -1) {
				name += " " + l[1]
			}
			all[name] = value
		}
	}
	return all
}

var labelValue = regexp.MustCompile(`="([^"]*)"`)

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	status, body := get(t, m, "/metrics")
	if status != 200 {
		t.Fatalf("%d: %s", status, body)
	}
	return body
}

func get(t testing.TB, m *Metrics, path string) (int, string) {
	answer := httptest.NewRecorder()
	m.Handler(false).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer.Code, strings.TrimSpace(answer.Body.String())
}

func expect(t *testing.T, m *Metrics, want map[string]float64) {
	t.Helper()
	got := values(t, m)
	for key, value := range want {
		if v, ok := got[key]; math.IsNaN(value) && ok || !math.IsNaN(value) && (!ok || math.Abs(v-value) > 1e-6) {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, value)
		}
	}
}

var absent = math.NaN()

func TestMetrics_EachSeriesExistsBeforeTheFirstEvent(t *testing.T) {
	m := newTestMetrics()
	for _, c := range outbox.Channels() {
		want := map[string]float64{
			"webhook_attempts_total " + c.Name + "  sent":              0,
			"webhook_delivery_latency_seconds_count " + c.Name:         0,
			"webhook_attempt_duration_seconds_count " + c.Name:         0,
			"webhook_attempts_total " + c.Name + " interrupted failed": 0,
		}
		for _, f := range outbox.Failures() {
			want["webhook_attempts_total "+c.Name+" "+string(f)+" failed"] = 0
			want["webhook_attempts_total "+c.Name+" "+string(f)+" retry"] = 0
		}
		expect(t, m, want)
	}
	expect(t, m, map[string]float64{"webhook_log_lines_dropped_total": 7, "webhook_leases_expired_total": 0,
		"webhook_poll_last_success_timestamp_seconds": 0, "webhook_database_read_timestamp_seconds": 0, "webhook_offline_mode": absent})
}

// What is counted of an outcome depends on its verdict, on whether a POST was begun, and on whether it is
// the first attempt of an event.
func TestMetrics_CountOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestMetrics()
		since := time.Now()
		time.Sleep(2 * time.Second)
		posted := outbox.Result{Took: 250 * time.Millisecond}
		failed := outbox.Result{Took: time.Second, Failure: outbox.FailureTimeout}
		m.Recorded([]outbox.Outcome{
			{Channel: "contacts", Verdict: outbox.Sent, Result: posted, First: true, DueSince: since},
			{Channel: "contacts", Verdict: outbox.Sent, Result: posted, DueSince: since},
			{Channel: "contacts", Verdict: outbox.Failed, Result: failed, First: true, DueSince: since},
			{Channel: "documents", Verdict: outbox.Retry, Result: outbox.Result{Failure: outbox.FailureConfig}, First: true, DueSince: since},
			{Channel: "documents", Verdict: outbox.Released, Result: posted, First: true, DueSince: since},
			{Channel: "of a newer schema", Verdict: outbox.Sent, Result: posted, First: true, DueSince: since},
		})
		m.Expired([]outbox.ExpiredLeases{{Channel: "contacts", Events: 2}, {Channel: "documents", AtLeastOnce: true, Events: 3}, {Channel: "of a newer schema", Events: 1}})
		m.Polled()
		expect(t, m, map[string]float64{
			"webhook_attempts_total contacts  sent":              2,
			"webhook_attempts_total contacts timeout failed":     1,
			"webhook_attempts_total contacts interrupted failed": 2,
			"webhook_attempts_total documents config retry":      1,
			"webhook_attempts_total documents interrupted retry": 3,
			"webhook_attempts_total documents  sent":             0,
			"webhook_attempt_duration_seconds_count contacts":    3,
			"webhook_attempt_duration_seconds_sum contacts":      1.5,
			"webhook_attempt_duration_seconds_count documents":   0,
			"webhook_delivery_latency_seconds_count contacts":    1,
			"webhook_delivery_latency_seconds_sum contacts":      2,
			"webhook_delivery_latency_seconds_count documents":   0,
			"webhook_leases_expired_total":                       6,
			"webhook_poll_last_success_timestamp_seconds":        float64(time.Now().Unix()),
		})
	})
}

type source func() (State, error)

func (s source) State(context.Context) (State, error) { return s() }

// Values of the database are served for a minute after they were read, and then left out: the time of the
// read stays. A read that fails changes nothing.
func TestDatabase_ValuesAreServedUntilTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestMetrics()
		at := time.Now()
		state := State{OfflineMode: true, OldestTransaction: 90 * time.Second, Channels: []ChannelState{
			{Name: "contacts", Enabled: true, Misconfigured: true, FailingSince: &at, LastSuccess: &at, CertificateEnds: &at,
				Waiting: &Waiting{Pending: 5, Overdue: 3, Oldest: time.Hour}},
			{Name: "folders"},
		}}
		if err := m.Read(t.Context(), source(func() (State, error) { return state, nil })); err != nil {
			t.Fatal(err)
		}
		read := float64(at.Unix())
		fresh := map[string]float64{
			"webhook_database_read_timestamp_seconds": read, "webhook_offline_mode": 1, "webhook_database_oldest_transaction_seconds": 90,
			"webhook_channel_enabled contacts": 1, "webhook_channel_misconfigured contacts": 1, "webhook_pending contacts": 5,
			"webhook_overdue contacts": 3, "webhook_oldest_pending_seconds contacts": 3600,
			"webhook_channel_failing_since_timestamp_seconds contacts": read, "webhook_channel_last_success_timestamp_seconds contacts": read,
			"webhook_tls_certificate_expiry_timestamp_seconds contacts": read,
			"webhook_channel_enabled folders":                           0, "webhook_pending folders": absent, // it was not counted
			"webhook_channel_failing_since_timestamp_seconds folders": 0, "webhook_tls_certificate_expiry_timestamp_seconds folders": absent,
		}
		expect(t, m, fresh)
		time.Sleep(freshFor)
		if err := m.Read(t.Context(), source(func() (State, error) { return State{}, errors.New("EOF") })); err == nil {
			t.Error("the error of a read is lost")
		}
		expect(t, m, fresh)
		time.Sleep(time.Second)
		for key := range fresh {
			fresh[key] = absent
		}
		fresh["webhook_database_read_timestamp_seconds"] = read
		expect(t, m, fresh)
	})
}

// Ready: no reason against it, and a poll that has succeeded lately. All reasons are named.
func TestReady_SaysWhyItIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestMetrics()
		for _, step := range []struct {
			do   func()
			want string
		}{
			{func() {}, "not ready: no poll of the database has succeeded yet"},
			{m.Polled, "ok"},
			{func() { time.Sleep(30 * time.Second) }, "ok"},
			{func() { time.Sleep(time.Second) }, "not ready: the last poll of the database succeeded 31s ago"},
			{func() { m.NotReady("worker", "a key is missing"); m.NotReady("stop", "stopping") }, "not ready: stopping; a key is missing"},
			{func() { m.NotReady("stop", ""); m.NotReady("worker", ""); m.Polled() }, "ok"},
		} {
			step.do()
			status, text := get(t, m, "/readyz")
			if ready := step.want == "ok"; text != step.want || ready != (status == 200) || !ready && status != 503 {
				t.Errorf("/readyz answers %d %s, want %s", status, text, step.want)
			}
			if status, text := get(t, m, "/livez"); status != 200 || text != "ok" {
				t.Errorf("/livez answers %d %s", status, text)
			}
		}
	})
}

func BenchmarkRecorded(b *testing.B) {
	m := newTestMetrics()
	batch := make([]outbox.Outcome, 100)
	for i := range batch {
		batch[i] = outbox.Outcome{Channel: outbox.Channels()[i%7].Name, Verdict: outbox.Sent, First: true, DueSince: time.Now(), Result: outbox.Result{Took: time.Millisecond}}
	}
	for b.Loop() {
		m.Recorded(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/event")
}
