package outbox

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// expireAfter is how long ago a cycle must have seen the lease of a claim expired before another one
// ends it: a cycle, less what one may begin late. A commit that was delayed shows leases that are over
// at once, and its own worker, which looks them up every second, releases them meanwhile.
const expireAfter = 8 * time.Second

// expiredClaims are the claims whose leases the newest cycle has seen expired, and since when.
type expiredClaims map[string]time.Time

// see notes what a cycle has seen, and returns the claims that another one had seen long enough before.
func (e *expiredClaims) see(ids []string, at time.Time) (again []string) {
	seen := expiredClaims{}
	for _, id := range ids {
		first, known := (*e)[id]
		if !known {
			first = at
		}
		seen[id] = first
		if at.Sub(first) >= expireAfter {
			again = append(again, id)
		}
	}
	*e = seen
	return again
}

// expireLeases ends the leases that are over, in two steps (see expireAfter), never those of claims that
// this worker holds, and only when the database has accepted writes for a whole lease, counted from this
// worker's first write or from the end of the last outage: after an outage every worker first records
// the outcomes it holds.
func (d *Dispatcher) expireLeases(ctx context.Context) {
	began := d.now()
	if !d.health.upFor(0) && d.store.CheckWrite(ctx) != nil {
		return
	}
	ids, err := d.store.Expired(ctx)
	if err != nil {
		return
	}
	again := d.claims.without(d.expired.see(ids, began))
	if len(again) == 0 || !d.health.upFor(d.opts.Lease) {
		return
	}
	leases, err := d.store.ExpireLeases(ctx, again)
	d.observer.Expired(leases)
	if n := eventsOf(leases); err == nil && n > 0 {
		d.log.Info("leases expired, their worker has ended or hangs", zap.Int("events", n))
	}
}

func eventsOf(leases []ExpiredLeases) (n int) {
	for _, l := range leases {
		n += l.Events
	}
	return n
}
