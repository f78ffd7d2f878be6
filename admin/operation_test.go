package admin

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// operationsFake are operations that need so many steps.
type operationsFake struct {
	Store
	mu      sync.Mutex
	is      Operation
	steps   map[int64]int
	done    []int64 // the operation of each step
	failing int     // so many calls fail
	over    chan struct{}
	stopped []string
}

func (f *operationsFake) Operation(_ context.Context, id int64) (Operation, error) {
	if id != f.is.ID {
		return Operation{}, ErrNoOperation
	}
	return f.is, nil
}

func (f *operationsFake) StopOperation(_ context.Context, actor string, _ int64) error {
	f.stopped = append(f.stopped, actor)
	return nil
}

func (f *operationsFake) UnfinishedOperations(context.Context) (ids []int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range int64(10) {
		if f.steps[id] > 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (f *operationsFake) AdvanceOperation(_ context.Context, id int64) (more bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing > 0 {
		f.failing--
		return false, errors.New("the database is unavailable")
	}
	f.done = append(f.done, id)
	f.steps[id]--
	left := 0
	for _, n := range f.steps {
		left += n
	}
	if left == 0 {
		close(f.over)
	}
	return f.steps[id] > 0, nil
}

// TestOperations_AreDoneInTurns: those that another process has left, and one that begins later; an error ends none.
func TestOperations_AreDoneInTurns(t *testing.T) {
	t.Parallel()
	f := &operationsFake{steps: map[int64]int{1: 3, 2: 1}, over: make(chan struct{})}
	core, logs := observer.New(zapcore.DebugLevel)
	s := newSite(f, zap.New(core), onLoopback())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.runOperations(ctx); close(ended) }()
	<-f.over
	f.mu.Lock()
	if got := f.done; len(got) != 4 || got[0] != 1 || got[1] != 2 || got[2] != 1 || got[3] != 1 {
		t.Errorf("the steps were %v", got)
	}
	f.steps, f.over, f.failing = map[int64]int{5: 2}, make(chan struct{}), 1
	f.mu.Unlock()
	s.wakeOperations()
	s.wakeOperations() // twice is no more than once
	for logs.Len() == 0 {
		time.Sleep(time.Millisecond)
	}
	if said := logs.All()[0]; said.Message != "operation interrupted, it goes on when the database answers" {
		t.Errorf("the log says %q", said.Message)
	}
	s.wakeOperations()
	<-f.over
	stop()
	<-ended
}

// TestOperations_AreLeftToAnotherPageWhereThisOneIsReadOnly: also those that begin while it runs.
func TestOperations_AreLeftToAnotherPageWhereThisOneIsReadOnly(t *testing.T) {
	t.Parallel()
	f := &operationsFake{steps: map[int64]int{1: 1}, over: make(chan struct{})}
	options := onLoopback()
	options.ReadOnly = true
	page := New(f, zap.NewNop(), options)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { page.Run(ctx); close(ended) }()
	select {
	case <-f.over:
		t.Error("it has done a step")
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	<-ended
}

func TestOperation_SaysHowFarItIs(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-time.Minute)
	resend := Operation{ID: 3, Kind: "resend", Actor: "Jane", Created: at, Expected: 312, Done: 120, LeftOut: 4,
		Resend: Resend{Channel: "audit_log", IncludeReceived: true, Filter: DeliveryFilter{Status: "failed", Failure: "rate_limited", Error: "<b>"}}}
	release := Operation{ID: 3, Kind: "release", Actor: "Jane", Created: at, Expected: 10000, ExpectedMore: true, Done: 500, Channels: []string{"audit_log", "contacts"}}
	with := func(o Operation, change func(*Operation)) Operation {
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		is      Operation
		refresh string
		stop    bool
		says    []string
	}{
		"a resend": {resend, "1", true, []string{"Resend Running", "120 events queued again", "of 312 that were counted when it began; 4 left out", "by Jane",
			"Channel Audit Log", "Status Failed", "Failure Too many calls (429)", "Error contains &lt;b&gt;", "Included Events the receiver may have", "goes on if you leave"}},
		"one that has ended":   {with(resend, func(o *Operation) { o.Finished = &at }), "", false, []string{"Resend Done", "Ended", "Workers send them now"}},
		"one that was stopped": {with(resend, func(o *Operation) { o.Stopped, o.StoppedBy = &at, "Tom" }), "", false, []string{"Resend Stopped", "by Tom", "the rest stays as it is"}},
		"one with a problem":   {with(resend, func(o *Operation) { o.Problem = "It cannot." }), "", true, []string{"Resend Interrupted", "It cannot."}},
		"a release":            {release, "1", true, []string{"Turn Offline Mode off Running", "500 events discarded", "What waited on Audit Log, Contacts", "Offline Mode stays on"}},
		"one that is over":     {with(release, func(o *Operation) { o.Finished = &at }), "", false, []string{"Turn Offline Mode off Done", "Offline Mode is off."}},
		"one that was left":    {with(release, func(o *Operation) { o.Stopped, o.StoppedBy = &at, "Tom" }), "", false, []string{"Stopped", "Offline Mode is still on."}},
		"one that came late":   {with(release, func(o *Operation) { o.Finished, o.Problem = &at, "Offline Mode was turned off meanwhile." }), "", false, []string{"turned off meanwhile"}},
	} {
		f := &operationsFake{is: c.is}
		res := answer(New(f, zap.NewNop(), onLoopback()), request("GET", "/operations/3", nil, nil))
		isPage(t, name, res, 200)
		if got := res.Header.Get("Refresh"); got != c.refresh {
			t.Errorf("%s: Refresh %q, want %q", name, got, c.refresh)
		}
		if stop := strings.Contains(res.text, ">Stop</button>"); stop != c.stop {
			t.Errorf("%s: Stop is there: %t", name, stop)
		}
		if to := "/deliveries?channel=audit_log"; c.is.Kind == "resend" && !c.stop && !strings.Contains(res.text, `href="`+to+`"`) {
			t.Errorf("%s: it does not lead to %s", name, to)
		}
		for _, part := range c.says {
			if text := readable(res.text); !strings.Contains(text, part) {
				t.Errorf("%s: it does not say %q: %s", name, part, text)
			}
		}
	}
}

func TestOperation_IsStoppedByAPerson(t *testing.T) {
	t.Parallel()
	f := &operationsFake{is: Operation{ID: 3, Kind: "resend"}}
	page := New(f, zap.NewNop(), onLoopback())
	res := answer(page, request("POST", "/operations/3/stop", map[string][]string{}, nil))
	if res.StatusCode != 303 || res.Header.Get("Location") != "/operations/3" || len(f.stopped) != 1 || f.stopped[0] != "root" {
		t.Errorf("%d, %s, stopped by %v", res.StatusCode, res.Header.Get("Location"), f.stopped)
	}
	for _, path := range []string{"/operations/4", "/operations/0", "/operations/-3", "/operations/x", "/operations/9223372036854775808", "/operations/03x"} {
		isPage(t, path, answer(page, request("GET", path, nil, nil)), 404, "There is no such operation")
		isPage(t, path, answer(page, request("POST", path+"/stop", map[string][]string{}, nil)), 404, "There is no such operation")
	}
	options := onLoopback()
	options.ReadOnly = true
	readOnly := New(f, zap.NewNop(), options)
	isPage(t, "read-only", answer(readOnly, request("POST", "/operations/3/stop", map[string][]string{}, nil)), 403, "read-only")
	if res := answer(readOnly, request("GET", "/operations/3", nil, nil)); strings.Contains(res.text, "Stop</button>") || len(f.stopped) != 1 {
		t.Errorf("read-only: %s", res.text)
	}
}
