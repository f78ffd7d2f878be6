package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// publishAll writes an event of each channel and returns their ids by channel.
func publishAll(db *database, documentID string) map[string]int64 {
	db.t.Helper()
	ids := map[string]int64{}
	for _, c := range outbox.Channels() {
		ids[c.Name] = db.publish(c.Event, fmt.Sprintf(`{"id": %q, "status": "Export"}`, documentID))
	}
	return ids
}

// aCycle waits until the worker has been through a cycle, begun after this call.
// A problem is named as the last step of one cycle and its end as the last step
// of a later one. The rules channel serves for that; it is off afterwards.
func aCycle(t testing.TB, db *database, w *worker) {
	t.Helper()
	said := func(what string) (lines int) {
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, what) && strings.Contains(line, `"channel":"rules"`) {
				lines++
			}
		}
		return lines
	}
	const broken, callable = "cannot be called, its events wait", "can be called again, or is off"
	before := said(broken)
	db.exec(`update webhook.channels set enabled = true, url = 'https://' where name = 'rules'`)
	eventually(t, "the end of a cycle", func() bool { return said(broken) > before })
	before = said(callable)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	eventually(t, "the end of the next cycle", func() bool { return said(callable) > before })
}

func TestSwitch_OffKeepsDocumentsAndSkipsOthers(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false`)
	startWorker(t, quick(db.address))
	ids := publishAll(db, "42")
	for _, c := range outbox.Channels() {
		if c.Event != "document.exported" {
			eventually(t, c.Name+" is skipped", func() bool { return db.status(ids[c.Name]) == "skipped" })
		}
	}
	if r := db.row(ids["documents"]); r.Status != "pending" || r.Attempts != 0 || r.Error != nil {
		t.Errorf("the document is %+v", r)
	}
	if n := len(rcv.all()); n != 0 {
		t.Fatalf("%d requests although every channel is off", n)
	}

	db.exec(`update webhook.channels set enabled = true`)
	eventually(t, "the document is sent without a restart", func() bool { return db.status(ids["documents"]) == "sent" })
	fresh := publishAll(db, "43")
	for name, id := range fresh {
		eventually(t, name+" flows without a restart", func() bool { return db.status(id) == "sent" })
	}
	for name, id := range ids {
		if name != "documents" && (db.status(id) != "skipped" || len(rcv.of(id)) != 0) {
			t.Errorf("%s was skipped and is now %s, received %d times", name, db.status(id), len(rcv.of(id)))
		}
	}
}

func TestSwitch_IsEvaluatedWhenTheWorkerReadsTheRow(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false`)
	ids := publishAll(db, "42") // no worker runs
	db.exec(`update webhook.channels set enabled = true`)
	startWorker(t, quick(db.address))
	for name, id := range ids {
		eventually(t, name+" is sent", func() bool { return db.status(id) == "sent" })
	}
}

func TestSwitch_OfflineModeDeliversNothingAndSkipsNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.settings set offline_mode = true`)
	db.exec(`update webhook.channels set enabled = false where name = 'folders'`)
	worker := startWorker(t, quick(db.address))
	ids := publishAll(db, "42")
	test := insertTest(db, "case.created")

	aCycle(t, db, worker)
	for _, r := range db.rows() {
		if r.Status != "pending" || r.Attempts != 0 {
			t.Errorf("%s is %s after %d attempts", r.Event, r.Status, r.Attempts)
		}
	}
	if n := len(rcv.all()); n != 0 {
		t.Errorf("%d requests in Offline Mode", n)
	}
	db.exec(`update webhook.channels set enabled = true, url = $1`, rcv.URL)
	db.exec(`update webhook.settings set offline_mode = false`)
	for name, id := range ids {
		eventually(t, name+" is sent once Offline Mode is off", func() bool { return db.status(id) == "sent" })
	}
	eventually(t, "the test event too", func() bool { return db.status(test) == "sent" })
}

func TestSwitch_SettingsTakeEffectWithoutARestart(t *testing.T) {
	t.Parallel()
	answer := func(receipt) int { return 202 }
	one, other := newReceiver(t, answer), newReceiver(t, answer)
	db := ready(t, one.URL)
	startWorker(t, quick(db.address))
	finished := func() receipt {
		t.Helper()
		id := db.publish("contact.created", `{}`)
		eventually(t, "it is finished", func() bool { return db.row(id).FinishedAt != nil })
		for _, r := range append(one.of(id), other.of(id)...) {
			r.answered = map[string]int{"sent": 1, "failed": 0}[db.status(id)] // 1: it counted
			return r
		}
		t.Fatal("it was not received")
		return receipt{}
	}
	if r := finished(); r.header.Get("Authorization") != "" || r.answered != 0 {
		t.Errorf("at first: %+v", r)
	}
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'first'`)
	if r := finished(); r.header.Get("Authorization") != "Bearer first" {
		t.Errorf("the first token: %+v", r.header)
	}
	db.exec(`update webhook.settings set bearer_token = 'second'`)
	if r := finished(); r.header.Get("Authorization") != "Bearer second" {
		t.Errorf("the second token: %+v", r.header)
	}
	db.exec(`update webhook.channels set accept_status = '{202}' where name = 'contacts'`)
	if r := finished(); r.answered != 1 {
		t.Error("202 does not count although it is listed now")
	}
	db.exec(`update webhook.channels set url = $1 where name = 'contacts'`, other.URL+"/new")
	if r := finished(); r.path != "/new" {
		t.Errorf("after the URL has changed it arrived at %s", r.path)
	}
}

