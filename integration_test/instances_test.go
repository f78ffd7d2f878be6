package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// TestInstances_AHundredWithTwoDead: none that is alive loses a connection, however busy the machine is. The limits of a
// connection are those of the default lease; what other tests do with a short one is no promise of a busy machine. It is
// not parallel: a hundred databases need half of the server's connections.
func TestInstances_AHundredWithTwoDead(t *testing.T) {
	rcv := newReceiver(t, nil)
	const n = 100
	world := newInstances(t, n-2, rcv.URL)
	live := maps.Clone(world.addresses)
	names := world.names
	world.names = append([]string{"refuses", "hangs"}, names...) // the first ones, by which processes know each other, too
	world.addresses["refuses"], world.addresses["hangs"] = refusing(t), hanging(t)
	world.write()
	for name := range live {
		world.publish(name, "contact.created", `{"contact_id": 1}`)
	}
	env := world.env(settings{"WEBHOOK_INSTANCES_AWAKE": "12"})
	delete(env, "WEBHOOK_LEASE")
	delete(env, "WEBHOOK_TIMEOUT")
	w, address := startMeasured(t, env)
	eventually(t, "each has sent its event", func() bool { return len(rcv.all()) >= n-2 })
	for name := range live {
		eventually(t, name+" has recorded it", func() bool {
			return world.count(name, `select count(*) from webhook.outbox where status = 'sent'`) == 1
		})
	}
	ids := map[string]bool{}
	for _, got := range rcv.all() {
		ids[got.header.Get("webhook-id")] = true
	}
	if len(ids) != n-2 || len(rcv.all()) != n-2 {
		t.Errorf("%d POSTs of %d events, want %d", len(rcv.all()), len(ids), n-2)
	}
	if status, text := get(t, address+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, text)
	}
	var most map[string]int
	eventually(t, "each idle instance has one session", func() bool {
		most = world.sessions()
		if len(most) < n-2 {
			return false
		}
		for _, sessions := range most {
			if sessions != 1 {
				return false
			}
		}
		return true
	})
	eventually(t, "all are asleep", func() bool { return scraped(t, address)[`webhook_instances{state="asleep"}`] == n-2 })
	s := scraped(t, address)
	s.expect(t, scrape{
		`webhook_instances{state="asleep"}`:     n - 2,
		`webhook_instances{state="starting"}`:   2,
		`webhook_instance_up{instance="inst7"}`: 1, `webhook_instance_up{instance="hangs"}`: 0, `webhook_instance_up{instance="refuses"}`: 0,
		`webhook_instance_attempts_total{instance="inst7",outcome="sent"}`: 1,
		attempts("contacts", "sent", ""):                                   n - 2,
	})
	eventually(t, "the log says which are dead", func() bool {
		said := w.log.String()
		return strings.Contains(said, `"instance unavailable, retrying","instance":"refuses"`) && strings.Contains(said, `"instance unavailable, retrying","instance":"hangs"`)
	})
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("the log shows a password")
	}
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `"level":"warn"`) && !strings.Contains(line, `"instance":"refuses"`) && !strings.Contains(line, `"instance":"hangs"`) {
			t.Errorf("one that is alive has lost a connection: %s", line)
		}
	}
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for name := range live {
		if left := world.count(name, `select count(*) from webhook.workers`); left != 0 {
			t.Errorf("%s: %d workers are listed after the end", name, left)
		}
	}
}

func TestInstances_TheListIsFollowedWhileRunning(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	world := newInstances(t, 4, rcv.URL)
	later := world.addresses["inst3"]
	world.remove("inst3")
	world.write()
	w := startWorker(t, world.env(nil))
	sent := func(name string) {
		t.Helper()
		id := world.publish(name, "contact.created", `{}`)
		eventually(t, name+" has sent it", func() bool {
			return world.count(name, fmt.Sprintf(`select count(*) from webhook.outbox where id = %d and status = 'sent'`, id)) == 1
		})
	}
	sent("inst0")
	sent("inst1")

	world.addresses["inst3"] = later
	gone := world.addresses["inst1"]
	world.remove("inst1")
	world.write()
	sent("inst3")
	eventually(t, "inst1 is served no longer", func() bool { return query[int](t, gone, `select count(*) from webhook.workers`) == 0 })
	query[int64](t, gone, `select webhook.publish('contact.created', '{}')`)
	sent("inst0")

	if err := writeFile(world.path, "inst0\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log says that the list is malformed", func() bool {
		return strings.Contains(w.log.String(), "list of databases cannot be read, keeping the one before")
	})
	sent("inst0")
	sent("inst2")

	old := world.addresses["inst2"]
	world.addresses["inst2"] = gone // the name leads to another database
	world.write()
	eventually(t, "the event that waited there is sent", func() bool {
		return query[int](t, gone, `select count(*) from webhook.outbox where status = 'sent'`) == 2
	})
	eventually(t, "the old database is served no longer", func() bool { return query[int](t, old, `select count(*) from webhook.workers`) == 0 })
}

func TestInstances_ARotatedPasswordEndsNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	world := newInstances(t, 1, rcv.URL)
	db := open(t, world.addresses["inst0"])
	name, address := workerRole(t, db, "first")
	if !asksForPasswords(t, withUser(t, db.address, name, "another")) {
		t.Skip("not tested: the server accepts every password")
	}
	world.addresses["inst0"] = address
	world.write()
	w := startWorker(t, world.env(nil))
	id := db.publish("contact.created", `{}`)
	eventually(t, "it is sent", func() bool { return db.status(id) == "sent" })
	started := db.ask(`select started_at from webhook.workers`)
	db.exec(`alter role ` + name + ` password 'second'`)
	world.addresses["inst0"] = withUser(t, db.address, name, "second")
	world.write()
	db.exec(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '` + name + `'`)
	id = db.publish("contact.created", `{}`)
	eventually(t, "it is sent with the new password", func() bool { return db.status(id) == "sent" })
	if again := db.ask(`select started_at from webhook.workers`); again != started {
		t.Errorf("the worker began anew: %s, %s", started, again)
	}
	for _, password := range []string{"first", "second"} {
		if strings.Contains(w.log.String(), password) {
			t.Errorf("the log shows a password")
		}
	}
}

// TestInstances_AFloodKeepsNoOtherBack: with one place, the event of another instance is delivered in its turn,
// long before the flood has ended.
func TestInstances_AFloodKeepsNoOtherBack(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		time.Sleep(10 * time.Millisecond) // so that the flood outlasts a turn
		return http.StatusOK
	})
	world := newInstances(t, 2, rcv.URL)
	flood := open(t, world.addresses["inst0"])
	flood.exec(`update webhook.channels set max_in_flight = 1`)
	const many = 1500
	flood.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, $1)`, many)
	startWorker(t, world.env(settings{"WEBHOOK_INSTANCES_AWAKE": "1"}))
	eventually(t, "the flood has begun", func() bool { return len(rcv.all()) > 0 })
	world.publish("inst1", "contact.created", `{}`)
	eventually(t, "the other's event is sent", func() bool {
		return world.count("inst1", `select count(*) from webhook.outbox where status = 'sent'`) == 1
	})
	if left := flood.count(`select count(*) from webhook.outbox where status = 'pending'`); left == 0 {
		t.Error("it waited for the end of the flood")
	}
}

// TestInstances_ProcessesShareAndOneTakesOver: of two processes one is killed. Its events in flight end as those of
// any worker that dies, and the other serves all.
func TestInstances_ProcessesShareAndOneTakesOver(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	const n = 12
	world := newInstances(t, n, rcv.URL)
	one, other := startWorker(t, world.env(nil)), startWorker(t, world.env(nil))
	served := func(w *worker) (all int) {
		for _, name := range world.names {
			all += world.count(name, fmt.Sprintf(`select count(*) from webhook.workers where name like '%%:%d'`, w.cmd.Process.Pid))
		}
		return all
	}
	eventually(t, "each serves a part of the list", func() bool {
		a, b := served(one), served(other)
		return a+b == n && a > 0 && b > 0
	})
	for round := range 20 {
		if round == 10 {
			one.kill()
		}
		for _, name := range world.names {
			world.publish(name, "contact.created", `{}`)
			world.publish(name, "document.exported", fmt.Sprintf(`{"id": %d, "status": "Export"}`, round))
		}
	}
	for _, name := range world.names {
		eventually(t, name+" is empty", func() bool {
			return world.count(name, `select count(*) from webhook.outbox where status in ('pending', 'sending')`) == 0
		})
		lost := world.count(name, `select count(*) from webhook.outbox where status not in ('sent', 'superseded') and failure is distinct from 'interrupted'`)
		documents := world.count(name, `select count(*) from webhook.outbox where event = 'document.exported' and status = 'sent'`)
		if lost != 0 || documents != 20 {
			t.Errorf("%s: %d events are neither sent nor interrupted, %d of 20 documents are sent", name, lost, documents)
		}
	}
	eventually(t, "the one that is left serves all", func() bool { return served(other) == n })
	times := map[string]int{}
	for _, got := range rcv.all() {
		if got.path == "/contacts" {
			times[got.header.Get("webhook-id")]++
		}
	}
	for id, posts := range times {
		if posts != 1 {
			t.Errorf("an event that is delivered at most once was posted %d times: %s", posts, id)
		}
	}
}

// TestInstances_LeasesOfAWorkerThatDiedExpireInAnIdleInstance: nothing else is due there, and no dispatcher is awake.
func TestInstances_LeasesOfAWorkerThatDiedExpireInAnIdleInstance(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	world := newInstances(t, 1, rcv.URL)
	w := startWorker(t, world.env(nil))
	id := world.publish("inst0", "contact.created", `{}`)
	inFlight(t, rcv, 1)
	w.kill()
	g.release()
	startWorker(t, world.env(nil))
	eventually(t, "its lease has expired", func() bool {
		return world.count("inst0", fmt.Sprintf(`select count(*) from webhook.outbox where id = %d and failure = 'interrupted'`, id)) == 1
	})
}

