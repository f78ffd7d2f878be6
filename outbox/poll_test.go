package outbox

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

// applications is a database in which transactions draw the ids of events and commit them, perhaps later.
type applications struct {
	*fakeStore
	logs    *observer.ObservedLogs
	d       *Dispatcher
	drawn   int64
	waiting []Event
	claimAt []time.Time // when each claim was made
	got     map[int64]time.Time
}

// serve runs a dispatcher over applications.
func serve(t *testing.T, interval time.Duration) (*applications, running) {
	a := &applications{fakeStore: &fakeStore{}, got: map[int64]time.Time{}}
	a.claim = func(int, string) ([]Event, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		events := a.waiting
		a.waiting, a.claimAt = nil, append(a.claimAt, time.Now())
		for _, ev := range events {
			a.got[ev.ID] = time.Now()
		}
		return events, nil
	}
	a.newest = func(int64) (int64, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.drawn, nil
	}
	a.d, a.logs = newTestDispatcher(a.fakeStore, &fakeSender{})
	a.d.opts.PollInterval = interval
	return a, start(t, a.d)
}

// draw draws the id of an event.
func (a *applications) draw() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drawn++
	return a.drawn
}

// commit makes an event visible.
func (a *applications) commit(ev Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, ev)
}

// claimedWithin fails if an event is not claimed that soon.
func (a *applications) claimedWithin(t *testing.T, id int64, limit time.Duration) {
	t.Helper()
	began := time.Now()
	time.Sleep(limit)
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.got[id]; !ok {
		t.Errorf("event %d is not claimed within %s", id, limit)
	} else {
		t.Logf("event %d is claimed after %s", id, at.Sub(began))
	}
}

// during is how many claims are made while that much time passes.
func (a *applications) during(d time.Duration) int {
	before := a.claims()
	time.Sleep(d)
	synctest.Wait()
	return a.claims() - before
}

// A committed event is claimed as soon as a probe has seen its id, whatever the interval between two polls.
func TestPoll_AnAnnouncedEventIsClaimedAtOnce(t *testing.T) {
	for _, interval := range []time.Duration{time.Millisecond, 20 * time.Millisecond, time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := serve(t, interval)
			time.Sleep(10*time.Second + 500*time.Microsecond)
			every := quietEvery // it is silent
			for range 20 {
				id := a.draw()
				a.commit(contact(id))
				a.claimedWithin(t, id, every+time.Microsecond)
				time.Sleep(70 * time.Millisecond)
				every = probeEvery
			}
		})
	}
}

// While a transaction is open claims follow its event, and find it within a quarter of the time that it was open;
// beyond that the polls are as quick.
func TestPoll_ClaimsFollowAnEventUntilItsTransactionEnds(t *testing.T) {
	for _, open := range []time.Duration{2 * time.Millisecond, 10 * time.Millisecond, 60 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second, time.Minute} {
		for _, interval := range []time.Duration{20 * time.Millisecond, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				a, _ := serve(t, interval)
				time.Sleep(time.Minute)
				id := a.draw()
				time.Sleep(open)
				synctest.Wait()
				polls := a.d.schedule.polls()
				a.commit(contact(id))
				a.claimedWithin(t, id, min(max(open/4, followFrom), polls)+quietEvery+time.Microsecond)
			})
		}
	}
}

// What is missing for long, since its transaction was rolled back or another worker has claimed it, costs a few claims.
func TestPoll_AnIDThatNeverArrivesCostsAFewClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		time.Sleep(time.Minute)
		idle := a.during(10 * time.Second)
		a.draw()
		if n := a.during(10 * time.Second); n > idle+25 {
			t.Errorf("%d claims in ten seconds, %d without the id", n, idle)
		}
		if n := a.during(10 * time.Second); n > idle {
			t.Errorf("%d claims in the next ten seconds, %d without the id", n, idle)
		}
	})
}

// Ids become visible in any order: those that are missing are followed, whatever was claimed since.
func TestPoll_AnEarlierIDThatCommitsLaterIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, time.Second)
		time.Sleep(time.Minute)
		early := a.draw()
		time.Sleep(10 * time.Millisecond)
		for range 3 {
			id := a.draw()
			a.commit(contact(id))
			a.claimedWithin(t, id, 2*quietEvery)
		}
		a.commit(contact(early))
		a.claimedWithin(t, early, 20*time.Millisecond)
	})
}

