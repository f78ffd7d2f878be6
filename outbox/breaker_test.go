package outbox

import (
	"testing"
)

func TestBreaker_FailedRetriesPauseRetries(t *testing.T) {
	q := newQueue(Channels(), 0)
	again := doc(1)
	again.Attempts = 2
	fail := func(n int) {
		for range n {
			q.take(q.beginClaim(), []Event{again})
			q.done(again, Outcome{Verdict: Retry})
		}
	}
	fresh := doc(2)
	fresh.Attempts = 1
	q.take(q.beginClaim(), []Event{fresh})
	q.done(fresh, Outcome{Verdict: Retry})
	if q.of("documents").RetriesPaused {
		t.Error("a fresh document that failed counts as a retry")
	}
	fail(failureBudget - 1)
	if q.of("documents").RetriesPaused {
		t.Error("paused too early")
	}
	fail(1)
	if !q.of("documents").RetriesPaused {
		t.Error("there is no end of retries in this cycle")
	}
	q.take(q.beginClaim(), []Event{fresh})
	q.done(fresh, Outcome{Verdict: Sent})
	if q.of("documents").RetriesPaused {
		t.Error("still paused after a success")
	}
	fail(failureBudget)
	q.resetBreakers()
	if q.of("documents").RetriesPaused {
		t.Error("still paused in the next cycle")
	}
}

func TestBreaker_FailedFirstAttemptsOpenIt(t *testing.T) {
	q := newQueue(Channels(), 0)
	fresh := doc(1)
	attempt := func(n int, v Verdict) {
		for range n {
			q.take(q.beginClaim(), []Event{fresh})
			q.done(fresh, Outcome{Verdict: v})
			q.remove([]Outcome{{Channel: fresh.Channel}})
		}
	}
	stopped := func() bool { return q.of("documents").Occupied > 1000 }
	for name, then := range map[string]func(){"a success": func() { attempt(1, Sent) }, "the next cycle": q.resetBreakers} {
		attempt(failureBudget-1, Retry)
		if stopped() {
			t.Fatalf("stopped too early, before %s", name)
		}
		attempt(1, Retry)
		if !stopped() {
			t.Errorf("there is no end of first attempts in this cycle, before %s", name)
		}
		then()
		if stopped() {
			t.Errorf("still stopped after %s", name)
		}
	}
}