// TestInstances_MemoryIsBounded: megabytes wait in each of several databases, each answered after a second.
func TestInstances_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	const megabytes = 256
	world := newInstances(t, 6, slowReceiver(t, time.Second))
	for _, name := range world.names {
		open(t, world.addresses[name]).publishMegabytes("%", 8)
	}
	env := world.env(settings{"WEBHOOK_INSTANCES_AWAKE": "6", "WEBHOOK_TIMEOUT": "60s", "WEBHOOK_LEASE": "130s"})
	w := startWorker(t, env)
	for _, name := range world.names {
		eventually(t, name+" has sent all", func() bool {
			return world.count(name, `select count(*) from webhook.outbox where status = 'sent'`) == 56
		})
	}
	used := peak(t, w)
	t.Logf("the worker's largest size was %.0f MB", float64(used)/1e6)
	if used > megabytes*1_000_000 {
		t.Errorf("the worker used %.0f MB, at most %d were promised", float64(used)/1e6, megabytes)
	}
}

func TestInstances_CommandsNameOne(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	world := newInstances(t, 2, rcv.URL)
	world.add("gone", refusing(t))
	world.write()
	env := world.env(nil)
	run := func(want int, env settings, args ...string) string {
		t.Helper()
		out, errs, status := runProgram(t, env, nil, args...)
		if status != want {
			t.Errorf("webhooks %s: exit status %d, want %d: %s%s", strings.Join(args, " "), status, want, out, errs)
		}
		if strings.Contains(out+errs, "hunter2") {
			t.Errorf("webhooks %s shows a password", strings.Join(args, " "))
		}
		return out + errs
	}
	world.publish("inst1", "contact.created", `{}`)
	with(t, "status of one", run(0, env, "status", "--instance", "inst1"), "contacts")
	with(t, "status", run(2, env, "status"), "WEBHOOK_DATABASES_FILE lists many databases; --instance NAME says which one")
	with(t, "a name that is not in the list", run(2, env, "status", "--instance", "inst3"), `has no instance "inst3", did you mean "inst`)
	with(t, "--admin", run(2, env, "run", "--admin"), "webhooks admin --instance NAME")
	both := world.env(settings{"DATABASE_URL": world.addresses["inst0"]})
	with(t, "both settings", run(2, both, "run"), "are both set: remove one of them")
	with(t, "both settings", run(2, both, "status", "--instance", "inst0"), "are both set: remove one of them")
	single := quick(world.addresses["inst0"])
	with(t, "no list", run(2, single, "status", "--instance", "inst0"), "--instance names a database of WEBHOOK_DATABASES_FILE, which is not set")
	with(t, "a list that is not there", run(2, settings{"WEBHOOK_DATABASES_FILE": "/nowhere/list"}, "run"), "WEBHOOK_DATABASES_FILE: /nowhere/list: no such file")

	said := run(1, env, "run", "--once")
	with(t, "run --once", said, "inst0: Nothing was due.", "inst1: 1 sent, 0 failed, 0 to be retried.", "gone: ", "connection refused")
	world.publish("inst0", "contact.created", `{}`)
	with(t, "run --once of one", run(0, env, "run", "--once", "--instance", "inst0"), "1 sent")
	with(t, "migrate", run(0, env, "migrate", "--check", "--instance", "inst0"), "up to date")
}

// TestInstances_ADatabaseUnderTwoNamesIsServedOnce: by another host name, as another role might.
func TestInstances_ADatabaseUnderTwoNamesIsServedOnce(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	world := newInstances(t, 2, rcv.URL)
	world.add("again", world.addresses["inst0"]+"&application_name=another")
	world.write()
	w := startWorker(t, world.env(nil))
	eventually(t, "the log says so", func() bool {
		return strings.Contains(w.log.String(), "two names lead to the same database, serving it once")
	})
	world.publish("inst0", "contact.created", `{}`)
	world.publish("inst1", "contact.created", `{}`)
	eventually(t, "both databases are served", func() bool { return len(rcv.all()) == 2 })
	if n := strings.Count(w.log.String(), `"msg":"two names lead`); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	if n := world.count("inst0", `select count(*) from webhook.workers`); n != 1 {
		t.Errorf("%d workers serve it", n)
	}
}

func TestInstances_RunMigratesEach(t *testing.T) {
	t.Parallel()
	world := newInstances(t, 1, "http://127.0.0.1:1")
	world.add("empty", emptyDatabase(t))
	world.write()
	w := startWorker(t, world.env(nil))
	eventually(t, "the log says that one has no schema", func() bool {
		return strings.Contains(w.log.String(), `"instance":"empty","error":"the schema webhook is missing`) || strings.Contains(w.log.String(), "webhooks migrate")
	})
	w.terminate()
	w.exit(t)
	startWorker(t, world.env(nil), "--migrate")
	eventually(t, "it is served", func() bool {
		return query[bool](t, world.addresses["empty"], `select to_regclass('webhook.workers') is not null`) &&
			world.count("empty", `select count(*) from webhook.workers`) == 1
	})
}
