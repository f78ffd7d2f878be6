package integration_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// The two lines of the log that frame an outage.
const (
	saidDown = "database unavailable, retrying"
	saidUp   = "database available again"
)

func (w *worker) said(text string) int { return strings.Count(w.log.String(), text) }

// TestOutage_WorkerStartedDuringItWaits: no process listens, then connections
// break. The worker waits, says so once, and goes on by itself.
func TestOutage_WorkerStartedDuringItWaits(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publishBoth(db, 1)

	p := newProxy(t, db.address)
	p.setMode(closed)
	w := startWorker(t, patient(p.address))
	eventually(t, "the worker says that it waits", func() bool { return w.said("database unavailable at startup") == 1 })
	p.setMode(cutting)
	eventually(t, "the worker goes on trying", func() bool { return p.turnedAway() >= 3 })
	p.heal()

	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if n := w.said("database unavailable at startup"); n != 1 {
		t.Errorf("the worker logged it %d times", n)
	}
}

// TestOutage_LaterOneIsWaitedFor: the database is unavailable, twice. One line
// in the log for each way; then deliveries resume.
func TestOutage_LaterOneIsWaitedFor(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	p := newProxy(t, db.address)
	w := startWorker(t, patient(p.address))
	publishBoth(db, 1)
	finished(t, db)

	for outage := 1; outage <= 2; outage++ {
		before := p.turnedAway()
		p.away()
		publishBoth(db, 2)
		eventually(t, "the worker says so, and goes on trying", func() bool { return w.said(saidDown) >= outage && p.turnedAway() >= before+4 })
		p.heal()
		finished(t, db)
		eventually(t, "it says that it is over", func() bool { return w.said(saidUp) == w.said(saidDown) })
		// Twice where a reply that was on its way is read behind the first error.
		if down, up := w.said(saidDown), w.said(saidUp); down != up || up < outage || up > 2*outage {
			t.Errorf("after %d outages the log says %d times that the database is unavailable and %d times that it is available again", outage, down, up)
		}
	}
	checkEachSentOnce(t, db, rcv)
}

// named gives the worker's sessions a name by which the database knows them.
func named(t testing.TB, address string) string {
	t.Helper()
	return withParameter(t, address, "application_name", "the worker")
}

func withParameter(t testing.TB, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

const terminateWorker = `select count(pg_terminate_backend(pid)) from pg_stat_activity
                          where datname = current_database() and application_name = 'the worker'`

// TestOutage_TerminatedSessionsUnderTraffic: an administrator ends all of the
// worker's sessions, again and again, wherever they are in their statements. The
// worker lives on, so nothing is interrupted: every event is delivered, no
// one-attempt event twice.
func TestOutage_TerminatedSessionsUnderTraffic(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, patient(named(t, db.address)))

	committed, stop := 0, make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() { committed = produce(db, stop) })
	terminated := 0
	for range 40 {
		before := len(rcv.all())
		eventually(t, "traffic flows between two storms", func() bool { return len(rcv.all()) >= before+20 })
		terminated += db.count(terminateWorker)
	}
	close(stop)
	writing.Wait()

	finished(t, db)
	checkProduced(t, db, rcv, committed)
	if n := db.count(`select count(*) from webhook.outbox where status <> 'sent'`); n != 0 {
		t.Errorf("%d events were not delivered, although their worker lived on", n)
	}
	if terminated < 40 {
		t.Errorf("only %d sessions were ended", terminated)
	}
}

// TestOutage_ReadOnlyDatabaseIsWaitedFor: every new session is read-only, as on a
// standby. The worker waits, says so once, and goes on when that is over.
func TestOutage_ReadOnlyDatabaseIsWaitedFor(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	w := startWorker(t, patient(named(t, db.address)))
	publishBoth(db, 1)
	finished(t, db)

	name := db.address[strings.LastIndexByte(db.address, '/')+1:]
	name, _, _ = strings.Cut(name, "?")
	application := open(t, withParameter(t, db.address, "default_transaction_read_only", "off"))
	application.exec(`alter database ` + name + ` set default_transaction_read_only = on`)
	application.count(terminateWorker)
	eventually(t, "the worker says that it waits", func() bool { return w.said(saidDown) == 1 })
	publishBoth(application, 2)
	application.exec(`alter database ` + name + ` reset default_transaction_read_only`)

	finished(t, application)
	checkEachSentOnce(t, application, rcv)
	if down, up := w.said(saidDown), w.said(saidUp); down != 1 || up != 1 {
		t.Errorf("the log says %d times that the database is unavailable and %d times that it is available again", down, up)
	}
}

