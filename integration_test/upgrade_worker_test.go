package integration_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/store"
)

// anotherRelease is what a release changes besides a channel: a column of the outbox, which needs its lock; an index; and the
// rules of a row, which every statement of every worker runs.
func anotherRelease(t testing.TB) release {
	t.Helper()
	const index = "create index operations_by_actor on webhook.operations (actor);\ncomment on index webhook.operations_by_actor is 'Of a test.';\n"
	column := note(t)
	rules := func(schema string) string {
		return replaced(t, schema, "'server_error', 'interrupted'])\n      then 'outbox_failure_is_known'", "'server_error', 'interrupted', 'of_a_test'])\n      then 'outbox_failure_is_known'")
	}
	schema, _ := shipped(t)
	_, function, _ := strings.Cut(rules(schema.Full), "create function webhook.state_is_possible(")
	function, _, _ = strings.Cut(function, "\ncomment on ")
	return release{
		upgrade: column.upgrade + index + "create or replace function webhook.state_is_possible(" + function + "\n",
		present: func(schema string) string {
			return replaced(t, column.present(rules(schema)), "\ncomment on table  webhook.operations ", "\n"+index+"comment on table  webhook.operations ")
		},
	}
}

// outputOf runs a command to its end.
func outputOf(cmd *exec.Cmd) (text string, status int) {
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// TestUpgrade_WorkersRollForwardAndBackUnderLoad: a newer binary, whose schema has another channel, column, index and
// rule, migrates while the older workers run; then one after the other is replaced; then back again, on the newer
// schema. No transaction of the application fails, and no event is lost, sent twice or interrupted.
func TestUpgrade_WorkersRollForwardAndBackUnderLoad(t *testing.T) {
	t.Parallel()
	newer := patchedTree(t)
	newer.release(t, anotherRelease(t))
	db := open(t, emptyDatabase(t))
	db.migrated()
	_, version := shipped(t)
	l := newLoad(t, db)
	l.strict = true
	env := quick(db.address)

	older := []*worker{startWorker(t, env), startWorker(t, env)}
	l.begin()
	held := l.hold(db)
	l.flows("before the upgrade")

	// Without its schema the newer binary says so, and changes nothing.
	missing := fmt.Sprintf("this database has version %d and this binary needs %d; run: webhooks migrate", version, version+2)
	for _, args := range [][]string{{"migrate", "--check"}, {"run"}, {"admin"}, {"status"}, {"check"}} {
		out, status := outputOf(newer.program(t, env, args...))
		with(t, fmt.Sprint(args), out, missing)
		if status != 1 && args[0] != "check" || status == 0 {
			t.Errorf("%v on the older schema: exit status %d", args, status)
		}
	}
	newer.run(t, db, "migrate")
	l.flows("with the older workers on the newer schema")
	out, errs, status := runProgram(t, env, nil, "migrate", "--check")
	with(t, "the older binary", out+errs, fmt.Sprintf("this database has schema version %d, newer than the %d of this binary and compatible with it", version+2, version))
	if status != 0 {
		t.Errorf("the older binary's migrate --check: exit status %d", status)
	}

	// What only the newer knows waits for it: the older workers neither send nor skip it.
	db.exec(`update webhook.channels set url = $1 || '/tasks', enabled = true where name = 'tasks'`, l.rcv.URL)
	task := func() (id int64) {
		id = db.publish("task.created", `{"task_id": 31}`)
		db.exec(`insert into public.ledger (event_id) values ($1)`, id)
		return id
	}
	first := task()
	db.exec(`select webhook.create_roles()`)
	page := newSite(t, db, nil)
	for _, path := range []string{settingsPath, "/settings/general", "/overview", "/deliveries", "/deliveries?channel=tasks", fmt.Sprintf("/deliveries/%d", first), "/readyz"} {
		if p := page.get(path); p.status != 200 {
			t.Errorf("the older page, %s: status %d: %s", path, p.status, p.text())
		}
	}
	l.flows("beside an event that the older workers do not know")
	if got := db.status(first); got != "pending" {
		t.Errorf("the event of the new channel is %s", got)
	}

	roll := func(from []*worker, start func() *worker) (to []*worker) {
		for n, w := range from {
			to = append(to, start())
			l.flows(fmt.Sprintf("with both versions, worker %d", n))
			w.terminate()
			if status := w.exit(t); status != 0 {
				t.Errorf("a worker that is replaced ends with %d", status)
			}
			l.flows(fmt.Sprintf("after worker %d was replaced", n))
		}
		return to
	}
	current := roll(older, func() *worker { return newer.start(t, env) })
	eventually(t, "the newer worker delivers the new channel", func() bool { return db.status(first) == "sent" })
	current = roll(current, func() *worker { return startWorker(t, env) })
	second := task()
	l.flows("rolled back")
	if got := db.status(second); got != "pending" {
		t.Errorf("after the rollback an event of the new channel is %s", got)
	}
	for _, w := range current {
		if w.said("schema newer than this binary") == 0 {
			t.Error("the older worker does not say that the schema is newer")
		}
	}
	newer.start(t, env)
	l.drain(db)
	if n := len(l.rcv.of(held)); n < 2 {
		t.Errorf("the held document was received %d times", n)
	}
	l.checkPromises(db, true)
}

// TestUpgrade_AWorkerThatIsTooOldTakesNothingUp: an upgrade that needs a newer worker comes while an older one is in
// the middle of a POST. It records the outcome, takes nothing up from then on and says why; nothing is lost, and the
// newer one goes on.
func TestUpgrade_AWorkerThatIsTooOldTakesNothingUp(t *testing.T) {
	t.Parallel()
	_, version := shipped(t)
	newer := copiedTree(t)
	newer.release(t, release{upgrade: "select 1;", minWorker: version + 1})
	arrived, answer := make(chan int64, 10), make(chan struct{})
	rcv := newReceiver(t, func(r receipt) int {
		arrived <- r.id()
		<-answer
		return 200
	})
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	env := quick(db.address)
	env["WEBHOOK_TIMEOUT"], env["WEBHOOK_LEASE"] = "30s", "90s"
	env["WEBHOOK_METRICS_LISTEN"] = "127.0.0.1:0"
	w := startWorker(t, env)
	db.exec(`select webhook.create_roles()`)
	page := newSite(t, db, nil)
	held := db.publish("contact.created", `{}`)
	if got := <-arrived; got != held {
		t.Fatalf("%d has arrived", got)
	}

	newer.run(t, db, "migrate")
	waits := []int64{db.publish("contact.created", `{}`), db.document("1"), db.publish("rule.executed", `{}`)}
	died := db.inState("died", "folder.created", `{}`)
	close(answer)
	eventually(t, "the outcome of what it held is recorded", func() bool { return db.status(held) == "sent" })
	eventually(t, "it is logged", func() bool { return w.said("nothing is delivered, the schema needs a newer worker") > 0 })
	words := fmt.Sprintf("this database has version %d, which needs a worker of schema version %[1]d or newer, and it has %d: start a newer binary in its place", version+1, version)
	with(t, "the log", w.log.String(), words)
	with(t, "webhook.problems", db.ask(`select problem from webhook.problems where kind = 'worker'`), words)
	with(t, "explain", db.ask(`select webhook.explain($1)`, waits[0]), words)
	if p := page.get("/readyz"); p.status != 503 {
		t.Errorf("the older page's /readyz: %d", p.status)
	}
	for _, args := range [][]string{{"run"}, {"run", "--once"}, {"run", "--migrate"}, {"admin"}, {"status"}, {"resend", "1"}, {"migrate"}, {"check"}} {
		out, errs, status := runProgram(t, env, nil, args...)
		with(t, fmt.Sprint(args), out+errs, "use a newer binary")
		if status == 0 {
			t.Errorf("%v of the older binary: exit status 0", args)
		}
	}
	for _, id := range waits {
		if got := db.row(id); got.Status != "pending" || got.Attempts != 0 {
			t.Errorf("the older worker has taken up %d: %+v", id, got)
		}
	}
	if got := db.status(died); got != "sending" {
		t.Errorf("the older worker has ended a lease: %s", got)
	}

	newer.start(t, quick(db.address))
	for id, want := range map[int64]string{waits[0]: "sent", waits[1]: "sent", waits[2]: "skipped", died: "failed"} {
		eventually(t, fmt.Sprintf("%d becomes %s", id, want), func() bool { return db.status(id) == want })
	}
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("the older worker ends with %d", status)
	}
	if n := len(rcv.all()); n != 3 {
		t.Errorf("%d requests, expected 3", n)
	}
}

