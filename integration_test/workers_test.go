package integration_test

import (
	"fmt"
	"strings"
	"testing"
)

// workerSeen makes it look as if a worker were running.
func (db *database) workerSeen() {
	db.t.Helper()
	db.exec(`insert into webhook.workers (id, name, version, settings) values (gen_random_uuid(), 'host:7', '1.0.0', '{}')`)
}

func TestWorkers_ARunningOneIsVisibleUntilItStops(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	db.exec(`update webhook.channels set enabled = false`)
	role := loginRole(t, db, "webhook_worker")
	env := quick(role.address)
	env["WEBHOOK_RETENTION"] = "48h"
	w := startWorker(t, env)
	const row = `select concat_ws(' ', name, version, environment, settings, role, seen_at >= started_at, seen_at - started_at < interval '2 s') from webhook.workers`
	eventually(t, "it is listed", func() bool { return db.count(`select count(*) from webhook.workers`) == 1 })
	got := db.ask(row)
	with(t, "webhook.workers", got, fmt.Sprintf(":%d ", w.cmd.Process.Pid), programVersion(t), `"retention": "48h0m0s"`, `"lease": "5s"`, `"timeout": "2s"`, `"poll_interval": "20ms"`, `"127.0.0.0/8"`, `"ca_file"`, role.name)
	if strings.Contains(got, "geheim") || strings.Contains(got, "postgres://") {
		t.Errorf("it shows a secret: %s", got)
	}
	if n := db.count(`select workers from webhook.status limit 1`); n != 1 {
		t.Errorf("webhook.status counts %d", n)
	}
	eventually(t, "it is refreshed with the cycle", func() bool {
		return db.count(`select count(*) from webhook.workers where seen_at > started_at + interval '5 s'`) == 1
	})
	w.terminate()
	if status := w.exit(t); status != 0 || strings.Contains(w.log.String(), `"level":"error"`) {
		t.Errorf("exit status %d: %s", status, w.log.String())
	}
	if n := db.count(`select count(*) from webhook.workers`); n != 0 {
		t.Errorf("%d are listed after it has stopped", n)
	}
	db.once()
	if n := db.count(`select count(*) from webhook.workers`); n != 0 {
		t.Errorf("%d are listed after run --once", n)
	}
}

func TestWorkers_TheirAbsenceIsAProblemWhileEventsWait(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	problem := func() string {
		return db.ask(`select string_agg(problem || ' ' || hint, '; ') from webhook.problems where kind = 'worker'`)
	}
	if got := problem(); got != "" {
		t.Errorf("nothing waits: %s", got)
	}
	out, _, status := runProgram(t, quick(db.address), nil, "check")
	with(t, "check", out, "warn  workers: none is running")
	if status != 0 {
		t.Errorf("nothing waits: exit status %d", status)
	}
	db.publish("contact.created", `{}`)
	with(t, "webhook.problems", problem(), "no worker is running, and events wait", "Start one: webhooks run")
	out, _, status = runProgram(t, quick(db.address), nil, "check")
	with(t, "check", out, "BAD   workers: no worker is running")
	if status != 3 {
		t.Errorf("exit status %d", status)
	}
	out, _, _ = runProgram(t, quick(db.address), nil, "status")
	with(t, "status", out, "! no worker is running", "worker: none was seen in the last hour")

	w := startWorker(t, quick(db.address))
	eventually(t, "no problem is left", func() bool { return problem() == "" && db.count(`select workers from webhook.status limit 1`) == 1 })
	out, _, _ = runProgram(t, quick(db.address), nil, "check")
	with(t, "check", out, "ok    workers: 1 running")
	w.kill()
	db.exec(`update webhook.workers set seen_at = now() - interval '2 minutes'`)
	with(t, "one was killed", problem(), "was not seen since 20", "it was killed, hangs, or cannot reach the database")
	db.publish("contact.created", `{}`)
	with(t, "one was killed and events wait", problem(), "no worker is running: none was seen since 20")
	db.exec(`update webhook.workers set seen_at = now() - interval '2 days'`)
	startWorker(t, quick(db.address))
	eventually(t, "only the new one is listed", func() bool { return problem() == "" && db.count(`select count(*) from webhook.workers`) == 1 })
}

func TestWorkers_ARoleWithoutPrivilegesIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	for _, granted := range [][]string{nil, {"webhook_producer"}, {"webhook_reader"}, {"webhook_admin"}} {
		role := loginRole(t, db, granted...)
		out, errs, status := runProgram(t, quick(role.address), nil, "run")
		if status != 1 || out != "" {
			t.Errorf("%v: exit status %d: %s", granted, status, out)
		}
		with(t, fmt.Sprint(granted), errs, "the role "+role.name, "grant webhook_worker to "+role.name)
	}
	noinherit := loginRole(t, db, "webhook_worker")
	db.exec(`revoke webhook_worker from ` + noinherit.name + `; alter role ` + noinherit.name + ` noinherit; grant webhook_worker to ` + noinherit.name)
	_, errs, _ := runProgram(t, quick(noinherit.address), nil, "run")
	with(t, "a member that does not inherit", errs, "is a member of webhook_worker", "alter role "+noinherit.name+" inherit")

	role := loginRole(t, db)
	db.exec(`grant usage on schema webhook to ` + role.name + `; grant select on all tables in schema webhook to ` + role.name + `; grant update on webhook.outbox to ` + role.name)
	_, errs, _ = runProgram(t, quick(role.address), nil, "run")
	with(t, "a part of them", errs, "cannot run the worker, it lacks: ", "delete on webhook.attempts", "update (updated_at) on webhook.channels", "update on webhook.maintenance")
	if strings.Contains(errs, "update on webhook.outbox") {
		t.Errorf("it does not lack this: %s", errs)
	}
}

