package integration_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestCheck_FindsWhatTroubleshootingKnows: each situation is found, with what fixes it. Each undoes itself.
func TestCheck_FindsWhatTroubleshootingKnows(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name <> 'contacts'`)
	clean, errs, status := runProgram(t, quick(db.address), nil, "check")
	if status != 0 || strings.Contains(clean, "BAD") || !strings.Contains(clean, "ok    contacts: its endpoint can be reached") {
		t.Fatalf("of a healthy installation, exit status %d: %s%s", status, clean, errs)
	}
	for _, c := range []struct {
		what, do, undo string
		args           string
		status         int
		want           []string
	}{
		{what: "Offline Mode", do: `update webhook.settings set offline_mode = true`, undo: `update webhook.settings set offline_mode = false`,
			want: []string{"warn  Offline Mode: it is on: nothing is delivered\n      webhooks offline off\n"}},
		{what: "no URL", do: `update webhook.channels set enabled = true where name = 'rules'; update webhook.channels set url = null where name = 'rules'`,
			undo: `update webhook.channels set enabled = false where name = 'rules'`, status: 3,
			want: []string{"BAD   rules: on, but cannot be called: it has no URL"}},
		{what: "a channel that fails", do: `update webhook.endpoints set failing_since = '2026-01-02 03:04:05Z' where channel = 'contacts'`,
			undo: `update webhook.endpoints set failing_since = null`, status: 3,
			want: []string{"BAD   contacts: no delivery succeeded since 2026-01-02 03:04:05Z\n      webhooks list --channel contacts --since 2026-01-02T03:04:05Z\n"}},
		{what: "a pause", do: `update webhook.pacing set paused_until = now() + interval '5 minutes' where channel = 'contacts'`,
			undo: `update webhook.pacing set paused_until = null`,
			want: []string{"warn  contacts: its receiver asked for a pause (Retry-After), until ", "webhooks set contacts --max-per-second N"}},
		{what: "a worker that cannot reach the endpoint", do: `update webhook.endpoints set looked_at = now(), looked_by = 'host-7:42', look_failure = 'dns', look_problem = 'no such host' where channel = 'contacts'`,
			undo: `update webhook.endpoints set looked_at = null, looked_by = null, look_failure = null, look_problem = null`, status: 3,
			want: []string{"BAD   contacts: its endpoint can be reached from here, and could not be from the worker host-7:42 at "}},
		{what: "lost events", do: `insert into webhook.outbox (event, data, status, attempts, finished_at, failure, received, error)
				select 'contact.created', '{}', 'failed', 1, now(), 'timeout', 'maybe', 'no answer' from generate_series(1, 3)`,
			undo: `delete from webhook.outbox`,
			want: []string{"warn  contacts: 3 events of the last seven days failed, and not tried again (timeout): ", "webhooks resend --channel contacts --status failed --failure timeout --since 7d\n"}},
		{what: "documents that wait", do: `insert into webhook.outbox (event, data, attempts, failure, received, error, due_at)
				select 'document.exported', '{"id": 7}', 1, 'render', 'no', 'line_items: not a list', now() from generate_series(1, 1)`,
			undo: `delete from webhook.outbox`, status: 3,
			want: []string{"BAD   workers: no worker is running, and events wait\n      Start one: webhooks run.\n", "warn  documents: 1 event not delivered yet, tried again every ten seconds (render): ", "webhooks list --channel documents --status pending --failure render\n"}},
		{what: "a sequence that gives ids ahead", do: `alter sequence webhook.outbox_id_seq cache 20`, undo: `alter sequence webhook.outbox_id_seq cache 1`, status: 3,
			want: []string{"BAD   ids: the sequence webhook.outbox_id_seq has cache 20 and increment 1", "alter sequence webhook.outbox_id_seq increment 1 cache 1"}},
		{what: "a sequence that was left behind", do: `insert into webhook.outbox (event, data) values ('rule.executed', '{}'), ('rule.executed', '{}');
				select setval('webhook.outbox_id_seq', 1, false); update webhook.outbox set status = 'cancelled', finished_at = now()`,
			undo: `delete from webhook.outbox; select setval('webhook.outbox_id_seq', 1000)`, status: 3,
			want: []string{"BAD   ids: the next event gets the id 1, and there are events up to ", "select setval('webhook.outbox_id_seq', "}},
		{what: "a foreign trigger", do: `create function public.slow() returns trigger language plpgsql as $$begin return new; end$$;
				create trigger audit_copy before update on webhook.outbox for each row execute function public.slow()`,
			undo: `drop function public.slow() cascade`,
			want: []string{"warn  triggers: audit_copy on webhook.outbox is none of this schema", "drop trigger audit_copy on webhook.outbox\n"}},
		{what: "a trigger that is off", do: `alter table webhook.outbox disable trigger all`, status: 3,
			undo: `alter table webhook.outbox enable trigger all; alter table webhook.outbox enable always trigger computed_columns_follow`,
			want: []string{"BAD   triggers: finished_rows_never_change on webhook.outbox does not fire as the schema says", "alter table webhook.outbox enable trigger finished_rows_never_change\n"}},
		{what: "a trigger that does not fire always", do: `select`, status: 3,
			undo: `alter table webhook.outbox enable always trigger each_row_keeps_the_rules; alter table webhook.outbox enable always trigger what_is_written_is_an_event`,
			want: []string{"BAD   triggers: each_row_keeps_the_rules on webhook.outbox does not fire as the schema says", "alter table webhook.outbox enable always trigger each_row_keeps_the_rules\n"}},
		{what: "autovacuum off", do: `alter table webhook.outbox set (autovacuum_enabled = false)`, undo: `alter table webhook.outbox reset (autovacuum_enabled)`, status: 3,
			want: []string{"BAD   vacuum: autovacuum is off"}},
		{what: "an environment", do: `update webhook.settings set environment = 'production'`, undo: `update webhook.settings set environment = null`, status: 3,
			want: []string{"BAD   environment: WEBHOOK_ENVIRONMENT is not set here, webhook.settings.environment is production: ", "else: export WEBHOOK_ENVIRONMENT=production\n"}},
		{what: "an endpoint that refuses", do: `update webhook.channels set url = 'http://127.0.0.1:1/', enabled = true where name = 'cases'`, undo: `update webhook.channels set enabled = false where name = 'cases'`, status: 3,
			want: []string{"BAD   cases: refused: ", " To change the URL: webhooks set cases --url https://…\n"}},
		{what: "no clean-up", do: `update webhook.maintenance set pruned_at = now() - interval '3 days'; ` + aWorker("host-1", `{}`), undo: `delete from webhook.workers`,
			want: []string{"warn  clean-up: it did not complete since ", "webhooks prune\n"}},
		{what: "workers that differ, with few files", do: aWorker("host-1", `{"lease": "90s", "posts": 40}`) + aWorker("host-2", `{"lease": "60s", "posts": 0}`), undo: `delete from webhook.workers`,
			want: []string{"warn  workers: they run with different values of WEBHOOK_LEASE: 90s; 60s\n", "warn  workers: host-1 may open files for 40 POSTs at once, the channels that are on have 128 slots", "LimitNOFILE=4096"}},
		{what: "what of a worker is not known here", do: aWorker("host-1", `{"ca_file": "/nowhere/ca.pem", "client_certificate": true, "proxy": "proxy.internal:3128", "allow_networks": ["10.0.0.0/8"]}`), undo: `delete from webhook.workers`,
			want: []string{"?     settings: the worker host-1 also trusts the authorities in /nowhere/ca.pem", "?     settings: the worker host-1 offers a client certificate",
				"?     settings: the worker host-1 reaches endpoints through the proxy proxy.internal:3128", "warn  settings: WEBHOOK_ALLOW_NETWORKS is 127.0.0.0/8 here, and 10.0.0.0/8 for the worker host-1"}},
	} {
		db.exec(c.do)
		out, errs, status := runProgram(t, quick(db.address), nil, "check")
		db.exec(c.undo)
		if status != c.status {
			t.Errorf("%s: exit status %d: %s%s", c.what, status, out, errs)
		}
		with(t, c.what, out, c.want...)
	}
}

// aWorker is a row of a worker that runs with these settings.
func aWorker(name, settings string) string {
	return fmt.Sprintf(`insert into webhook.workers (id, name, version, settings) values (gen_random_uuid(), '%s', '1.0', '%s'); `, name, settings)
}

func TestCheck_JudgesEndpointsWithTheSettingsOfTheWorkers(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	out, _, status := runProgram(t, settings{"DATABASE_URL": db.address, "WEBHOOK_POLL_INTERVALL": "1s"}, nil, "check")
	with(t, "without a worker", out, "BAD   contacts: ", "WEBHOOK_ALLOW_NETWORKS", `warn  settings: WEBHOOK_POLL_INTERVALL is unknown, did you mean "WEBHOOK_POLL_INTERVAL"?`)
	if status != 3 {
		t.Errorf("exit status %d", status)
	}
	w := startWorker(t, quick(db.address))
	eventually(t, "the worker is seen", func() bool { return db.count(`select count(*) from webhook.workers`) == 1 })
	out, _, status = runProgram(t, settings{"DATABASE_URL": db.address}, nil, "check")
	with(t, "with a worker", out, "ok    settings: endpoints are judged with WEBHOOK_ALLOW_NETWORKS of the worker ", fmt.Sprintf(":%d", w.cmd.Process.Pid), "127.0.0.0/8", "ok    contacts: its endpoint can be reached", "ok    workers: 1 running")
	if status != 0 {
		t.Errorf("exit status %d: %s", status, out)
	}
}