// Each of the statements with which a worker takes events up, by itself.
func TestUpgrade_TooOldClaimsSkipsAndExpiresNothing(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	db.publish("contact.created", `{}`)
	db.publish("rule.executed", `{}`)
	died := db.inState("died", "folder.created", `{}`)
	db.exec(`insert into webhook.schema_versions (version, min_worker) values (900, 800)`)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	takesUp := func(schema int) (claimed, skipped, expired int) {
		s := store.New(pool, time.Hour)
		defer s.Close()
		s.Introduce(store.Worker{Schema: schema})
		events, err := s.Claim(t.Context(), uuid.NewString(), everyLane())
		if err != nil {
			t.Fatal(err)
		}
		if skipped, err = s.Skip(t.Context()); err != nil {
			t.Fatal(err)
		}
		leases, err := s.ExpireLeases(t.Context(), []string{db.ask(`select claim_id from webhook.outbox where id = $1`, died)})
		if err != nil {
			t.Fatal(err)
		}
		idle, err := s.Seen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if tooOld := schema < 800; idle.Outdated != tooOld || (idle.Problem != "") != tooOld {
			t.Errorf("Seen of a worker of version %d returns %+v", schema, idle)
		}
		return len(events), skipped, eventsOf(leases)
	}
	if claimed, skipped, expired := takesUp(799); claimed+skipped+expired != 0 {
		t.Errorf("a worker that is too old claimed %d, skipped %d, expired %d", claimed, skipped, expired)
	}
	if claimed, skipped, expired := takesUp(800); claimed != 1 || skipped != 1 || expired != 1 {
		t.Errorf("one that is new enough claimed %d, skipped %d, expired %d, expected one of each", claimed, skipped, expired)
	}
}

