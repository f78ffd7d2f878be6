package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recordengine/webhooks/alert"
	"github.com/recordengine/webhooks/store"
)

// alertBody is an alert as its receiver reads it.
type alertBody struct {
	Text, Kind, ID, Channel, Host, Failure, Hint, Since, Until, Worker, Link, Environment string
	HTTPStatus                                                                            int `json:"http_status"`
	Count                                                                                 *int64
	EventID                                                                               int64 `json:"event_id"`
	Workers                                                                               *int
}

// alerts are the alerts that arrived so far.
func alerts(t testing.TB, rcv *receiver) (all []alertBody) {
	t.Helper()
	for _, r := range rcv.all() {
		var p alertBody
		if err := json.Unmarshal([]byte(r.body), &p); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		if r.header.Get("webhook-id") != p.ID || r.header.Get("Content-Type") != "application/json" || r.header.Get("Authorization") != "" || r.header.Get("webhook-signature") != "" {
			t.Errorf("headers of an alert: %v", r.header)
		}
		all = append(all, p)
	}
	return all
}

func ofKind(all []alertBody, kind, channel string) (found []alertBody) {
	for _, p := range all {
		if p.Kind == kind && p.Channel == channel {
			found = append(found, p)
		}
	}
	return found
}

// alerting are settings with an alert URL, whose path is a key.
func alerting(address string, to *receiver) settings {
	env := quick(address)
	env["WEBHOOK_ALERT_URL"] = to.URL + "/geheim?key=geheim"
	env["WEBHOOK_ADMIN_URL"] = "https://webhooks.example.com/base/"
	return env
}

// missingWorker plants the row of a worker that was killed.
func (db *database) missingWorker(name string) {
	db.t.Helper()
	db.exec(`insert into webhook.workers (id, name, version, settings, seen_at) values (gen_random_uuid(), $1, '1', '{}', now() - interval '3 minutes')`, name)
}

// TestAlerts_EachIsSentOnceByTwoWorkers: a channel begins to fail and recovers, a storm of one-attempt events is
// lost, a worker was killed.
func TestAlerts_EachIsSentOnceByTwoWorkers(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, nil)
	var healthy atomic.Bool
	rcv := newResponder(t, func(w http.ResponseWriter, _ receipt) {
		status := http.StatusServiceUnavailable
		if healthy.Load() {
			status = http.StatusOK
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "geheim answer")
	})
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set url = url || '?key=geheim'`)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim', environment = 'production'`)
	db.missingWorker("lost-host:7")
	env := alerting(db.address, to)
	env["WEBHOOK_ENVIRONMENT"] = "production"
	workers := []*worker{startWorker(t, env), startWorker(t, env)}
	eventually(t, "both workers run", func() bool { return db.count(`select count(*) from webhook.workers`) == 3 })
	db.exec(`select webhook.publish('contact.created', '{"name": "geheim"}') from generate_series(1, 300)`)
	document := db.publish("document.exported", `{"id": 42, "status": "Export", "notes": "geheim"}`)
	eventually(t, "both channels fail, and events are lost", func() bool {
		all := alerts(t, to)
		return len(ofKind(all, "channel_failing", "documents")) > 0 && len(ofKind(all, "channel_failing", "contacts")) > 0 && len(ofKind(all, "events_lost", "contacts")) > 0
	})
	healthy.Store(true)
	db.publish("contact.created", `{}`)
	eventually(t, "both channels recover", func() bool {
		all := alerts(t, to)
		return len(ofKind(all, "channel_recovered", "documents")) > 0 && len(ofKind(all, "channel_recovered", "contacts")) > 0
	})

	all := alerts(t, to)
	if len(all) != 6 {
		t.Errorf("%d alerts, 6 were expected", len(all))
	}
	host := strings.TrimPrefix(rcv.URL, "http://")
	failing := ofKind(all, "channel_failing", "documents")[0]
	if failing.Failure != "server_error" || failing.HTTPStatus != 503 || failing.EventID != document || *failing.Count != 1 || failing.Host != host ||
		failing.Link != fmt.Sprintf("https://webhooks.example.com/base/deliveries/%d", document) || failing.Environment != "production" ||
		!strings.Contains(failing.Hint, "temporarily down") {
		t.Errorf("documents fail: %+v", failing)
	}
	with(t, "the text", failing.Text, "RecordEngine webhooks (production): channel documents fails since "+failing.Since, "server_error (HTTP 503) at "+host, failing.Link)
	lost := ofKind(all, "events_lost", "contacts")[0]
	if *lost.Count < 1 || *lost.Count > 300 || lost.EventID == 0 || lost.Failure != "server_error" || lost.Link != "https://webhooks.example.com/base/deliveries?channel=contacts&status=failed" {
		t.Errorf("contacts are lost: %+v", lost)
	}
	if missing := ofKind(all, "worker_missing", ""); len(missing) != 1 || missing[0].Worker != "lost-host:7" || *missing[0].Workers < 1 || missing[0].Link != "https://webhooks.example.com/base/overview" {
		t.Errorf("a worker is missing: %+v", missing)
	}
	if recovered := ofKind(all, "channel_recovered", "contacts")[0]; recovered.Since != ofKind(all, "channel_failing", "contacts")[0].Since || *recovered.Count != 0 {
		t.Errorf("contacts have recovered: %+v", recovered)
	}
	for _, r := range to.all() {
		if strings.Contains(r.body, "geheim") || r.path != "/geheim" || r.query.Get("key") != "geheim" {
			t.Errorf("an alert shows a secret, or is for another URL: %s%v: %s", r.path, r.query, r.body)
		}
	}
	for _, w := range workers {
		w.terminate()
		if status := w.exit(t); status != 0 || strings.Contains(w.log.String(), "geheim") {
			t.Errorf("exit status %d, said %s", status, w.log.String())
		}
	}
	if shown := db.ask(`select string_agg(a::text, ' ') from webhook.alerts a`); strings.Contains(shown, "geheim") {
		t.Errorf("webhook.alerts shows a secret: %s", shown)
	}
}

