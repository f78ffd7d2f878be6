package integration_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestChaos_BreaksNoPromise runs workers, applications and a receiver while one fault
// after the other strikes, and then compares database and receipts with the ledger.
//
// It has the machine almost for itself: beside all other tests the rarest faults may not strike in minutes.
func TestChaos_BreaksNoPromise(t *testing.T) {
	c := newChaos(t, chaosSeed(t))
	length := chaosDuration(t)
	t.Logf("SEED=%d DURATION=%s", c.seed, length)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat this schedule of faults: make chaos SEED=%d DURATION=%s", c.seed, length)
		}
	})
	c.run(length)
}

// run is all of it: the faults, the calm after them, and the comparison.
func (c *chaos) run(length time.Duration) {
	c.lasts(length)
	began := time.Now()
	c.rage()
	lasted := time.Since(began).Round(time.Second)
	drained := c.calm()
	c.t.Logf("the backlog was drained %s after the last fault", drained.Round(time.Millisecond))
	sent, attempts := c.check()
	c.report(length, lasted, sent, attempts)
}

// lasts ends the faults after a time, but not before every kind of them has struck
// often enough to prove something. A busy machine needs longer for that, and the other
// tests make it one.
func (c *chaos) lasts(length time.Duration) {
	over, cancel := context.WithTimeout(c.t.Context(), max(3*length, 2*patience))
	c.t.Cleanup(cancel)
	c.over = over
	time.AfterFunc(length, func() {
		for over.Err() == nil && len(c.lacking(length)) > 0 {
			c.pause(100 * time.Millisecond)
		}
		cancel()
	})
}

// rage runs applications and workers until the faults end.
func (c *chaos) rage() {
	var busy sync.WaitGroup
	for i := range 2 {
		busy.Go(newProducer(c, i).run)
	}
	for i, living := range []func(*slot){short, short, long} {
		busy.Go(newSlot(c, i, living).run)
	}
	c.weather()
	busy.Wait()
}

// calm lets three new workers finish what is there, and returns how long that took.
func (c *chaos) calm() time.Duration {
	var last []*life
	for i := range 3 {
		last = append(last, c.begin(i, fate{}))
	}
	return c.drain(last)
}

// drain waits until every event is finished, and stops the workers.
func (c *chaos) drain(workers []*life) time.Duration {
	from := time.Now()
	c.rcv.calm.Store(true)
	for c.ask(`select count(*) from webhook.outbox where finished_at is null`) > 0 {
		if time.Since(from) > patience {
			for _, l := range workers {
				c.t.Logf("worker %d logged:\n%s", l.cmd.Process.Pid, l.log)
			}
			c.t.Fatalf("%s after the last fault events are unfinished: %s", patience, c.backlog())
		}
		time.Sleep(20 * time.Millisecond) // between two polls
	}
	took := time.Since(from)
	for _, l := range workers {
		l.signal(syscall.SIGTERM)
		if !l.overWithin(patience) || l.cmd.ProcessState.ExitCode() != 0 {
			c.t.Errorf("a worker that was stopped without any fault ended with %v", l.cmd.ProcessState)
		}
		l.bury()
	}
	return took
}

// backlog describes what is not finished, and the switches.
func (c *chaos) backlog() string {
	var text string
	c.get(&text, `select json_build_object('now', clock_timestamp(), 'offline', (select offline_mode from webhook.settings), 'disk', (select is_full from chaos.disk),
		'off', (select json_agg(name) from webhook.channels where not enabled),
		'sessions', (select json_agg(json_build_object('pid', pid, 'state', state, 'since', state_change, 'wait', wait_event, 'query', left(query, 200))) from pg_stat_activity where datname = 'chaos'),
		'rows', (select json_agg(json_build_object('id', id, 'event', event, 'status', status, 'due', due_at, 'until', leased_until, 'by', claimed_by, 'error', error))
		           from (select * from webhook.outbox where finished_at is null order by id limit 20) o),
		'count', (select count(*) from webhook.outbox where finished_at is null))::text`)
	return text
}
