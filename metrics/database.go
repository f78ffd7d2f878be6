package metrics

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is the database.
type Source interface {
	// State reads what the metrics show. It reads no finished event, and takes a bounded time.
	State(ctx context.Context) (State, error)
}

// State is the state of the database that the metrics show.
type State struct {
	OfflineMode       bool
	OldestTransaction time.Duration // for how long it has been open; 0: none is
	Channels          []ChannelState
}

// ChannelState is the state of a channel.
type ChannelState struct {
	Name            string
	Enabled         bool
	Misconfigured   bool       // on, and cannot be called as it is configured
	FailingSince    *time.Time // nil: its endpoint does not fail
	LastSuccess     *time.Time // nil: there was none
	CertificateEnds *time.Time // nil: unknown
	Waiting         *Waiting   // nil: counting takes too long
}

// Waiting is what waits on a channel. The counts are exact up to MaxCounted.
type Waiting struct {
	Pending int64
	Overdue int64
	Oldest  time.Duration // how long ago the oldest happened; 0: nothing waits
}

// MaxCounted bounds each count of events.
const MaxCounted = 10_000

// freshFor is how old the values of the database may be when they are served: six reads. After that they
// are left out, since an old value is no answer; the time of the read stays.
const freshFor = time.Minute

// read is a State, and when it was read.
type read struct {
	State
	at time.Time
}

// database serves the newest read.
type database struct{ newest atomic.Pointer[read] }

const ofDatabase = " Read from the database: the same on every worker."

// stateDescs describe what comes from the database, with further labels in front: of one database, none.
type stateDescs struct {
	readAt, offline, transaction, pending, overdue, oldest, enabled, misconfigured, failing, success, certificate *prometheus.Desc
}

func newStateDescs(labels ...string) *stateDescs {
	plain := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, labels, nil) }
	gauge := func(name, help string) *prometheus.Desc { return plain(name, help+ofDatabase) }
	ofChannel := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help+ofDatabase, append(slices.Clone(labels), "channel"), nil)
	}
	return &stateDescs{
		readAt: plain("webhook_database_read_timestamp_seconds",
			"When this worker last read the values that come from the database; 0: not yet. A minute later they are left out."),
		offline:       gauge("webhook_offline_mode", "1: Offline Mode is on, nothing is delivered on any channel."),
		transaction:   gauge("webhook_database_oldest_transaction_seconds", "For how long the oldest transaction of any client has been open in this database, prepared ones included; 0: none is. Of one whose beginning this worker's role may not see, the time since this worker first saw it."),
		pending:       ofChannel("webhook_pending", "Events that are pending and not leased. 10000: that many or more."),
		overdue:       ofChannel("webhook_overdue", "Events that have been due for more than ten seconds and that no worker has claimed, although their channel may deliver: it is on, not paused by its receiver and can be called, and Offline Mode is off. 10000: that many or more."),
		oldest:        ofChannel("webhook_oldest_pending_seconds", "How long ago the oldest pending event happened, of those due first; 0: none is pending."),
		enabled:       ofChannel("webhook_channel_enabled", "1: the channel is on."),
		misconfigured: ofChannel("webhook_channel_misconfigured", "1: the channel is on and cannot be called as it is configured; its events wait."),
		failing:       ofChannel("webhook_channel_failing_since_timestamp_seconds", "Since when each attempt of the channel has failed; 0: the newest succeeded, or there was none."),
		success:       ofChannel("webhook_channel_last_success_timestamp_seconds", "When the channel's URL last answered an event with success; 0: never."),
		certificate:   ofChannel("webhook_tls_certificate_expiry_timestamp_seconds", "When the certificate of the channel's endpoint ends, as a worker last saw it; left out where none was seen."),
	}
}

func (d *stateDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.readAt, d.offline, d.transaction, d.pending, d.overdue, d.oldest,
		d.enabled, d.misconfigured, d.failing, d.success, d.certificate}
}

var single = newStateDescs()

func newDatabase() *database { return &database{} }

// Read reads the values of the database for the scrapes that follow.
func (m *Metrics) Read(ctx context.Context, source Source) error {
	began := time.Now()
	state, err := source.State(ctx)
	if err != nil {
		return err
	}
	m.database.newest.Store(&read{state, began})
	return nil
}

// Describe implements prometheus.Collector.
func (d *database) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range single.all() {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (d *database) Collect(to chan<- prometheus.Metric) {
	d.collect(single, func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}, func(ChannelState) bool { return true })
}

type setGauge func(desc *prometheus.Desc, value float64, labels ...string)

// collect sets the values of the newest read, of the channels that count.
func (d *database) collect(desc *stateDescs, set setGauge, counts func(ChannelState) bool) {
	r := d.newest.Load()
	if r == nil {
		set(desc.readAt, 0)
		return
	}
	set(desc.readAt, unix(&r.at))
	if time.Since(r.at) > freshFor {
		return
	}
	set(desc.offline, oneIf(r.OfflineMode))
	set(desc.transaction, r.OldestTransaction.Seconds())
	for _, c := range r.Channels {
		if counts(c) {
			c.collect(desc, set)
		}
	}
}

func (c ChannelState) collect(desc *stateDescs, set setGauge) {
	set(desc.enabled, oneIf(c.Enabled), c.Name)
	set(desc.misconfigured, oneIf(c.Misconfigured), c.Name)
	set(desc.failing, unix(c.FailingSince), c.Name)
	set(desc.success, unix(c.LastSuccess), c.Name)
	if c.CertificateEnds != nil {
		set(desc.certificate, unix(c.CertificateEnds), c.Name)
	}
	if w := c.Waiting; w != nil {
		set(desc.pending, float64(w.Pending), c.Name)
		set(desc.overdue, float64(w.Overdue), c.Name)
		set(desc.oldest, w.Oldest.Seconds(), c.Name)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
