package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// fakeStore is a database that does as each test says. A method without a
// script does nothing, and succeeds.
type fakeStore struct {
	mu       sync.Mutex
	ids      []string    // attempt ids of claims, in order
	lanes    [][]Lane    // as told by claims
	written  [][]Outcome // as told by Record, failures included
	looked   int
	returned [][]string // as told by Release
	sweeps   int

	claim   func(n int, claimID string) ([]Event, error) // n counts from 1
	claimed func(n int, claimID string) ([]Event, error)
	record  func(n int, outcomes []Outcome) error
	release func() (int, error)
	sweep   func() (int, error)
	skip    func(ctx context.Context) (int, error)
}

func (s *fakeStore) Claim(_ context.Context, claimID string, lanes []Lane) ([]Event, error) {
	s.mu.Lock()
	s.ids, s.lanes = append(s.ids, claimID), append(s.lanes, lanes)
	n := len(s.ids)
	s.mu.Unlock()
	if s.claim == nil {
		return nil, nil
	}
	events, err := s.claim(n, claimID)
	return under(events, claimID), err
}

func (s *fakeStore) Claimed(_ context.Context, claimID string) ([]Event, error) {
	s.mu.Lock()
	s.looked++
	n := s.looked
	s.mu.Unlock()
	if s.claimed == nil {
		return nil, nil
	}
	events, err := s.claimed(n, claimID)
	return under(events, claimID), err
}

func (s *fakeStore) Record(_ context.Context, outcomes []Outcome) (locked []Outcome, err error) {
	s.mu.Lock()
	s.written = append(s.written, append([]Outcome(nil), outcomes...))
	n := len(s.written)
	s.mu.Unlock()
	if s.record == nil {
		return nil, nil
	}
	if err = s.record(n, outcomes); errors.Is(err, errLocked) {
		return outcomes[:1], nil
	}
	return nil, err
}

func (s *fakeStore) Release(_ context.Context, claimIDs []string) (int, error) {
	s.mu.Lock()
	s.returned = append(s.returned, claimIDs)
	s.mu.Unlock()
	if s.release == nil {
		return 0, nil
	}
	return s.release()
}

func (s *fakeStore) ExpireLeases(context.Context) (int, error) {
	s.mu.Lock()
	s.sweeps++
	s.mu.Unlock()
	if s.sweep == nil {
		return 0, nil
	}
	return s.sweep()
}

func (s *fakeStore) Skip(ctx context.Context) (int, error) {
	if s.skip == nil {
		return 0, nil
	}
	return s.skip(ctx)
}

func (s *fakeStore) Problems(context.Context) (map[string]string, error) { return nil, nil }

func (s *fakeStore) Prune(context.Context, time.Duration) (int, error) { return 0, nil }

func (s *fakeStore) claims() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

// told is what each claim was told of the lanes.
func (s *fakeStore) told() [][]Lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]Lane(nil), s.lanes...)
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

// fakeSender answers as each test says; without a script, 200 to everything.
type fakeSender struct {
	mu    sync.Mutex
	sent  []Request
	check func(url, token string) error
	send  func(ctx context.Context, r Request) Result
}

func (s *fakeSender) Check(url, token string) error {
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
	errAway   = errors.New("connection refused")
	errLost   = fmt.Errorf("%w: EOF", ErrReplyLost)
	errLocked = errors.New("the first of these is locked")
	errValue  = fmt.Errorf("%w: 22021", ErrRejected)
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
	ev.Name, ev.Channel, ev.Data = EventDocumentExported, "documents", json.RawMessage(`{"id":1,"status":"Export"}`)
	return ev
}

func again(ev Event) Event { ev.Attempts = 2; return ev }

func testEvent(ev Event) Event { ev.IsTest = true; return ev }

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
	t.Cleanup(func() { // a drain that gave up still waits; a process would have ended
		cancel()
		synctest.Wait()
		d.settled(int(d.openCount.Load()))
	})
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
		t.Errorf("Run goes on %s later", limit)
		return <-r.ended
	}
}

