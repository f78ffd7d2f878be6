package admin

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"
)

// Overview is how delivery is at an instant.
type Overview struct {
	At           time.Time // on the database's clock
	Offline      bool
	OfflineSince *time.Time // nil: not known
	OfflineBy    string
	Environment  string           // of the settings; "": none
	CleanedUp    *time.Time       // when a clean-up last came to its end; nil: never
	CountedUntil time.Time        // what finished before is in Hours and Latencies
	Workers      []OverviewWorker // seen within the last hour
	WorkerSeen   *time.Time       // when any worker was last seen; nil: none is known
	Channels     []OverviewChannel
	Uncounted    bool // what waits takes too long to count: Waiting, Oldest and Unrenderable are not known
}

// OverviewWorker is a worker that was seen lately.
type OverviewWorker struct {
	Name, Environment string
	Started, Seen     time.Time
}

// OverviewChannel is one channel in an Overview. Counts end at mostCounted + 1.
type OverviewChannel struct {
	Name            string
	AtLeastOnce     bool
	Enabled         bool
	Host            string // of its URL; "": none
	Problem         string // why it cannot be called as it is configured, as webhook.channel_problem says it
	PausedUntil     *time.Time
	FailingSince    *time.Time
	LastSuccess     *time.Time
	EverUsed        bool
	LastFailure     *time.Time // when the newest failure was
	LastError       string     // of it; "": none
	LastHint        string     // what that means, as webhook.hint says it
	LookProblem     string     // what a worker found wrong when it looked at the endpoint
	LookHint        string
	CertificateEnds *time.Time
	Waiting         int64
	Oldest          *time.Time // when the oldest that waits happened
	Lost            int64      // one-attempt events that failed within seven days and were not resent
	Unrenderable    int64      // documents that wait with an error of their data
	Hours           []OverviewHour
	Latencies       []OverviewLatency // of the last 24 hours, from the shortest
}

// OverviewHour is how many events of a channel finished in an hour.
type OverviewHour struct {
	Hour                       time.Time // its beginning
	Delivered, Failed, Skipped int64
}

// OverviewLatency is how many events took about so long from the application's commit to the recorded answer.
type OverviewLatency struct {
	Length time.Duration
	Events int64
}

// overviewStore is the part of Store that the overview uses.
type overviewStore interface {
	// Overview reads how delivery is now. What it reads does not grow with the history, nor with what waits.
	Overview(ctx context.Context) (Overview, error)
}

// health is what the state of a channel follows from.
func (o Overview) health(c OverviewChannel) health {
	return health{Enabled: c.Enabled, Offline: o.Offline, Problem: c.Problem, PausedUntil: c.PausedUntil,
		FailingSince: c.FailingSince, LastSuccess: c.LastSuccess, EverUsed: c.EverUsed}
}

// overviewView is what the page shows.
type overviewView struct {
	At        time.Time
	Attention []attention
	AllOff    bool       // no channel is on
	Well      bool       // nothing needs attention, and there is something that could
	Uncounted bool       // it is not known what waits
	Behind    *time.Time // up to where the charts are counted, where that is not now
	Channels  []channelRow
	Version   string // changes with the states and with what needs attention
}

// channelRow is a channel on the page: its figures in words.
type channelRow struct {
	Name, Title, Host, Because string
	State                      state
	Chart                      chart
	Delivered, Failed, Skipped string
	Waiting                    string
	Oldest                     *time.Time
	Median, Slowest            string // p50, and p99; "–" and "" if none is known
}

// A worker counts what has finished every ten seconds or so; the charts are behind after so long.
const behindAfter = 2 * time.Minute

func (s *site) overview(w http.ResponseWriter, r *http.Request) error {
	o, err := s.store.Overview(r.Context())
	if err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "overview.html", "Overview", viewOf(o))
	return nil
}

func viewOf(o Overview) overviewView {
	v := overviewView{At: o.At, Attention: attentionOf(o), AllOff: true, Uncounted: o.Uncounted}
	if o.At.Sub(o.CountedUntil) > behindAfter {
		v.Behind = &o.CountedUntil
	}
	for _, c := range o.Channels {
		v.AllOff = v.AllOff && !c.Enabled
		v.Channels = append(v.Channels, rowOf(o, c))
	}
	v.Well = !v.AllOff && len(v.Attention) == 0
	v.Version = v.version()
	return v
}

func rowOf(o Overview, c OverviewChannel) channelRow {
	sum := c.sum()
	row := channelRow{
		Name: c.Name, Title: channelTitle(c.Name), Host: c.Host,
		State: channelState(o.health(c), o.At), Because: capital(heldBecause(o.health(c), o.At)),
		Chart:     chartOf(c.Hours, o.At),
		Delivered: number(sum.Delivered), Failed: number(sum.Failed), Skipped: number(sum.Skipped),
		Waiting: capped(c.Waiting), Oldest: c.Oldest, Median: "–",
	}
	if o.Uncounted {
		row.Waiting = "–"
	}
	if len(c.Latencies) > 0 {
		row.Median, row.Slowest = "p50 "+short(percentile(c.Latencies, 0.5)), "p99 "+short(percentile(c.Latencies, 0.99))
	}
	return row
}

func (c OverviewChannel) sum() (all OverviewHour) {
	for _, h := range c.Hours {
		all.Delivered += h.Delivered
		all.Failed += h.Failed
		all.Skipped += h.Skipped
	}
	return all
}

// percentile is the length that a share of the events did not exceed. The counts of all hours are added
// up before: an average of percentiles is none.
func percentile(latencies []OverviewLatency, share float64) (length time.Duration) {
	var all, upto int64
	for _, l := range latencies {
		all += l.Events
	}
	for _, l := range latencies {
		upto += l.Events
		length = l.Length
		if float64(upto) >= share*float64(all) {
			break
		}
	}
	return length
}

// version is a sum of what a reader has to see anew when it changes.
func (v overviewView) version() string {
	sum := fnv.New64a()
	_ = json.NewEncoder(sum).Encode(v.Attention)
	_ = json.NewEncoder(sum).Encode(v.Uncounted)
	for _, row := range v.Channels {
		_ = json.NewEncoder(sum).Encode([]string{row.State.Word, row.Because, row.Host})
	}
	return strconv.FormatUint(sum.Sum64(), 36)
}
