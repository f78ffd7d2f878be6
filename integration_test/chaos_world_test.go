package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"

	"github.com/recordengine/webhooks/temppg"
)

// chaos is a PostgreSQL of its own, three workers each behind a proxy, two applications
// and a receiver, which meet one fault after the other.
type chaos struct {
	t       testing.TB
	seed    uint64
	server  *temppg.Server
	address string // of the database, directly
	db      *database
	rcv     *rudeReceiver
	secrets []string
	tally   *tally
	over    context.Context // done when the faults end

	mu       sync.Mutex
	expiries *deck[fate]   // at ten-second marks: of all slots, since each has few of them
	current  map[int]*life // by slot
	down     chan struct{} // closed while PostgreSQL is down
	alive    map[*life]bool
	ends     []ending
	frozen   []freezing
}

func newChaos(t testing.TB, seed uint64) *chaos {
	t.Helper()
	c := &chaos{t: t, seed: seed, tally: newTally(), current: map[int]*life{}, alive: map[*life]bool{}, down: make(chan struct{}),
		expiries: newDeck(chooser(seed, 3), each(append([]fate{afterItsExpiry}, expiryDeaths...)))}
	c.server = durableServer(t)
	admin := open(t, c.server.DSN("postgres"))
	admin.exec(`create database chaos`)
	// Before PostgreSQL recovers it synchronises a thousand files one by one, unless this selects a
	// quicker way (14 and newer).
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

// durableServer is a PostgreSQL that loses nothing in a crash.
func durableServer(t testing.TB) *temppg.Server {
	t.Helper()
	version := os.Getenv("WEBHOOK_TEST_POSTGRES")
	image := chooseImage(version, func(name string) bool {
		pool, err := dockertest.NewPool("")
		return err == nil && isLocal(pool, name)
	})
	s, err := temppg.StartAny(t.Context(), temppg.Options{Durable: true, Version: version, Image: image})
	if err != nil {
		t.Fatalf("the chaos test needs a PostgreSQL of its own, which it stops and crashes: %v", err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// hideSecrets turns all channels on, with a secret in every place that can hold one.
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

// pause ends after a while, or with the faults.
func (c *chaos) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.over.Done():
	}
}

// get repeats a query until it succeeds: the database may have just started.
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

// must repeats an idempotent change until it succeeds.
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
