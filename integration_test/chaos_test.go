package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"

	"github.com/recordengine/webhooks/temppg"
)

// chaos is a PostgreSQL of its own, three workers each behind a proxy, two
// applications, and a receiver, all of which meet one fault after the other.
type chaos struct {
	t       testing.TB
	seed    uint64
	server  *temppg.Server
	address string // of the database, directly
	db      *database
	rcv     *rudeReceiver
	secrets []string
	tally   *tally
	over    context.Context // done when the faults are

	mu      sync.Mutex
	current map[int]*life // by slot
	alive   map[*life]bool
	ends    []ending
	frozen  []freezing
}

// ending is what is remembered of a worker that has ended.
type ending struct {
	pid            int
	started, ended time.Time
	death          string // how it was killed; empty if it has ended otherwise
}

// freezing is a time during which a worker was stopped.
type freezing struct {
	pid      int
	from, to time.Time
}

// TestChaosBreaksNoPromise runs everything for a minute while one fault after
// the other strikes, and then holds database and receipts against the ledger.
func TestChaosBreaksNoPromise(t *testing.T) {
	c := newChaos(t, chaosSeed(t))
	length := chaosDuration(t)
	t.Logf("SEED=%d DURATION=%s", c.seed, length)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat this schedule of faults: make chaos SEED=%d DURATION=%s", c.seed, length)
		}
	})
	c.lasts(length)
	began := time.Now()
	c.rage()
	lasted := time.Since(began).Round(time.Second)
	drained := c.calm()
	t.Logf("the backlog was drained %s after the last fault", drained.Round(time.Millisecond))
	sent, attempts := c.check()
	c.report(length, lasted, sent, attempts)
}

// lasts lets the faults be over after a time, but not before every kind of them
// has struck often enough to prove something. A busy machine takes longer for that.
func (c *chaos) lasts(length time.Duration) {
	over, cancel := context.WithTimeout(c.t.Context(), 3*length)
	c.t.Cleanup(cancel)
	c.over = over
	time.AfterFunc(length, func() {
		for over.Err() == nil && len(c.lacking(length)) > 0 {
			c.pause(100 * time.Millisecond)
		}
		cancel()
	})
}

// rage is the time of the faults.
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

// calm lets three new workers finish what is there, and tells how long that took.
func (c *chaos) calm() time.Duration {
	var last []*life
	for i := range 3 {
		last = append(last, c.begin(i, fate{}))
	}
	return c.drain(last)
}

