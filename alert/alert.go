// Package alert posts what needs an operator: a channel that begins to fail or has recovered, lost
// one-attempt events, missing workers.
//
//	alert.go     an alert, and the two interfaces that the package owns
//	watcher.go   what is noticed is sent: one run of the ten-second cycle
//	body.go      an alert as JSON
//	words.go     an alert as a sentence
//
// What is noticed becomes a row of webhook.alerts in the transaction that compares the state with the
// newest rows there (store/alerts.go), under a lock: two workers, or one before and one after a restart,
// announce nothing twice. A row is then leased, posted and marked as sent. A process that dies in between
// leaves a row that another process posts once the lease is over, under the same webhook-id: at least
// once. Rows are posted in their order, one at a time, through a sender of their own: nothing of
// this is on the path of an event.
package alert

import (
	"context"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// Kind is what an alert is about.
type Kind string

// The kinds.
const (
	ChannelFailing   Kind = "channel_failing"
	ChannelRecovered Kind = "channel_recovered"
	EventsLost       Kind = "events_lost"
	WorkerMissing    Kind = "worker_missing" // one is, others were seen
	NoWorker         Kind = "no_worker"
	WorkerBack       Kind = "worker_back" // after NoWorker
)

// Alert is a row of webhook.alerts that this process has leased, with what is said beside it.
type Alert struct {
	ID          int64
	Kind        Kind
	Channel     string // "" for workers
	Since       time.Time
	Until       time.Time
	Events      int64 // counted to just above mostCounted
	EventID     int64 // one of them; 0: none
	Failure     string
	HTTPStatus  int // 0: no answer arrived
	Hint        string
	Host        string // of the channel's URL
	Worker      string // the name of the missing one, or the one that was seen last; "": unknown
	Workers     int    // seen in the last minute
	Attempts    int    // this one included
	InstanceID  string
	Environment string // of webhook.settings; "": none
}

// Observer is the process that calls NoticeAlerts.
type Observer struct {
	Interval time.Duration // at most one alert of a kind and channel in it
	Worker   bool          // it is a worker: at least one is running
	Absent   bool          // it has seen no worker for a minute
}

// Noticed is what NoticeAlerts has found and done.
type Noticed struct {
	Workers int // seen in the last minute
	New     int // alerts that it has written
	GivenUp int // alerts that have waited for a day, and are not posted any more
}

// Store is webhook.alerts. Each method is atomic. NoticeAlerts and NextAlert do nothing where they would have
// to wait for another process: the next cycle follows.
type Store interface {
	// NoticeAlerts writes what is new as alerts.
	NoticeAlerts(ctx context.Context, by Observer) (Noticed, error)

	// NextAlert leases the oldest alert that is not sent; false: none is due.
	NextAlert(ctx context.Context, lease time.Duration) (Alert, bool, error)

	// AlertSent marks an alert as sent.
	AlertSent(ctx context.Context, a Alert) error

	// AlertNotSent releases an alert; it is due again after this time.
	AlertNotSent(ctx context.Context, a Alert, problem string, again time.Duration) error
}

// Sender makes one HTTP attempt, as outbox.Sender.
type Sender interface {
	Send(ctx context.Context, req outbox.Request) outbox.Result
}
