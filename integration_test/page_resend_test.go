package integration_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// newFailed has the events of a bad night: lost ones, ones that the receiver may have, an export that was followed by
// another, a test, one of a channel that is off by now, and what waits.
func newFailed(t *testing.T) (db *database, ids map[string]int64) {
	t.Helper()
	db = ready(t, "https://re.example")
	db.exec(`select webhook.create_roles()`)
	db.exec(`update webhook.channels set enabled = false where name = 'audit_log'`)
	ids = map[string]int64{
		"first": db.inState("failed", "contact.created", `{"contact_id": 1}`), "second": db.inState("failed", "contact.created", `{"contact_id": 2}`),
		"case": db.inState("failed", "case.created", `{}`), "maybe": db.inState("unknown", "contact.created", `{}`),
		"older": db.inState("superseded", "document.exported", `{"id": 5, "status": "Export"}`), "newer": db.inState("sent", "document.exported", `{"id": 5, "status": "Export"}`),
		"off": db.inState("skipped", "audit.log", `{}`), "test": int64(db.number(`select webhook.send_test('contacts')`)),
	}
	db.become(ids["test"], states["failed"])
	ids["waiting"] = db.publish("contact.created", `{}`)
	finishedAt(db, ids["first"], ids["second"], ids["case"], ids["maybe"], ids["older"], ids["newer"], ids["off"], ids["test"])
	return db, ids
}

// button is the text of the one button whose text begins so, and whether it is disabled.
func (p *shownPage) button(begins string) (text string, disabled bool) {
	p.t.Helper()
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "button" && strings.HasPrefix(textOf(n), begins) {
			_, disabled = attribute(n, "disabled")
			return textOf(n), disabled
		}
	}
	p.t.Fatalf("no button %q on: %s", begins, p.text())
	return "", false
}

const resendPath = "/deliveries/resend"

// pressResend sends the form of a resend as it is; pairs are what is changed in it.
func (p *shownPage) pressResend(pairs ...string) *shownPage {
	p.t.Helper()
	return p.site.post(resendPath, changed(p.form(resendPath), pairs...))
}

var operationAt = regexp.MustCompile(`^/operations/\d+$`)

// ended waits for the end of the operation at a path.
func (s *site) ended(path string) (page *shownPage) {
	s.t.Helper()
	eventually(s.t, path+" ends", func() bool {
		page = s.get(path)
		return page.status == http.StatusOK && !strings.Contains(page.text(), "Running")
	})
	return page
}