func TestTheTwoGuarantees(t *testing.T) {
	for _, tt := range []struct {
		name                string
		event               Event
		delivered, notSoFar Verdict
	}{
		{"a document", doc(1), Sent, Retry},
		{"a document, attempted before", again(doc(1)), Sent, Retry},
		{"a test document", testEvent(doc(1)), Sent, Failed},
		{"a contact", contact(1), Sent, Failed},
		{"a test contact", testEvent(contact(1)), Sent, Failed},
		{"an event that nobody knows", Event{Name: "no.such"}, Sent, Failed},
	} {
		if got := judge(tt.event, Result{Received: ReceivedYes}); got != tt.delivered {
			t.Errorf("%s, delivered: %s", tt.name, got)
		}
		if got := judge(tt.event, Result{Error: "HTTP 500"}); got != tt.notSoFar {
			t.Errorf("%s, not delivered: %s", tt.name, got)
		}
	}
	for _, c := range Channels() {
		want := Failed
		if c.Name == "documents" {
			want = Retry
		}
		if got := judge(Event{Name: c.Event}, Result{}); got != want {
			t.Errorf("%s, not delivered: %s, %s was expected", c.Event, got, want)
		}
	}
}

func TestAnEventWhoseChannelCannotBeCalledWaits(t *testing.T) {
	for _, ev := range []Event{contact(1), doc(1), testEvent(contact(1))} {
		post := &fakeSender{check: func(string, string) error { return errors.New("cannot call: no URL") }}
		d, _ := newTestDispatcher(&fakeStore{}, post)
		out := d.attempt(t.Context(), claimed{event: ev, at: time.Now()})
		if out.Verdict != Retry || out.Result.Error != "cannot call: no URL" || post.count() != 0 {
			t.Errorf("%s: %+v after %d requests", ev.Name, out, post.count())
		}
	}
}

func TestAnEventThatCannotBeRenderedIsNotSent(t *testing.T) {
	for verdict, ev := range map[Verdict]Event{Failed: broken(contact(1)), Retry: broken(doc(1))} {
		post := &fakeSender{}
		d, _ := newTestDispatcher(&fakeStore{}, post)
		out := d.attempt(t.Context(), claimed{event: ev, at: time.Now()})
		if out.Verdict != verdict || !strings.HasPrefix(out.Result.Error, "render: ") || post.count() != 0 {
			t.Errorf("%s: %+v after %d requests", ev.Name, out, post.count())
		}
	}
}

func TestNoPOSTIsBegunTooLongAfterItsClaim(t *testing.T) {
	for _, tt := range []struct{ timeout, lease, limit time.Duration }{
		{30 * time.Second, 90 * time.Second, 5 * time.Second},
		{30 * time.Second, 61 * time.Second, time.Second},
		{time.Second, 3 * time.Second, time.Second},
	} {
		for _, ev := range []Event{contact(1), doc(1)} {
			post := &fakeSender{}
			d := New(&fakeStore{}, post, zap.NewNop(), Options{Timeout: tt.timeout, Lease: tt.lease})
			at := time.Now()
			d.now = func() time.Time { return at.Add(tt.limit) }
			if out := d.attempt(t.Context(), claimed{event: ev, at: at}); out.Verdict != Sent {
				t.Errorf("%s, at the limit of %s: %+v", ev.Name, tt.limit, out)
			}
			d.now = func() time.Time { return at.Add(tt.limit + 1) }
			if out := d.attempt(t.Context(), claimed{event: ev, at: at}); out.Verdict != Released || post.count() != 1 {
				t.Errorf("%s, after the limit of %s: %+v", ev.Name, tt.limit, out)
			}
		}
	}
}

// The clock of the begin limit starts before the claim is sent: a claim whose
// answer took six seconds is too old.
func TestTheBeginLimitCountsFromBeforeTheClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) {
			if n > 1 {
				return nil, nil
			}
			time.Sleep(6 * time.Second)
			return []Event{contact(1)}, nil
		}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if w := s.writes(); len(w) != 1 || w[0][0].Verdict != Released || post.count() != 0 {
			t.Errorf("%d requests, recorded %+v", post.count(), w)
		}
	})
}

func TestALostClaimThatWasCommittedIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		s.claimed = func(n int, _ string) ([]Event, error) {
			if n <= 3 {
				return nil, errAway
			}
			return []Event{contact(1), doc(2)}, nil
		}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.looked != 4 || post.count() != 2 || len(d.lost.list()) != 0 {
			t.Errorf("%d look-ups, %d requests, lost: %v", s.looked, post.count(), d.lost.list())
		}
		for _, batch := range s.writes() {
			for _, o := range batch {
				if o.ClaimID != s.ids[0] || o.Verdict != Sent {
					t.Errorf("recorded %+v, attempt %s was expected", o, s.ids[0])
				}
			}
		}
	})
}

