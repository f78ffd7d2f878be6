package integration_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

func settingsTab(t *testing.T) (*database, *tab) {
	t.Helper()
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	return db, newTab(t, servePage(t, db, nil))
}

// TestPageSettings_SetupAsTheDocumentHasIt: its four steps for two channels, the token, the test event; with script and
// without.
func TestPageSettings_SetupAsTheDocumentHasIt(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		db, p := settingsTab(t)
		if !script {
			p.withoutScript()
		}
		p.open("/")
		if p.h1() != "Webhooks" || p.path() != settingsPath {
			p.fatalf("it begins with %s at %s", p.h1(), p.path())
		}
		documents, cases := p.group("Documents"), p.group("Cases")
		documents.fill("URL", "https://hook.eu1.make.com/0123456789")
		documents.tick("Enabled", true)
		cases.fill("URL", "https://hook.eu1.make.com/9876543210")
		auth := p.group("Webhook Auth")
		auth.choose("Bearer Token")
		auth.fill("Token", "geheim")
		if script {
			p.sees("Not saved yet: Documents, Cases, Webhook Auth")
		}
		p.press("Save")
		p.sees("Saved: Documents, Cases, Webhook Auth.")
		p.sees("A token is set.")
		p.sees("Make.com")
		if n := db.count(`select count(*) from webhook.channels c cross join webhook.settings s
			where (c.name = 'documents' and c.enabled or c.name = 'cases' and not c.enabled) and c.url like 'https://hook.eu1.make.com/%' and s.auth = 'bearer' and s.bearer_token = 'geheim'`); n != 2 {
			p.errorf("%d channels are as they were entered, want 2", n)
		}
		p.group("Documents").press("Send test event")
		if want := "/deliveries/1"; p.path() != want {
			p.errorf("the test event leads to %s, want %s", p.path(), want)
		}
		p.open(settingsPath)
		p.group("Cases").follow("Deliveries")
		if p.path() != "/deliveries?channel=cases" {
			p.errorf("Deliveries leads to %s", p.path())
		}
	}
}

// TestPageSettings_EachStateFollowsTheRules: the pages as they are, with what is wrong, in conflict and asked.
func TestPageSettings_EachStateFollowsTheRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`select webhook.create_roles()`)
	p := newTab(t, servePage(t, w.database, nil))
	p.open(settingsPath)
	p.follows()

	p.group("Folders").fill("URL", "no URL")
	folders := p.group("Folders")
	folders.unfold("Advanced")
	folders.fill("Max in flight", "0")
	p.press("Save")
	if said := p.group("Folders").wrong("URL"); p.status() != 422 || !strings.Contains(said, "does not begin with http:// or https://") {
		p.errorf("status %d, beside the URL: %q", p.status(), said)
	}
	if value := p.group("Folders").value("Max in flight"); value != "0" {
		p.errorf("what was typed is gone: %q", value)
	}

	p = p.another() // this one would be asked whether to leave what is not saved
	p.open(settingsPath)
	p.group("Folders").fill("URL", "https://elsewhere.example/hook")
	p.press("Save")
	p.sees("Send the token to elsewhere.example too")
	p.follows()
	p.group("Webhook Auth").tick("Send the token to elsewhere.example too", true)
	p.press("Save")
	p.sees("Saved: Folders.")

	p.open(settingsPath)
	p.group("Rules").fill("URL", "https://elsewhere.example/mine")
	w.exec(`update webhook.channels set url = 'https://elsewhere.example/theirs', max_in_flight = 4 where name = 'rules'`)
	p.press("Save")
	p.sees("https://elsewhere.example/theirs")
	if p.status() != 409 || p.group("Rules").value("URL") != "https://elsewhere.example/mine" {
		p.errorf("status %d, the URL is %s", p.status(), p.group("Rules").value("URL"))
	}
	p.follows()

	p = p.another()
	p.open(generalPath)
	p.tick("Offline Mode", true)
	p.press("Save")
	w.exec(`insert into webhook.outbox (event, data) values ('folder.created', '{}')`)
	p.open(generalPath)
	p.sees("Offline Mode holds now:")
	p.tick("Offline Mode", false)
	p.fill("Document base URL", "nonsense")
	p.press("Save")
	p.follows()
	p = p.another()
	p.open(generalPath)
	p.tick("Offline Mode", false)
	p.press("Save")
	if p.h1() != "Turn Offline Mode off" {
		p.fatalf("it leads to %s", p.h1())
	}
	p.follows()
}

// TestPageSettings_ByKeyboardAlone: each control is reached in order, and the bar with Save hides none of them.
func TestPageSettings_ByKeyboardAlone(t *testing.T) {
	t.Parallel()
	db, p := settingsTab(t)
	p.screen(1280, 1)
	p.open(settingsPath)
	p.tabTo("textbox URL")
	p.key("https://hook.example/keyboard")
	p.tabTo("checkbox Enabled")
	p.key(" ")
	for p.focused() != "button Save" {
		if hidden := evaluate[bool](p, `(() => { const at = document.activeElement.getBoundingClientRect(), bar = document.querySelector(".savebar")
			return !bar.contains(document.activeElement) && document.querySelector(".settings").contains(document.activeElement) && at.bottom > bar.getBoundingClientRect().top })()`); hidden {
			p.errorf("the bar hides %s", p.focused())
		}
		p.key("\t")
	}
	p.loading("press Enter", func(context.Context) error { p.key(kb.Enter); return nil })
	p.sees("Saved: Documents.")
	if n := db.count(`select count(*) from webhook.channels where name = 'documents' and enabled and url = 'https://hook.example/keyboard'`); n != 1 {
		p.errorf("it was not saved")
	}
}
