package integration_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// overviewPage is GET /overview as the role of the page has it: its source, and its text.
func overviewPage(t *testing.T, address string) (source, text string) {
	t.Helper()
	pool, err := store.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	schema, _ := shipped(t)
	r := httptest.NewRequest(http.MethodGet, "/overview", nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	admin.New(store.NewAdmin(pool, schema), zap.NewNop(), admin.Options{Loopback: true, User: "jean"}).ServeHTTP(w, r)
	source = w.Body.String()
	text = html.UnescapeString(strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(source, " ")), " "))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, text)
	}
	return source, text
}

// asAdmin is the address with which the page connects.
func asAdmin(t *testing.T, db *database) string {
	t.Helper()
	return loginRole(t, db, "webhook_admin", "webhook_reader").address
}

func TestPageOverview_AllIsWell(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://hook.example/geheimer-pfad")
	db.workerSeen()
	db.exec(`update webhook.endpoints set succeeded_at = now()`)
	source, text := overviewPage(t, asAdmin(t, db))
	with(t, "the page", text, "All is well. Checked just now", "Documents Healthy hook.example", "Audit Log Healthy hook.example")
	if strings.Contains(source, "geheim") {
		t.Error("the page shows the token, or the path of a URL")
	}
}

func TestPageOverview_SaysWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://hook.example")
	db.exec(`insert into webhook.workers (id, name, version, environment, settings, started_at, seen_at) values
		(gen_random_uuid(), 'host:7', '1.0.0', null, '{}', now() - interval '3 days', now()),
		(gen_random_uuid(), 'host:8', '1.0.0', 'staging', '{}', now() - interval '3 days', now()),
		(gen_random_uuid(), 'host:9', '1.0.0', null, '{}', now() - interval '3 days', now() - interval '6 minutes 1 second')`)
	db.exec(`update webhook.maintenance set pruned_at = now() - interval '4 days 1 hour'`)
	db.exec(`begin; select set_config('webhook.actor', 'Jane', true); update webhook.settings set offline_mode = true; commit`)
	db.exec(`update webhook.channels set url = null where name in ('folders', 'rules')`)
	db.exec(`update webhook.endpoints set failing_since = now() - interval '1 minute', failed_at = now() where channel = 'contacts'`)
	db.exec(`update webhook.endpoints set look_problem = 'lookup hook.example: no such host', look_failure = 'dns', looked_at = now(), looked_by = 'host:7' where channel = 'cases'`)
	db.exec(`update webhook.endpoints set certificate_ends = now() + interval '4 days 1 hour' where channel in ('documents', 'audit_log')`)
	db.exec(`update webhook.pacing set paused_until = now() + interval '4 minutes' where channel = 'notifications'`)
	for range 3 {
		db.inState("failed", "contact.created", `{}`)
		db.inState("failed", "audit.log", `{}`)
	}
	db.exec(`insert into webhook.outbox (event, data, status, failure, received, attempts, finished_at) values ('contact.created', '{}', 'failed', 'dns', 'no', 1, now() - interval '8 days')`)
	db.exec(`insert into webhook.outbox (event, data, is_test, status, failure, received, attempts, finished_at) values ('contact.created', '{}', true, 'failed', 'dns', 'no', 1, now())`)
	wrong := db.inState("refused", "document.exported", `{"id": "1"}`)
	db.exec(`update webhook.outbox set failure = 'render', http_status = null, error = 'id is missing' where id = $1`, wrong)
	db.publish("case.created", `{}`)

	source, text := overviewPage(t, asAdmin(t, db))
	with(t, "the page", text,
		"Offline Mode is on since ", "Turned on by Jane. Nothing is delivered on any channel. 2 events wait.",
		"The worker host:8 delivers nothing Started for the environment staging, while this database belongs to none.",
		"The worker host:9 has not been seen for 6 minutes",
		"Folders and Rules are on but cannot be called It has no URL. Events wait until this is fixed.",
		"Contacts has been failing since ", "The newest failure: ",
		"The endpoint of Cases cannot be reached A worker looked, and found: lookup hook.example: no such host. The host name does not resolve.",
		"Notifications is paused until ",
		"The certificate of hook.example ends in 4 days", "Nothing can be delivered to Documents and Audit Log from then on.",
		"6 failed events were not resent", "Contacts: 3", "Audit Log: 3",
		"1 document waits because of an error in its data",
		"The clean-up has not come to its end for 4 days",
		"Contacts Held Offline Mode is on")
	with(t, "the source", html.UnescapeString(source), `href="/deliveries?channel=contacts&status=failed&since=7d"`, `href="/deliveries?channel=documents&status=pending&failure=render"`)
	if strings.Contains(text, "webhook.") {
		t.Errorf("the page says SQL: %s", text)
	}
}