func TestPageResend_CountsAsksAndSends(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, button string
		box           bool
		says          []string
		resent        []string
	}{
		{"?status=failed", "Resend 3 events", false, []string{"Contacts 2 2", "Cases 1 0", "1 event is one that the receiver has or may have", "1 is a test event", "up to 1 more"}, []string{"first", "second", "case"}},
		{"?status=failed", "Resend 3 events", true, nil, []string{"first", "second", "case", "maybe"}},
		{"?status=failed&channel=contacts", "Resend 2 events", false, []string{"Channel Contacts"}, []string{"first", "second"}},
		{"?status=failed&error=internal+SERVER", "Resend 3 events", false, []string{"Error contains internal SERVER"}, []string{"first", "second", "case"}},
		{"?failure=interrupted&include_received=yes", "Resend 1 event", true, []string{"Failure Worker ended meanwhile"}, []string{"maybe"}},
		{"?document=5&include_received=yes", "Resend 1 event", true, []string{"1 export was followed by a later export of the same document"}, []string{"newer"}},
		{"?status=skipped", "Resend 1 event", false, []string{"Audit Log is off."}, []string{"off"}},
		{"", "Resend 4 events", false, []string{"None: all finished deliveries", "Documents 0 2"}, []string{"first", "second", "case", "off"}},
		{"?document=5", "Resend 0 events", false, []string{"There is nothing to send again."}, nil},
		{"?document=no-such", "Resend 0 events", false, []string{"No finished delivery matches the filter."}, nil},
	} {
		t.Run(strings.TrimPrefix(c.query, "?")+fmt.Sprint(c.box), func(t *testing.T) {
			t.Parallel()
			db, ids := newFailed(t)
			site := newSite(t, db, nil)
			p := site.get(resendPath + c.query)
			button, disabled := p.button("Resend ")
			if p.status != 200 || button != c.button || disabled != (c.resent == nil) {
				t.Errorf("status %d, the button %q is disabled: %t", p.status, button, disabled)
			}
			for _, part := range append(c.says, "Include events the receiver may have") {
				if !strings.Contains(p.text(), part) {
					t.Errorf("the page does not say %q: %s", part, p.text())
				}
			}
			if n := db.count(`select count(*) from webhook.interventions where action = 'retry'`); n > 0 {
				t.Fatal("something was sent before the button was pressed")
			}
			if disabled {
				return
			}
			var box []string
			if c.box {
				box = []string{"include_received", "yes"}
			}
			begun := p.pressResend(box...)
			if begun.status != 303 || !operationAt.MatchString(begun.location) {
				t.Fatalf("status %d, it leads to %q: %s", begun.status, begun.location, begun.text())
			}
			said := site.ended(begun.location).text()
			var want []int64
			for _, name := range c.resent {
				want = append(want, ids[name])
			}
			slices.Sort(want)
			if got := db.ask(`select array_agg(outbox_id order by outbox_id)::text from webhook.interventions where action = 'retry' and actor <> role`); got != strings.ReplaceAll(strings.Trim(fmt.Sprint(want), "[]"), " ", ",") && got != "{"+strings.ReplaceAll(strings.Trim(fmt.Sprint(want), "[]"), " ", ",")+"}" {
				t.Errorf("resent are %s, want %v", got, want)
			}
			if !strings.Contains(said, fmt.Sprintf("Done %d event", len(want))) {
				t.Errorf("at its end the page says: %s", said)
			}
		})
	}
}

// TestPageResend_TwoClicksAndLaterFailures: what fails after the count is not sent, so that a second click sends nothing twice.
func TestPageResend_TwoClicksAndLaterFailures(t *testing.T) {
	t.Parallel()
	db, ids := newFailed(t)
	site := newSite(t, db, nil)
	p := site.get(resendPath + "?status=failed&since=2h&channel=contacts")
	since := p.form(resendPath).Get("since")
	if at, err := time.Parse(time.RFC3339Nano, since); err != nil || time.Since(at) < 2*time.Hour {
		t.Errorf("since is %q: not the instant from which was counted", since)
	}
	site.ended(p.pressResend().location)
	for _, name := range []string{"first", "second"} {
		db.become(ids[name], states["failed"]+`, finished_at = clock_timestamp()`) // the receiver refuses them again, at once
	}
	db.inState("failed", "contact.created", `{}`) // and another one is lost meanwhile
	again := site.ended(p.pressResend().location).text()
	if n := db.count(`select count(*) from webhook.interventions where action = 'retry'`); n != 2 || !strings.Contains(again, "Done 0 events queued again") {
		t.Errorf("%d events were sent: %s", n, again)
	}
	if button, _ := site.get(resendPath + "?status=failed&channel=contacts").button("Resend "); button != "Resend 3 events" {
		t.Errorf("counted anew: %s", button)
	}
}

// manyFailed adds lost events, enough for many steps.
func manyFailed(db *database, n int) {
	db.t.Helper()
	db.exec(`insert into webhook.outbox (event, data, status, attempts, http_status, failure, received, error, finished_at)
		select 'contact.created', '{}', 'failed', 1, 500, 'server_error', 'no', 'HTTP 500', now() - interval '1 hour' - n * interval '1 ms' from generate_series(1, $1) n`, n)
	db.exec(`update webhook.settings set offline_mode = true`) // nothing is sent meanwhile
}