// drain waits until nothing is left to do, and ends the workers that did it.
func (c *chaos) drain(workers []*life) time.Duration {
	from := time.Now()
	c.rcv.calm.Store(true)
	for c.ask(`select count(*) from webhook.outbox where finished_at is null`) > 0 {
		if time.Since(from) > patience {
			for _, l := range workers {
				c.t.Logf("worker %d said:\n%s", l.cmd.Process.Pid, l.log)
			}
			c.t.Fatalf("%s after the last fault there is still a backlog: %s", patience, c.backlog())
		}
		time.Sleep(20 * time.Millisecond) // the pace of asking
	}
	took := time.Since(from)
	for _, l := range workers {
		l.asks(syscall.SIGTERM)
		if !l.overWithin(patience) || l.cmd.ProcessState.ExitCode() != 0 {
			c.t.Errorf("a worker that was asked to stop in fair weather ended with %v", l.cmd.ProcessState)
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

func newChaos(t testing.TB, seed uint64) *chaos {
	t.Helper()
	c := &chaos{t: t, seed: seed, tally: newTally(), current: map[int]*life{}, alive: map[*life]bool{}}
	c.server = durableServer(t)
	admin := open(t, c.server.DSN("postgres"))
	admin.exec(`create database chaos`)
	// Before it recovers PostgreSQL synchronises a thousand files one by one, unless it is told of a quicker way (14 and newer).
	if admin.count(`select count(*) from pg_settings where name = 'recovery_init_sync_method'`) == 1 {
		admin.exec(`alter system set recovery_init_sync_method = 'syncfs'`)
	}
	admin.Close()
	c.address = c.server.DSN("chaos")
	if err := applySchema(t.Context(), c.address); err != nil {
		t.Fatal(err)
	}
	c.db = open(t, withParameter(t, c.address, "default_transaction_read_only", "off")) // see readOnly
	c.db.SetMaxOpenConns(1)
	c.db.exec(chaosTables)
	c.rcv = newRudeReceiver(c)
	t.Cleanup(c.killAll)
	c.hideSecrets()
	return c
}

// killAll ends the workers that a test which has failed has left.
func (c *chaos) killAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.alive {
		_ = l.cmd.Process.Kill()
		<-l.done
	}
}

// durableServer is a PostgreSQL that a crash cannot make forget.
func durableServer(t testing.TB) *temppg.Server {
	t.Helper()
	options := temppg.Options{Durable: true, Version: os.Getenv("WEBHOOK_TEST_POSTGRES")}
	s, err := temppg.Start(t.Context(), options)
	if err != nil {
		var inDocker error
		options.Image = chooseImage(options.Version, func(name string) bool {
			pool, err := dockertest.NewPool("")
			return err == nil && isLocal(pool, name)
		})
		if s, inDocker = temppg.StartDocker(t.Context(), options); inDocker != nil {
			t.Fatalf("the chaos test stops and crashes a PostgreSQL of its own: %v", errors.Join(err, inDocker))
		}
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// hideSecrets turns all channels on, with secrets in every place that has room for one.
func (c *chaos) hideSecrets() {
	secret := func(kind string) string {
		s := fmt.Sprintf("%s5ecret%08x", kind, rand.Uint32())
		c.secrets = append(c.secrets, s)
		return s
	}
	host := strings.TrimPrefix(c.rcv.URL, "http://")
	c.db.exec(`update webhook.channels set enabled = true, max_in_flight = case name when 'documents' then 4 when 'audit_log' then 2 else 1 end,
	                  url = format('http://%s:%s@%s/%s/', $1::text, $2::text, $3::text, $4::text) || name || '?key=' || $5::text`,
		secret("user"), secret("password"), host, secret("path"), secret("query"))
	c.db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai', auth = 'bearer', bearer_token = $1`, secret("token"))
	if u, err := url.Parse(c.address); err == nil {
		password, _ := u.User.Password()
		c.secrets = append(c.secrets, password)
	}
}

func (c *chaos) settings(address string) settings {
	env := quick(address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = chaosTimeout.String(), chaosLease.String()
	return env
}

func (c *chaos) blowing() bool { return c.over.Err() == nil }

// pause is over after a while, or with the faults.
func (c *chaos) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.over.Done():
	}
}

// get asks the database until it answers: it may have just come back.
func (c *chaos) get(to any, query string, args ...any) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = c.db.Get(to, query, args...); err == nil {
			return
		}
	}
	c.t.Fatalf("%s: %v", query, err)
}

func (c *chaos) ask(query string, args ...any) (n int) {
	c.t.Helper()
	c.get(&n, query, args...)
	return n
}

// must repeats a change that may be made twice until it is made.
func (c *chaos) must(statement string) {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err = c.db.Exec(statement); err == nil {
			return
		}
	}
	c.t.Fatalf("%s: %v", statement, err)
}

func (c *chaos) setCurrent(slot int, l *life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current[slot] = l
}

// killsOnPost kills the worker that has sent this event, if it was to be killed
// in the middle of a POST.
func (c *chaos) killsOnPost(id int64) bool {
	c.mu.Lock()
	lives := make([]*life, 0, len(c.current))
	for _, l := range c.current {
		lives = append(lives, l)
	}
	c.mu.Unlock()
	for _, l := range lives {
		if l.holds(id) && l.passes(posted, nil) == cut {
			return true
		}
	}
	return false
}

func (c *chaos) froze(l *life, from, to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = append(c.frozen, freezing{l.cmd.Process.Pid, from, to})
}

// notToBeSaid are words that mean a defect wherever a worker says them.
var notToBeSaid = []string{"panic", "goroutine ", "it does not change", "DATA RACE", "is no event", "recorded without its texts", "even without its texts"}

// remember keeps what matters of a worker that has ended.
func (c *chaos) remember(l *life) {
	said := l.log.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, l)
	c.ends = append(c.ends, ending{l.cmd.Process.Pid, l.started, time.Now(), l.death})
	for _, s := range c.secrets {
		if strings.Contains(strings.ToLower(said), strings.ToLower(s)) {
			c.t.Errorf("a worker's log shows the secret %s", s)
		}
	}
	for line := range strings.Lines(said) {
		for _, word := range notToBeSaid {
			if strings.Contains(line, word) {
				c.t.Errorf("a worker said: %s", line)
			}
		}
	}
}