func TestALostClaimThatIsNotFoundIsGivenBackForALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }
		d, logs := newTestDispatcher(s, post)
		if n, _ := d.Pass(t.Context()); n != 0 {
			t.Fatalf("%d events", n)
		}
		id := s.ids[0]
		for range 9 { // 10 s to 90 s: within a lease
			time.Sleep(10 * time.Second)
			d.Cycle(t.Context())
		}
		if len(s.returned) != 9 {
			t.Fatalf("given back %d times", len(s.returned))
		}
		for _, ids := range s.returned {
			if len(ids) != 1 || ids[0] != id {
				t.Errorf("given back: %v, %s was expected", ids, id)
			}
		}
		s.release = func() (int, error) { return 0, errAway }
		time.Sleep(10 * time.Second)
		d.Cycle(t.Context())
		if len(d.lost.list()) != 1 {
			t.Error("forgotten although it could not be given back")
		}
		s.release = func() (int, error) { return 2, nil }
		d.Cycle(t.Context())
		d.Cycle(t.Context())
		if len(s.returned) != 11 || len(d.lost.list()) != 0 {
			t.Errorf("given back %d times, 11 were expected; lost: %v", len(s.returned), d.lost.list())
		}
		if n := logs.FilterMessageSnippet("given back").Len(); n != 1 {
			t.Errorf("logged %d times", n)
		}
		if post.count() != 0 {
			t.Errorf("%d requests", post.count())
		}
	})
}

// Any other error means that nothing was claimed: it is not looked up, and the
// next claim has another name.
func TestAClaimThatFailedIsRepeatedUnderAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = func(n int, _ string) ([]Event, error) {
			switch {
			case n <= 5:
				return nil, errAway
			case n == 6:
				return []Event{contact(1)}, nil
			}
			return nil, nil
		}
		d, logs := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Minute)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		seen := map[string]bool{}
		for _, id := range s.ids {
			seen[id] = true
		}
		if len(seen) != len(s.ids) || s.looked != 0 || post.count() != 1 {
			t.Errorf("%d claims under %d names, %d look-ups, %d requests", len(s.ids), len(seen), s.looked, post.count())
		}
		down, up := logs.FilterMessageSnippet("does not answer").Len(), logs.FilterMessageSnippet("answers again").Len()
		if down != 1 || up != 1 {
			t.Errorf("%d lines say that the database is away, %d that it is back", down, up)
		}
	})
}

func TestTheCycleComesRoundWhileABacklogIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{skip: func(ctx context.Context) (int, error) { // a backlog without end
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		d, _ := newTestDispatcher(s, &fakeSender{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		d.Cycle(ctx)
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
		if d.Skip(ctx); ctx.Err() == nil {
			t.Error("nothing was skipped")
		}
	})
}

func TestTheSweepWaitsForALeaseOfUnbrokenHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := newTestDispatcher(s, &fakeSender{})
		pass := func(err error) {
			s.claim = func(int, string) ([]Event, error) { return nil, err }
			_, _ = d.Pass(t.Context())
		}
		cycle := func(want int, when string) {
			t.Helper()
			if d.Cycle(t.Context()); s.sweeps != want {
				t.Errorf("%s: swept %d times, %d were expected", when, s.sweeps, want)
			}
		}
		cycle(0, "before the first claim")
		pass(nil)
		cycle(0, "just connected")
		time.Sleep(testLease - time.Second)
		cycle(0, "a second before the lease has passed")
		time.Sleep(time.Second)
		cycle(1, "a lease after connecting")
		pass(errAway)
		cycle(1, "the database is away")
		time.Sleep(2 * testLease)
		cycle(1, "the database has been away for long")
		pass(nil)
		cycle(1, "just reconnected")
		time.Sleep(testLease)
		cycle(2, "a lease after reconnecting")
		s.sweep = func() (int, error) { return 0, errAway }
		cycle(3, "a sweep that fails")
		s.sweep = nil
		pass(nil)
		cycle(3, "after a sweep that failed")
		time.Sleep(testLease)
		cycle(4, "a lease later")
		pass(errLost)
		cycle(4, "after a lost reply")
	})
}