func TestAlerts_AHangingReceiverDelaysNoDelivery(t *testing.T) {
	t.Parallel()
	to, g := blockedReceiver(t)
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.missingWorker("lost-host:7")
	w := startWorker(t, alerting(db.address, to))
	eventually(t, "an alert is being posted", func() bool { return len(to.all()) == 1 })
	db.exec(`select webhook.publish('contact.created', '{}') from generate_series(1, 100)`)
	document := db.document("42")
	eventually(t, "all events are sent", func() bool {
		return db.status(document) == "sent" && db.count(`select count(*) from webhook.outbox where status <> 'sent'`) == 0
	})
	if to.all()[0].answered != 0 || db.count(`select count(*) from webhook.alerts where sent_at is not null`) != 0 {
		t.Error("the alert was answered")
	}
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	g.release()
	if n := db.count(`select count(*) from webhook.alerts where leased_until is null and sent_at is null and attempts = 1`); n != 1 {
		t.Errorf("the alert was not released by the worker that stopped")
	}
}

func TestAlerts_OfAWorkerThatDiesBetweenPOSTAndRecordIsSentAgain(t *testing.T) {
	t.Parallel()
	to, g := blockedReceiver(t)
	db := ready(t, "https://re.example")
	db.missingWorker("lost-host:7")
	env := alerting(db.address, to)
	first := startWorker(t, env)
	eventually(t, "an alert is being posted", func() bool { return len(to.all()) == 1 })
	first.kill()
	g.release()
	if n := db.count(`update webhook.alerts set leased_until = now() returning 1`); n != 1 {
		t.Fatal("the alert is not leased")
	}
	startWorker(t, env)
	eventually(t, "the alert is sent", func() bool { return db.count(`select count(*) from webhook.alerts where sent_at is not null`) == 1 })
	got := alerts(t, to)
	if len(got) != 2 || got[0].ID != got[1].ID || got[0].Kind != "worker_missing" {
		t.Errorf("the receiver got %+v, the same alert twice was expected", got)
	}
}

