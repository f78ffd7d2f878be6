package outbox

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A receiver answers 429 with Retry-After to everything that is under way, and four events wait for a slot.
func TestPause_ReleasesWhatWaitsAndClaimsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := events(1, 6, 2)
		s := &fakeStore{claim: firstOnly(all...), pauseErr: errDown} // else the database pauses it
		post := &fakeSender{send: func(context.Context, Request) Result {
			time.Sleep(10 * time.Millisecond)
			return Result{Failure: FailureRateLimited, Received: ReceivedNo, Status: 429, Error: "HTTP 429", RetryAfter: 30 * time.Second}
		}}
		d, logs := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		if n := post.count(); n != 2 {
			t.Errorf("%d requests", n)
		}
		verdicts := map[Verdict]int{}
		for _, batch := range s.writes() {
			for _, o := range batch {
				verdicts[o.Verdict]++
			}
		}
		if verdicts[Failed] != 2 || verdicts[Released] != 4 {
			t.Errorf("recorded %v", verdicts)
		}
		if want := []string{"contacts 30s"}; !slices.Equal(s.paused, want) {
			t.Errorf("paused %q, not %q", s.paused, want)
		}
		if n := logs.FilterMessage("channel paused, its receiver asked for it").Len(); n != 1 {
			t.Errorf("logged %d times", n)
		}
		for _, wait := range []time.Duration{0, 28 * time.Second} {
			time.Sleep(wait)
			if got := d.queue.of("contacts").Occupied; got != laneClosed {
				t.Errorf("%d in flight, nothing may be claimed", got)
			}
		}
		time.Sleep(2 * time.Second)
		if got := d.queue.of("contacts").Occupied; got != 0 {
			t.Errorf("after the pause %d in flight", got)
		}
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}
