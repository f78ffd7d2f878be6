package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// claim claims what there is capacity for. A claim whose reply was lost is looked up by its id: the
// events that are found were committed and may be sent. There is one claim at a time, and none while
// the outcome of another is being looked up.
func (d *Dispatcher) claim(ctx context.Context, capacity []Capacity) ([]claimed, error) {
	at, id := d.now(), uuid.NewString()
	events, err := d.store.Claim(ctx, id, capacity)
	if errors.Is(err, ErrReplyLost) {
		d.health.down("claim", err)
		events, err = d.lookUp(ctx, id)
	}
	if err != nil {
		d.health.down("claim", err)
		return nil, fmt.Errorf("claim: %w", err)
	}
	d.health.up()
	batch := make([]claimed, len(events))
	for i, ev := range events {
		batch[i] = claimed{event: ev, at: at}
	}
	return batch, nil
}

// lookUp repeats the look-up of a claim until the database answers. If nothing is found the claim may
// still commit, in a server process that has not noticed the broken connection. Its rows are then too
// old to be sent: the claim is unknown from now on, and its rows are released.
func (d *Dispatcher) lookUp(ctx context.Context, id string) ([]Event, error) {
	for try := 0; ; try++ {
		events, err := d.store.Claimed(ctx, id)
		if err == nil {
			if len(events) == 0 {
				d.unknown.add(id, d.now())
			}
			return events, nil
		}
		if !sleep(ctx, Backoff(try)) {
			d.unknown.add(id, d.now())
			return nil, err
		}
	}
}

// releaseUnknown releases what has been committed under unknown claims. What such a claim leased has
// expired a lease after the claim was lost.
func (d *Dispatcher) releaseUnknown(ctx context.Context) {
	ids := d.unknown.list()
	if len(ids) == 0 {
		return
	}
	now := d.now()
	n, err := d.store.Release(ctx, ids)
	if err != nil {
		d.health.failed("release unknown claims", err)
		return
	}
	if n > 0 {
		d.log.Warn("released events of a claim whose reply was lost", zap.Int("events", n))
	}
	d.unknown.forget(now.Add(-d.opts.Lease))
}

// unknownClaims are the claims that were looked up and not found, or not before the worker was stopped:
// it is unknown whether they commit.
type unknownClaims struct {
	mu sync.Mutex
	at map[string]time.Time // by id
}

func (u *unknownClaims) add(id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at == nil {
		u.at = map[string]time.Time{}
	}
	u.at[id] = at
}

func (u *unknownClaims) list() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.at))
}

// forget drops the claims that were lost before an instant.
func (u *unknownClaims) forget(before time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.at, func(_ string, at time.Time) bool { return at.Before(before) })
}
