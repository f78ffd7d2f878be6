package integration_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// shortLease are the settings with which every deadline is short: a quarter of the lease at most.
func shortLease(address string) settings {
	env := quick(address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "3s", "8s"
	return env
}

// silence keeps making connections of the workers silent until it is stopped.
func silence(stop <-chan struct{}, proxies ...*proxy) (times int) {
	for {
		select {
		case <-stop:
			return times
		case <-time.After(time.Duration(500+rand.IntN(2500)) * time.Millisecond):
		}
		links := proxies[rand.IntN(len(proxies))].all()
		for _, l := range links {
			if rand.IntN(2) == 0 {
				l.mu.Lock()
				l.dead = true
				l.mu.Unlock()
				times++
			}
		}
	}
}

// TestSilence_LivingWorkersLoseNoOutcome: connections go silent under load and stay so, while new ones
// work. The workers live, so whatever was delivered is recorded, on another connection: nothing is sent
// again, nothing becomes interrupted, and SIGTERM ends both with status 0.
func TestSilence_LivingWorkersLoseNoOutcome(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { time.Sleep(20 * time.Millisecond); return 200 })
	db := ready(t, rcv.URL)
	var workers []*worker
	var proxies []*proxy
	for range 2 {
		p := newProxy(t, db.address)
		proxies, workers = append(proxies, p), append(workers, startWorker(t, shortLease(p.address)))
	}
	stop := make(chan struct{})
	var writing, silencing sync.WaitGroup
	committed, times := 0, 0
	writing.Go(func() { committed = produce(db, stop) })
	silencing.Go(func() { times = silence(stop, proxies...) })
	time.Sleep(25 * time.Second)
	close(stop)
	writing.Wait()
	silencing.Wait()
	for _, w := range workers {
		w.terminate()
	}
	for _, w := range workers {
		if status := w.exit(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	startWorker(t, shortLease(db.address))
	finished(t, db)
	checkProduced(t, db, rcv, committed)
	again := map[int64]int{}
	for _, r := range rcv.all() {
		if again[r.id()]++; again[r.id()] == 2 {
			t.Errorf("event %d was sent again", r.id())
		}
	}
	if times < 10 || len(again) < 200 {
		t.Errorf("%d connections went silent, %d events were received: this run proves little", times, len(again))
	}
}

// TestSilence_RecordIsRepeatedOnAnotherConnection: the answer to a record, and every answer on the
// connections that are open by then, is held for ever.
func TestSilence_RecordIsRepeatedOnAnotherConnection(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	p := newProxy(t, db.address)
	var lost once
	p.onRequest(func(x *exchange) action {
		if x.runs(recordStatement) && lost.first() {
			p.hang()
			return swallow
		}
		return pass
	})
	startWorker(t, shortLease(p.address))
	publishBoth(db, 2)
	began := time.Now()
	finished(t, db)
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("the outcomes were recorded after %s, the lease lasts 8 s", took)
	}
	checkEachSentOnce(t, db, rcv)
}

// TestSilence_ClaimHeldOnTheWayIsEndedByItsLookUp: the claim is on its way on a connection that has gone
// silent, and its server session waits for it. The look-up ends that session: nothing can commit any
// more, and the next claim is made within seconds, not when the server notices the dead connection.
func TestSilence_ClaimHeldOnTheWayIsEndedByItsLookUp(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	p := newProxy(t, db.address)
	var lost once
	p.onRequest(func(x *exchange) action {
		if x.runs(claimStatement) && lost.first() {
			return swallow
		}
		return pass
	})
	w := startWorker(t, shortLease(p.address))
	eventually(t, "a claim is held", lost.happened)
	publishBoth(db, 2)
	began := time.Now()
	finished(t, db)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("deliveries resumed after %s", took)
	}
	checkEachSentOnce(t, db, rcv)
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestSilence_StoppingWithNothingInFlightIsQuick: nothing is in flight except a poll, and the database
// does not answer, nor do new connections.
func TestSilence_StoppingWithNothingInFlightIsQuick(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	p := newProxy(t, db.address)
	w := startWorker(t, patient(p.address))
	eventually(t, "the worker has started", func() bool { return w.said("worker started") == 1 })
	time.Sleep(time.Second)
	p.setMode(blackHole)
	p.hang()
	time.Sleep(time.Second)
	began := time.Now()
	w.terminate()
	w.exit(t)
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it ended after %s", took)
	}
}
