package outbox

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget_AlwaysAllowsOneEvent(t *testing.T) {
	q := newQueue(Channels(), int64(1200*len(Channels()))) // 600 for each lane, and as much again for all
	big := due(1, "2026-03-22 08:30:00+00", 8)
	big.Data = []byte(fmt.Sprintf(`{"name": "%05000d"}`, 7))
	small := due(2, "2026-03-22 08:30:00+00", 8)
	small.Data = []byte(`{"name": "x"}`)

	if got := q.of("contacts").ByteBudget; got != 200 {
		t.Fatalf("an empty lane may claim %d bytes", got)
	}
	claims := q.take(q.beginClaim(), []Event{small})
	if got := q.of("contacts").ByteBudget; got != 187 {
		t.Errorf("beside 13 bytes, of which three copies are held, %d may be claimed", got)
	}
	claims = append(claims, q.take(q.beginClaim(), []Event{big})...)
	if got := q.of("contacts").ByteBudget; got >= 0 {
		t.Errorf("beside more than the limit %d may be claimed", got)
	}
	if got := q.of("folders").ByteBudget; got != 200 {
		t.Errorf("another lane may claim %d bytes beside it", got)
	}
	for i := range claims {
		q.rendered(&claims[i], make([]byte, 100))
	}
	if got := q.of("contacts").ByteBudget; got != 134 {
		t.Errorf("beside two envelopes of 100 bytes %d may be claimed", got)
	}
	for _, c := range claims {
		q.done(c.event, Outcome{Verdict: Sent})
	}
	if got := q.of("contacts").ByteBudget; got != 200 {
		t.Errorf("empty again, it may claim %d", got)
	}
}

// What all lanes may hold together is the total, however the claims come, and each keeps its own share.
func TestBudget_LanesTogetherHoldNoMoreThanTheTotal(t *testing.T) {
	for _, total := range []int64{28, 36, 100, 59 << 20} {
		b, held := budget{total}, make([]int64, 7)
		for range 100 {
			for i, left := range b.left(held) {
				if held[i] < b.own(7) && left <= 0 {
					t.Fatalf("of %d: lane %d of %d has no share", total, i, held)
				}
				held[i] += max(left, 0)
			}
			sum := int64(0)
			for _, h := range held {
				sum += h
			}
			if sum > total {
				t.Fatalf("of %d: %d are held", total, held)
			}
		}
		lone := make([]int64, 7)
		for range 3 {
			lone[0] += b.left(lone)[0]
		}
		if lone[0] != b.most(7) || lone[0] <= total/2 {
			t.Errorf("of %d: one busy lane may hold %d", total, lone[0])
		}
	}
}

// While a POST lasts the envelope is held, and nothing else of the event.
func TestBudget_DataAreDroppedBeforeThePOST(t *testing.T) {
	const events, size = 64, 1 << 20
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{claim: func(n int, _ string) (all []Event, err error) {
			if n == 1 {
				for id := range int64(events) {
					ev := contact(id)
					ev.Data = []byte(`{"first_name": "x", "unsent": "` + strings.Repeat("y", size) + `"}`)
					all = append(all, ev)
				}
			}
			return all, nil
		}}
		post, open := blocking()
		d, _ := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(time.Second)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if post.count() != events || m.HeapAlloc > events*size/2 {
			t.Errorf("%d POSTs hold %d MiB, of %d MiB of data that are not sent", post.count(), m.HeapAlloc>>20, events*size>>20)
		}
		close(open)
		r.stop()
		if err := r.within(t, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// A claim considers about as many rows as fit: the database reads each of them to learn its size.
func TestBudget_ClaimConsidersTheRowsThatFit(t *testing.T) {
	q := newQueue(Channels(), 64<<20)
	large := events(1, 20, 128)
	for i := range large {
		large[i].Data = make([]byte, 1<<20)
	}
	claims := q.take(q.beginClaim(), large)
	for i := range claims {
		q.rendered(&claims[i], claims[i].event.Data)
	}
	c := q.of("contacts")
	if rows, fit := 128-c.Occupied, int(c.ByteBudget>>20); rows < fit || rows > fit+3 {
		t.Errorf("a claim of %d MiB considers %d rows of a MiB each", fit, rows)
	}
	for range 40 {
		q.take(q.beginClaim(), events(1, 1, 128))
	}
	if c = q.of("contacts"); 128-c.Occupied < 60 {
		t.Errorf("when the events are small again, a claim considers %d rows", 128-c.Occupied)
	}
}

// Files for 28 POSTs at once: no lane posts more than its part, and none is left out.
func TestBudget_PostsAreLimited(t *testing.T) {
	q := newQueue(Channels(), 0)
	q.setPosts(28)
	if got := q.of("contacts").Occupied; got != 0 {
		t.Errorf("before its limit is known, a lane has %d in flight", got)
	}
	ready := q.take(q.beginClaim(), events(1, 40, 128))
	if len(ready) != 16 {
		t.Fatalf("%d POSTs begin", len(ready))
	}
	if got := q.of("contacts").Occupied; got != 128 {
		t.Errorf("a lane that uses all its files may claim %d more", 128-got)
	}
	for range 39 {
		q.done(due(1, "", 128), Outcome{Verdict: Sent})
	}
	if got := q.of("contacts").Occupied; got != 127 {
		t.Errorf("a lane of one POST may claim %d", 128-got)
	}
	if n := slices.IndexFunc(q.beginClaim(), func(c Capacity) bool { return c.Channel != "contacts" && c.Occupied != 0 }); n >= 0 {
		t.Errorf("lane %d may not claim", n)
	}
}

func TestShortage_ReleasesAndPausesTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, free := time.Now(), time.Now().Add(20*time.Second)
		var asked []time.Duration
		s := &fakeStore{}
		s.claim = func(n int, _ string) ([]Event, error) {
			capacity := s.capacities()[n-1]
			of := func(channel string) int {
				return capacity[slices.IndexFunc(capacity, func(c Capacity) bool { return c.Channel == channel })].Occupied
			}
			if of("folders") != 0 {
				t.Errorf("another lane is paused, too")
			}
			if of("contacts") >= 128 {
				return nil, nil
			}
			asked = append(asked, time.Since(began).Round(time.Second))
			return []Event{contact(1), contact(2)}, nil
		}
		post := &fakeSender{send: func(context.Context, Request) Result {
			if time.Now().Before(free) {
				return Result{Failure: FailureUnreachable, Received: ReceivedNo, Error: "no", Shortage: "no free file: raise ulimit -n", Took: time.Millisecond}
			}
			return Result{Received: ReceivedYes, Status: 200, Took: time.Millisecond}
		}}
		d, logs := newTestDispatcher(s, post)
		r := start(t, d)
		time.Sleep(24 * time.Second)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}; !slices.Equal(asked, want) {
			t.Errorf("claims at %s", asked)
		}
		if n := logs.FilterMessage("local shortage, channel paused").Len(); n != 1 {
			t.Errorf("logged %d times within a minute", n)
		}
		for _, batch := range s.writes() {
			for _, o := range batch {
				if o.Verdict != Released && o.Verdict != Sent || o.Result.Failure != "" {
					t.Fatalf("recorded: %+v", o)
				}
			}
		}
	})
}
