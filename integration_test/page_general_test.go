package integration_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

const generalPath = "/settings/general"

// held publishes what Offline Mode holds.
func (db *database) held(documents, contacts int) {
	db.t.Helper()
	db.exec(`update webhook.settings set offline_mode = true`)
	db.exec(`insert into webhook.outbox (event, data) select 'document.exported', json_build_object('id', n) from generate_series(1, $1) n`, documents)
	db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, $1)`, contacts)
}

// turnedOff is the form of General without the tick at Offline Mode.
func turnedOff(site *site) url.Values {
	form := site.get(generalPath).form(generalPath)
	form.Del("offline")
	return form
}

func TestPageGeneral_SavesSwitchAndBaseURL(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := site.get(generalPath).form(generalPath)
	text := site.post(generalPath, changed(form, "offline", "on", "base_url", "\u00a0https://re.example/ ")).follow().text()
	for _, part := range []string{"Offline Mode is on. Nothing is delivered", "Saved: Document base URL.", "around the address were removed", "Nothing waits yet"} {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not say %q: %s", part, text)
		}
	}
	if n := db.count(`select count(*) from webhook.settings where offline_mode and document_base_url = 'https://re.example/'`); n != 1 {
		t.Error("it was not saved")
	}
	// Nothing waits: it is off at once.
	if text := site.post(generalPath, turnedOff(site)).follow().text(); !strings.Contains(text, "Offline Mode is off.") {
		t.Errorf("turned off: %s", text)
	}
	if text := site.post(generalPath, site.get(generalPath).form(generalPath)).follow().text(); !strings.Contains(text, "Nothing was saved") {
		t.Errorf("unchanged: %s", text)
	}
}

// TestPageGeneral_ReleaseAsksForEachChannelThatWaits: and nothing is changed until each has an answer.
func TestPageGeneral_ReleaseAsksForEachChannelThatWaits(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.held(3, 312)
	if text := site.get(generalPath).text(); !strings.Contains(text, "Offline Mode holds now: Documents 3 events") || !strings.Contains(text, "Contacts 312 events") {
		t.Errorf("General does not say what is held: %s", text)
	}
	asks := site.post(generalPath, changed(turnedOff(site), "base_url", "https://re.example"))
	text := asks.text()
	for _, part := range []string{"Documents 3 events wait", "Contacts 312 events wait", "Deliver what waits", "Discard what waits"} {
		if asks.status != 200 || !strings.Contains(text, part) {
			t.Errorf("status %d, the step does not say %q: %s", asks.status, part, text)
		}
	}
	form := asks.form(generalPath)
	for name, p := range map[string]*shownPage{
		"no answer":      site.post(generalPath, form),
		"one answer":     site.post(generalPath, changed(form, "waiting.documents", "deliver")),
		"a forged one":   site.post(generalPath, changed(form, "waiting.documents", "burn", "waiting.contacts", "deliver")),
		"an unknown one": site.post(generalPath, changed(form, "waiting.documents", "deliver", "waiting.contacts", "deliver", "waiting.tasks", "discard")),
	} {
		if p.status != 422 || !strings.Contains(p.text(), "Offline Mode was not turned off") && !strings.Contains(p.text(), "Nothing was saved") {
			t.Errorf("%s: status %d, %s", name, p.status, p.text())
		}
	}
	if n := db.count(`select count(*) from webhook.settings s where s.offline_mode and s.document_base_url is null and 315 = (select count(*) from webhook.outbox o where o.status = 'pending')`); n != 1 {
		t.Fatal("something was changed before each channel had an answer")
	}

	done := site.post(generalPath, changed(form, "waiting.documents", "deliver", "waiting.contacts", "discard"))
	if id := db.count(`select id from webhook.operations`); done.location != fmt.Sprintf("/operations/%d", id) {
		t.Errorf("it leads to %s; the operation is %d", done.location, id)
	}
	db.settled(`select count(*) from webhook.settings where not offline_mode and document_base_url = 'https://re.example'`, 1)
	for query, want := range map[string]int{
		`select count(*) from webhook.outbox where event = 'contact.created' and status = 'cancelled'`: 312,
		`select count(*) from webhook.outbox where event = 'document.exported' and status = 'pending'`: 3,
		`select count(*) from webhook.interventions where action = 'discard' and actor <> role`:        312,
	} {
		if got := db.count(query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// settled waits until a query returns a number.
func (db *database) settled(query string, want int) {
	db.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); db.count(query) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			db.t.Fatalf("%s: %d, want %d", query, db.count(query), want)
		}
	}
}

func TestPageGeneral_DeliverAllEndsOfflineModeAtOnce(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.held(1, 1)
	form := site.post(generalPath, turnedOff(site)).form(generalPath)
	// What has come meanwhile, on a channel that was not in the question, is in the next one.
	db.exec(`insert into webhook.outbox (event, data) values ('folder.created', '{}')`)
	again := site.post(generalPath, changed(form, "waiting.documents", "deliver", "waiting.contacts", "deliver"))
	if again.status != 422 || !strings.Contains(again.text(), "Folders 1 event waits") {
		t.Errorf("status %d, %s", again.status, again.text())
	}
	all := changed(again.form(generalPath), "waiting.folders", "deliver")
	if all.Get("waiting.documents") != "deliver" {
		t.Errorf("the answers are gone: %v", all)
	}
	if text := site.post(generalPath, all).follow().text(); !strings.Contains(text, "Offline Mode is off. What waited is delivered now") {
		t.Errorf("%s", text)
	}
	if n := db.count(`select count(*) from webhook.outbox where status = 'pending'`); n != 3 {
		t.Errorf("%d events wait, want 3", n)
	}
}

func TestPageGeneral_OfTwoPeopleTheSecondSeesBothValues(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	stale := site.get(generalPath).form(generalPath)
	site.post(generalPath, changed(stale, "base_url", "https://first.example")).follow()
	if p := site.post(generalPath, changed(stale, "offline", "on")); p.status != 303 {
		t.Errorf("the switch, and another's base URL: status %d, %s", p.status, p.text())
	}
	p := site.post(generalPath, changed(stale, "base_url", "https://second.example"))
	if p.status != 409 || !strings.Contains(p.text(), "Saved meanwhile by") || !strings.Contains(p.text(), "https://first.example") || p.form(generalPath).Get("base_url") != "https://second.example" {
		t.Errorf("status %d, %s", p.status, p.text())
	}
	site.post(generalPath, p.form(generalPath)).follow()
	if n := db.count(`select count(*) from webhook.settings where document_base_url = 'https://second.example' and offline_mode`); n != 1 {
		t.Error("saved knowingly, and it is not there; or the switch was changed as well")
	}
}

func TestPageGeneral_AnotherRelease(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.held(1, 30000)
	form := site.post(generalPath, turnedOff(site)).form(generalPath)
	db.exec(`select webhook.start_release('{contacts}')`)
	p := site.post(generalPath, changed(form, "waiting.documents", "discard", "waiting.contacts", "discard"))
	if p.status != 409 && p.status != 303 { // 303: the other one has ended Offline Mode by now
		t.Errorf("status %d, %s", p.status, p.text())
	}
	noSQL(t, "another release", p)
}

func TestPageGeneral_WrongBaseURL(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := site.get(generalPath).form(generalPath)
	before := db.everySetting()
	for value, says := range map[string]string{
		"nonsense": "does not begin with", "ftp://re.example": "does not begin with", "https://": "host is missing", "https:///x": "host is missing",
		"https://user:pass@re.example": "a user name or a password", "https://re.example/?a": "a ?", "https://re.example/#a": "a #", "https://re ex.example": "a space",
		"https://re.example:99999": "port is not between", "https://re\u200b.example": "U+200B", "https://re.example/\x00a": "U+0000", "https://re.example\nx": "a line break",
		"https://re.example/\xff": "bytes that are no text", "https://re.example/" + strings.Repeat("x", 9000): "too long", "javascript:alert(1)": "does not begin with",
	} {
		p := site.post(generalPath, changed(form, "base_url", value, "offline", "on"))
		if said := p.wrong("base_url"); p.status != 422 || !strings.Contains(said, says) {
			t.Errorf("%.40q: status %d, beside it: %q", value, p.status, said)
		}
		if db.everySetting() != before {
			t.Fatalf("%.40q: something was saved", value)
		}
		noSQL(t, value, p)
	}
}
