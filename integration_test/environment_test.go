package integration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/recordengine/webhooks/store"
)

// A copy of production that is started as staging, in each way the two can differ.
func TestEnvironment_WhereItDiffersNoEventIsTouched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ database, worker string }{
		"another name":              {"production", "staging"},
		"the worker has none":       {"production", ""},
		"the database has none":     {"", "staging"},
		"the same in another case":  {"production", "Production"},
		"the beginning of the name": {"production", "prod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, nil)
			db := ready(t, rcv.URL)
			db.exec(`update webhook.settings set environment = nullif($1, '')`, c.database)
			db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
			for _, state := range []string{"pending", "refused", "expired"} {
				db.inState(state, "document.exported", fmt.Sprintf(`{"id": %q, "status": "Export"}`, state))
			}
			db.inState("died", "contact.created", `{}`)
			db.publish("contact.created", `{}`)
			db.publish("rule.executed", `{}`)
			db.number(`select webhook.send_test('cases')`)
			old := db.publish("audit.log", `{}`)
			db.become(old, states["sent"]+`, finished_at = now() - interval '40 days'`)
			before := db.everything()
			env := quick(db.address)
			env["WEBHOOK_ENVIRONMENT"] = c.worker
			w := startWorker(t, env)
			eventually(t, "it is logged", func() bool { return w.said("nothing is delivered, the environments differ") > 0 })
			if out, errs, status := runProgram(t, env, nil, "run", "--once"); status != 0 {
				t.Errorf("run --once: %d %s %s", status, out, errs)
			}
			if n := len(rcv.all()); n != 0 || db.everything() != before {
				t.Errorf("%d requests; the outbox was\n%s\nand is\n%s", n, before, db.everything())
			}
			values := []string{"WEBHOOK_ENVIRONMENT is " + orElse(c.worker, "not set"), "webhook.settings.environment is " + orElse(c.database, "null"), "update webhook.settings set environment = "}
			with(t, "the log", w.log.String(), values...)
			with(t, "webhook.problems", db.ask(`select problem from webhook.problems where kind = 'worker'`), values...)
			with(t, "explain", db.ask(`select webhook.explain(1)`), values...)
			out, _, status := runProgram(t, env, nil, "check")
			with(t, fmt.Sprint("check, exit status ", status), out, append(values, "BAD   environment: ")...)
			out, _, _ = runProgram(t, env, nil, "status")
			with(t, "status", out, values...)

			db.exec(`update webhook.settings set environment = nullif($1, '')`, c.worker)
			eventually(t, "it delivers", func() bool { return db.count(`select count(*) from webhook.outbox where status = 'pending'`) == 0 })
		})
	}
}

// A worker expires leases only once its database has answered for a whole lease, hence without one here.
func TestEnvironment_WhereItDiffersNoLeaseExpires(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.settings set environment = 'production'`)
	db.inState("died", "contact.created", `{}`)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	expire := func(environment string) int {
		s := store.New(pool, time.Hour)
		s.Introduce(store.Worker{Environment: &environment})
		claims := []string{db.ask(`select claim_id from webhook.outbox`)}
		leases, err := s.ExpireLeases(t.Context(), claims)
		if err != nil {
			t.Fatal(err)
		}
		return eventsOf(leases)
	}
	if n := expire("staging"); n != 0 {
		t.Errorf("a worker of another environment expired %d leases", n)
	}
	if n := expire("production"); n != 1 {
		t.Errorf("a worker of this environment expired %d leases", n)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func TestEnvironment_WhereItIsTheSameEventsAreDelivered(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.settings set environment = 'production'`)
	id := db.publish("contact.created", `{}`)
	env := quick(db.address)
	env["WEBHOOK_ENVIRONMENT"] = "production"
	if out, errs, status := runProgram(t, env, nil, "check"); status != 3 {
		t.Errorf("check without a worker: %d %s %s", status, out, errs)
	}
	if out, errs, status := runProgram(t, quick(db.address), nil, "run", "--once", "--environment", "production"); status != 0 || db.status(id) != "sent" {
		t.Errorf("%d %s %s; it is %s", status, out, errs, db.status(id))
	}
	if out, errs, status := runProgram(t, env, nil, "check"); status != 0 {
		t.Errorf("check: %d %s %s", status, out, errs)
	}
	for _, bad := range []string{" ", "a b", "a\tb"} {
		if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--environment", bad); status != 2 {
			t.Errorf("%q: exit status %d: %s", bad, status, errs)
		}
		with(t, fmt.Sprintf("%q", bad), db.ask(`update webhook.settings set environment = $1`, bad), "23514", "webhook.settings: environment is no name")
	}
}