// flush feeds outcomes to a recorder and returns when they are settled.
func flush(t *testing.T, s *fakeStore, n int) (*Dispatcher, *observer.ObservedLogs) {
	t.Helper()
	d, logs := newTestDispatcher(s, &fakeSender{})
	for i := range n {
		d.open.Add(1)
		d.openCount.Add(1)
		d.recorder.waiting <- Outcome{EventID: int64(i + 1), ClaimID: "a", Verdict: Failed, Result: Result{Status: 500, Error: "e", Response: "r"}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go d.recorder.run(ctx)
	d.open.Wait()
	return d, logs
}

func TestOutcomesAreRecordedInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := flush(t, s, 700)
		if w := s.writes(); len(w) != 2 || len(w[0]) != maxFlush || len(w[1]) != 200 {
			t.Errorf("%d statements", len(w))
		}
		if n := d.openCount.Load(); n != 0 {
			t.Errorf("%d are counted as open", n)
		}
	})
}

func TestABatchIsRepeatedUnchangedUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{record: func(n int, _ []Outcome) error {
			if n <= 20 {
				return errAway
			}
			return nil
		}}
		began := time.Now()
		_, logs := flush(t, s, 3)
		w := s.writes()
		for _, batch := range w {
			if fmt.Sprint(batch) != fmt.Sprint(w[0]) {
				t.Errorf("%v was written after %v", batch, w[0])
			}
		}
		if len(w) != 21 {
			t.Errorf("written %d times", len(w))
		}
		if took := time.Since(began); took < 30*time.Second || took > 100*time.Second {
			t.Errorf("20 repetitions took %s: the pauses grow to 5 s at most", took)
		}
		if n := logs.FilterMessageSnippet("does not answer").Len(); n != 1 {
			t.Errorf("%d lines say that the database is away", n)
		}
	})
}

// A refused batch is written row by row; the row at fault is written without its
// texts, and what the database refuses even then is given up, and logged.
func TestARefusedBatchIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := map[int64]Outcome{}
		s := &fakeStore{record: func(n int, batch []Outcome) error {
			if n == 3 {
				return errAway // in between, to be repeated
			}
			for _, o := range batch {
				if o.EventID == 2 && o.Result.Response != "" || o.EventID == 4 {
					return errValue
				}
			}
			for _, o := range batch {
				taken[o.EventID] = o
			}
			return nil
		}}
		_, logs := flush(t, s, 5)
		whole := Result{Status: 500, Error: "e", Response: "r"}
		for _, id := range []int64{1, 3, 5} {
			if taken[id].Result != whole {
				t.Errorf("outcome %d was recorded as %+v", id, taken[id])
			}
		}
		o := taken[2]
		if o.Verdict != Failed || o.Result.Status != 500 || o.Result.Response != "" || !strings.Contains(o.Result.Error, "could not be stored") {
			t.Errorf("the refused outcome was recorded as %+v", o)
		}
		if _, ok := taken[4]; ok || logs.FilterMessageSnippet("even without its texts").Len() != 1 {
			t.Error("the outcome that is refused in every form is logged once, and given up")
		}
	})
}

// A success has no error text, with or without its response.
func TestARefusedSuccessStaysASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last Outcome
		s := &fakeStore{record: func(_ int, batch []Outcome) error {
			last = batch[0]
			if last.Result.Response != "" {
				return errValue
			}
			return nil
		}, claim: firstOnly(contact(1))}
		post := &fakeSender{send: func(context.Context, Request) Result {
			return Result{Received: ReceivedYes, Status: 200, Response: "r"}
		}}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if last.Verdict != Sent || last.Result.Error != "" || last.Result.Status != 200 {
			t.Errorf("recorded %+v", last)
		}
	})
}

// blocking is a sender that answers when the test says so.
func blocking() (*fakeSender, chan struct{}) {
	open := make(chan struct{})
	return &fakeSender{send: func(ctx context.Context, _ Request) Result {
		select {
		case <-open:
			return Result{Received: ReceivedYes, Status: 200}
		case <-ctx.Done():
			return Result{Error: "interrupted: the worker stopped"}
		}
	}}, open
}