func TestPoll_IdleWorkerPollsEveryTenIntervalsWhileItsProbeWorks(t *testing.T) {
	for interval, polls := range map[time.Duration]time.Duration{
		20 * time.Millisecond: 200 * time.Millisecond, 500 * time.Millisecond: time.Second, 5 * time.Second: 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := serve(t, interval)
			time.Sleep(time.Minute)
			if n, want := a.during(time.Minute), int(time.Minute/polls); n != want && n != want+1 {
				t.Errorf("interval %s: %d polls in a minute, want %d", interval, n, want)
			}
		})
	}
}

// What waiting costs is wake-ups and round trips: in silence a probe has fewer of both, and the first event ends it.
func TestPoll_InSilenceProbesAreFewerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		probed := func(during time.Duration) int {
			before := a.newestCalls.Load()
			time.Sleep(during)
			synctest.Wait()
			return int(a.newestCalls.Load() - before)
		}
		if n := probed(900 * time.Millisecond); n < 10 {
			t.Errorf("%d probes before it is silent, each of 81 ms", n)
		}
		time.Sleep(time.Minute)
		if n := probed(10 * time.Second); n > 52 {
			t.Errorf("%d probes in ten silent seconds, each of 200 ms", n)
		}
		id := a.draw()
		a.commit(contact(id))
		a.claimedWithin(t, id, quietEvery+time.Microsecond)
		if n := probed(900 * time.Millisecond); n < 10 {
			t.Errorf("%d probes after an event, each of 81 ms", n)
		}
	})
}

// A statement may take a sixth of the lease: with a short one a long probe would end with an error each time.
func TestPoll_WithAShortLeaseProbesStayShortInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &applications{fakeStore: &fakeStore{}, got: map[int64]time.Time{}}
		a.newest = func(int64) (int64, error) { return 0, nil }
		a.d, a.logs = newTestDispatcher(a.fakeStore, &fakeSender{})
		a.d.opts.Lease = 1200 * time.Millisecond
		start(t, a.d)
		time.Sleep(time.Minute)
		before := a.newestCalls.Load()
		time.Sleep(10 * time.Second)
		if n := a.newestCalls.Load() - before; n < 100 {
			t.Errorf("%d probes in ten silent seconds, each longer than 81 ms", n)
		}
	})
}

// A probe that fails leaves the worker as one that polls; it is repeated, and then sees what it has missed.
func TestPoll_WhileTheProbeFailsTheWorkerPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		works := a.newest
		a.d.health.mu.Lock()
		a.d.health.isUp = true
		a.d.health.mu.Unlock()
		time.Sleep(time.Minute)
		a.mu.Lock()
		a.newest = func(known int64) (int64, error) { return known, errDown }
		a.mu.Unlock()
		time.Sleep(time.Second)
		if n := a.during(10 * time.Second); n < 490 || n > 501 {
			t.Errorf("%d polls in ten seconds, every 20 ms", n)
		}
		id := a.draw()
		a.commit(contact(id))
		a.claimedWithin(t, id, 20*time.Millisecond)
		if n := a.logs.FilterMessage("background statement failed").Len(); n != 1 {
			t.Errorf("%d lines of the log", n)
		}
		a.mu.Lock()
		a.newest = works
		a.mu.Unlock()
		time.Sleep(6 * time.Second)
		if n := a.during(10 * time.Second); n > 60 {
			t.Errorf("%d polls in ten seconds, although the probe works again", n)
		}
	})
}

// A role that may not read the ids: said once, and tried again once a minute, for the privilege may be granted meanwhile.
func TestPoll_WhereTheProbeIsDeniedTheWorkerPollsAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		asked := 0
		a.mu.Lock()
		works := a.newest
		a.newest = func(known int64) (int64, error) { asked++; return known, ErrDenied }
		a.mu.Unlock()
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if n := a.logs.FilterMessage("probe denied, polling more often instead").Len(); n != 1 || asked > 11 {
			t.Errorf("%d lines of the log, %d probes in ten minutes", n, asked)
		}
		if n := a.during(10 * time.Second); n < 490 || n > 501 {
			t.Errorf("%d polls in ten seconds, every 20 ms", n)
		}
		a.mu.Lock()
		a.newest = works
		a.mu.Unlock()
		time.Sleep(time.Minute)
		if n := a.during(10 * time.Second); n > 51 {
			t.Errorf("%d polls in ten seconds, although the privilege was granted", n)
		}
	})
}

