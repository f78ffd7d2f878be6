package outbox

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun_FinishesWhatIsInFlightAndClaimsNoMore(t *testing.T) {
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
		if w := s.writes(); len(w) == 0 || d.queue.inFlight() != 0 {
			t.Errorf("recorded %v, %d open", w, d.queue.inFlight())
		}
	})
}

func TestRun_DrainIsAnErrorUntilEverythingIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1), doc(2)), record: func(int, []Outcome) error { return errDown }}
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

func TestRun_SecondSignalEndsAtOnce(t *testing.T) {
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

func TestRun_EndsOnStopWithNothingInFlight(t *testing.T) {
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

// The stop must reach a worker whose database is unavailable: in the backoff of a claim, and in the
// look-up of a lost one. The look-up leaves open what was claimed, so it is no success.
func TestRun_EndsOnStopWhileTheDatabaseIsUnavailable(t *testing.T) {
	t.Run("claiming", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{claim: func(int, string) ([]Event, error) { return nil, errDown }}
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
				claimed: func(int, string) ([]Event, bool, error) { return nil, false, errDown },
			}
			d, _ := newTestDispatcher(s, &fakeSender{})
			r := start(t, d)
			time.Sleep(time.Minute)
			r.stop()
			if err := r.within(t, 3*time.Second); err == nil {
				t.Error("no error, although a claim may be committed")
			}
		})
	})
	t.Run("a claim that may still commit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{
				claim:   func(int, string) ([]Event, error) { return nil, errLost },
				claimed: func(int, string) ([]Event, bool, error) { return nil, false, nil },
			}
			d, _ := newTestDispatcher(s, &fakeSender{})
			r := start(t, d)
			time.Sleep(time.Minute)
			r.stop()
			stopped := time.Now()
			err := r.within(t, testTimeout+6*time.Second)
			if err == nil || !strings.Contains(err.Error(), "unknown whether the newest claim was committed") {
				t.Errorf("error %v", err)
			}
			if took := time.Since(stopped); took < testTimeout || s.claims() != 1 {
				t.Errorf("given up after %s, %d claims", took, s.claims())
			}
		})
	})
}

// A free slot is filled at once, not at the next poll.
func TestRun_FreeSlotIsFilledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			if n > 100 {
				return nil, nil
			}
			return []Event{due(int64(n), "2026-03-22 08:30:00+00", 1)}, nil
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

func TestOnce_DeliversWhatIsDueAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) ([]Event, error) {
			switch n {
			case 1, 3: // and in between the database is unavailable
				return []Event{contact(int64(n)), doc(int64(10 + n))}, nil
			case 2:
				return nil, errDown
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
func TestOnce_PollsAgainAfterALostClaim(t *testing.T) {
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

// Three events, two slots, a receiver that does not answer: what waits for a slot is released when the
// worker is stopped, and what is under way is finished.
func TestRun_StopReleasesWhatWaitsForASlot(t *testing.T) {
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
		time.Sleep(slotWaitLimit / 2)
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

// Everything that Run has started is over when it returns: also calls that end a moment after their
// context, and whichever way Run ends.
func TestRun_NoGoroutineOutlivesIt(t *testing.T) {
	for name, end := range map[string]func(running){
		"everything recorded": func(r running) { r.stop() },
		"stopped at once":     func(r running) { r.cancel() },
		"drained too long":    func(r running) { r.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var underWay atomic.Int32
				hang := func(ctx context.Context) {
					underWay.Add(1)
					defer underWay.Add(-1)
					if name != "everything recorded" {
						<-ctx.Done()
					}
					time.Sleep(time.Second)
				}
				s := &hangingStore{fakeStore: fakeStore{claim: firstOnly(contact(1), doc(2), broken(contact(3)))}, hang: hang}
				d, _ := newTestDispatcher(&s.fakeStore, &fakeSender{send: func(ctx context.Context, _ Request) Result {
					hang(ctx)
					return Result{Received: ReceivedYes, Status: 200}
				}})
				d.recorder.store = s
				before := runtime.NumGoroutine()
				r := start(t, d)
				time.Sleep(500 * time.Millisecond)
				if n := underWay.Load(); n != 3 {
					t.Fatalf("%d calls are under way, 2 POSTs and a record were expected", n)
				}
				end(r)
				_ = r.within(t, time.Minute)
				if n := underWay.Load(); n != 0 {
					t.Errorf("%d calls are under way after Run", n)
				}
				for try := 0; runtime.NumGoroutine() > before && try < 1000; try++ {
					runtime.Gosched() // one that has done its last step may not have ended yet
				}
				if n := runtime.NumGoroutine(); n > before {
					t.Errorf("%d goroutines before Run, %d after it", before, n)
				}
			})
		})
	}
}

// hangingStore is a fakeStore whose Record hangs.
type hangingStore struct {
	fakeStore
	hang func(ctx context.Context)
}

func (s *hangingStore) Record(ctx context.Context, outcomes []Outcome) (Unrecorded, error) {
	s.hang(ctx)
	return Unrecorded{}, ctx.Err()
}