func TestRunFinishesWhatIsInFlightAndClaimsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1), doc(2))}
		post, open := blocking()
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		r.stop()
		synctest.Wait()
		claims := s.claims()
		time.Sleep(10 * time.Second)
		if s.claims() != claims {
			t.Errorf("%d claims after the stop", s.claims()-claims)
		}
		if len(s.writes()) != 0 {
			t.Error("an outcome was recorded before there was one")
		}
		close(open)
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		if w := s.writes(); len(w) == 0 || d.openCount.Load() != 0 {
			t.Errorf("recorded %v, %d open", w, d.openCount.Load())
		}
	})
}

func TestDrainIsAnErrorUntilEverythingIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1), doc(2)), record: func(int, []Outcome) error { return errAway }}
		d, _ := newTestDispatcher(s, &fakeSender{})
		r := start(t, d)
		time.Sleep(time.Second)
		r.stop()
		began := time.Now()
		err := r.within(t, time.Minute)
		if err == nil || !strings.Contains(err.Error(), "2 attempts ") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took != testTimeout+5*time.Second {
			t.Errorf("it drained for %s", took)
		}
	})
}

func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1), doc(2))}
		post, _ := blocking()
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		r.stop()
		synctest.Wait()
		r.cancel()
		if err := r.within(t, time.Nanosecond); err == nil || !strings.Contains(err.Error(), "2 attempts ") {
			t.Errorf("error %v", err)
		}
	})
}

func TestRunEndsOnStopWithNothingInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := newTestDispatcher(s, &fakeSender{})
		r := start(t, d)
		time.Sleep(time.Second)
		if n := s.claims(); n < 40 || n > 52 {
			t.Errorf("%d claims in a second, every 20 ms", n)
		}
		r.stop()
		if err := r.within(t, time.Nanosecond); err != nil {
			t.Error(err)
		}
	})
}

// The stop must reach a worker whose database is away: in the backoff of a
// claim, and in the look-up of a lost one. The look-up leaves open what the claim
// took, so it is no success.
func TestRunEndsOnStopWhileTheDatabaseIsAway(t *testing.T) {
	t.Run("claiming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{claim: func(int, string) ([]Event, error) { return nil, errAway }}
			d, _ := newTestDispatcher(s, &fakeSender{})
			r := start(t, d)
			time.Sleep(time.Minute)
			r.stop()
			if err := r.within(t, testTimeout+6*time.Second); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("looking up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{
				claim:   func(int, string) ([]Event, error) { return nil, errLost },
				claimed: func(int, string) ([]Event, error) { return nil, errAway },
			}
			d, _ := newTestDispatcher(s, &fakeSender{})
			r := start(t, d)
			time.Sleep(time.Minute)
			r.stop()
			if err := r.within(t, testTimeout+6*time.Second); err == nil {
				t.Error("no error, although a claim may be committed")
			}
		})
	})
}

// A lane tells each claim exactly what is in flight.
func TestLanesCountWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1), contact(2), doc(3), again(doc(4)), broken(contact(5)))}
		post, open := blocking()
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		want := map[string]Lane{
			"contacts":  {Channel: "contacts", Busy: 2},
			"documents": {Channel: "documents", Busy: 2, Retrying: 1},
		}
		check := func(lanes []Lane, want map[string]Lane) {
			t.Helper()
			if len(lanes) != 7 {
				t.Errorf("%d lanes", len(lanes))
			}
			for _, l := range lanes {
				w := want[l.Channel]
				if w.Channel = l.Channel; l != w {
					t.Errorf("lane %+v, %+v was expected", l, w)
				}
			}
		}
		told := s.told()
		check(told[0], nil)
		check(told[len(told)-1], want)
		close(open)
		time.Sleep(time.Second)
		told = s.told()
		check(told[len(told)-1], nil)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}

