package integration_test

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// weather is the faults of the database as a whole, one after the other, on the test's
// own goroutine. It is calm before each ten-second mark.
//
// One fault is missing: a clock that is set back for one worker only. libfaketime replaces
// functions of libc, and a Go program reads its clock from the kernel's vDSO (tried:
// preloaded with a day less, date shows it and the worker logs the true time). Time
// namespaces shift the monotonic clock only, and from the start.
func (c *chaos) weather() {
	r := chooser(c.seed, 1)
	kinds := newDeck(chooser(c.seed, 2), []weighted[func(*rand.Rand)]{
		{9, c.crash},
		{3, c.storm},
		{2, c.diskFull},
		{2, c.readOnly},
		{3, c.channelOff},
		{2, c.offline},
		{2, c.restart},
	})
	for c.blowing() {
		if calm := untilMark(); calm < databaseCalm {
			c.pause(calm + afterMark)
			continue
		}
		what, pause := kinds.deal(), between(r, 100*time.Millisecond, 350*time.Millisecond)
		what(r)
		c.pause(pause)
	}
}

// crash stops PostgreSQL as a power failure would, and lets it recover.
func (c *chaos) crash(r *rand.Rand) {
	down := between(r, 0, 100*time.Millisecond)
	c.goesDown()
	if err := c.server.Crash(); err != nil {
		c.t.Fatal(err)
	}
	c.pause(down)
	c.up("PostgreSQL stopped at once, recovered")
}

// restart is the planned kind.
func (c *chaos) restart(*rand.Rand) {
	c.goesDown()
	if err := c.server.Shutdown(); err != nil {
		c.t.Fatal(err)
	}
	c.up("PostgreSQL shut down, started again")
}

func (c *chaos) up(what string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.server.Restart(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.down = make(chan struct{})
	c.mu.Unlock()
	c.tally.hit(what)
}

// goesDown tells the slots that workers reach no point of the protocol for a while.
func (c *chaos) goesDown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.down)
}

func (c *chaos) isDown() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down
}

// storm ends all sessions except the test's own, several times.
func (c *chaos) storm(r *rand.Rand) {
	n := 0
	for range 3 + r.IntN(5) {
		n += c.ask(`select count(pg_terminate_backend(pid)) from pg_stat_activity
		             where datname = current_database() and pid <> pg_backend_pid()`)
		c.pause(time.Duration(r.IntN(30)) * time.Millisecond)
	}
	c.tally.hit("storm of pg_terminate_backend")
	c.tally.add("sessions terminated", n)
}

func (c *chaos) diskFull(r *rand.Rand) {
	c.must(`update chaos.disk set is_full = true`)
	c.pause(between(r, 50*time.Millisecond, 500*time.Millisecond))
	c.must(`update chaos.disk set is_full = false`)
	c.tally.hit("disk full (53100)")
}

// readOnly is what a worker meets after a failover if it is still connected to the old
// primary. A real failover: TestChaos_FailoverToAReplicaBreaksNoPromise.
func (c *chaos) readOnly(r *rand.Rand) {
	const end = `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
	c.must(`alter database chaos set default_transaction_read_only = on`)
	c.ask(end)
	c.pause(between(r, 100*time.Millisecond, 400*time.Millisecond))
	c.must(`alter database chaos set default_transaction_read_only = off`)
	c.ask(end) // open sessions would stay read-only
	c.tally.hit("every session read-only (25006)")
}

// claimsOf counts the claims of a channel that have committed in the last
// seconds: enough to compare two counts that are less than a second apart.
const claimsOf = `select count(*) from chaos.audit where kind = 'claimed' and at > $1 and ($2 = '' or event = $2)`

// channelOff turns a channel off and on again. No claim may commit in between.
func (c *chaos) channelOff(r *rand.Rand) {
	channels := outbox.Channels()
	channel := channels[r.IntN(len(channels))]
	c.switchOff(r, "channel off and on again", channel.Event,
		`update webhook.channels set enabled = false where event = '`+channel.Event+`'`,
		`update webhook.channels set enabled = true where event = '`+channel.Event+`'`)
}

func (c *chaos) offline(r *rand.Rand) {
	c.switchOff(r, "Offline Mode on and off again", "",
		`update webhook.settings set offline_mode = true`,
		`update webhook.settings set offline_mode = false`)
}

func (c *chaos) switchOff(r *rand.Rand, name, event, off, on string) {
	var since time.Time
	c.get(&since, `select clock_timestamp() - interval '10 seconds'`)
	c.must(off)
	atCommit := c.ask(claimsOf, since, event)
	c.pause(between(r, 80*time.Millisecond, 400*time.Millisecond))
	if late := c.ask(claimsOf, since, event) - atCommit; late != 0 {
		c.t.Errorf("%s (%s): %d events were claimed by transactions that committed after the switch had", name, event, late)
	}
	c.must(on)
	c.tally.hit(name)
}
