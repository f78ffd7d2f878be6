package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/recordengine/webhooks/outbox"
)

// InstanceState is an instance that this process serves.
type InstanceState struct {
	Name     string
	State    string // "starting", "asleep", "waiting", "awake" or "unavailable"
	InFlight int
}

// instanceStates are the values of the label state.
var instanceStates = []string{"starting", "asleep", "waiting", "awake", "unavailable"}

// instances serves the metrics of many databases. Each instance has few series of its own: how many attempts ended
// how, and what comes from its database, of the channels that are on or have something to do.
type instances struct {
	states func(visit func(InstanceState))

	mu     sync.Mutex
	byName map[string]*Instance
}

// Instance is what is counted for one of many databases. It is an outbox.Observer.
type Instance struct {
	process  *Metrics
	database database
	attempts map[outbox.Verdict]*atomic.Int64
	polled   atomic.Pointer[time.Time]
}

var _ outbox.Observer = (*Instance)(nil)

var (
	ofInstance   = newStateDescs("instance")
	statesDesc   = prometheus.NewDesc("webhook_instances", "Instances that this process serves, by their state: starting, asleep, waiting (for a place), awake, unavailable (its database does not answer).", []string{"state"}, nil)
	upDesc       = prometheus.NewDesc("webhook_instance_up", "1: the database of the instance answers; 0: it is unavailable, or cannot be served.", []string{"instance"}, nil)
	inFlightOf   = prometheus.NewDesc("webhook_instance_in_flight", "Events of the instance that this process has claimed and whose outcome is not yet recorded.", []string{"instance"}, nil)
	attemptsOf   = prometheus.NewDesc("webhook_instance_attempts_total", "Attempts of the instance whose outcome this process has recorded: sent, failed, or retry.", []string{"instance", "outcome"}, nil)
	polledOfDesc = prometheus.NewDesc("webhook_instance_poll_last_success_timestamp_seconds", "When this process last polled the database of the instance with success; 0: not yet.", []string{"instance"}, nil)
)

func newInstances(states func(visit func(InstanceState))) *instances {
	return &instances{states: states, byName: map[string]*Instance{}}
}

// Instance returns what is counted for an instance, from the first time on.
func (m *Metrics) Instance(name string) *Instance {
	m.instances.mu.Lock()
	defer m.instances.mu.Unlock()
	i := m.instances.byName[name]
	if i == nil {
		i = &Instance{process: m, attempts: map[outbox.Verdict]*atomic.Int64{outbox.Sent: {}, outbox.Failed: {}, outbox.Retry: {}}}
		m.instances.byName[name] = i
	}
	return i
}

// Polled implements outbox.Observer.
func (i *Instance) Polled() {
	now := time.Now()
	i.polled.Store(&now)
	i.process.Polled()
}

// Recorded implements outbox.Observer.
func (i *Instance) Recorded(outcomes []outbox.Outcome) {
	for n := range outcomes {
		if count := i.attempts[outcomes[n].Verdict]; count != nil {
			count.Add(1)
		}
	}
	i.process.Recorded(outcomes)
}

// Expired implements outbox.Observer.
func (i *Instance) Expired(leases []outbox.ExpiredLeases) { i.process.Expired(leases) }

// Read reads the values of the instance's database for the scrapes that follow.
func (i *Instance) Read(ctx context.Context, source Source) error {
	began := time.Now()
	state, err := source.State(ctx)
	if err != nil {
		return err
	}
	i.database.newest.Store(&read{state, began})
	return nil
}

// Describe implements prometheus.Collector.
func (s *instances) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range append(ofInstance.all(), statesDesc, upDesc, inFlightOf, attemptsOf, polledOfDesc) {
		to <- desc
	}
}

// Collect implements prometheus.Collector. What was counted for an instance that is no longer served here
// is forgotten.
func (s *instances) Collect(to chan<- prometheus.Metric) {
	states, served := map[string]int{}, map[string]bool{}
	s.states(func(i InstanceState) {
		states[i.State]++
		served[i.Name] = true
		to <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, oneIf(i.State != "unavailable" && i.State != "starting"), i.Name)
		to <- prometheus.MustNewConstMetric(inFlightOf, prometheus.GaugeValue, float64(i.InFlight), i.Name)
	})
	for _, state := range instanceStates {
		to <- prometheus.MustNewConstMetric(statesDesc, prometheus.GaugeValue, float64(states[state]), state)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, i := range s.byName {
		if served[name] {
			i.collect(name, to)
		} else {
			delete(s.byName, name)
		}
	}
}

func (i *Instance) collect(name string, to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(polledOfDesc, prometheus.GaugeValue, unix(i.polled.Load()), name)
	for verdict, count := range i.attempts {
		to <- prometheus.MustNewConstMetric(attemptsOf, prometheus.CounterValue, float64(count.Load()), name, string(verdict))
	}
	i.database.collect(ofInstance, func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
	}, func(c ChannelState) bool { return c.Enabled || c.Waiting == nil || c.Waiting.Pending > 0 })
}