// misconfigured is a channel that cannot be called, and what its problem must say.
type misconfigured struct {
	channel, break_, problem string
}

func TestSwitch_ChannelThatCannotBeCalledIsReportedAndWaits(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string][]misconfigured{
		"malformed": {
			{"documents", `update webhook.settings set document_base_url = null`, "document_base_url"},
			{"contacts", `update webhook.channels set url = 'http://[::1' where name = 'contacts'`, "does not parse"},
			{"folders", `update webhook.channels set url = 'http://a b/secretpath' where name = 'folders'`, "does not parse"},
			{"cases", `update webhook.channels set url = 'https://' where name = 'cases'`, "does not parse"},
			{"notifications", `update webhook.channels set url = 'http://host:99999/secretpath' where name = 'notifications'`, "port"},
		},
		"missing": {
			{"documents", `update webhook.channels set url = 'http://h/secretpath%zz' where name = 'documents'`, "does not parse"},
			{"contacts", `update webhook.channels set url = null where name = 'contacts'`, "no URL"},
			{"folders", `update webhook.channels set url = '' where name = 'folders'`, "no URL"},
			{"cases", `update webhook.channels set url = 'http://:80/secretpath' where name = 'cases'`, "does not parse"},
			{"notifications", `update webhook.channels set url = 'http://a:b/secretpath' where name = 'notifications'`, "does not parse"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, nil)
			db := ready(t, rcv.URL)
			waits := map[string]bool{}
			for _, m := range broken {
				db.exec(m.break_)
				waits[m.channel] = true
			}
			worker := startWorker(t, quick(db.address))
			ids := publishAll(db, "42")
			for channel, id := range ids {
				if !waits[channel] {
					eventually(t, "a sound channel flows", func() bool { return db.status(id) == "sent" })
				}
			}
			aCycle(t, db, worker)
			aCycle(t, db, worker)
			for _, m := range broken {
				checkWaiting(t, db, worker, m, ids[m.channel])
			}
			if n := len(rcv.all()); n != len(ids)-len(waits) {
				t.Errorf("%d requests, expected only those of the %d sound channels", n, len(ids)-len(waits))
			}
			db.exec(`update webhook.settings set document_base_url = 'https://re.example'`)
			db.exec(`update webhook.channels set url = $1 || '/' || name`, rcv.URL)
			for _, m := range broken {
				eventually(t, m.channel+" delivers once it is corrected", func() bool { return db.status(ids[m.channel]) == "sent" })
			}
			if n := db.count(`select count(*) from webhook.status where problem is not null`); n != 0 {
				t.Errorf("%d channels have a problem although all are corrected", n)
			}
		})
	}
}

func checkWaiting(t *testing.T, db *database, worker *worker, m misconfigured, id int64) {
	t.Helper()
	if r := db.row(id); r.Status != "pending" || r.Attempts != 0 || r.Error != nil {
		t.Errorf("%s: the event is %s after %d attempts, error %s", m.channel, r.Status, r.Attempts, value(r.Error))
	}
	var problem *string
	if err := db.Get(&problem, `select problem from webhook.status where channel = $1`, m.channel); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(value(problem), m.problem) || strings.Contains(value(problem), "secretpath") {
		t.Errorf("%s: webhook.status says %q", m.channel, value(problem))
	}
	named := 0
	for _, line := range strings.Split(worker.log.String(), "\n") {
		if strings.Contains(line, `"channel":"`+m.channel+`"`) {
			named++
		}
	}
	if said := worker.log.String(); named != 1 || strings.Contains(said, "secretpath") {
		t.Errorf("%s: the log names it %d times, once was expected, and never the path:\n%s", m.channel, named, said)
	}
}

