package outbox

import (
	"sort"
	"time"
)

// announced are ids of events that are known to be assigned and that no claim of this worker has
// returned: their transactions are not committed yet, or were rolled back, or another worker has claimed
// the events, or their channels are off.
type announced struct {
	newest int64
	at     time.Time      // when it became known
	open   []announcement // in the order of their ids and times
}

// announcement is what became known in one instant.
type announcement struct {
	from, to int64 // the ids from+1 to to
	missing  int64 // of these
	at       time.Time
}

// followFrom is the shortest pause before a claim for what is missing.
const followFrom = 3 * time.Millisecond

// note adds the ids up to one that is newer. The answer of a probe may be older than a claim.
func (a *announced) note(newest int64, at time.Time) {
	if newest > a.newest {
		a.open = append(a.open, announcement{from: a.newest, to: newest, missing: newest - a.newest, at: at})
		a.newest, a.at = newest, at
	}
}

// restart is note of a sequence that has gone back, by a failover or by hand: one id is new.
func (a *announced) restart(newest int64, at time.Time) {
	a.newest, a.open = newest-1, nil
	a.note(newest, at)
}

// claimed notes what a claim that began at that instant has returned. An id that no probe has announced
// announces those before it.
func (a *announced) claimed(batch []claimedEvent, began time.Time) {
	newest := a.newest
	for _, c := range batch {
		newest = max(newest, c.event.ID)
	}
	a.note(newest, began)
	for _, c := range batch {
		i := sort.Search(len(a.open), func(i int) bool { return c.event.ID <= a.open[i].to })
		if i < len(a.open) && c.event.ID > a.open[i].from {
			a.open[i].missing--
		}
	}
}

// due is when the next claim for what is missing is due, after one that began and ended at these
// instants: at once for what was announced since it began; then after a quarter of the time for which
// the newest has been missing, so that an event waits for a quarter of the time that its transaction
// took, at most. Not ok: nothing is missing, or for so long that polls which are this far apart are as
// quick.
func (a *announced) due(began, ended time.Time, polls time.Duration) (at time.Time, ok bool) {
	for len(a.open) > 0 && ended.Sub(a.open[0].at)/4 >= polls {
		a.open = a.open[1:]
	}
	for n := len(a.open) - 1; n >= 0; n-- {
		if newest := a.open[n]; newest.missing > 0 {
			if newest.at.After(began) {
				return newest.at, true
			}
			return ended.Add(max(ended.Sub(newest.at)/4, followFrom)), true
		}
		a.open = a.open[:n]
	}
	return time.Time{}, false
}