func TestPageResend_StopsAtOnce(t *testing.T) {
	t.Parallel()
	db, _ := newFailed(t)
	manyFailed(db, 8000)
	site := newSite(t, db, nil)
	begun := site.get(resendPath + "?channel=contacts&status=failed").pressResend()
	running := begun.follow()
	if !strings.Contains(running.text(), "Resend Running") || !strings.Contains(running.text(), "of 8,002 that were counted") {
		t.Fatalf("the progress: %s", running.text())
	}
	stopped := site.post(begun.location+"/stop", nil).follow()
	n := db.count(`select count(*) from webhook.interventions where action = 'retry'`)
	if text := stopped.text(); !strings.Contains(text, "Resend Stopped") || !strings.Contains(text, "Stopped just now by ") || n >= 8002 {
		t.Errorf("%d were sent: %s", n, text)
	}
	// Another operation is done after it: this one would have gone on by then.
	site.ended(site.get(resendPath + "?channel=cases&status=failed").pressResend().location)
	if after := db.count(`select count(*) from webhook.interventions where action = 'retry'`); after > n+500+1 {
		t.Errorf("%d were sent when it was stopped, and %d since", n, after-n)
	}
	if again := site.post(begun.location+"/stop", nil); again.status != 303 {
		t.Errorf("stopped twice: status %d", again.status)
	}
}

// TestPageResend_GoesOnWithAnotherProcess: the page's process ends in the middle; the next one finishes, and no event
// is sent twice.
func TestPageResend_GoesOnWithAnotherProcess(t *testing.T) {
	t.Parallel()
	db, _ := newFailed(t)
	manyFailed(db, 6000)
	role := loginRole(t, db, pageRoles...)
	env := settings{"DATABASE_URL": role.address, "WEBHOOK_LOG_FORMAT": "json"}
	first := startPage(t, env)
	status, page := first.get(resendPath + "?channel=contacts&status=failed")
	counted := regexp.MustCompile(`name="counted" value="([^"]*)"`).FindStringSubmatch(page)
	if status != 200 || counted == nil {
		t.Fatalf("status %d: %s", status, page)
	}
	_, location := first.post(resendPath, map[string][]string{"channel": {"contacts"}, "status": {"failed"}, "counted": {counted[1]}})
	if !operationAt.MatchString(location) {
		t.Fatalf("it leads to %s", location)
	}
	first.kill()
	done := db.count(`select count(*) from webhook.interventions where action = 'retry'`)
	if done >= 6002 {
		t.Fatalf("it had ended already, after %d", done)
	}
	second := startPage(t, env)
	eventually(t, "the operation ends", func() bool {
		_, page := second.get(location)
		return strings.Contains(page, "Done")
	})
	if n := db.count(`select count(*) from (select outbox_id from webhook.interventions where action = 'retry' group by 1 having count(*) = 1) o`); n != 6002 {
		t.Errorf("%d events were sent once, want 6002; %d by the first process", n, done)
	}
	if n := db.count(`select count(*) from webhook.operations where done = 6002 and finished_at is not null`); n != 1 {
		t.Errorf("the operation says otherwise: %+v", db.operation(1))
	}
}

func TestPageResend_ReadOnly(t *testing.T) {
	t.Parallel()
	db, _ := newFailed(t)
	db.exec(`select webhook.start_resend(status => 'failed')`)
	readOnly := newSite(t, db, settings{"WEBHOOK_ADMIN_READ_ONLY": "true"})
	p := readOnly.get(resendPath + "?status=failed")
	if button, disabled := p.button("Resend "); button != "Resend 3 events" || !disabled || !strings.Contains(p.text(), "This page is read-only.") {
		t.Errorf("%q, disabled: %t: %s", button, disabled, p.text())
	}
	for path, form := range map[string]*shownPage{resendPath: p.pressResend(), "/operations/1/stop": readOnly.post("/operations/1/stop", nil)} {
		if form.status != 403 || !strings.Contains(form.text(), "read-only") {
			t.Errorf("%s: status %d: %s", path, form.status, form.text())
		}
	}
	if n := db.count(`select count(*) from webhook.operations where stopped_at is null`); n != 1 {
		t.Errorf("%d operations run", n)
	}
}

