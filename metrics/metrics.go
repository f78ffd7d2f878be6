// Package metrics is what Prometheus reads of a worker, and the health checks of an orchestrator.
//
// A value has one of three origins:
//
//	metrics.go    this process: the dispatcher notifies its outbox.Observer, and counters are added up
//	database.go   the database: a Source is read in the background, every ten seconds, and a scrape gets
//	              the newest values. They are the same on every worker
//	instances.go  the same of many databases, with a label for each instance
//	process.go    the Go runtime, the process and its pool of connections
//
// So a scrape never waits for the database. handler.go serves /metrics, /livez, /readyz (ready.go) and,
// on a loopback address, /debug/pprof/.
package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/recordengine/webhooks/outbox"
)

// Options are what the metrics are made of.
type Options struct {
	Version      string        // of the binary
	DroppedLines func() int64  // lines of the log that could not be written
	PollWithin   time.Duration // a worker whose last poll was longer ago is not ready

	// Instances calls visit for each instance that this process serves; nil: it serves one database.
	Instances func(visit func(InstanceState))
}

// Metrics are the metrics of one worker. It is an outbox.Observer.
type Metrics struct {
	opts      Options
	registry  *prometheus.Registry
	channels  map[string]*channel
	leases    prometheus.Counter
	polled    atomic.Pointer[time.Time]
	flights   *inFlight
	database  *database
	instances *instances // nil: one database
	reasons   reasons
}

// channel is what is counted for one channel. Its metrics are resolved once: an event costs no search by
// labels.
type channel struct {
	attempts map[result]prometheus.Counter
	duration prometheus.Observer
	latency  prometheus.Observer
}

// result is how an attempt ended.
type result struct {
	verdict outbox.Verdict
	failure outbox.Failure
}

// Attempts last from some milliseconds to WEBHOOK_TIMEOUT, 30 s by default.
var durationBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120}

// Deliveries take from 3 ms to the days for which a receiver, or all workers, were down.
var latencyBuckets = []float64{.003, .005, .01, .015, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
	5 * 60, 15 * 60, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400}

// New makes the metrics of a worker. All series exist from the start, so that the first event of a kind
// is an increase.
func New(opts Options) *Metrics {
	m := &Metrics{
		opts:     opts,
		registry: prometheus.NewRegistry(),
		channels: map[string]*channel{},
		leases: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "webhook_leases_expired_total",
			Help: "Leases that this worker has ended because the worker that held them had ended or hung.",
		}),
		flights:  &inFlight{},
		database: newDatabase(),
	}
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "webhook_attempts_total",
		Help: "Attempts whose outcome this worker has recorded: sent, failed (the event's one attempt), or retry (the event is due again); failure is empty for sent. One that was interrupted is counted by the worker that ends its lease.",
	}, []string{"channel", "outcome", "failure"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "webhook_attempt_duration_seconds",
		Help:    "How long attempts of this worker took, from the name lookup to the last byte of the answer.",
		Buckets: durationBuckets,
	}, []string{"channel"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "webhook_delivery_latency_seconds",
		Help:    "Time from due_at, when the transaction that wrote the event began, to the recorded answer, of events that this worker has delivered by their first attempt; test events are not counted. As in webhook.hourly.",
		Buckets: latencyBuckets,
	}, []string{"channel"})
	for _, c := range outbox.Channels() {
		m.channels[c.Name] = newChannel(c.Name, attempts, duration, latency)
	}
	m.registry.MustRegister(attempts, duration, latency, m.leases, m.lastPoll())
	if opts.Instances == nil {
		m.registry.MustRegister(m.flights, m.database)
	} else {
		m.instances = newInstances(opts.Instances)
		m.registry.MustRegister(m.instances)
	}
	m.registry.MustRegister(process(opts)...)
	return m
}

func newChannel(name string, attempts *prometheus.CounterVec, duration, latency *prometheus.HistogramVec) *channel {
	c := &channel{
		attempts: map[result]prometheus.Counter{},
		duration: duration.WithLabelValues(name), latency: latency.WithLabelValues(name),
	}
	add := func(v outbox.Verdict, f outbox.Failure) {
		c.attempts[result{v, f}] = attempts.WithLabelValues(name, string(v), string(f))
	}
	add(outbox.Sent, "")
	for _, f := range outbox.Failures() {
		add(outbox.Failed, f)
		add(outbox.Retry, f)
	}
	return c
}

// Polled implements outbox.Observer.
func (m *Metrics) Polled() {
	now := time.Now()
	m.polled.Store(&now)
}

// Recorded implements outbox.Observer. What was released is no attempt.
func (m *Metrics) Recorded(outcomes []outbox.Outcome) {
	now := time.Now()
	for i := range outcomes {
		if o := &outcomes[i]; o.Verdict != outbox.Released {
			m.channels[o.Channel].recorded(o, now)
		}
	}
}

func (c *channel) recorded(o *outbox.Outcome, now time.Time) {
	if c == nil {
		return // of a newer schema
	}
	c.count(o.Verdict, o.Result.Failure, 1)
	if o.Result.Took > 0 {
		c.duration.Observe(o.Result.Took.Seconds())
	}
	if o.Verdict == outbox.Sent && o.First {
		c.latency.Observe(max(now.Sub(o.DueSince), 0).Seconds()) // the clock of the database may have been set back
	}
}

// Expired implements outbox.Observer. The worker that made these attempts has not counted them, and does not
// if it records their outcomes after that, see outbox.Observer.Recorded.
func (m *Metrics) Expired(leases []outbox.ExpiredLeases) {
	for _, l := range leases {
		m.leases.Add(float64(l.Events))
		verdict := outbox.Failed
		if l.AtLeastOnce {
			verdict = outbox.Retry
		}
		if c := m.channels[l.Channel]; c != nil {
			c.count(verdict, outbox.FailureInterrupted, l.Events)
		}
	}
}

func (c *channel) count(v outbox.Verdict, f outbox.Failure, n int) {
	if counter := c.attempts[result{v, f}]; counter != nil {
		counter.Add(float64(n))
	}
}

// Follow has what is in flight read from a dispatcher.
func (m *Metrics) Follow(d *outbox.Dispatcher) { m.flights.dispatcher.Store(d) }

// inFlight is read when it is scraped.
type inFlight struct {
	dispatcher atomic.Pointer[outbox.Dispatcher]
}

var inFlightDesc = prometheus.NewDesc("webhook_in_flight",
	"Events that this worker has claimed and whose outcome is not yet recorded.", []string{"channel"}, nil)

// Describe implements prometheus.Collector.
func (f *inFlight) Describe(to chan<- *prometheus.Desc) { to <- inFlightDesc }

// Collect implements prometheus.Collector.
func (f *inFlight) Collect(to chan<- prometheus.Metric) {
	d := f.dispatcher.Load()
	if d == nil {
		return
	}
	d.InFlight(func(channel string, events int) {
		to <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(events), channel)
	})
}

func (m *Metrics) lastPoll() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "webhook_poll_last_success_timestamp_seconds",
		Help: "When this worker last polled the database with success, whether it found an event or not; 0: not yet.",
	}, func() float64 { return unix(m.polled.Load()) })
}

// unix is an instant as Prometheus has it; 0 for none.
func unix(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}