// TestPageOverview_SaysEachProblemOfAChannelInItsOwnWords, as webhook.channel_problem ends in SQL.
func TestPageOverview_SaysEachProblemOfAChannelInItsOwnWords(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://hook.example")
	db.workerSeen()
	page := asAdmin(t, db)
	said := map[string]bool{}
	for _, change := range []string{
		`update webhook.channels set url = null where name = 'documents'`,
		`update webhook.channels set url = 'https://hook.example/a b' where name = 'documents'`,
		`update webhook.channels set url = 'https://' where name = 'documents'`,
		`update webhook.channels set url = 'https://hook.example:99999/' where name = 'documents'`,
		`update webhook.channels set url = 'https://hook.example/%zz' where name = 'documents'`,
		`update webhook.settings set bearer_token = 'a' || chr(8203) || 'b'`,
		`update webhook.settings set bearer_token = 'Bearer'`,
		`update webhook.settings set bearer_token = null`,
		`update webhook.settings set document_base_url = null`,
		`update webhook.settings set document_base_url = 'https://re.example/?x'`,
		`update webhook.settings set document_base_url = 'https://user:pw@re.example'`,
	} {
		tx := db.MustBegin()
		tx.MustExec(change)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		_, text := overviewPage(t, page)
		_, means, _ := strings.Cut(text, " on but cannot be called ")
		means, _, _ = strings.Cut(means, " Events wait until this is fixed.")
		if len(means) < 10 || len(means) > 150 || said[means] || strings.ContainsAny(means, "_'\"(") && !strings.Contains(means, "(U+") && !strings.Contains(means, "document's") {
			t.Errorf("%s: %q", change, means)
		}
		if strings.Contains(means, "webhook.") || strings.Contains(means, "update ") {
			t.Errorf("%s: the page says SQL: %s", change, means)
		}
		said[means] = true
		db.exec(`update webhook.channels set url = 'https://hook.example/' where name = 'documents'`)
		db.exec(`update webhook.settings set bearer_token = 'geheim', document_base_url = 'https://re.example'`)
	}
}

// TestPageOverview_FiguresAreThoseOfTheTally and of what waits.
func TestPageOverview_FiguresAreThoseOfTheTally(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://hook.example")
	db.exec(`insert into webhook.tally (channel, hour, status, latency, events)
		select 'contacts', date_trunc('hour', now()) - n * interval '1 hour', s.status, s.latency, s.events
		  from generate_series(0, 30) n,
		       (values ('sent', webhook.latency_bucket('40 ms'), 970), ('sent', webhook.latency_bucket('3 s'), 20), ('sent', 0::smallint, 10), ('failed', 0::smallint, 2), ('skipped', 0::smallint, 1), ('superseded', 0::smallint, 5)) s (status, latency, events)`)
	for range 3 {
		db.publish("contact.created", `{}`)
	}
	db.inState("failed", "contact.created", `{}`)
	db.exec(`update webhook.outbox set occurred_at = now() - interval '2 hours 10 minutes' where id = (select min(id) from webhook.outbox)`)
	db.exec(`update webhook.outbox set occurred_at = 'infinity' where id = (select min(id) + 1 from webhook.outbox)`)
	db.exec(`update webhook.outbox set occurred_at = '-infinity' where id = $1`, db.document("7"))

	source, text := overviewPage(t, asAdmin(t, db))
	with(t, "the page", text, "24,000 48 24 3 oldest 2 hours ago p50 4", "p99 3.") // the middle of a bucket is off by 9 % at most
	with(t, "the chart", source, `aria-label="The last 24 hours: 24,000 delivered, 48 failed, 24 skipped; at most 1,003 in an hour"`)
	if n := strings.Count(source, `class="bar-failed"`); n != 24+1 { // and one in the legend
		t.Errorf("%d bars with failures", n)
	}
	if n := strings.Count(text, "1,000 2 1"); n != 24 {
		t.Errorf("%d rows in the table", n)
	}
}