func TestWorkers_APrivilegeThatIsRevokedIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := withRoles(t, rcv.URL)
	role := loginRole(t, db, "webhook_worker")
	w := startWorker(t, quick(role.address))
	id := db.publish("contact.created", `{}`)
	eventually(t, "it works", func() bool { return db.status(id) == "sent" })
	db.exec(`revoke webhook_worker from ` + role.name)
	eventually(t, "it is logged", func() bool { return w.said("permission denied") > 0 })
	with(t, "the log", w.log.String(), "the role "+role.name+" lacks a privilege", "grant webhook_worker to "+role.name)
	if n := w.said("database unavailable"); n > 1 {
		t.Errorf("it is logged %d times", n)
	}
	id = db.publish("contact.created", `{}`)
	db.exec(`grant webhook_worker to ` + role.name)
	eventually(t, "it works again", func() bool { return db.status(id) == "sent" })
}

func TestCheck_JudgesARoleByWhatItIsFor(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := withRoles(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	for _, c := range []struct {
		granted string
		status  int
		parts   []string
	}{
		{"webhook_worker", 0, []string{"ok    privileges: the role ", "can be the worker", "ok    documents: its endpoint can be reached"}},
		{"webhook_admin", 0, []string{"can administer", "ok    documents: its endpoint can be reached", "ok    rules: off"}},
		{"webhook_reader", 0, []string{"can read", "ok    schema: ", "ok    documents: on; its endpoint is not tried", "ok    rules: off"}},
		{"webhook_producer", 0, []string{"ok    database: ", "can publish"}},
		{"", 3, []string{"BAD   privileges: the role ", "may do nothing in the schema webhook"}},
	} {
		var granted []string
		if c.granted != "" {
			granted = []string{c.granted}
		}
		role := loginRole(t, db, granted...)
		out, errs, status := runProgram(t, quick(role.address), nil, "check")
		with(t, c.granted, out+errs, c.parts...)
		if status != c.status || c.granted != "" && strings.Contains(out+errs, "grant webhook_") || strings.Contains(out+errs, "permission denied") {
			t.Errorf("%s: exit status %d: %s %s", c.granted, status, out, errs)
		}
	}
	half := loginRole(t, db) // as where publish had its owner's rights
	db.exec(`grant usage on schema webhook to ` + half.name + `; grant execute on function webhook.publish(text, json, timestamptz, text) to ` + half.name)
	out, errs, status := runProgram(t, quick(half.address), nil, "check")
	with(t, fmt.Sprint("it may call publish, and not insert: exit status ", status), out+errs, "BAD   privileges: the role ", "cannot publish", "grant webhook_producer to ")
	empty := open(t, emptyDatabase(t))
	out, _, status = runProgram(t, quick(empty.address), nil, "check")
	with(t, fmt.Sprint("no schema, exit status ", status), out, "BAD   schema: this database has no webhook schema; run: webhooks migrate")
}

// TestWorkers_WithoutAPrivilegeOfThePaceNoneStarts: each of its claims would be denied. The roles belong to
// the whole server, so this one is given by hand what webhook_worker has.
func TestWorkers_WithoutAPrivilegeOfThePaceNoneStarts(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	role := loginRole(t, db, "webhook_worker")
	db.exec(`revoke all on webhook.pacing from webhook_worker; revoke all on function webhook.take_rate(text, int, int) from webhook_worker`)
	_, errs, status := runProgram(t, quick(role.address), nil, "run", "--once")
	with(t, fmt.Sprint("exit status ", status), errs, "it lacks: ", "execute on webhook.take_rate", "select on webhook.pacing", "update (paused_until) on webhook.pacing")
}

// TestWorkers_ADroppedTableIsNamed by run and check, which would otherwise claim and record nothing.
func TestWorkers_ADroppedTableIsNamed(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`drop table webhook.attempts`)
	_, errs, status := runProgram(t, quick(db.address), nil, "run")
	with(t, fmt.Sprint("run, exit status ", status), errs, "schema: webhook.attempts was dropped")
	out, _, checked := runProgram(t, quick(db.address), nil, "check")
	with(t, fmt.Sprint("check, exit status ", checked), out, "BAD   schema: webhook.attempts was dropped")
	if status != 1 || checked != 3 {
		t.Errorf("exit status %d and %d", status, checked)
	}
}
