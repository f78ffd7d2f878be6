package outbox

import (
	"testing"
	"testing/synctest"
	"time"
)

// An event that a claim has superseded is finished: the claim is not open because of it, or this worker
// would never expire what else it has leased.
func TestClaims_SupersededEventsLeaveNoClaimOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older := doc(1)
		older.Superseded, older.Attempts = true, 0
		s := &fakeStore{claim: firstOnly(older, doc(2))}
		d, _ := newTestDispatcher(s, &fakeSender{})
		r := start(t, d)
		time.Sleep(time.Second)
		r.stop()
		if err := r.within(t, time.Second); err != nil {
			t.Error(err)
		}
		if len(d.claims.open) != 0 {
			t.Errorf("claims left open: %v", d.claims.open)
		}
	})
}