// TestAlerts_FailedOnesAreRetriedAndShown: the log and check say why, without the path; a later attempt is the same alert.
func TestAlerts_FailedOnesAreRetriedAndShown(t *testing.T) {
	t.Parallel()
	var healthy atomic.Bool
	to := newReceiver(t, func(receipt) int {
		if healthy.Load() {
			return 202
		}
		return 500
	})
	db := ready(t, to.URL)
	db.exec(`update webhook.channels set enabled = false`)
	db.missingWorker("lost-host:7")
	env := alerting(db.address, to)
	w := startWorker(t, env)
	eventually(t, "the attempt has failed", func() bool { return db.count(`select count(*) from webhook.alerts where error is not null`) == 1 })
	if n := db.count(`select count(*) from webhook.alerts where attempts = 1 and due_at > now() and sent_at is null and leased_until is null`); n != 1 {
		t.Errorf("webhook.alerts: %s", db.ask(`select string_agg(a::text, ' ') from webhook.alerts a`))
	}
	out, errs, status := runProgram(t, env, nil, "check")
	with(t, "check", out, "ok    alerts: the endpoint of WEBHOOK_ALERT_URL can be reached", "BAD   alerts: 1 not sent since ", "HTTP 500")
	if status != 3 || strings.Contains(out+errs, "geheim") {
		t.Errorf("check: exit status %d: %s%s", status, out, errs)
	}
	if said := w.log.String(); !strings.Contains(said, `"alert not sent, retrying"`) || strings.Contains(said, "geheim") {
		t.Errorf("the worker said %s", said)
	}
	healthy.Store(true)
	db.exec(`update webhook.alerts set due_at = now()`)
	eventually(t, "the alert is sent", func() bool {
		return db.count(`select count(*) from webhook.alerts where sent_at is not null and error is null`) == 1
	})
	if got := alerts(t, to); got[0].ID != got[len(got)-1].ID {
		t.Errorf("another alert was sent: %+v", got)
	}
}

