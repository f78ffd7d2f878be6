package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// fakeStore is a database that follows the script of each test. A method without a script does
// nothing, and succeeds.
type fakeStore struct {
	mu       sync.Mutex
	ids      []string     // of the claims, in order
	asked    [][]Capacity // what each claim may claim
	written  [][]Outcome  // by Record, failures included
	lookUps  int
	released [][]string // by ReleaseClaims
	expiries int
	expiring [][]string // by ExpireLeases
	paused   []string   // by Pause: channel and time
	pauseErr error

	newestCalls atomic.Int64

	claim      func(n int, claimID string) ([]Event, error) // n counts from 1
	claimed    func(n int, claimID string) (events []Event, over bool, err error)
	record     func(n int, outcomes []Outcome) error
	release    func() (int, error)
	expired    func() ([]string, error)
	newest     func(known int64) (int64, error) // as long as it returns the known one the probe goes on; nil: denied
	expire     func() ([]ExpiredLeases, error)
	checkWrite func() error
	skip       func(ctx context.Context) (int, error)
}

func (s *fakeStore) Claim(_ context.Context, claimID string, capacity []Capacity) ([]Event, error) {
	s.mu.Lock()
	s.ids, s.asked = append(s.ids, claimID), append(s.asked, capacity)
	n := len(s.ids)
	s.mu.Unlock()
	if s.claim == nil {
		return nil, nil
	}
	events, err := s.claim(n, claimID)
	return under(events, claimID), err
}

func (s *fakeStore) LookUpClaim(_ context.Context, claimID string) ([]Event, bool, error) {
	s.mu.Lock()
	s.lookUps++
	n := s.lookUps
	s.mu.Unlock()
	if s.claimed == nil {
		return nil, true, nil
	}
	events, over, err := s.claimed(n, claimID)
	return under(events, claimID), over, err
}

func (s *fakeStore) Record(_ context.Context, outcomes []Outcome) (rest Unrecorded, err error) {
	s.mu.Lock()
	s.written = append(s.written, append([]Outcome(nil), outcomes...))
	n := len(s.written)
	s.mu.Unlock()
	if s.record == nil {
		return Unrecorded{}, nil
	}
	switch err = s.record(n, outcomes); {
	case errors.Is(err, errLocked):
		return Unrecorded{Locked: outcomes[:1]}, nil
	case errors.Is(err, errLeaseLost):
		return Unrecorded{LeaseLost: outcomes[:1]}, nil
	}
	return Unrecorded{}, err
}

func (s *fakeStore) ReleaseClaims(_ context.Context, claimIDs []string) (int, error) {
	s.mu.Lock()
	s.released = append(s.released, claimIDs)
	s.mu.Unlock()
	if s.release == nil {
		return 0, nil
	}
	return s.release()
}

func (s *fakeStore) Expired(context.Context) ([]string, error) {
	if s.expired == nil {
		return nil, nil
	}
	return s.expired()
}

func (s *fakeStore) CheckWrite(context.Context) error {
	if s.checkWrite == nil {
		return nil
	}
	return s.checkWrite()
}

func (s *fakeStore) Newest(ctx context.Context, known int64, every time.Duration, times int) (int64, error) {
	s.newestCalls.Add(1)
	for range times {
		s.mu.Lock()
		compare := s.newest
		s.mu.Unlock()
		if compare == nil {
			return known, ErrDenied
		}
		if newest, err := compare(known); err != nil || newest != known {
			return newest, err
		}
		if !sleep(ctx, every) {
			return known, ctx.Err()
		}
	}
	return known, nil
}

func (s *fakeStore) ExpireLeases(_ context.Context, claimIDs []string) ([]ExpiredLeases, error) {
	s.mu.Lock()
	s.expiries++
	s.expiring = append(s.expiring, claimIDs)
	s.mu.Unlock()
	if s.expire == nil {
		return nil, nil
	}
	return s.expire()
}

func (s *fakeStore) Skip(ctx context.Context) (int, error) {
	if s.skip == nil {
		return 0, nil
	}
	return s.skip(ctx)
}

func (s *fakeStore) ChannelProblems(context.Context) (map[string]string, error) { return nil, nil }

func (s *fakeStore) Overlooked(context.Context, []Capacity) ([]Overlooked, error) { return nil, nil }

func (s *fakeStore) Pause(_ context.Context, channel string, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = append(s.paused, fmt.Sprint(channel, " ", d))
	return s.pauseErr
}

