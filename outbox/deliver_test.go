package outbox

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestVerdict_FollowsTheGuarantee(t *testing.T) {
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
		{"an unknown event", Event{Name: "no.such"}, Sent, Failed},
		{"an unknown event that is delivered at least once", Event{Name: "no.such", AtLeastOnce: true}, Sent, Retry},
	} {
		if got := verdict(tt.event, Result{Received: ReceivedYes}); got != tt.delivered {
			t.Errorf("%s, delivered: %s", tt.name, got)
		}
		if got := verdict(tt.event, Result{Failure: FailureServerError, Received: ReceivedNo, Error: "HTTP 500"}); got != tt.notSoFar {
			t.Errorf("%s, not delivered: %s", tt.name, got)
		}
		if got := verdict(tt.event, Result{Failure: FailureProxy, Received: ReceivedNo, Error: "proxy"}); got != Retry {
			t.Errorf("%s, the proxy failed before anything was sent: %s", tt.name, got)
		}
		if got := verdict(tt.event, Result{Failure: FailureProxy, Received: ReceivedMaybe, Error: "proxy"}); got != tt.notSoFar {
			t.Errorf("%s, something was sent: %s", tt.name, got)
		}
	}
	for _, c := range Channels() { // the claimed row says it, no name does
		for atLeastOnce, want := range map[bool]Verdict{false: Failed, true: Retry} {
			if got := verdict(Event{Name: c.Event, Channel: c.Name, AtLeastOnce: atLeastOnce}, Result{}); got != want {
				t.Errorf("%s, not delivered: %s, %s was expected", c.Event, got, want)
			}
		}
	}
}

func TestAttempt_ChannelThatCannotBeCalledIsRetried(t *testing.T) {
	for _, ev := range []Event{contact(1), doc(1), testEvent(contact(1))} {
		post := &fakeSender{check: func(string, string) error { return errors.New("cannot call: no URL") }}
		d, _ := newTestDispatcher(&fakeStore{}, post)
		out := d.attempt(t.Context(), &claimedEvent{event: ev, at: time.Now()})
		want := Result{Failure: FailureConfig, Received: ReceivedNo, Error: "cannot call: no URL"}
		if out.Verdict != Retry || out.Result != want || post.count() != 0 {
			t.Errorf("%s: %+v after %d requests", ev.Name, out, post.count())
		}
	}
}

func TestAttempt_RenderErrorSendsNothing(t *testing.T) {
	for verdict, ev := range map[Verdict]Event{Failed: broken(contact(1)), Retry: broken(doc(1))} {
		post := &fakeSender{}
		d, _ := newTestDispatcher(&fakeStore{}, post)
		out := d.attempt(t.Context(), &claimedEvent{event: ev, at: time.Now()})
		if out.Verdict != verdict || !strings.HasPrefix(out.Result.Error, "render: ") || out.Result.Failure != FailureRender || out.Result.Received != ReceivedNo || post.count() != 0 {
			t.Errorf("%s: %+v after %d requests", ev.Name, out, post.count())
		}
	}
}

func TestAttempt_NoPOSTBeginsTooLongAfterItsClaim(t *testing.T) {
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
			if out := d.attempt(t.Context(), &claimedEvent{event: ev, at: at}); out.Verdict != Sent {
				t.Errorf("%s, at the limit of %s: %+v", ev.Name, tt.limit, out)
			}
			d.now = func() time.Time { return at.Add(tt.limit + 1) }
			if out := d.attempt(t.Context(), &claimedEvent{event: ev, at: at}); out.Verdict != Released || post.count() != 1 {
				t.Errorf("%s, after the limit of %s: %+v", ev.Name, tt.limit, out)
			}
		}
	}
}

// The clock of the begin limit starts before the claim is sent: a claim whose
// answer took six seconds is too old.
func TestAttempt_BeginLimitCountsFromBeforeTheClaim(t *testing.T) {
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
