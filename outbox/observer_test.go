package outbox

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// noted is an Observer that remembers.
type noted struct {
	mu       sync.Mutex
	polls    int
	recorded []Outcome
	expired  []ExpiredLeases
}

func (n *noted) Polled() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.polls++
}

func (n *noted) Recorded(outcomes []Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recorded = append(n.recorded, outcomes...)
}

func (n *noted) Expired(leases []ExpiredLeases) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expired = append(n.expired, leases...)
}

// observe has a dispatcher notify an observer, as Options.Observer does.
func observe(d *Dispatcher) *noted {
	n := &noted{}
	d.observer, d.recorder.recorded = n, n.Recorded
	return n
}

// A poll is one whose claim has succeeded. An outcome is recorded when the database has accepted it, once:
// not while that fails, nor while its row is locked. An event is in flight until then.
func TestObserver_LearnsOfPollsAndOfWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{}
		s.claim = func(n int, _ string) ([]Event, error) {
			switch n {
			case 1:
				return nil, errDown
			case 2:
				retry := contact(2)
				retry.Attempts = 2
				first := contact(1)
				first.DueFor = time.Minute
				return []Event{first, retry, testEvent(contact(3))}, nil
			}
			return nil, nil
		}
		s.record = func(n int, _ []Outcome) error { return map[int]error{1: errDown, 2: errLocked}[n] }
		d, _ := newTestDispatcher(s, &fakeSender{})
		n := observe(d)
		began := time.Now()
		if _, err := d.Pass(t.Context()); err == nil || n.polls != 0 {
			t.Fatalf("a claim that fails is a poll: %v, %d", err, n.polls)
		}
		if _, err := d.Pass(t.Context()); err != nil || n.polls != 1 {
			t.Fatalf("%v, %d polls", err, n.polls)
		}
		synctest.Wait()
		d.InFlight(func(channel string, events int) {
			if want := map[string]int{"contacts": 3}[channel]; events != want {
				t.Errorf("%s: %d in flight", channel, events)
			}
		})
		if len(n.recorded) != 0 {
			t.Errorf("%d are recorded before they are written", len(n.recorded))
		}
		d.running.Go(func() { d.recorder.run(t.Context()) })
		d.queue.wait(t.Context())
		synctest.Wait()
		if n := len(s.writes()); n != 3 {
			t.Errorf("%d statements", n)
		}
		seen := map[int64]string{}
		for _, o := range n.recorded {
			seen[o.EventID] += fmt.Sprint(o.First, " due ", began.Sub(o.DueSince).Round(time.Second))
		}
		if got, want := fmt.Sprint(seen), "map[1:true due 1m0s 2:false due 0s 3:false due 0s]"; got != want {
			t.Errorf("recorded is %s, want %s", got, want)
		}
	})
}

// An attempt whose lease another worker has ended was counted there. Where an earlier try may have written the
// outcome, that it finds no lease says nothing.
func TestObserver_OutcomeWhoseLeaseWasLostIsNotRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		tries map[int]error
		want  int
	}{
		"at the first try":                         {map[int]error{1: errLeaseLost}, 1},
		"after a try that may have been committed": {map[int]error{1: errDown, 2: errLeaseLost}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStore{}
				s.claim = func(n int, _ string) ([]Event, error) {
					return map[int][]Event{1: {contact(1), contact(2)}}[n], nil
				}
				s.record = func(n int, _ []Outcome) error { return c.tries[n] }
				d, _ := newTestDispatcher(s, &fakeSender{})
				n := observe(d)
				if _, err := d.Pass(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				d.running.Go(func() { d.recorder.run(t.Context()) })
				d.queue.wait(t.Context()) // neither is in flight any longer
				synctest.Wait()
				if len(n.recorded) != c.want {
					t.Errorf("%d outcomes are counted, expected %d", len(n.recorded), c.want)
				}
			})
		})
	}
}

func TestObserver_LearnsOfExpiredLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{expired: func() ([]string, error) { return []string{"a"}, nil }}
		s.expire = func() ([]ExpiredLeases, error) {
			return []ExpiredLeases{{Channel: "contacts", Events: 2}}, errDown // an earlier batch is committed
		}
		d, _ := newTestDispatcher(s, &fakeSender{})
		n := observe(d)
		d.Cycle(t.Context())
		cycles(t, d, 2*testLease)
		if len(n.expired) == 0 || n.expired[0] != (ExpiredLeases{Channel: "contacts", Events: 2}) {
			t.Errorf("%v", n.expired)
		}
	})
}