func TestSettings_ThatCanNeverWorkAreRejected(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://127.0.0.1:1")
	for statement, constraint := range map[string]string{
		`update webhook.channels set url = 'ftp://h/'`:                                                           "channels_url_is_http_or_https",
		`update webhook.channels set url = 'example.com/hook'`:                                                   "channels_url_is_http_or_https",
		`update webhook.channels set url = 'javascript:alert(1)'`:                                                "channels_url_is_http_or_https",
		`update webhook.channels set url = E'x\nhttps://example.com'`:                                            "channels_url_is_http_or_https",
		`update webhook.channels set accept_status = '{}'`:                                                       "channels_accept_status_lists_2xx_or_409",
		`update webhook.channels set accept_status = '{200,302}'`:                                                "channels_accept_status_lists_2xx_or_409",
		`update webhook.channels set accept_status = '{199}'`:                                                    "channels_accept_status_lists_2xx_or_409",
		`update webhook.channels set accept_status = '{200,null}'`:                                               "channels_accept_status_lists_2xx_or_409",
		`update webhook.channels set accept_status = '{{200,201},{202,204}}'`:                                    "channels_accept_status_lists_2xx_or_409",
		`update webhook.channels set max_in_flight = 0`:                                                          "channels_max_in_flight_is_1_to_1000",
		`update webhook.channels set max_in_flight = 1001`:                                                       "channels_max_in_flight_is_1_to_1000",
		`update webhook.settings set auth = 'basic'`:                                                             "settings_auth_is_none_or_bearer",
		`update webhook.settings set bearer_token = E'a\r\nX-Other: b'`:                                          "settings_bearer_token_is_a_header_value",
		`update webhook.settings set bearer_token = E'a\tb'`:                                                     "settings_bearer_token_is_a_header_value",
		`update webhook.settings set document_base_url = 're.example'`:                                           "settings_document_base_url_is_http_or_https",
		`update webhook.settings set document_base_url = 'https://'`:                                             "settings_document_base_url_is_http_or_https",
		`insert into webhook.settings (only_row) values (false)`:                                                 "settings_is_one_row",
		`insert into webhook.settings default values`:                                                            "settings_pkey",
		`insert into webhook.channels (name, event, position, example) values ('x', 'contact.created', 0, '{}')`: "channels_event_key",
	} {
		if _, err := db.Exec(statement); refusal(err) != constraint {
			t.Errorf("%s: rejected by %q, %q was expected", statement, refusal(err), constraint)
		}
	}
}

// insertTest queues a test event as webhook.send_test does.
func insertTest(db *database, event string) (id int64) {
	db.t.Helper()
	if err := db.Get(&id, `insert into webhook.outbox (event, data, is_test) values ($1, '{"id": 42, "status": "Export"}', true) returning id`, event); err != nil {
		db.t.Fatal(err)
	}
	return id
}

