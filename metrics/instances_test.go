package metrics

import (
	"strings"
	"testing"

	"github.com/recordengine/webhooks/outbox"
)

// ofMany are the metrics of a process that serves two instances, one of which is unavailable.
func ofMany(t *testing.T) *Metrics {
	m := New(Options{DroppedLines: func() int64 { return 0 }, Instances: func(visit func(InstanceState)) {
		visit(InstanceState{Name: "alpha", State: "awake", InFlight: 3})
		visit(InstanceState{Name: "beta", State: "unavailable"})
	}})
	alpha := m.Instance("alpha")
	m.Instance("gone")
	alpha.Polled()
	alpha.Recorded([]outbox.Outcome{{Channel: "contacts", Verdict: outbox.Sent}, {Channel: "contacts", Verdict: outbox.Released}})
	if err := alpha.Read(t.Context(), source(func() (State, error) {
		return State{Channels: []ChannelState{
			{Name: "contacts", Enabled: true, Waiting: &Waiting{}},
			{Name: "folders", Waiting: &Waiting{}},
			{Name: "documents", Waiting: &Waiting{Pending: 2}},
		}}, nil
	})); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInstances_EachHasItsOwnSeriesAndFewOfThem(t *testing.T) {
	m := ofMany(t)
	got := values(t, m)
	for series, want := range map[string]float64{
		"webhook_instance_up alpha":                    1,
		"webhook_instance_up beta":                     0,
		"webhook_instance_in_flight alpha":             3,
		"webhook_instance_attempts_total alpha sent":   1,
		"webhook_instance_attempts_total alpha failed": 0,
		"webhook_attempts_total contacts  sent":        1,
		"webhook_instances awake":                      1,
		"webhook_instances unavailable":                1,
		"webhook_instances asleep":                     0,
		"webhook_channel_enabled contacts alpha":       1,
		"webhook_pending documents alpha":              2,
		"webhook_offline_mode alpha":                   0,
	} {
		if value, ok := got[series]; !ok || value != want {
			t.Errorf("%s is %v (%t), want %v", series, value, ok, want)
		}
	}
	for series := range got {
		if strings.Contains(series, "folders alpha") {
			t.Errorf("%s: a channel that is off, with nothing pending", series)
		}
		if strings.Contains(series, "gone") {
			t.Errorf("%s: of an instance that is not served here", series)
		}
	}
}

func TestInstances_OneThatIsPolledMakesTheProcessReady(t *testing.T) {
	m := New(Options{DroppedLines: func() int64 { return 0 }, PollWithin: 1 << 40, Instances: func(func(InstanceState)) {}})
	if status, _ := get(t, m, "/readyz"); status != 503 {
		t.Errorf("before the first poll: %d", status)
	}
	m.Instance("alpha").Polled()
	if status, text := get(t, m, "/readyz"); status != 200 {
		t.Errorf("after it: %d %s", status, text)
	}
}