// TestOutage_SessionsThatBecomeReadOnlyAreDropped: after a failover the worker's open
// sessions are on a server that was demoted, while new ones reach the new
// primary. The worker ends the old ones.
func TestOutage_SessionsThatBecomeReadOnlyAreDropped(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	p := newProxy(t, db.address)
	startWorker(t, patient(p.address))
	publishBoth(db, 1)
	finished(t, db)

	old := map[*link]bool{}
	for _, l := range p.all() {
		old[l] = true
	}
	p.onRequest(func(x *exchange) action {
		if old[x.link] {
			x.run(`set default_transaction_read_only = on`)
		}
		return pass
	})
	publishBoth(db, 3)
	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if len(old) == 0 {
		t.Error("the worker had no sessions")
	}
}

// TestStore_CallsEndWithTheirContextOnADeadNetwork: the network dies under open sessions: bytes vanish
// and nothing is closed. lib/pq goes on reading after its context has ended; the connection's deadline,
// 20 s, is brought forward.
func TestStore_CallsEndWithTheirContextOnADeadNetwork(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://receiver.example")
	for name, call := range map[string]func(context.Context, *store.Store) error{
		"Claim": func(ctx context.Context, s *store.Store) error {
			_, err := s.Claim(ctx, uuid.NewString(), []outbox.Capacity{{Channel: "contacts"}})
			return err
		},
		"Record": func(ctx context.Context, s *store.Store) error {
			_, err := s.Record(ctx, []outbox.Outcome{{EventID: 1, ClaimID: uuid.NewString(), Verdict: outbox.Released}})
			return err
		},
		"ReleaseClaims":   func(ctx context.Context, s *store.Store) error { _, err := s.ReleaseClaims(ctx, nil); return err },
		"ChannelProblems": func(ctx context.Context, s *store.Store) error { _, err := s.ChannelProblems(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, db.address)
			s := workerStore(t, p.address)
			if err := call(t.Context(), s); err != nil {
				t.Fatalf("before the network died: %v", err)
			}
			p.hang()
			p.setMode(blackHole)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			if err := call(ctx, s); err == nil {
				t.Error("no error")
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it ended after %s, its context after 100 ms", took)
			}
		})
	}
}

// TestOutage_OfTheSchemaIsNamed: the schema is missing while the database answers. Log and /readyz name the cause
// and the remedy, and neither speaks of an outage. Of its end: see TestHealth_WithoutASchemaUntilAStatementOnItSucceeds.
func TestOutage_OfTheSchemaIsNamed(t *testing.T) {
	t.Parallel()
	const missing = "this database has no webhook schema; run: webhooks migrate"
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	w, address := startMeasured(t, quick(db.address))
	publishBoth(db, 1)
	finished(t, db)

	db.exec(`alter schema webhook rename to away`)
	eventually(t, "/readyz says it", func() bool {
		status, text := get(t, address+"/readyz")
		return status == 503 && strings.Contains(text, missing)
	})
	eventually(t, "the log says it", func() bool { return w.said("database has no webhook schema, retrying") > 0 })
	if down, up := w.said(saidDown), w.said(saidUp); down != 0 || up != 0 {
		t.Errorf("the log says %d times that the database is unavailable, %d times that it is available again", down, up)
	}

	db.exec(`alter schema away rename to webhook`)
	publishBoth(db, 2)
	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	eventually(t, "/readyz says ok", func() bool { status, _ := get(t, address+"/readyz"); return status == 200 })
	if n := w.said(saidUp); n != 1 {
		t.Errorf("the log says %d times that the database is available again", n)
	}
}