// TestPageResend_InTheBrowser: the numbers follow the box, with script; the progress is shown without a person's reload.
func TestPageResend_InTheBrowser(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		db, ids := newFailed(t)
		p := newTab(t, servePage(t, db, nil))
		if !script {
			p.withoutScript()
		}
		p.open("/deliveries")
		p.follow("Failed, not resent")
		p.follow("Resend these")
		if !p.has(buttons, "Resend 3 events") {
			p.errorf("it counts otherwise")
		}
		p.follows()
		p.tick("Include events the receiver may have", true)
		button := "Resend 3 events"
		if script {
			button = "Resend 4 events"
			p.eventually("the button counts the events that the receiver may have", func() bool { return p.has(buttons, button) })
			p.tick("Include events the receiver may have", false)
			p.eventually("the button counts without them again", func() bool { return p.has(buttons, "Resend 3 events") })
			p.tick("Include events the receiver may have", true)
			p.eventually("the button counts them again", func() bool { return p.has(buttons, button) })
		}
		p.press(button)
		p.sees("4 events queued again")
		p.sees("Done")
		p.sees("Events the receiver may have")
		p.follows()
		if !operationAt.MatchString(p.path()) || db.status(ids["maybe"]) != "pending" {
			p.errorf("it led to %s, and the event that was ticked is %s", p.path(), db.status(ids["maybe"]))
		}
		if faults := p.faults(); len(faults) > 0 {
			p.errorf("faults: %q", faults)
		}
	}
}

// TestPageRelease_StopLeavesOfflineModeOn: what was discarded until then is, and the rest waits.
func TestPageRelease_StopLeavesOfflineModeOn(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.held(1, 9000)
	form := site.post(generalPath, turnedOff(site)).form(generalPath)
	begun := site.post(generalPath, changed(form, "waiting.documents", "deliver", "waiting.contacts", "discard"))
	running := begun.follow().text()
	for _, part := range []string{"Turn Offline Mode off Running", "of 9,000 that were counted when it began", "What waited on Contacts", "Offline Mode stays on"} {
		if !strings.Contains(running, part) {
			t.Errorf("the progress does not say %q: %s", part, running)
		}
	}
	stopped := site.post(begun.location+"/stop", nil).follow().text()
	waiting := db.count(`select count(*) from webhook.outbox where event = 'contact.created' and status = 'pending'`)
	if !strings.Contains(stopped, "Offline Mode is still on.") || waiting == 0 || db.count(`select count(*) from webhook.settings where offline_mode`) != 1 {
		t.Errorf("%d wait: %s", waiting, stopped)
	}
	// General asks again, about what is left.
	again := site.post(generalPath, turnedOff(site))
	if !strings.Contains(again.text(), "Contacts "+fmt.Sprintf("%d,%03d", waiting/1000, waiting%1000)+" events wait") {
		t.Errorf("%d wait: %s", waiting, again.text())
	}
	site.ended(site.post(generalPath, changed(again.form(generalPath), "waiting.documents", "deliver", "waiting.contacts", "discard")).location)
	if n := db.count(`select count(*) from webhook.outbox where event = 'contact.created' and status = 'cancelled'`); n != 9000 {
		t.Errorf("%d were discarded", n)
	}
}

// What ended within the same second is in the order of its ids: the times beside it are not finer.
func TestPageResend_NamesWhatEndedTogetherByItsID(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`select webhook.create_roles()`)
	var ids []string
	for range 3 {
		ids = append(ids, fmt.Sprint(db.inState("failed", "contact.created", `{}`)))
	}
	for i, id := range ids {
		db.exec(fmt.Sprintf(`set session_replication_role = replica; update webhook.outbox set finished_at = date_trunc('second', now()) - interval '1 minute' - interval '%d milliseconds' + interval '900 milliseconds' where id = %s; reset session_replication_role`, i*100, id))
	}
	var named []string
	for n := range newSite(t, db, nil).get(resendPath + "?status=failed").doc.Descendants() {
		if label, _ := attribute(n, "aria-label"); strings.HasPrefix(label, "Delivery ") {
			named = append(named, strings.TrimPrefix(label, "Delivery "))
		}
	}
	if !slices.Equal(named, ids) {
		t.Errorf("they are in the order %v, their ids are %v", named, ids)
	}
}