// The worker of many databases has the same guard in each.
func TestUpgrade_TooOldInOneOfManyDatabases(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	world := newInstances(t, 2, rcv.URL)
	older, newer := world.names[0], world.names[1]
	open(t, world.addresses[newer]).exec(`insert into webhook.schema_versions (version, min_worker) values (900, 1)`)
	startMeasured(t, world.env(nil))
	world.publish(newer, "contact.created", `{"contact_id": 1}`)
	world.publish(older, "contact.created", `{"contact_id": 1}`)
	eventually(t, "both deliver", func() bool { return len(rcv.all()) == 2 })

	db := open(t, world.addresses[newer])
	db.exec(`update webhook.schema_versions set min_worker = 900 where version = 900`)
	world.publish(newer, "contact.created", `{"contact_id": 2}`)
	world.publish(older, "contact.created", `{"contact_id": 2}`)
	eventually(t, "the other database goes on", func() bool {
		return world.count(older, `select count(*) from webhook.outbox where status = 'sent'`) == 2
	})
	eventually(t, "the one says why not", func() bool {
		return db.count(`select count(*) from webhook.problems where problem like '%needs a worker of schema version 900%'`) == 1
	})
	if n := db.count(`select count(*) from webhook.outbox where status = 'pending' and attempts = 0`); n != 1 {
		t.Errorf("%d events wait, expected one", n)
	}
}