func TestSwitch_TestEventIgnoresIt(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.HasSuffix(r.path, "/refusing") {
			return 500
		}
		return 200
	})
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false`)
	worker := startWorker(t, quick(db.address))
	export := db.document("42") // an export of the same document, which waits: its channel is off
	for _, path := range []string{"", "/refusing"} {
		db.exec(`update webhook.channels set url = $1 || '/' || name || $2`, rcv.URL, path)
		want := map[string]string{"": "sent", "/refusing": "failed"}[path]
		for _, c := range outbox.Channels() {
			id := insertTest(db, c.Event)
			eventually(t, "the test event of "+c.Name+" is finished", func() bool { return db.row(id).FinishedAt != nil })
			r := db.row(id)
			if r.Status != want || r.Attempts != 1 || len(rcv.of(id)) != 1 {
				t.Errorf("%s: the test event is %s after %d attempts, received %d times", c.Name, r.Status, r.Attempts, len(rcv.of(id)))
			}
			if (r.SyncedAt != nil) != (r.Status == "sent" && c.Event == "document.exported") {
				t.Errorf("%s: synced_at is %v", c.Name, r.SyncedAt)
			}
		}
	}
	aCycle(t, db, worker)
	if n := db.count(`select count(*) from webhook.outbox where is_test and (document_id is not null or attempts <> 1)`); n != 0 {
		t.Errorf("%d test events have a document_id or were attempted again", n)
	}
	if r := db.row(export); r.Status != "pending" || r.Attempts != 0 {
		t.Errorf("the document's own export is %s after %d attempts", r.Status, r.Attempts)
	}
	db.exec(`update webhook.channels set url = $1, enabled = true`, rcv.URL)
	eventually(t, "a test supersedes nothing: the export is sent", func() bool { return db.status(export) == "sent" })
}

func TestSwitch_UncommittedChangePausesOnlyItsOwnLane(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	tx := db.MustBegin()
	tx.MustExec(`update webhook.channels set enabled = false where name = 'contacts'`)
	ids := publishAll(db, "42")
	for name, id := range ids {
		if name != "contacts" {
			eventually(t, name+" flows", func() bool { return db.status(id) == "sent" })
		}
	}
	if r := db.row(ids["contacts"]); r.Status != "pending" || r.Attempts != 0 {
		t.Errorf("contacts: %s after %d attempts, while its switch is being changed", r.Status, r.Attempts)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "contacts flows after the rollback", func() bool { return db.status(ids["contacts"]) == "sent" })
}

// claimers are workers that do nothing but claim, round after round, and send nothing.
type claimers struct {
	rounds [4]atomic.Int64
	errs   chan error
	wait   sync.WaitGroup
	stop   context.CancelFunc
}

func startClaimers(t *testing.T, db *database) *claimers {
	c := &claimers{errs: make(chan error, 4)}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	for i := range c.rounds {
		pool, err := store.Open(db.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pool.Close() })
		s := store.New(pool, time.Hour)
		c.wait.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Claim(context.Background(), uuid.NewString(), []outbox.Capacity{{Channel: "contacts"}}); err != nil {
					c.errs <- err
					return
				}
				c.rounds[i].Add(1)
			}
		})
	}
	t.Cleanup(func() { cancel(); c.wait.Wait() })
	return c
}

// twoMoreRounds waits until each claimer has made two rounds: the second began after this call.
func (c *claimers) twoMoreRounds(t *testing.T) {
	t.Helper()
	var from [4]int64
	for i := range c.rounds {
		from[i] = c.rounds[i].Load()
	}
	eventually(t, "each claimer has made two rounds", func() bool {
		select {
		case err := <-c.errs:
			t.Fatal(err)
		default:
		}
		for i := range c.rounds {
			if c.rounds[i].Load() < from[i]+2 {
				return false
			}
		}
		return true
	})
}

// TestSwitch_NoClaimCommitsAfterIt turns a switch off again and again
// under four workers that claim a backlog in batches. What is claimed at the
// instant at which "off" has committed must be all that is claimed until "on".
func TestSwitch_NoClaimCommitsAfterIt(t *testing.T) {
	t.Parallel()
	for name, flip := range map[string]struct{ on, off string }{
		"channel":      {`update webhook.channels set enabled = true where name = 'contacts'`, `update webhook.channels set enabled = false where name = 'contacts'`},
		"Offline Mode": {`update webhook.settings set offline_mode = false`, `update webhook.settings set offline_mode = true`},
		"no URL":       {`update webhook.channels set url = 'https://re.example' where name = 'contacts'`, `update webhook.channels set url = null where name = 'contacts'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example")
			db.exec(flip.off)
			db.exec(`update webhook.channels set max_in_flight = 200 where name = 'contacts'`)
			db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, 5000)`)
			const taken = `select count(*) from webhook.outbox where attempts > 0`
			claimers := startClaimers(t, db)
			for round := range 25 {
				db.exec(flip.on)
				eventually(t, "claims are under way", func() bool { return db.count(taken) > 0 })
				db.exec(flip.off)
				atCommit := db.count(taken)
				claimers.twoMoreRounds(t)
				if late := db.count(taken) - atCommit; late != 0 {
					t.Fatalf("round %d: %d rows were claimed by a transaction that committed after the switch had", round, late)
				}
				db.exec(`update webhook.outbox set status = 'pending', leased_until = null, attempts = 0 where attempts > 0`)
			}
		})
	}
}

// What is written while a worker skips is a matter of its next cycle: steady
// traffic on a channel that is off must not keep this one from its other duties.
func TestSwitch_TrafficOnAChannelThatIsOffDelaysNoCycle(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name = 'audit_log'`)
	// The application writes as fast as the worker skips: an event for each.
	db.exec(`create function public.echo() returns trigger language plpgsql as $$ begin
		perform webhook.publish('audit.log', '{}'); return null; end $$`)
	db.exec(`create trigger echo after update on webhook.outbox for each row when (new.status = 'skipped') execute function public.echo()`)
	worker := startWorker(t, quick(db.address))
	db.publish("audit.log", `{}`)
	aCycle(t, db, worker)
	aCycle(t, db, worker)
}
