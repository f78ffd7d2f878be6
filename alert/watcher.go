package alert

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/outbox"
)

// Timeout is the longest attempt to post an alert.
const Timeout = 10 * time.Second

const (
	// lease is how long a process has an alert for itself. It is longer than an attempt and its record last.
	lease = time.Minute
	// absentAfter is for how long a process must have seen no worker: one that is restarted is absent for a moment.
	absentAfter = time.Minute
	// recordWithin bounds the last statement about an alert when the process stops.
	recordWithin = time.Second
	// mostAtOnce bounds one run: what is left follows in the next cycle.
	mostAtOnce = 100
)

// accepted are the answers that count: any 2xx.
var accepted = func() (all []int) {
	for status := 200; status < 300; status++ {
		all = append(all, status)
	}
	return all
}()

// Options are where and how often alerts are posted.
type Options struct {
	URL      string        // may contain a key
	Page     string        // where people find the page, without a slash at its end; "": unknown
	Interval time.Duration // at most one alert of a kind and channel in it
	Worker   bool          // a worker posts them, else the page
}

// Watcher notices what operators want to know, and posts it. It runs beside a worker, and beside the page.
type Watcher struct {
	Options
	store   Store
	sender  Sender
	log     *zap.Logger
	try     func(doing string, do func() error) error // runs statements and logs their error, see outbox.Dispatcher.Background
	now     func() time.Time
	running sync.Mutex
	runs    sync.WaitGroup

	sawNone time.Time // since when no worker was seen; zero: one was
}

// New returns a Watcher, which does nothing by itself.
func New(s Store, to Sender, log *zap.Logger, try func(string, func() error) error, o Options) *Watcher {
	return &Watcher{Options: o, store: s, sender: to, log: log, try: try, now: time.Now}
}

// Begin begins a run in the background, unless the one before has not ended: an endpoint that hangs delays
// alerts and nothing else.
func (w *Watcher) Begin(ctx context.Context) {
	if ctx.Err() != nil || !w.running.TryLock() {
		return
	}
	w.runs.Go(func() {
		defer w.running.Unlock()
		w.Run(ctx)
	})
}

// Wait waits for the run that has begun. It ends soon after its context.
func (w *Watcher) Wait() { w.runs.Wait() }

// Run notices what is new and posts what is due, until an attempt fails.
func (w *Watcher) Run(ctx context.Context) {
	if w.try("notice alerts", func() error { return w.notice(ctx) }) != nil {
		return
	}
	for n := 0; n < mostAtOnce && ctx.Err() == nil && w.next(ctx); n++ {
	}
}

func (w *Watcher) notice(ctx context.Context) error {
	seen, err := w.store.NoticeAlerts(ctx, Observer{
		Interval: w.Interval, Worker: w.Worker, Absent: !w.sawNone.IsZero() && w.now().Sub(w.sawNone) >= absentAfter,
	})
	if err != nil {
		return err
	}
	switch {
	case seen.Workers > 0:
		w.sawNone = time.Time{}
	case w.sawNone.IsZero():
		w.sawNone = w.now()
	}
	if seen.GivenUp > 0 {
		w.log.Error("alerts given up after a day", zap.Int("alerts", seen.GivenUp))
	}
	return nil
}

// next posts one alert, and reports whether another may follow.
func (w *Watcher) next(ctx context.Context) bool {
	var a Alert
	found := false
	err := w.try("lease an alert", func() (err error) {
		a, found, err = w.store.NextAlert(ctx, lease)
		return err
	})
	if err != nil || !found {
		return false
	}
	result := w.sender.Send(ctx, outbox.Request{
		URL: w.URL, WebhookID: a.webhookID(), Channel: "alerts", Body: a.body(w.Page), Accept: accepted,
	})
	recording, cancel := outliving(ctx)
	defer cancel()
	if result.Delivered() {
		w.log.Info("alert sent", zap.Int64("alert", a.ID), zap.String("kind", string(a.Kind)), zap.String("channel", a.Channel))
		return w.try("mark an alert as sent", func() error { return w.store.AlertSent(recording, a) }) == nil
	}
	again := max(backoff(a.Attempts), result.RetryAfter)
	if result.Failure == outbox.FailureInterrupted {
		again = 0
	} else {
		w.log.Warn("alert not sent, retrying", zap.Int64("alert", a.ID), zap.String("kind", string(a.Kind)), zap.String("channel", a.Channel),
			zap.Int("attempt", a.Attempts), zap.String("failure", string(result.Failure)), zap.String("error", result.Error), zap.Duration("again", again))
	}
	_ = w.try("release an alert", func() error { return w.store.AlertNotSent(recording, a, result.Error, again) })
	return false
}

// outliving is the context of what is recorded: of a process that stops, with a moment of its own.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
}

// backoff is 10 s after the first attempt, twice as long after each, 10 min at most.
func backoff(attempts int) time.Duration {
	const first, most = 10 * time.Second, 10 * time.Minute
	if attempts > 6 {
		return most
	}
	return min(first<<max(attempts-1, 0), most)
}