// A slot is free when its outcome waits to be recorded: a slow database costs
// the receivers nothing, until a thousand outcomes wait. It never counts below zero.
func TestLanesNeverCountBelowZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := int64(0)
		s := &fakeStore{
			claim: func(n int, _ string) (events []Event, err error) {
				for range n % 7 {
					next++
					events = append(events, contact(next), again(doc(next+1_000_000)))
				}
				return events, nil
			},
			record: func(n int, _ []Outcome) error { return map[bool]error{true: errAway}[n%3 == 0] },
		}
		post := &fakeSender{send: func(_ context.Context, r Request) Result {
			time.Sleep(time.Duration(len(r.WebhookID)%5) * 7 * time.Millisecond)
			return Result{Received: ReceivedYes, Status: 200}
		}}
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(2 * time.Second)
		r.stop()
		if err := r.within(t, time.Minute); err != nil {
			t.Error(err)
		}
		for _, lanes := range append(s.told(), d.lanes.snapshot()) {
			for _, l := range lanes {
				if l.Retrying < 0 || l.Busy < l.Retrying || l.Channel == "contacts" && l.Retrying != 0 {
					t.Fatalf("lane %+v", l)
				}
			}
		}
		for _, l := range d.lanes.snapshot() {
			if l.Busy != 0 || l.Retrying != 0 {
				t.Errorf("lane %+v when all is done", l)
			}
		}
		recorded := map[int64]int{}
		for n, batch := range s.writes() {
			for _, o := range batch {
				if (n+1)%3 != 0 && o.Verdict != Released {
					recorded[o.EventID]++
				}
			}
		}
		if len(recorded) != post.count() || post.count() == 0 {
			t.Errorf("%d requests, %d recorded", post.count(), len(recorded))
		}
	})
}

// A free slot is filled at once, not at the next poll.
func TestAFreedSlotIsFilledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			if n > 100 {
				return nil, nil
			}
			return []Event{contact(int64(n))}, nil
		}}
		post := &fakeSender{}
		d, _ := newTestDispatcher(s, post)
		d.opts.PollInterval = time.Hour
		r := start(t, d)
		time.Sleep(time.Minute)
		if n := post.count(); n != 100 {
			t.Errorf("%d requests before the first poll", n)
		}
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestOnceDeliversWhatIsDueAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			switch n {
			case 1, 3: // and in between the database is away
				return []Event{contact(int64(n)), doc(int64(10 + n))}, nil
			case 2:
				return nil, errAway
			}
			return nil, nil
		}}
		post := &fakeSender{}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		recorded := 0
		for _, batch := range s.writes() {
			recorded += len(batch)
		}
		if s.claims() != 4 || post.count() != 4 || recorded != 4 {
			t.Errorf("%d claims, %d requests, %d recorded", s.claims(), post.count(), recorded)
		}
	})
}

// A lost claim that is not found proves nothing about what is due.
func TestOnceLooksAgainAfterALostClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			switch n {
			case 1:
				return nil, errLost
			case 2:
				return []Event{contact(1)}, nil
			}
			return nil, nil
		}}
		post := &fakeSender{}
		d, _ := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if post.count() != 1 {
			t.Errorf("%d requests, 1 event is due", post.count())
		}
	})
}

func TestBackoffGrowsToFiveSeconds(t *testing.T) {
	for failures := range 200 {
		longest := min(5*time.Second, 50*time.Millisecond<<min(failures, 20))
		for range 50 {
			if d := Backoff(failures); d > longest || d < longest/2 {
				t.Fatalf("after %d failures: %s, %s to %s was expected", failures, d, longest/2, longest)
			}
		}
	}
}

// Three events, two slots, a receiver that does not answer: what waits for a slot
// goes back when the worker is stopped, and what is under way is finished.
func TestWhatWaitsForASlotIsGivenBackWhenTheWorkerIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) (events []Event, err error) {
			for id := int64(1); n == 1 && id <= 3; id++ {
				ev := contact(id)
				ev.Endpoint.MaxInFlight = 2
				events = append(events, ev)
			}
			return events, nil
		}}
		post := &fakeSender{send: func(ctx context.Context, _ Request) Result {
			sleep(ctx, 3*time.Second)
			return Result{Received: ReceivedYes, Status: 200, Took: 3 * time.Second}
		}}
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(waitAtMost / 2)
		r.stop()
		if err := r.within(t, 3*time.Second); err != nil {
			t.Error(err)
		}
		verdicts := map[Verdict]int{}
		for _, batch := range s.writes() {
			for _, o := range batch {
				verdicts[o.Verdict]++
			}
		}
		if post.count() != 2 || verdicts[Sent] != 2 || verdicts[Released] != 1 {
			t.Errorf("%d requests; %v", post.count(), verdicts)
		}
	})
}

func TestALostClaimIsGivenBackOnceMoreWhenTheWorkerIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) { return nil, map[bool]error{true: errLost}[n == 1] }}
		d, _ := newTestDispatcher(s, &fakeSender{})
		r := start(t, d)
		time.Sleep(time.Second)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		if len(s.returned) != 1 || len(s.returned[0]) != 1 || s.returned[0][0] != s.ids[0] {
			t.Errorf("given back: %v", s.returned)
		}
	})
}