// TestPageOverview_ReadsAFewOfManyRows: finished, failed, waiting and retried events are read in ranges
// that have an end, also while no vacuum has seen what waits.
func TestPageOverview_ReadsAFewOfManyRows(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://hook.example")
	millions(db)
	db.exec(`insert into webhook.outbox (event, data, due_at, attempts, failure, received, error)
		select 'document.exported', json_build_object('id', 'w' || n), now() - n * interval '1 second', n % 2 * 3, case n % 2 when 1 then 'server_error' end, case n % 2 when 1 then 'no' end, case n % 2 when 1 then 'HTTP 500' end
		  from generate_series(1, 30000) n`)
	db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, 300000) n`)
	db.exec(`insert into webhook.outbox (event, data, status, failure, received, attempts, finished_at)
		select 'rule.executed', '{}', 'failed', 'dns', 'no', 1, now() - n * interval '1 second' from generate_series(1, 30000) n`)
	db.exec(`update webhook.endpoints set failing_since = now(), failed_at = now()`)
	page := newDeliveriesPage(t, &database{DB: db.DB, t: t, address: asAdmin(t, db)})
	page.store.Hurry(time.Minute) // on a busy machine nothing is left out
	for _, c := range []struct {
		before        string
		rows, entries int64 // at most, of the table and of its indexes
	}{{`analyze webhook.outbox`, 35_000, 40_000}, {`vacuum analyze webhook.outbox`, 3_000, 40_000}} {
		db.exec(c.before)
		before := readSoFar(db)
		_, text := page.get("/overview")
		with(t, "the page", html.UnescapeString(text), "10,000+")
		eventually(t, "the statistics have arrived", func() bool { return readSoFar(db).Looks >= before.Looks+7*6 })
		after := readSoFar(db)
		if after.Scans != before.Scans || after.Rows-before.Rows > c.rows || after.Entries-before.Entries > c.entries {
			t.Errorf("after %s: %d sequential scans, %d rows and %d index entries were read", c.before, after.Scans-before.Scans, after.Rows-before.Rows, after.Entries-before.Entries)
		}
	}
}

// TestPageOverview_DoesWithoutWhatTakesTooLong: where what waits cannot be counted soon, the rest of the overview is there,
// and it is not tried again with each request.
func TestPageOverview_DoesWithoutWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data) select e, '{}' from generate_series(1, 11000), unnest(array['case.created', 'contact.created', 'audit.log']) e`)
	page := newDeliveriesPage(t, db)
	for _, hurry := range []time.Duration{time.Millisecond, time.Minute} {
		page.store.Hurry(hurry)
		o, err := page.store.Overview(t.Context())
		if err != nil || !o.Uncounted || len(o.Channels) != 7 || o.Channels[3].Waiting != 0 {
			t.Errorf("%s: %+v, %v", hurry, o, err)
		}
	}
	_, text := page.get("/overview")
	with(t, "the page", text, "What waits takes too long to count")
	o, err := newDeliveriesPage(t, db).store.Overview(t.Context())
	if err != nil || o.Uncounted || o.Channels[3].Waiting != 10001 {
		t.Errorf("in time: %+v, %v", o, err)
	}
}

// reads are what all sessions have read of the outbox.
type reads struct{ Scans, Rows, Looks, Entries int64 }

func readSoFar(db *database) (r reads) {
	db.t.Helper()
	err := db.Get(&r, `
		select t.seq_scan as scans, coalesce(t.idx_tup_fetch, 0) + t.seq_tup_read as rows, t.idx_scan as looks,
		       (select sum(i.idx_tup_read)::bigint from pg_stat_user_indexes i where i.relid = t.relid) as entries
		  from pg_stat_user_tables t where t.relid = 'webhook.outbox'::regclass`)
	if err != nil {
		db.t.Fatal(err)
	}
	return r
}

// TestPageOverview_OfARunningWorker: the built binary serves the page beside a worker that delivers.
func TestPageOverview_OfARunningWorker(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := withRoles(t, rcv.URL)
	db.exec(`update webhook.channels set url = null, enabled = false where name = 'rules'`)
	startWorker(t, quick(loginRole(t, db, "webhook_worker").address))
	eventually(t, "the worker is seen", func() bool { return db.count(`select count(*) from webhook.workers`) == 1 })
	id := db.publish("contact.created", `{}`)
	eventually(t, "it is delivered", func() bool { return db.status(id) == "sent" })
	_, text := overviewPage(t, asAdmin(t, db))
	with(t, "the page", text, "All is well. Checked", "Contacts Healthy 127.0.0.1", "Folders Never used 127.0.0.1", "Rules Off")
}
