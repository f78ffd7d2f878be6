package outbox

import "sync"

// openClaims are the claims under which this worker holds events, or may hold some: it never expires
// their leases, whatever the time, since it still has their outcomes to record.
type openClaims struct {
	mu      sync.Mutex
	open    map[string]int // by claim: events in flight, and one more while its outcome is unknown
	unknown int            // claims whose outcome is unknown
}

// begin opens a claim that is about to be sent.
func (c *openClaims) begin(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]int{}
	}
	c.open[id] = 1
	c.unknown++
}

// known ends the uncertainty about a claim: it has leased so many events.
func (c *openClaims) known(id string, events int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unknown--
	c.add(id, events-1)
}

// remove removes events that are no longer in flight.
func (c *openClaims) remove(outcomes []Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range outcomes {
		c.add(o.ClaimID, -1)
	}
}

func (c *openClaims) add(id string, n int) {
	if n += c.open[id]; n > 0 {
		c.open[id] = n
	} else {
		delete(c.open, id)
	}
}

// without removes the open claims from a list.
func (c *openClaims) without(ids []string) (others []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.open[id] == 0 {
			others = append(others, id)
		}
	}
	return others
}

// unknowns is the number of claims whose outcome is unknown.
func (c *openClaims) unknowns() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unknown
}
