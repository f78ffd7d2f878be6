package alert

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/recordengine/webhooks/outbox"
)

// memory is a Store and a Sender that keep what they are asked.
type memory struct {
	seen    Noticed
	asked   []Observer
	waiting []Alert
	answers []outbox.Result // of Send, one after the other
	sent    []outbox.Request
	marked  []int64
	again   []time.Duration
	problem error
	posting func() // while a POST is under way
}

func (m *memory) NoticeAlerts(_ context.Context, by Observer) (Noticed, error) {
	m.asked = append(m.asked, by)
	return m.seen, m.problem
}

func (m *memory) NextAlert(context.Context, time.Duration) (a Alert, found bool, err error) {
	if len(m.waiting) == 0 {
		return a, false, nil
	}
	return m.waiting[0], true, nil
}

func (m *memory) AlertSent(_ context.Context, a Alert) error {
	m.marked, m.waiting = append(m.marked, a.ID), m.waiting[1:]
	return nil
}

func (m *memory) AlertNotSent(ctx context.Context, _ Alert, _ string, again time.Duration) error {
	if ctx.Err() == nil {
		m.again = append(m.again, again)
	}
	return ctx.Err()
}

func (m *memory) Send(ctx context.Context, req outbox.Request) outbox.Result {
	m.sent = append(m.sent, req)
	if m.posting != nil {
		m.posting()
	}
	if ctx.Err() != nil {
		return outbox.Result{Failure: outbox.FailureInterrupted, Received: outbox.ReceivedMaybe}
	}
	result := m.answers[0]
	m.answers = m.answers[1:]
	return result
}

func (m *memory) watcher(o Options) (*Watcher, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return New(m, m, zap.New(core), func(_ string, do func() error) error { return do() }, o), logs
}

var delivered = outbox.Result{Status: 202, Received: outbox.ReceivedYes}

func TestWatcher_PostsWhatIsDueInOrder(t *testing.T) {
	m := &memory{seen: Noticed{Workers: 1}, waiting: []Alert{{ID: 1, Attempts: 1, InstanceID: "i"}, {ID: 2, Attempts: 1, InstanceID: "i"}}, answers: []outbox.Result{delivered, delivered}}
	w, _ := m.watcher(Options{URL: "https://h/x", Interval: time.Hour, Worker: true})
	w.Run(t.Context())
	if len(m.marked) != 2 || m.marked[0] != 1 || m.sent[1].WebhookID != "i-alert-2" || m.sent[0].URL != "https://h/x" || m.sent[0].Token != "" || m.sent[0].Secrets != "" {
		t.Errorf("marked %v, sent %+v", m.marked, m.sent)
	}
	if m.asked[0] != (Observer{Interval: time.Hour, Worker: true}) {
		t.Errorf("asked as %+v", m.asked[0])
	}
}

func TestWatcher_StopsAtTheFirstFailureAndBacksOff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 6: 320 * time.Second, 7: 10 * time.Minute, 1000: 10 * time.Minute} {
		m := &memory{waiting: []Alert{{ID: 1, Attempts: attempts}, {ID: 2}}, answers: []outbox.Result{{Failure: outbox.FailureServerError, Status: 500, Error: "HTTP 500"}}}
		w, logs := m.watcher(Options{})
		w.Run(t.Context())
		if len(m.sent) != 1 || len(m.again) != 1 || m.again[0] != want || logs.FilterMessage("alert not sent, retrying").Len() != 1 {
			t.Errorf("attempt %d: sent %d, again %v, expected %s", attempts, len(m.sent), m.again, want)
		}
	}
	m := &memory{waiting: []Alert{{ID: 1, Attempts: 1}}, answers: []outbox.Result{{Failure: outbox.FailureRateLimited, Status: 429, RetryAfter: time.Minute}}}
	w, _ := m.watcher(Options{})
	if w.Run(t.Context()); m.again[0] != time.Minute {
		t.Errorf("again %v, a minute was asked for", m.again)
	}
}

func TestWatcher_ReleasesWhatItsStopInterrupts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := &memory{waiting: []Alert{{ID: 1, Attempts: 5}}, posting: cancel}
	w, logs := m.watcher(Options{})
	w.Run(ctx)
	if len(m.again) != 1 || m.again[0] != 0 || logs.Len() != 0 {
		t.Errorf("again %v, logged %v", m.again, logs.All())
	}
}

func TestWatcher_HasSeenNoWorkerAfterAMinute(t *testing.T) {
	m := &memory{}
	w, _ := m.watcher(Options{})
	now := time.Now()
	w.now = func() time.Time { return now }
	run := func(after time.Duration, want bool) {
		t.Helper()
		now = now.Add(after)
		w.Run(t.Context())
		if got := m.asked[len(m.asked)-1].Absent; got != want {
			t.Errorf("absent: %t, expected %t", got, want)
		}
	}
	run(0, false)
	run(59*time.Second, false)
	run(time.Second, true)
	m.seen.Workers = 1
	run(time.Second, true) // it sees the worker
	m.seen.Workers = 0
	run(time.Hour, false)
	run(59*time.Second, false)
}

func TestWatcher_RunsOnceAtATimeAndPostsNothingWithoutTheDatabase(t *testing.T) {
	m := &memory{problem: errors.New("away"), waiting: []Alert{{ID: 1}}}
	w, _ := m.watcher(Options{})
	w.Run(t.Context())
	if len(m.sent) != 0 {
		t.Error("an alert was posted")
	}
	begun, end := make(chan struct{}), make(chan struct{})
	m = &memory{waiting: []Alert{{ID: 1}}, answers: []outbox.Result{delivered}, posting: func() { close(begun); <-end }}
	w, _ = m.watcher(Options{})
	w.Begin(t.Context())
	<-begun
	w.Begin(t.Context()) // while the other runs
	close(end)
	w.Wait()
	if len(m.asked) != 1 || len(m.sent) != 1 {
		t.Errorf("noticed %d times, sent %d", len(m.asked), len(m.sent))
	}
}
