package integration_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/recordengine/webhooks/temppg"
)

// TestChaos_FailoverToAReplicaBreaksNoPromise promotes a standby under traffic, in two
// ways. Replication is synchronous: what the database itself loses in a failover, no
// worker can restore.
func TestChaos_FailoverToAReplicaBreaksNoPromise(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*failover){
		"the old primary stays, read-only": (*failover).switchOver,
		"the old primary crashes":          (*failover).crashOver,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, chaosSeed(t))
			t.Logf("SEED=%d", c.seed)
			over, end := context.WithCancel(t.Context())
			defer end()
			c.over = over
			f := newFailover(c)

			var writing sync.WaitGroup
			for i := range 2 {
				p := newProducer(c, i)
				f.proxies = append(f.proxies, p.proxy)
				writing.Go(p.run)
			}
			var workers []*life
			for i := range 3 {
				l := c.begin(i, fate{})
				f.proxies, workers = append(f.proxies, l.proxy), append(workers, l)
			}
			c.traffic()
			fail(f)
			c.traffic()
			end()
			writing.Wait()

			c.drain(workers)
			sent, attempts := c.check()
			// If one worker reconnects late, another may have expired its leases.
			t.Logf("%d of %d one-attempt events were sent, %d are interrupted, %d receipts", sent, attempts,
				c.ask(`select count(*) from webhook.outbox where failure = 'interrupted'`), c.rcv.count())
			if float64(sent) < 0.4*float64(attempts) {
				t.Errorf("only %d of %d one-attempt events were sent: this run proves little", sent, attempts)
			}
		})
	}
}

// traffic waits until another four hundred events have been received.
func (c *chaos) traffic() {
	from := c.rcv.count()
	eventually(c.t, "traffic flows", func() bool { return c.rcv.count() >= from+400 })
}

// failover is a primary and its standby, if there is one.
type failover struct {
	c        *chaos
	standby  *temppg.Server
	promoted *database
	proxies  []*proxy
}

func newFailover(c *chaos) *failover {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	standby, err := c.server.Standby(ctx)
	if errors.Is(err, temppg.ErrNoStandby) {
		c.t.Logf("%v: the primary itself comes back instead", err)
		return &failover{c: c}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = standby.Stop() })
	c.must(`alter system set synchronous_standby_names = '*'`)
	c.must(`select pg_reload_conf()`)
	eventually(c.t, "the standby is a synchronous one", func() bool {
		return c.ask(`select count(*) from pg_stat_replication where sync_state = 'sync'`) == 1
	})
	return &failover{c: c, standby: standby, promoted: open(c.t, standby.DSN("chaos"))}
}

// switchOver is the planned kind. The workers keep their connections to the
// old primary, which refuses every write from then on.
func (f *failover) switchOver() {
	f.c.must(`alter system set default_transaction_read_only = on`)
	f.c.must(`select pg_reload_conf()`)
	eventually(f.c.t, "the applications' writes fail", func() bool { return f.c.tally.of(fateOther) >= 10 })
	var since time.Time
	f.c.get(&since, `select clock_timestamp()`)
	eventually(f.c.t, "the transactions that could still write have ended", func() bool {
		return f.c.ask(`select count(*) from pg_stat_activity where datname = 'chaos' and xact_start < $1`, since) == 0
	})
	if f.standby == nil {
		f.c.must(`alter system set default_transaction_read_only = off`)
		f.c.must(`select pg_reload_conf()`)
		return
	}
	var at string
	f.c.get(&at, `select pg_current_wal_lsn()::text`)
	eventually(f.c.t, "the standby has everything", func() bool {
		var has bool
		err := f.promoted.Get(&has, `select pg_last_wal_replay_lsn() >= $1::pg_lsn`, at)
		return err == nil && has
	})
	f.takeOver()
}

// crashOver is the unplanned kind: of the commits that were not acknowledged some
// reached the standby and some did not.
func (f *failover) crashOver() {
	if err := f.c.server.Crash(); err != nil {
		f.c.t.Fatal(err)
	}
	if f.standby == nil {
		f.c.up("PostgreSQL stopped at once, recovered")
		return
	}
	f.takeOver()
}

func (f *failover) takeOver() {
	f.promoted.exec(`select pg_promote()`)
	f.promoted.exec(`alter system set synchronous_standby_names = ''`) // a primary without a standby
	f.promoted.exec(`alter system set default_transaction_read_only = off`)
	f.promoted.exec(`select pg_reload_conf()`)
	for _, p := range f.proxies {
		p.moveTo(f.promoted.address)
	}
	f.c.db = f.promoted
}