// Where events come fast, claims are no more frequent than their token bucket allows, and no probe is made.
func TestPoll_FastEventsAreClaimedTogetherWithoutAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		probes := 0
		a.mu.Lock()
		a.newest = func(int64) (int64, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			probes++
			return a.drawn, nil
		}
		a.mu.Unlock()
		time.Sleep(time.Minute)
		read := func() int {
			a.mu.Lock()
			defer a.mu.Unlock()
			return probes
		}
		second := func() (claims, probed int) {
			before, p := a.claims(), read()
			for range 500 {
				a.commit(contact(a.draw()))
				time.Sleep(2 * time.Millisecond)
			}
			return a.claims() - before, read() - p
		}
		second()
		for range 10 {
			if claims, probed := second(); claims > int(time.Second/claimEvery)+1 || probed > 0 {
				t.Errorf("%d claims and %d probes in a second with 500 events", claims, probed)
			}
		}
		time.Sleep(2 * time.Second)
		id := a.draw()
		a.commit(contact(id))
		a.claimedWithin(t, id, quietEvery+time.Microsecond)
	})
}

// Another worker claims all events: this one is no quicker, and costs no more, than its token bucket allows.
func TestPoll_FastEventsOfAnotherWorkerCostAFewClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		time.Sleep(time.Minute)
		second := func() (claims int) {
			before := a.claims()
			for range 500 {
				a.draw()
				time.Sleep(2 * time.Millisecond)
			}
			return a.claims() - before
		}
		second()
		for range 10 {
			if claims := second(); claims > int(time.Second/claimEvery)+1 {
				t.Errorf("%d claims in a second with 500 events", claims)
			}
		}
	})
}

// A lane that was full, or has a pace, has more that is due than a claim returned. No probe sees that.
func TestPoll_WhileALaneIsLimitedTheWorkerPollsAtItsInterval(t *testing.T) {
	slow := contact(1)
	slow.Endpoint.MaxInFlight = 1
	paced := contact(1)
	paced.Endpoint.MaxPerSecond = 10
	for name, ev := range map[string]Event{"slots": slow, "pace": paced} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := serve(t, 20*time.Millisecond)
			post, open := blocking()
			a.d.sender = post
			defer close(open)
			time.Sleep(time.Minute)
			ev.ID = a.draw()
			a.commit(ev)
			time.Sleep(100 * time.Millisecond)
			if n := a.during(200 * time.Millisecond); n < 9 {
				t.Errorf("%s: %d polls in 200 ms", name, n)
			}
		})
	}
}

// While a backlog is drained no probe is made, and polls go on: what comes meanwhile, another poll finds.
func TestPoll_NoProbeIsMadeWhileABacklogIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, 20*time.Millisecond)
		post, open := blocking()
		a.d.sender = post
		time.Sleep(time.Second)
		for range drainFrom {
			ev := contact(a.draw())
			ev.Endpoint.MaxInFlight = drainFrom
			a.commit(ev)
		}
		probes := 0
		a.mu.Lock()
		claimed := a.claim
		a.claim = func(n int, id string) ([]Event, error) {
			events, err := claimed(n, id)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.newest = func(int64) (int64, error) {
				a.mu.Lock()
				defer a.mu.Unlock()
				if probes++; len(a.claimAt) > 0 && a.got[drainFrom] == a.claimAt[len(a.claimAt)-1] {
					t.Error("a probe behind a claim that filled a lane")
				}
				return a.drawn, nil
			}
			return events, err
		}
		a.mu.Unlock()
		a.claimedWithin(t, drainFrom, 20*time.Millisecond)
		if n := a.during(100 * time.Millisecond); n < 4 {
			t.Errorf("%d polls in 100 ms", n)
		}
		close(open)
		time.Sleep(time.Second)
		a.mu.Lock()
		defer a.mu.Unlock()
		if probes == 0 {
			t.Error("no probe after the drain")
		}
	})
}

// The claims do not wait for a probe that hangs, nor does a stop.
func TestPoll_AProbeThatHangsDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := serve(t, 20*time.Millisecond)
		time.Sleep(time.Second)
		a.mu.Lock()
		hangs := make(chan struct{})
		a.newest = func(known int64) (int64, error) { <-hangs; return known, errors.New("hung") }
		a.mu.Unlock()
		time.Sleep(time.Second)
		if n := a.during(time.Second); n < 4 {
			t.Errorf("%d polls in a second, every 200 ms", n)
		}
		r.stop()
		synctest.Wait()
		before := a.claims()
		time.Sleep(time.Second)
		if a.claims() != before {
			t.Error("it claims after the stop")
		}
		close(hangs)
	})
}

// Where polls are rare, a probe that has failed does not wait for the next one.
func TestPoll_AProbeIsRepeatedBetweenTwoPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, time.Hour)
		works := a.newest
		a.mu.Lock()
		a.newest = func(known int64) (int64, error) { return known, errDown }
		a.mu.Unlock()
		time.Sleep(time.Minute)
		a.mu.Lock()
		a.newest = works
		a.mu.Unlock()
		id := a.draw()
		a.commit(contact(id))
		a.claimedWithin(t, id, 5*time.Second+quietEvery)
	})
}

