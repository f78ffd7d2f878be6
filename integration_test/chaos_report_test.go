package integration_test

import (
	"fmt"
	"strings"
	"time"
)

// report prints which faults struck and what became of the events, and fails a run
// that has proved too little: fifty of each fault in ten minutes, and in proportion in
// less.
func (c *chaos) report(length, lasted time.Duration, sent, attempts int) {
	var b strings.Builder
	fmt.Fprintf(&b, "SEED=%d, %s of faults: %d worker processes killed, %d PostgreSQL crashes, %d events, %d receipts\n",
		c.seed, lasted, c.tally.sum("killed"), c.tally.of("PostgreSQL stopped at once, recovered"), c.ask(`select count(*) from chaos.ledger`), len(c.rcv.deliveries))
	fmt.Fprintf(&b, "one-attempt events sent: %.1f %% of %d\n", 100*float64(sent)/float64(max(attempts, 1)), attempts)
	b.WriteString(c.outcomes())
	b.WriteString(c.table())
	c.t.Log(b.String())

	if float64(sent) < 0.4*float64(attempts) {
		c.t.Errorf("only %d of %d one-attempt events were sent: this run proves little", sent, attempts)
	}
	for _, lack := range c.lacking(length) {
		c.t.Error(lack)
	}
}

// lacking names the faults that struck too rarely.
func (c *chaos) lacking(length time.Duration) (lacks []string) {
	least := max(1, int(50*length/(10*time.Minute)))
	for _, name := range c.expected() {
		if n := c.tally.of(name); n < least {
			lacks = append(lacks, fmt.Sprintf("%q struck %d times, expected at least %d", name, n, least))
		}
	}
	if least, kills := int(3*length/time.Second), c.tally.sum("killed"); kills < least {
		lacks = append(lacks, fmt.Sprintf("%d workers were killed, expected at least %d", kills, least))
	}
	return lacks
}

// expected are the names of the faults that must have struck.
func (c *chaos) expected() (names []string) {
	for _, list := range [][]fate{deaths, expiryDeaths, {afterItsExpiry}, injuries, earlyInjuries} {
		for _, f := range list {
			names = append(names, f.name)
		}
	}
	for _, m := range manners {
		names = append(names, "receiver: "+m.value.name)
	}
	return append(names, atRandom, "killed: while PostgreSQL was down", "killed: behind a silent network", "SIGTERM", "SIGTERM and SIGINT",
		"frozen beyond the lease", "network silent", "connections cut", "PostgreSQL stopped at once, recovered",
		"PostgreSQL shut down, started again", "storm of pg_terminate_backend", "disk full (53100)", "every session read-only (25006)", "channel off and on again",
		"Offline Mode on and off again", fateCommit, fateRollback, fateNever, fateLost)
}

// table has for each fault how often it struck and, where workers were killed, what
// became of the events that they held: a one-attempt event is failed with an unknown
// outcome, a document is sent again.
func (c *chaos) table() string {
	interrupted, again := c.survivors()
	var b strings.Builder
	b.WriteString("  struck  unknown  sent again\n")
	for _, name := range c.tally.names() {
		left := ""
		if strings.HasPrefix(name, "killed") {
			left = fmt.Sprintf("%9d%12d", interrupted[name], again[name])
		}
		fmt.Fprintf(&b, "%8d%21s  %s\n", c.tally.of(name), left, name)
	}
	return b.String()
}

// survivors counts the events that killed workers held, by how the workers were killed.
func (c *chaos) survivors() (interrupted, again map[string]int) {
	interrupted, again = map[string]int{}, map[string]int{}
	var held []struct {
		Event     string
		ClaimedBy string    `db:"claimed_by"`
		ClaimedAt time.Time `db:"claimed_at"`
	}
	if err := c.db.Select(&held, `select event, claimed_by, claimed_at from chaos.audit where kind = 'interrupted'`); err != nil {
		c.t.Error(err)
	}
	byPid := map[string][]ending{} // a pid may be used twice
	for _, e := range c.ends {
		byPid[fmt.Sprint(e.pid)] = append(byPid[fmt.Sprint(e.pid)], e)
	}
	for _, h := range held {
		for _, e := range byPid[h.ClaimedBy[strings.LastIndexByte(h.ClaimedBy, ':')+1:]] {
			switch {
			case h.ClaimedAt.Before(e.started) || h.ClaimedAt.After(e.ended.Add(time.Second)):
			case h.Event == "document.exported":
				again[e.death]++
			default:
				interrupted[e.death]++
			}
		}
	}
	return interrupted, again
}

// outcomes counts the events by their final state, and the changes of rows by kind.
func (c *chaos) outcomes() string {
	var lines []string
	if err := c.db.Select(&lines, `
		select format('%8s  events %s', count(*), concat_ws(', ', status, failure, 'received: ' || received))
		  from webhook.outbox group by status, failure, received order by 1 desc`); err != nil {
		c.t.Error(err)
	}
	var changes []string
	if err := c.db.Select(&changes, `select format('%8s  changes of a row: %s', count(*), kind) from chaos.audit group by kind order by 1 desc`); err != nil {
		c.t.Error(err)
	}
	return strings.Join(append(lines, changes...), "\n") + "\n"
}
