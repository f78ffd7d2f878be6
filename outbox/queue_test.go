package outbox

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A lane tells each claim exactly what is in flight.
func TestQueue_CountsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: firstOnly(contact(1), contact(2), doc(3), again(doc(4)), broken(contact(5)))}
		post, open := blocking()
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		want := map[string]Capacity{
			"contacts":  {Channel: "contacts", Occupied: 2},
			"documents": {Channel: "documents", Occupied: 2, Retrying: 1},
		}
		check := func(lanes []Capacity, want map[string]Capacity) {
			t.Helper()
			if len(lanes) != len(channels) {
				t.Errorf("%d lanes", len(lanes))
			}
			for _, l := range lanes {
				w := want[l.Channel]
				l.Retries, l.Fresh = Cursor{}, Cursor{}
				if w.Channel = l.Channel; l != w {
					t.Errorf("lane %+v, %+v was expected", l, w)
				}
			}
		}
		asked := s.capacities()
		check(asked[0], nil)
		check(asked[len(asked)-1], want)
		close(open)
		time.Sleep(time.Second)
		asked = s.capacities()
		check(asked[len(asked)-1], nil)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
	})
}

// A slot is free when its outcome waits to be recorded: a slow database costs the receivers nothing,
// until a thousand outcomes wait.
func TestQueue_NeverCountsBelowZero(t *testing.T) {
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
			record: func(n int, _ []Outcome) error { return map[bool]error{true: errDown}[n%3 == 0] },
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
		for _, lanes := range append(s.capacities(), d.queue.beginClaim()) {
			for _, l := range lanes {
				if l.Retrying < 0 || l.Occupied < l.Retrying || l.Channel == "contacts" && l.Retrying != 0 {
					t.Fatalf("lane %+v", l)
				}
			}
		}
		for _, l := range d.queue.beginClaim() {
			if l.Occupied != 0 || l.Retrying != 0 {
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

// The database accepts every claim of contacts and none of their outcomes.
func TestQueue_LaneWithUnrecordedOutcomesClaimsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 500
		s, given := &fakeStore{}, 0
		s.claim = func(n int, _ string) (events []Event, err error) {
			asked := s.capacities()[n-1]
			if asked[slices.IndexFunc(asked, func(l Capacity) bool { return l.Channel == "contacts" })].Occupied < 1000 {
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
		if given < inFlightLimit || given >= inFlightLimit+each {
			t.Errorf("%d contacts are claimed and not recorded, %d were expected at most", given, inFlightLimit)
		}
		before := s.claims()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.claims() - before; n < 10 {
			t.Errorf("the other lanes claim %d times a second", n)
		}
	})
}

// A receiver that was quick hangs: what was prefetched is released within moments, and nothing more is
// prefetched.
func TestQueue_OverdueEventsAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 40
		s := &fakeStore{}
		next := int64(0)
		s.claim = func(n int, _ string) (events []Event, err error) {
			asked := s.capacities()[n-1]
			for range slots - asked[slices.IndexFunc(asked, func(l Capacity) bool { return l.Channel == "contacts" })].Occupied {
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
		d.queue.mu.Lock()
		held := d.queue.lanes[1].slots.held()
		d.queue.mu.Unlock()
		if held <= slots || held > 2*slots {
			t.Errorf("%d events are held for a quick receiver with %d slots", held, slots)
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		back, before := 0, next
		for _, batch := range s.writes() {
			for _, o := range batch {
				if o.Verdict == Released {
					back++
				}
			}
		}
		if back == 0 || back > slots || d.queue.of("contacts").Occupied != slots {
			t.Errorf("%d events are released; %d of %d slots are in use", back, d.queue.of("contacts").Occupied, slots)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if next != before {
			t.Errorf("%d more events are claimed while the receiver hangs", next-before)
		}
	})
}

func due(id int64, at string, slots int) Event {
	ev := contact(id)
	ev.DueAt, ev.Attempts, ev.Endpoint.MaxInFlight = at, 1, slots
	return ev
}

// take adds the events of one claim.
func (q *queue) take(asked []Capacity, events []Event) (ready []claimedEvent) {
	batch := make([]claimedEvent, len(events))
	for i, ev := range events {
		batch[i] = claimedEvent{event: ev}
	}
	ready, _ = q.add(asked, batch)
	return ready
}

// of is the capacity of one channel.
func (q *queue) of(channel string) Capacity {
	for _, c := range q.beginClaim() {
		if c.Channel == channel {
			return c
		}
	}
	return Capacity{}
}
