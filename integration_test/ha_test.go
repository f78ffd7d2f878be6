//go:build ha

package integration_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"
)

// haScenario is one fault, under traffic.
type haScenario struct {
	name   string
	config map[string]any // Patroni's settings that differ
	worker settings       // the workers' settings that differ
	fault  func(w *haWorld, c *haCluster, leader haNode)
}

// haScenarios are in the order of docs/ha.md. After each fault another two thousand events are delivered before the
// damage is repaired, where the cluster works without that.
var haScenarios = []haScenario{
	{name: "leader killed", fault: func(w *haWorld, c *haCluster, leader haNode) {
		w.strikes()
		c.kill(leader)
		w.promoted(leader)
		w.flow(haAfter)
		c.revive(leader)
	}},
	{name: "leader cut off from its peers and etcd", fault: func(w *haWorld, c *haCluster, leader haNode) {
		w.strikes()
		c.cutOff(leader)
		w.promoted(leader)
		w.flow(haAfter)
		c.heal(leader)
	}},
	{name: "leader cut off from everything", fault: func(w *haWorld, c *haCluster, leader haNode) {
		w.strikes()
		c.isolate(leader)
		w.promoted(leader)
		w.flow(haAfter)
		c.heal(leader)
	}},
	{name: "switchover", fault: func(w *haWorld, c *haCluster, leader haNode) {
		standby := c.standby(true)
		w.strikes()
		c.switchOver(leader, standby)
		w.promoted(leader)
		w.flow(haAfter)
	}},
	{name: "etcd without quorum, failsafe_mode on", fault: func(w *haWorld, c *haCluster, leader haNode) {
		w.strikes()
		restore := c.loseQuorum()
		defer restore()
		for time.Since(w.struck) < haPatroniGivesUp {
			w.flow(100)
		}
		if c.leader() != leader {
			w.t.Errorf("%s was the leader, and with failsafe_mode it stays so", leader.name)
		}
	}},
	{name: "etcd without quorum, failsafe_mode off", config: map[string]any{"failsafe_mode": false}, fault: func(w *haWorld, c *haCluster, leader haNode) {
		w.strikes()
		restore := c.loseQuorum()
		eventually(w.t, "the leader gives up", func() bool {
			_, found := c.leads()
			return !found
		})
		restore()
		c.leader()
		w.flow(haAfter)
	}},
	{name: "synchronous standby killed", fault: func(w *haWorld, c *haCluster, _ haNode) {
		standby := c.standby(true)
		w.strikes()
		c.kill(standby)
		eventually(w.t, "the other standby is the synchronous one", func() bool { return c.standby(true) != standby })
		w.flow(haAfter)
		c.revive(standby)
	}},
	{name: "both standbys killed, synchronous_mode_strict on", config: map[string]any{"synchronous_mode_strict": true}, fault: func(w *haWorld, c *haCluster, _ haNode) {
		first, second := c.standby(true), c.standby(false)
		w.strikes()
		c.kill(first)
		c.kill(second)
		eventually(w.t, "commits hang", func() bool { return time.Since(latest(w.book.commits())) > 2*haAnswer })
		c.revive(first)
		w.flow(haAfter)
		c.revive(second)
	}},
	{name: "leader killed while both standbys lag, asynchronous", config: map[string]any{"synchronous_mode": false, "maximum_lag_on_failover": 1 << 30},
		worker: settings{"WEBHOOK_TIMEOUT": "10s", "WEBHOOK_LEASE": "30s"},
		fault: func(w *haWorld, c *haCluster, leader haNode) {
			w.lossy = time.Now().Add(-haReplicationLag)
			c.stopReplication(leader)
			w.flow(haAfter)
			w.strikes()
			c.kill(leader)
			w.promoted(leader)
			w.flow(haAfter)
			c.revive(leader)
		}},
}

const (
	haBefore = 1000 // events are delivered before the fault
	haAfter  = 2000 // and after it

	// haPatroniGivesUp is when a leader without etcd has given up, unless failsafe_mode prevents that: after its ttl.
	haPatroniGivesUp = 25 * time.Second

	// haReplicationLag is how long an asynchronous standby may be behind while nothing is wrong.
	haReplicationLag = time.Second
)

// TestHA_FailoverBreaksNoPromise lets each fault strike a cluster under traffic, with the workers connected in one
// way and then in the other.
//
//	SCENARIO   only those whose names match this regular expression
//	WAY        only the ways whose names do
//	TIMES      default: Patroni's default times, not those of haConfig
//	DOCUMENT   the file whose table is replaced by the numbers of this run
func TestHA_FailoverBreaksNoPromise(t *testing.T) {
	cluster := newHACluster(t)
	var all []haNumbers
	for i, s := range haScenarios {
		for j, way := range haWays {
			if !chosen("SCENARIO", s.name) || !chosen("WAY", way.name) {
				continue
			}
			t.Run(s.name+"/"+way.name, func(t *testing.T) {
				cluster.t = t
				n := cluster.run(s, way, fmt.Sprintf("ha_%d_%d", i, j))
				n.scenario, n.way = s.name, way.name
				all = append(all, n)
				t.Logf("%+v", n)
			})
		}
	}
	cluster.t = t
	haReport(t, all)
}

// run is one scenario. The next one finds the cluster in order.
func (c *haCluster) run(s haScenario, way haWay, database string) haNumbers {
	c.repair()
	c.configure(s.config)
	c.whole()
	w := newHAWorld(c.t, c, database, way, s.worker)
	w.flow(haBefore)
	s.fault(w, c, c.leader())
	w.finish()
	n := w.outcome()
	c.t.Logf("the workers logged:\n%s", w.said())
	if !w.lossy.IsZero() && n.lost == 0 {
		c.t.Error("nothing was lost: this run proves nothing about losses")
	}
	return n
}

func chosen(variable, name string) bool {
	return regexp.MustCompile(os.Getenv(variable)).MatchString(name)
}

func latest(instants []time.Time) (last time.Time) {
	for _, at := range instants {
		if at.After(last) {
			last = at
		}
	}
	return last
}
