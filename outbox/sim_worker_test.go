package outbox

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// simWorker is one process: the real Dispatcher between a Store and a Sender
// whose every call waits until the scheduler lets it go on.
type simWorker struct {
	s  *simSchedule
	id int
	d  *Dispatcher

	stop, cancel context.CancelFunc
	ctx          context.Context
	gone         chan struct{} // closed when the process ends: its calls have no effect any more

	// Under s.mu, since its own goroutines read or write them.
	dead    bool // crashed or ended: nothing that it still does has an effect
	ended   bool // Run has returned, with endErr
	endErr  error
	cycling bool

	// The scheduler's.
	over        bool          // ended, and the scheduler knows
	stoppedAt   time.Duration // asked to stop; 0: not yet
	frozenAt    time.Duration
	frozenUntil time.Duration
	troubleAt   time.Duration // when a statement failed that affects its health
	everFrozen  bool
	holds       []*simHolding
	released    map[string]bool // claims whose events must not be sent any more
}

// simHolding is an event that a claim returned to a worker.
type simHolding struct {
	worker    *simWorker
	event     Event
	claimedAt time.Duration // when the claim was sent
	claimNo   int64
	post      *simPost
	begun     bool // it has a slot
	ended     bool // its slot is free again
	recorded  bool
}

// newWorker starts a process.
func (s *simSchedule) newWorker() *simWorker {
	w := &simWorker{s: s, id: len(s.workers), gone: make(chan struct{}), troubleAt: s.now(), released: map[string]bool{}}
	s.workers = append(s.workers, w)
	w.d = New(w, w, zap.NewNop(), Options{PollInterval: s.poll, Timeout: s.timeout, Lease: s.lease, Memory: s.memory})
	for i := range w.d.queue.lanes {
		w.d.queue.lanes[i].slots.prefetchFrom = 1 // its lanes have few slots, and prefetch all the same
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	stop, stopNow := context.WithCancel(w.ctx)
	w.stop = stopNow
	go func() {
		err := w.d.Run(w.ctx, stop)
		s.mu.Lock()
		w.ended, w.endErr = true, err
		s.mu.Unlock()
		s.wakeUp()
	}()
	return w
}

// cycle is what cron does every ten seconds.
func (w *simWorker) cycle() {
	w.s.mu.Lock()
	busy := w.cycling
	w.cycling = true
	w.s.mu.Unlock()
	if busy {
		return // cron.SkipIfStillRunning
	}
	go func() {
		w.d.Cycle(w.ctx)
		w.d.Skip(w.ctx)
		w.s.mu.Lock()
		w.cycling = false
		w.s.mu.Unlock()
		w.s.wakeUp()
	}()
}

// kill ends the process, whatever it is doing. What is left of it runs until its context ends, without
// an effect.
func (w *simWorker) kill() {
	w.s.mu.Lock()
	w.dead = true
	w.s.mu.Unlock()
	close(w.gone)
	w.cancel()
	w.s.settleDown()
	for _, c := range w.s.calls {
		if c.worker == w {
			c.orphan = true
		}
	}
}

func (w *simWorker) alive() bool  { return !w.dead }
func (w *simWorker) frozen() bool { return w.s.now() < w.frozenUntil }

// do makes a call and waits for its reply.
func (w *simWorker) do(ctx context.Context, c *simCall) *simCall {
	s := w.s
	s.mu.Lock()
	if w.dead {
		s.mu.Unlock()
		return &simCall{err: errDown}
	}
	c.worker, c.at, c.done = w, s.now(), make(chan struct{})
	s.fresh = append(s.fresh, c)
	s.mu.Unlock()
	s.wakeUp()
	select {
	case <-c.done:
		return c
	case <-ctx.Done():
	case <-w.gone:
	}
	return &simCall{err: errDown}
}

func (w *simWorker) Claim(ctx context.Context, claimID string, capacity []Capacity) ([]Event, error) {
	c := w.do(ctx, &simCall{kind: simClaim, claimID: claimID, capacity: capacity})
	if c.err != nil && ctx.Err() != nil {
		return nil, errLost // it may still commit
	}
	return c.events, c.err
}

func (w *simWorker) LookUpClaim(ctx context.Context, claimID string) ([]Event, bool, error) {
	c := w.do(ctx, &simCall{kind: simClaimed, claimID: claimID})
	return c.events, c.over, c.err
}

func (w *simWorker) Record(ctx context.Context, outcomes []Outcome) (Unrecorded, error) {
	c := w.do(ctx, &simCall{kind: simRecord, outcomes: outcomes})
	return Unrecorded{Locked: c.locked, LeaseLost: c.leaseLost}, c.err
}

func (w *simWorker) ReleaseClaims(ctx context.Context, claimIDs []string) (int, error) {
	c := w.do(ctx, &simCall{kind: simRelease, claimIDs: claimIDs})
	return c.n, c.err
}

func (w *simWorker) Expired(ctx context.Context) ([]string, error) {
	c := w.do(ctx, &simCall{kind: simExpired})
	return c.claimIDs, c.err
}

func (w *simWorker) ExpireLeases(ctx context.Context, claimIDs []string) ([]ExpiredLeases, error) {
	c := w.do(ctx, &simCall{kind: simExpire, claimIDs: claimIDs})
	return c.leases, c.err
}

func (w *simWorker) CheckWrite(ctx context.Context) error {
	return w.do(ctx, &simCall{kind: simCheckWrite}).err
}

func (w *simWorker) Newest(ctx context.Context, known int64, _ time.Duration, _ int) (int64, error) {
	if w.s.denied {
		return known, ErrDenied
	}
	c := w.do(ctx, &simCall{kind: simNewest, known: known, newest: known})
	return c.newest, c.err
}

func (w *simWorker) Skip(ctx context.Context) (int, error) {
	c := w.do(ctx, &simCall{kind: simSkip})
	return c.n, c.err
}

// Overlooked has every lane read from its start.
func (w *simWorker) Overlooked(_ context.Context, capacity []Capacity) (all []Overlooked, err error) {
	for _, c := range capacity {
		all = append(all, Overlooked{Channel: c.Channel, Retry: true}, Overlooked{Channel: c.Channel})
	}
	return all, nil
}

func (w *simWorker) Pause(context.Context, string, time.Duration) error         { return nil }
func (w *simWorker) Prune(context.Context, time.Duration) (int, error)          { return 0, nil }
func (w *simWorker) ChannelProblems(context.Context) (map[string]string, error) { return nil, nil }

func (w *simWorker) Check(_, token, _ string) error {
	return w.do(context.Background(), &simCall{kind: simCheck, token: token}).err
}

func (w *simWorker) Send(ctx context.Context, req Request) Result {
	c := w.do(ctx, &simCall{kind: simSend, token: req.Token, request: req})
	if ctx.Err() != nil {
		return Result{Failure: FailureInterrupted, Received: ReceivedMaybe, Error: "interrupted"}
	}
	return c.result
}
