package outbox

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

// flush gives a recorder the outcomes of n claimed events and returns when they are recorded.
func flush(t *testing.T, s *fakeStore, n int) (*Dispatcher, *observer.ObservedLogs) {
	t.Helper()
	d, logs := newTestDispatcher(s, &fakeSender{})
	d.queue.take(d.queue.beginClaim(), events(1, int64(n), 128))
	for i := range n {
		d.recorder.add(t.Context(), Outcome{EventID: int64(i + 1), Channel: "contacts", ClaimID: "a", Verdict: Failed, Result: serverError})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go d.recorder.run(ctx)
	d.queue.wait(t.Context())
	return d, logs
}

var serverError = Result{Failure: FailureServerError, Received: ReceivedNo, Status: 500, Error: "e", Response: "r"}

func TestRecorder_WritesBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		d, _ := flush(t, s, 700)
		if w := s.writes(); len(w) != 2 || len(w[0]) != maxBatch || len(w[1]) != 200 {
			t.Errorf("%d statements", len(w))
		}
		if n := d.queue.inFlight(); n != 0 {
			t.Errorf("%d are still in flight", n)
		}
	})
}

func TestRecorder_BatchIsRepeatedUnchangedUntilAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{record: func(n int, _ []Outcome) error {
			if n <= 20 {
				return errDown
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
		if n := logs.FilterMessage("database unavailable, retrying").Len(); n != 1 {
			t.Errorf("%d lines say that the database is unavailable", n)
		}
	})
}

// A rejected batch is written row by row; the row at fault is written without its texts, and one that
// the database rejects even then is logged and left to its lease.
func TestRecorder_RejectedBatchIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepted := map[int64]Outcome{}
		s := &fakeStore{record: func(n int, batch []Outcome) error {
			if n == 3 {
				return errDown // in between, to be repeated
			}
			for _, o := range batch {
				if o.EventID == 2 && o.Result.Response != "" || o.EventID == 4 {
					return errValue
				}
			}
			for _, o := range batch {
				accepted[o.EventID] = o
			}
			return nil
		}}
		_, logs := flush(t, s, 5)
		for _, id := range []int64{1, 3, 5} {
			if accepted[id].Result != serverError {
				t.Errorf("outcome %d was recorded as %+v", id, accepted[id])
			}
		}
		o := accepted[2]
		if o.Verdict != Failed || o.Result.Status != 500 || o.Result.Response != "" || !strings.Contains(o.Result.Error, "could not be stored") {
			t.Errorf("the rejected outcome was recorded as %+v", o)
		}
		if _, ok := accepted[4]; ok || logs.FilterMessage("outcome rejected without its texts, its lease will expire").Len() != 1 {
			t.Error("the outcome that is rejected in every form is logged once")
		}
	})
}

// recordedWithoutResponse is what is recorded of a result whose response the database rejects.
func recordedWithoutResponse(t *testing.T, r Result) (last Outcome) {
	t.Helper()
	s := &fakeStore{record: func(_ int, batch []Outcome) error {
		last = batch[0]
		if last.Result.Response != "" {
			return errValue
		}
		return nil
	}, claim: firstOnly(contact(1))}
	d, _ := newTestDispatcher(s, &fakeSender{send: func(context.Context, Request) Result { return r }})
	if err := d.Once(t.Context(), t.Context()); err != nil {
		t.Fatal(err)
	}
	return last
}

// A success has no error text, with or without its response.
func TestRecorder_RejectedSuccessStaysASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := recordedWithoutResponse(t, Result{Received: ReceivedYes, Status: 200, Response: "r"})
		if last.Verdict != Sent || last.Result.Error != "" || last.Result.Status != 200 {
			t.Errorf("recorded %+v", last)
		}
	})
}

// An outcome whose row is locked is written once the lock is gone; the others at once.
func TestRecorder_LockedRowIsDeferred(t *testing.T) {
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

// What a person or retry_failed decides by survives when the texts cannot be stored.
func TestRecorder_RejectedTextsKeepFailureAndReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := recordedWithoutResponse(t, Result{Failure: FailureBadAnswer, Received: ReceivedMaybe, Error: "e", Response: "r"})
		if r := last.Result; last.Verdict != Failed || r.Failure != FailureBadAnswer || r.Received != ReceivedMaybe || r.Error == "e" {
			t.Errorf("recorded %+v", last)
		}
	})
}