func TestAlerts_WrongSettingsAreNamedAndNotQuoted(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.channels set enabled = false`)
	for name, c := range map[string]struct {
		env    settings
		status int
		said   string
	}{
		"no scheme":       {settings{"WEBHOOK_ALERT_URL": "hooks.slack.com/geheim"}, 2, "WEBHOOK_ALERT_URL: the URL does not begin with https:// or http://"},
		"no host":         {settings{"WEBHOOK_ALERT_URL": "https:///geheim"}, 2, "WEBHOOK_ALERT_URL: the URL has no host"},
		"no such file":    {settings{"WEBHOOK_ALERT_URL_FILE": "/nowhere"}, 2, "WEBHOOK_ALERT_URL_FILE: "},
		"both":            {settings{"WEBHOOK_ALERT_URL": "https://h/geheim", "WEBHOOK_ALERT_URL_FILE": "/nowhere"}, 2, "WEBHOOK_ALERT_URL_FILE: WEBHOOK_ALERT_URL is set, too"},
		"no page":         {settings{"WEBHOOK_ADMIN_URL": "https://user:geheim@h"}, 2, "WEBHOOK_ADMIN_URL: it is no address of a page"},
		"no duration":     {settings{"WEBHOOK_ALERT_INTERVAL": "5"}, 2, "WEBHOOK_ALERT_INTERVAL: a duration from 1s to 24h was expected"},
		"nothing listens": {settings{"WEBHOOK_ALERT_URL": "http://127.0.0.1:1/geheim"}, 3, "BAD   alerts: WEBHOOK_ALERT_URL: refused: nothing accepts connections at http://127.0.0.1:1"},
		"an internal one": {settings{"WEBHOOK_ALERT_URL": "http://10.0.0.1/geheim"}, 3, "BAD   alerts: WEBHOOK_ALERT_URL: address not allowed: http://10.0.0.1 leads to 10.0.0.1"},
	} {
		env := quick(db.address)
		for setting, value := range c.env {
			env[setting] = value
		}
		out, errs, status := runProgram(t, env, nil, "check")
		if status != c.status || !strings.Contains(out+errs, c.said) || strings.Contains(out+errs, "geheim") {
			t.Errorf("%s: exit status %d: %s%s", name, status, out, errs)
		}
	}
	file := t.TempDir() + "/alert-url"
	write(t, file, "hooks.slack.com/geheim\n")
	env := quick(db.address)
	env["WEBHOOK_ALERT_URL_FILE"] = file
	if out, errs, status := runProgram(t, env, nil, "run", "--once"); status != 2 || !strings.Contains(errs, "WEBHOOK_ALERT_URL_FILE: the URL does not begin") || strings.Contains(errs, "geheim") {
		t.Errorf("run: exit status %d: %s%s", status, out, errs)
	}
}

// TestAlerts_RunOncePostsThem: where a scheduler runs the worker.
func TestAlerts_RunOncePostsThem(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, nil)
	db := ready(t, to.URL)
	db.missingWorker("lost-host:7")
	if out, errs, status := runProgram(t, alerting(db.address, to), nil, "run", "--once"); status != 0 || len(ofKind(alerts(t, to), "worker_missing", "")) != 1 {
		t.Errorf("exit status %d, posted %d: %s%s", status, len(to.all()), out, errs)
	}
}

// TestAlerts_ThePageSaysThatNoWorkerIsLeft: nothing else can.
func TestAlerts_ThePageSaysThatNoWorkerIsLeft(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, nil)
	db := withRoles(t, "https://re.example")
	db.missingWorker("lost-host:7")
	db.document("42")
	page := startPage(t, alerting(loginRole(t, db, "webhook_reader", "webhook_admin").address, to))
	eventually(t, "the alert arrives", func() bool { return len(to.all()) > 0 })
	db.exec(`update webhook.workers set seen_at = now()`)
	eventually(t, "so does the next one", func() bool { return len(to.all()) > 1 })
	got := alerts(t, to)
	kinds := []string{got[0].Kind, got[1].Kind}
	if !slices.Equal(kinds, []string{"no_worker", "worker_back"}) || got[0].Worker != "lost-host:7" || *got[0].Count != 1 || *got[0].Workers != 0 || *got[1].Workers != 1 {
		t.Errorf("the page posted %+v", got)
	}
	page.terminate()
	if status := page.exit(t); status != 0 || strings.Contains(page.log.String(), "geheim") {
		t.Errorf("exit status %d, said %s", status, page.log.String())
	}
}

// TestAlerts_AreNoticedOnceForEachStateAndInterval: what the statement that all processes run writes, and what not.
func TestAlerts_AreNoticedOnceForEachStateAndInterval(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	own, other := workerStore(t, db.address), workerStore(t, db.address)
	by := alert.Observer{Interval: time.Hour, Worker: true}
	notice := func(what string, want ...string) {
		t.Helper()
		var before int64
		if err := db.Get(&before, `select coalesce(max(id), 0) from webhook.alerts`); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		for _, s := range []*store.Store{own, other, own, other} {
			both.Go(func() {
				if _, err := s.NoticeAlerts(t.Context(), by); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		var got []string
		if err := db.Select(&got, `select concat_ws(' ', kind, channel, events, failure) from webhook.alerts where id > $1 order by kind, channel`, before); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: noticed %q, expected %q", what, got, want)
		}
	}
	fails := func(channel, ago string) {
		db.exec(`update webhook.endpoints set failing_since = now() - $2::interval, failed_at = now() where channel = $1`, channel, ago)
	}
	succeeds := func(channel string) {
		db.exec(`update webhook.endpoints set failing_since = null, succeeded_at = now() where channel = $1`, channel)
	}
	later := func(by string) {
		db.exec(`update webhook.alerts set created_at = created_at - $1::interval`, by)
	}
	lose := func(event, ago string) int64 {
		id := db.publish(event, `{}`)
		db.become(id, states["failed"]+`, failure = 'rejected', http_status = 404, finished_at = now() - interval '`+ago+`'`)
		return id
	}

	notice("nothing")
	fails("cases", "10 seconds")
	notice("a failure that the next retry may repair")
	fails("cases", "20 seconds")
	db.exec(`update webhook.channels set enabled = false where name = 'cases'`)
	notice("a channel that is off")
	db.exec(`update webhook.channels set enabled = true where name = 'cases'`)
	notice("a channel fails", "channel_failing cases 0")
	notice("it still fails")
	later("2 hours")
	notice("it still fails, later")
	db.exec(`update webhook.channels set url = url || '/new' where name = 'cases'`)
	notice("another URL, of which nothing is known")
	succeeds("cases")
	notice("it has recovered", "channel_recovered cases 0")
	notice("it is still healthy")
	fails("cases", "20 seconds")
	db.document("1")
	fails("documents", "1 minute")
	notice("it fails again, and so does another channel", "channel_failing cases 0", "channel_failing documents 1")
	succeeds("cases")
	notice("a second recovery", "channel_recovered cases 0")
	fails("cases", "20 seconds")
	notice("a third failure within the interval")
	later("2 hours")
	notice("the interval is over", "channel_failing cases 0")

	lose("case.created", "-1 hour")
	notice("what may not be all yet")
	lose("contact.created", "5 seconds")
	lose("contact.created", "3 hours")
	last := lose("contact.created", "4 seconds")
	db.become(db.publish("folder.created", `{}`), states["failed"]+`, is_test = true, finished_at = now() - interval '5 seconds'`)
	notice("lost events", "events_lost contacts 2 rejected")
	// From here on the first alert has counted up to its last event: only the interval holds back those since.
	db.exec(`update webhook.alerts set until = (select finished_at from webhook.outbox where id = $1) where kind = 'events_lost' and channel = 'contacts'`, last)
	lose("contact.created", "3 seconds")
	lose("rule.executed", "3 seconds")
	notice("more of them, and some of another channel", "events_lost rules 1 rejected")
	later("2 hours")
	notice("the interval is over: those since", "events_lost contacts 1 rejected")
	later("2 hours")
	notice("none since")

	db.missingWorker("a:1")
	db.missingWorker("b:2")
	notice("missing workers", "worker_missing 2")
	notice("they are still missing")
	later("2 hours")
	notice("later, they still are")
	db.exec(`update webhook.workers set seen_at = now() - interval '70 seconds' where name = 'a:1'`)
	notice("one that had been back", "worker_missing 1")
	by = alert.Observer{Interval: time.Hour}
	notice("the page sees no worker", "no_worker 1")
	notice("it still sees none")
	db.exec(`delete from webhook.workers`)
	by.Absent = true
	notice("nor later")
	by.Worker = true
	notice("a worker looks", "worker_back 0")
	by = alert.Observer{Interval: time.Hour}
	later("2 hours")
	notice("none is seen, for less than a minute")
	by.Absent = true
	notice("none is seen for a minute", "no_worker 1")

	db.exec(`update webhook.settings set environment = 'production'`)
	fails("audit_log", "1 minute")
	notice("of another environment")
	if _, found, err := own.NextAlert(t.Context(), time.Minute); found || err != nil {
		t.Errorf("an alert of another environment is posted: %v, %v", found, err)
	}
}

// TestAlerts_GoOutInOrderAndEndAfterADay: one process has the oldest; the others wait for it.
func TestAlerts_GoOutInOrderAndEndAfterADay(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.alerts (kind, channel, since, until) values ('channel_failing', 'cases', now(), now()), ('channel_recovered', 'cases', now(), now())`)
	own, other := workerStore(t, db.address), workerStore(t, db.address)
	next := func(s *store.Store) alert.Alert {
		t.Helper()
		a, _, err := s.NextAlert(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := next(own)
	if first.Kind != alert.ChannelFailing || first.Host != "re.example" || first.Attempts != 1 || first.InstanceID == "" {
		t.Fatalf("leased %+v", first)
	}
	if a := next(other); a.ID != 0 {
		t.Errorf("leased twice, or out of order: %+v", a)
	}
	if err := own.AlertNotSent(t.Context(), first, "refused", time.Hour); err != nil {
		t.Fatal(err)
	}
	if a := next(other); a.ID != 0 {
		t.Errorf("leased before it is due, or out of order: %+v", a)
	}
	db.exec(`update webhook.alerts set due_at = now()`)
	again := next(other)
	if again.ID != first.ID || again.Attempts != 2 {
		t.Errorf("leased %+v, the same alert was expected", again)
	}
	if err := own.AlertNotSent(t.Context(), first, "late", 0); err != nil { // its lease was lost
		t.Fatal(err)
	}
	if a := next(own); a.ID != 0 {
		t.Errorf("a process without the lease has released it: %+v", a)
	}
	if err := other.AlertSent(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if a := next(own); a.Kind != alert.ChannelRecovered {
		t.Errorf("leased %+v, the second was expected", a)
	}
	db.exec(`update webhook.alerts set leased_until = now(), created_at = now() - interval '25 hours' where sent_at is null`)
	if seen, err := own.NoticeAlerts(t.Context(), alert.Observer{Interval: time.Hour, Worker: true}); err != nil || seen.GivenUp != 1 {
		t.Errorf("given up: %+v, %v", seen, err)
	}
	if a := next(own); a.ID != 0 {
		t.Errorf("one that was given up is posted: %+v", a)
	}
	db.exec(`insert into webhook.alerts (kind, channel, since, until, sent_at) select 'channel_failing', 'cases', now(), now(), now() from generate_series(1, 2);
		update webhook.alerts set created_at = now() - interval '31 days'`)
	if err := own.PruneAlerts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := db.ask(`select string_agg(kind, ' ' order by kind) from webhook.alerts`); left != "channel_failing channel_recovered" {
		t.Errorf("the clean-up leaves %q, the newest of each kind was expected", left)
	}
}