// The database lets every contact be claimed and none be recorded.
func TestALaneWhoseOutcomesAreNotTakenClaimsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 500
		s, given := &fakeStore{}, 0
		s.claim = func(n int, _ string) (events []Event, err error) {
			told := s.told()[n-1]
			if told[slices.IndexFunc(told, func(l Lane) bool { return l.Channel == "contacts" })].Busy < 1000 {
				for id := range int64(each) {
					events = append(events, contact(int64(n)*each+id))
				}
				given += each
			}
			folder := contact(int64(n) + 10_000_000)
			folder.Name, folder.Channel = "folder.created", "folders"
			return append(events, folder), nil
		}
		s.record = func(_ int, outcomes []Outcome) error {
			if slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Channel == "contacts" }) {
				return ErrDenied
			}
			return nil
		}
		d, _ := newTestDispatcher(s, &fakeSender{send: func(ctx context.Context, _ Request) Result {
			sleep(ctx, 10*time.Millisecond)
			return Result{Received: ReceivedYes, Status: 200}
		}})
		start(t, d)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if given < maxOpen || given >= maxOpen+each {
			t.Errorf("%d contacts are claimed and not recorded, %d were expected at most", given, maxOpen)
		}
		before := s.claims()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.claims() - before; n < 10 {
			t.Errorf("the other lanes claim %d times a second", n)
		}
	})
}

// An outcome whose row is locked is written once the lock is gone; the others at once.
func TestALockedOutcomeIsWrittenLaterAndHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			if n > 20 {
				return nil, nil
			}
			return []Event{contact(int64(n))}, nil
		}}
		free := time.Now().Add(5 * time.Second)
		written := map[int64]time.Time{}
		s.record = func(_ int, outcomes []Outcome) error {
			locked := time.Now().Before(free) && outcomes[0].EventID == 1
			for i, o := range outcomes {
				if !locked || i > 0 {
					written[o.EventID] = time.Now()
				}
			}
			return map[bool]error{true: errLocked}[locked]
		}
		d, _ := newTestDispatcher(s, &fakeSender{})
		began := time.Now()
		r := start(t, d)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for id := int64(1); id <= 20; id++ {
			took := written[id].Sub(began)
			if locked := id == 1; written[id].IsZero() || locked != (took >= 5*time.Second) || took > 6100*time.Millisecond {
				t.Errorf("event %d is recorded after %s", id, took)
			}
		}
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}

// A receiver that was quick has hung: what was claimed ahead goes back within
// moments, and no more is claimed ahead.
func TestWhatWaitsTooLongForASlotIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 40
		s := &fakeStore{}
		next := int64(0)
		s.claim = func(n int, _ string) (events []Event, err error) {
			told := s.told()[n-1]
			for range slots - told[slices.IndexFunc(told, func(l Lane) bool { return l.Channel == "contacts" })].Busy {
				next++
				ev := contact(next)
				ev.Endpoint.MaxInFlight = slots
				events = append(events, ev)
			}
			return events, nil
		}
		hangs := time.Now().Add(time.Second)
		post := &fakeSender{send: func(ctx context.Context, _ Request) Result {
			began := time.Now()
			sleep(ctx, 5*time.Millisecond)
			if time.Now().After(hangs) {
				sleep(ctx, 30*time.Second)
			}
			return Result{Received: ReceivedYes, Status: 200, Took: time.Since(began)}
		}}
		d, _ := newTestDispatcher(s, post)
		start(t, d)
		time.Sleep(time.Second)
		synctest.Wait()
		d.lanes.mu.Lock()
		held := d.lanes.lanes[1].held
		d.lanes.mu.Unlock()
		if held <= slots || held > 2*slots {
			t.Errorf("%d events are held for a quick receiver with %d slots", held, slots)
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		back, claimed := 0, next
		for _, batch := range s.writes() {
			for _, o := range batch {
				if o.Verdict == Released {
					back++
				}
			}
		}
		if back == 0 || back > slots || d.lanes.of("contacts").Busy != slots {
			t.Errorf("%d events are given back; the lane says that %d of its %d slots are in use", back, d.lanes.of("contacts").Busy, slots)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if next != claimed {
			t.Errorf("%d more events are claimed while the receiver hangs", next-claimed)
		}
	})
}