// After a failover ids are assigned again: the probe goes on with them.
func TestPoll_ASequenceThatHasGoneBackIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := serve(t, time.Hour)
		a.mu.Lock()
		a.drawn = 1000
		a.mu.Unlock()
		time.Sleep(time.Minute)
		a.mu.Lock()
		a.drawn = 900
		a.mu.Unlock()
		time.Sleep(time.Minute)
		idle := a.during(time.Minute)
		id := a.draw()
		a.commit(contact(id))
		a.claimedWithin(t, id, quietEvery+time.Microsecond)
		if idle > 5 {
			t.Errorf("%d claims in an idle minute", idle)
		}
	})
}

func TestRun_StopsAtOnceWhileAProbeIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := serve(t, 20*time.Millisecond)
		time.Sleep(time.Minute + time.Millisecond)
		r.stop()
		if err := r.within(t, time.Nanosecond); err != nil {
			t.Error(err)
		}
	})
}

// gaps are the pauses between the claims that follow one id, in milliseconds.
func TestAnnounced_GapsGrowWithTheTimeForWhichAnIDIsMissing(t *testing.T) {
	began := time.Now()
	var a announced
	a.note(1, began.Add(time.Millisecond))
	at, ok := a.due(began, began, 100*time.Millisecond)
	if !ok || at.Sub(began) != time.Millisecond {
		t.Fatalf("the first claim is due after %s", at.Sub(began))
	}
	var gaps []int64
	for claim := at; ; claim = at {
		if at, ok = a.due(claim, claim, 100*time.Millisecond); !ok {
			break
		}
		gaps = append(gaps, at.Sub(claim).Milliseconds())
	}
	if want := []int64{3, 3, 3, 3, 3, 3, 4, 5, 7, 9, 11, 14, 17, 22, 27, 34, 43, 54, 68, 85}; !slices.Equal(gaps, want) {
		t.Errorf("gaps %v, want %v", gaps, want)
	}
}

func TestAnnounced_NothingIsMissingOnceAllIsClaimed(t *testing.T) {
	now := time.Now()
	events := func(ids ...int64) (batch []claimedEvent) {
		for _, id := range ids {
			batch = append(batch, claimedEvent{event: contact(id)})
		}
		return batch
	}
	for name, c := range map[string]struct {
		do      func(a *announced)
		missing bool
	}{
		"announced, then claimed":             {func(a *announced) { a.note(12, now); a.claimed(events(12, 11), now) }, false},
		"announced in two parts":              {func(a *announced) { a.note(11, now); a.note(12, now); a.claimed(events(11, 12), now) }, false},
		"claimed before it was announced":     {func(a *announced) { a.claimed(events(11), now); a.note(11, now) }, false},
		"a retry":                             {func(a *announced) { a.claimed(events(3), now) }, false},
		"a retry, and an id is missing":       {func(a *announced) { a.note(11, now); a.claimed(events(3), now) }, true},
		"the first of two":                    {func(a *announced) { a.note(12, now); a.claimed(events(11), now) }, true},
		"the second of two":                   {func(a *announced) { a.note(12, now); a.claimed(events(12), now) }, true},
		"one between, never announced":        {func(a *announced) { a.claimed(events(11, 13), now) }, true},
		"a probe that is older than a claim":  {func(a *announced) { a.claimed(events(11, 12), now); a.note(11, now); a.note(12, now) }, false},
		"the sequence has gone back":          {func(a *announced) { a.restart(5, now) }, true},
		"it has gone back, and its newest id": {func(a *announced) { a.restart(5, now); a.claimed(events(5), now) }, false},
	} {
		a := announced{newest: 10}
		c.do(&a)
		if _, ok := a.due(now, now, time.Second); ok != c.missing {
			t.Errorf("%s: missing %t, want %t", name, ok, c.missing)
		}
	}
}

// Another worker claims all that is announced: what this one keeps of it is bounded.
func TestAnnounced_ForgetsWhatOthersClaim(t *testing.T) {
	now := time.Now()
	var a announced
	for n := range int64(100_000) {
		a.note(n, now.Add(time.Duration(n)*4*time.Millisecond))
		at := now.Add(time.Duration(n) * 4 * time.Millisecond)
		a.due(at, at, 100*time.Millisecond)
	}
	if len(a.open) > 101 {
		t.Errorf("%d announcements", len(a.open))
	}
}
