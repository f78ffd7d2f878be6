package main

import (
	"context"
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
	left  func(ctx context.Context) (bool, error) // is anything not recorded yet?

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
	recorded := got.Last
	for d.left != nil {
		left, err := d.left(ctx)
		if err != nil {
			return drained{}, err
		}
		if !left {
			recorded = time.Now().UnixNano()
			break
		}
		if time.Now().After(limit) {
			return drained{}, errors.New("not everything is recorded in time")
		}
		time.Sleep(time.Millisecond)
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
		arriving:  float64(n-inFlight) / time.Duration(got.Last-got.First).Seconds(), // the first ones arrive at once
		events:    n,
		bytes:     float64(all[hook].Bytes) / float64(n),
		usage:     u,
	}, nil
}

// ours is the worker, on one channel.
func (s *stage) ours(name, channel, event string, size int) drainer {
	return drainer{
		name: name, share: 1,
		fill: func(ctx context.Context, n int) error {
			if err := s.exec(ctx, `truncate webhook.outbox, webhook.attempts`, `update webhook.channels set enabled = false, max_in_flight = 64`); err != nil {
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
		left:  func(ctx context.Context) (bool, error) { return s.open(ctx, event) },
	}
}

// open tells whether an event waits or is under way, from the two small indexes.
func (s *stage) open(ctx context.Context, event string) (open bool, err error) {
	err = s.db.QueryRowContext(ctx, `
		select exists (select from webhook.outbox where event = $1 and status = 'pending' and leased_until is null)
		    or exists (select from webhook.outbox where leased_until is not null and event = $1)`, event).Scan(&open)
	return open, err
}