func (s *fakeStore) Prune(context.Context, time.Duration) (int, error) { return 0, nil }

func (s *fakeStore) claims() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

// capacities is what each claim was allowed to claim.
func (s *fakeStore) capacities() [][]Capacity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]Capacity(nil), s.asked...)
}

func (s *fakeStore) writes() [][]Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]Outcome(nil), s.written...)
}

func under(events []Event, claimID string) []Event {
	for i := range events {
		events[i].ClaimID = claimID
	}
	return events
}

// fakeSender follows the script of each test; without one it answers 200 to everything.
type fakeSender struct {
	mu    sync.Mutex
	sent  []Request
	check func(url, token string) error
	send  func(ctx context.Context, r Request) Result
}

func (s *fakeSender) Check(url, token, secrets string) error {
	if s.check == nil {
		return nil
	}
	return s.check(url, token)
}

func (s *fakeSender) Send(ctx context.Context, r Request) Result {
	s.mu.Lock()
	s.sent = append(s.sent, r)
	s.mu.Unlock()
	if s.send == nil {
		return Result{Received: ReceivedYes, Status: 200}
	}
	return s.send(ctx, r)
}

func (s *fakeSender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

var (
	errDown      = errors.New("connection refused")
	errLost      = fmt.Errorf("%w: EOF", ErrReplyLost)
	errLocked    = errors.New("the first of these is locked")
	errLeaseLost = errors.New("the first of these has lost its lease")
	errValue     = fmt.Errorf("%w: 22021", ErrRejected)
)

const testLease, testTimeout = 90 * time.Second, 30 * time.Second

func newTestDispatcher(s *fakeStore, post *fakeSender) (*Dispatcher, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return New(s, post, zap.New(core), Options{PollInterval: 20 * time.Millisecond, Timeout: testTimeout, Lease: testLease}), logs
}

// contact and doc are events as a claim returns them.
func contact(id int64) Event {
	return Event{ID: id, Name: "contact.created", Channel: "contacts", Data: json.RawMessage(`{}`),
		OccurredAt: "2026-03-22 08:30:00+00", Attempts: 1, Endpoint: Endpoint{InstanceID: "i", DocumentBaseURL: "https://re.example", MaxInFlight: 128}}
}

func doc(id int64) Event {
	ev := contact(id)
	ev.Name, ev.Channel, ev.Data = "document.exported", "documents", json.RawMessage(`{"id":1,"status":"Export"}`)
	ev.AtLeastOnce = true
	return ev
}

func again(ev Event) Event { ev.Attempts = 2; return ev }

func testEvent(ev Event) Event { ev.IsTest, ev.AtLeastOnce = true, false; return ev }

func broken(ev Event) Event { ev.Data = json.RawMessage(`[]`); return ev }

// firstOnly is a script that returns events for the first claim and none later.
func firstOnly(events ...Event) func(int, string) ([]Event, error) {
	return func(n int, _ string) ([]Event, error) {
		if n == 1 {
			return events, nil
		}
		return nil, nil
	}
}

// running is a dispatcher whose Run is under way.
type running struct {
	cancel, stop context.CancelFunc // the second signal, the first
	ended        chan error
}

func start(t *testing.T, d *Dispatcher) running {
	ctx, cancel := context.WithCancel(t.Context())
	stop, stopNow := context.WithCancel(ctx)
	r := running{cancel: cancel, stop: stopNow, ended: make(chan error, 1)}
	go func() { r.ended <- d.Run(ctx, stop) }()
	t.Cleanup(func() { cancel(); synctest.Wait() })
	return r
}

// within returns what Run returned, or fails once the fake clock has passed a limit.
func (r running) within(t *testing.T, limit time.Duration) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(limit):
		r.cancel()
		t.Errorf("Run has not returned after %s", limit)
		return <-r.ended
	}
}

// blocking is a sender that answers when its channel is closed.
func blocking() (*fakeSender, chan struct{}) {
	open := make(chan struct{})
	return &fakeSender{send: func(ctx context.Context, _ Request) Result {
		select {
		case <-open:
			return Result{Received: ReceivedYes, Status: 200}
		case <-ctx.Done():
			return Result{Failure: FailureInterrupted, Received: ReceivedMaybe, Error: "interrupted: the worker stopped"}
		}
	}}, open
}
