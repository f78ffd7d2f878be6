package outbox

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// attempts plays attempts on a failingLog, and cycles every ten seconds.
type attempts struct {
	log  failingLog
	logs *observer.ObservedLogs
	now  time.Time
}

func newAttempts() *attempts {
	core, logs := observer.New(zapcore.DebugLevel)
	return &attempts{log: failingLog{log: zap.New(core)}, logs: logs, now: time.Date(2026, 3, 22, 8, 30, 0, 0, time.UTC)}
}

func (a *attempts) make(ev Event, v Verdict, failure Failure) {
	out := Outcome{Verdict: v, Result: Result{Failure: failure, Error: "why"}}
	a.log.note(ev, out, a.now)
}

// pass lets time pass, with attempts every second.
func (a *attempts) pass(d time.Duration, everySecond func(second int)) {
	for s := range int(d / time.Second) {
		if everySecond != nil {
			everySecond(s)
		}
		a.now = a.now.Add(time.Second)
		if a.now.Second()%10 == 0 {
			a.log.tick(a.now)
		}
	}
}

// lines are the messages with their counts, and forget them.
func (a *attempts) lines() string {
	var all []string
	for _, entry := range a.logs.TakeAll() {
		line := entry.Message
		for _, field := range []string{"failed", "lost", "sent", "for"} {
			if v, ok := entry.ContextMap()[field]; ok {
				line += fmt.Sprintf(" %s=%v", field, v)
			}
		}
		all = append(all, line)
	}
	return strings.Join(all, "; ")
}

func TestFailingLog_AnOutageHasOneLineAtItsStartOneAMinuteAndOneAtItsEnd(t *testing.T) {
	a := newAttempts()
	for i := range int64(2000) {
		a.make(contact(i), Failed, FailureRefused)
	}
	if got := a.lines(); got != "channel failing" {
		t.Errorf("at the start: %s", got)
	}
	a.pass(2*time.Minute, func(int) { a.make(contact(1), Failed, FailureRefused); a.make(again(doc(2)), Retry, FailureRefused) })
	got := a.lines()
	for _, want := range []string{"channel failing; ", "failed=2059 lost=2059 sent=0", "failed=60 lost=60 sent=0", "failed=59 lost=0 sent=0", "failed=60 lost=0 sent=0"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("two minutes: %q is not once in %s", want, got)
		}
	}
	if strings.Count(got, ";") > 4 {
		t.Errorf("two minutes: %s", got)
	}
	a.make(contact(3), Sent, "")
	a.make(contact(4), Sent, "")
	if got := a.lines(); got != "channel recovered failed=2120 lost=2120 for=2m0s" {
		t.Errorf("at the end: %s", got)
	}
	a.pass(2*time.Minute, func(int) { a.make(contact(5), Sent, "") })
	if got := a.lines(); strings.Contains(got, "recovered") {
		t.Errorf("afterwards: %s", got)
	}
}

// A receiver that rejects one document, every ten seconds, and takes everything else.
func TestFailingLog_AnUnsteadyChannelHasOneLineAMinute(t *testing.T) {
	a := newAttempts()
	second := func(s int) {
		if s%10 == 0 {
			a.make(again(doc(1)), Retry, FailureRejected)
		}
		a.make(doc(2), Sent, "")
	}
	a.pass(time.Second, second)
	if got := a.lines(); got != "channel failing; channel recovered failed=1 lost=0 for=0s" {
		t.Errorf("the first failure: %s", got)
	}
	a.pass(10*time.Minute, second)
	if got := a.lines(); strings.Count(got, "channel still failing") < 9 || strings.Count(got, ";") > 9 || !strings.Contains(got, "failed=6 lost=0 sent=60") {
		t.Errorf("ten minutes: %s", got)
	}
	a.pass(time.Minute, func(int) { a.make(doc(2), Sent, "") })
	if got := a.lines(); strings.Count(got, "channel recovered failed=60") != 1 || strings.Contains(got, "failing;") {
		t.Errorf("at the end: %s", got)
	}
}

// What cannot be rendered is counted by itself; what was released was no attempt.
func TestFailingLog_WhatCannotBeRenderedSaysNothingAboutTheReceiver(t *testing.T) {
	a := newAttempts()
	for range 2000 {
		a.make(contact(1), Failed, FailureRender)
		a.make(contact(2), Released, "")
	}
	a.pass(time.Minute+10*time.Second, nil)
	a.make(contact(3), Sent, "")
	if got := a.lines(); got != "events cannot be rendered failed=1 lost=1; events cannot be rendered failed=1999 lost=1999" {
		t.Errorf("%s", got)
	}
}

// A worker that ends logs what it has counted since the newest line.
func TestFailingLog_NothingIsLeftUncountedAtTheEnd(t *testing.T) {
	a := newAttempts()
	for range 100 {
		a.make(contact(1), Failed, FailureRefused)
		a.make(broken(contact(2)), Failed, FailureRender)
	}
	a.lines()
	a.log.end(a.now)
	if got := a.lines(); !strings.Contains(got, "channel still failing failed=99 lost=99") || !strings.Contains(got, "events cannot be rendered failed=99") {
		t.Errorf("%s", got)
	}
}

// 'run --once' against a receiver that is down: the two lines have all that failed.
func TestFailingLog_ARunThatEndsSaysWhatItCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, post := &fakeStore{}, &fakeSender{}
		s.claim = firstOnly(contact(1), contact(2), contact(3))
		post.send = func(context.Context, Request) Result { return Result{Failure: FailureRefused, Received: ReceivedNo} }
		d, logs := newTestDispatcher(s, post)
		if err := d.Once(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := logs.FilterMessage("channel failing").Len(); n != 1 {
			t.Errorf("%d lines at the start", n)
		}
		if counted := logs.FilterMessage("channel still failing").All(); len(counted) != 1 || counted[0].ContextMap()["failed"] != int64(2) {
			t.Errorf("at the end: %v", counted)
		}
	})
}
