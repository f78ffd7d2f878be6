package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"
)

// drainer empties a backlog: the worker, or a peer.
type drainer struct {
	name  string
	share float64 // of the backlog: a slow one is given less, so that the run ends

	fill  func(ctx context.Context, n int) error // write the backlog and let the database settle
	start func(n int) (*process, error)

	// What tells that all is recorded; none of it for the ceiling, which has no database.
	db      *sql.DB
	table   string
	open    string // a condition: this row is not recorded yet
	anyOpen string // a query: is there such a row at all?

	silent    bool                                                           // it POSTs nothing
	processes int                                                            // 0 means one
	paths     map[string]behaviour                                           // how the receiver behaves; hook is counted in any case
	after     func(ctx context.Context) error                                // a look at what it has left behind
	during    func(ctx context.Context, s *stage, end <-chan struct{}) error // what else happens meanwhile
}

// drained is what one drain came to.
type drained struct {
	perSecond float64
	arriving  float64 // the same, from the first payload that arrived to the last
	events    int
	bytes     float64 // of a payload, as it arrived
	usage
}

// all is the CPU time of an event, wherever it was spent, in seconds.
func (d drained) all() float64 {
	return (d.worker + d.postgres + d.receiver).Seconds() / float64(d.events)
}

// hook is where drained payloads go.
const hook = "/hook"

// drainLimit is far above what a drain takes.
func drainLimit(n int) time.Duration { return time.Minute + time.Duration(n)*2*time.Millisecond }

// drain fills the backlog, then measures from the first payload that arrives to
// the last outcome that is recorded. So the start of a process does not count,
// and what a drainer leaves to be recorded later does.
func (s *stage) drain(ctx context.Context, d drainer, events int) (drained, error) {
	n := max(int(float64(events)*d.share), 1)
	if err := d.fill(ctx, n); err != nil {
		return drained{}, fmt.Errorf("%s: fill: %w", d.name, err)
	}
	paths := map[string]behaviour{}
	maps.Copy(paths, d.paths)
	measured := paths[hook]
	measured.Counted = true
	paths[hook] = measured
	if err := s.receiver.reset(ctx, n, paths); err != nil {
		return drained{}, err
	}
	result, err := s.run(ctx, d, n)
	if err == nil && d.after != nil {
		err = d.after(ctx)
	}
	if err != nil {
		return drained{}, fmt.Errorf("%s: %w", d.name, err)
	}
	return result, nil
}

// run starts the processes, watches them drain, and ends them.
func (s *stage) run(ctx context.Context, d drainer, n int) (result drained, err error) {
	m := s.meter()
	for range max(d.processes, 1) {
		p, err := d.start(n)
		if err != nil {
			return drained{}, errors.Join(err, s.stopAll(ctx, m.workers))
		}
		m.workers = append(m.workers, p)
	}
	end, besides := make(chan struct{}), make(chan error, 1)
	go func() {
		if d.during == nil {
			besides <- nil
			return
		}
		besides <- d.during(ctx, s, end)
	}()
	result, err = s.watch(ctx, d, m, n)
	close(end)
	return result, errors.Join(err, <-besides, s.stopAll(ctx, m.workers))
}

// stopAll ends the workers; attempts that hang in a black hole are answered, so
// that they have something to record.
func (s *stage) stopAll(ctx context.Context, workers []*process) (err error) {
	for _, p := range workers {
		p.terminate()
	}
	time.Sleep(100 * time.Millisecond) // they claim no more now
	err = s.receiver.reset(context.WithoutCancel(ctx), 0, nil)
	for _, p := range workers {
		err = errors.Join(err, p.stop(stopWorker))
	}
	return err
}

// watch waits until all has arrived and all is recorded.
func (s *stage) watch(ctx context.Context, d drainer, m *meter, n int) (drained, error) {
	got := tally{First: time.Now().UnixNano()}
	limit := time.Now().Add(drainLimit(n))
	if !d.silent {
		var err error
		if got, err = s.receiver.wait(ctx, time.Until(limit)); err != nil {
			return drained{}, err
		}
		limit = time.Now().Add(time.Minute)
	}
	recorded, err := s.recorded(ctx, d, got.Last, limit)
	if err != nil {
		return drained{}, err
	}
	u := m.read()
	all, err := s.receiver.tally(ctx)
	if err != nil {
		return drained{}, err
	}
	if posts := all[""].Posts; posts != int64(n) && !d.silent {
		return drained{}, fmt.Errorf("%d posts of %d events", posts, n)
	}
	return drained{
		perSecond: float64(n) / (time.Duration(recorded - got.First)).Seconds(),
		arriving:  float64(n-s.slots) / time.Duration(got.Last-got.First).Seconds(), // the first ones arrive at once
		events:    n,
		bytes:     float64(all[hook].Bytes) / float64(n),
		usage:     u,
	}, nil
}

// newest is how many rows are looked at over and over while the last outcomes
// are recorded. To look for a pending row among all takes a fifth of a second
// after a drain, since every one of them has left dead index entries behind.
const newest = 10_000

// recorded is when the last outcome was: the start of the first look that finds
// nothing open. A look at everything follows, and does not count.
func (s *stage) recorded(ctx context.Context, d drainer, last int64, limit time.Time) (int64, error) {
	if d.db == nil {
		return last, nil
	}
	var highest int64
	if err := d.db.QueryRowContext(ctx, `select max(id) from `+d.table).Scan(&highest); err != nil {
		return 0, err
	}
	look, args := fmt.Sprintf(`select exists (select from %s where id > $1 and %s)`, d.table, d.open), []any{highest - newest}
	pause := time.Millisecond
	if d.silent { // it is looked at all the time, which must not cost it anything
		pause = 20 * time.Millisecond
	}
	for ; ; time.Sleep(pause) {
		last = time.Now().UnixNano()
		var open bool
		if err := d.db.QueryRowContext(ctx, look, args...).Scan(&open); err != nil {
			return 0, err
		}
		switch {
		case open && time.Now().After(limit):
			return 0, errors.New("not everything is recorded in time")
		case open:
		case look == d.anyOpen:
			return last, nil
		default:
			if err := d.db.QueryRowContext(ctx, d.anyOpen).Scan(&open); err != nil || !open {
				return last, err
			}
			look, args = d.anyOpen, nil // something older is still open
		}
	}
}

// ours is the worker, on one channel.
func (s *stage) ours(name, channel, event string, size int) drainer {
	return drainer{
		name: name, share: 1,
		fill: func(ctx context.Context, n int) error {
			if err := s.exec(ctx, `truncate webhook.outbox, webhook.attempts`,
				fmt.Sprintf(`update webhook.channels set enabled = false, max_in_flight = %d`, s.slots)); err != nil {
				return err
			}
			if err := s.channel(ctx, channel, hook); err != nil {
				return err
			}
			if err := s.fill(ctx, event, n, size); err != nil {
				return err
			}
			return s.settle(ctx)
		},
		start: func(int) (*process, error) { return s.worker() },
		db:    s.db, table: "webhook.outbox", open: "event = '" + event + "' and finished_at is null",
		anyOpen: fmt.Sprintf(`
			select exists (select from webhook.outbox where event = '%[1]s' and status = 'pending' and leased_until is null)
			    or exists (select from webhook.outbox where event = '%[1]s' and leased_until is not null)`, event), // two small indexes
	}
}
