package integration_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// twoPersons are logged in on the page of one installation.
func twoPersons(t *testing.T) (jane, maria *tab, db *database) {
	t.Helper()
	db = ready(t, "https://hooks.example.com")
	db.exec(`select webhook.create_roles()`)
	site := servePage(t, db, settings{"WEBHOOK_ADMIN_PASSWORD_HASH": passwordHash(t)})
	jane = newTab(t, site)
	maria = jane.another()
	for name, p := range map[string]*tab{"Jane": jane, "Maria": maria} {
		p.open(settingsPath)
		p.logIn(name)
	}
	return jane, maria, db
}

func (db *database) url(channel string) (url string) {
	db.t.Helper()
	if err := db.Get(&url, `select coalesce(url, '') from webhook.channels where name = $1`, channel); err != nil {
		db.t.Fatal(err)
	}
	return url
}

// TestPagePersons_ASaveOnTopOfAnotherIsAsked: both values are shown, what was typed is kept, and saving again decides.
func TestPagePersons_ASaveOnTopOfAnotherIsAsked(t *testing.T) {
	t.Parallel()
	jane, maria, db := twoPersons(t)
	jane.group("Contacts").fill("URL", "https://jane.example.com/new")
	jane.press("Save")
	maria.group("Contacts").fill("URL", "https://maria.example.com/new")
	maria.press("Save")
	if maria.status() != 409 {
		maria.errorf("a save on top of another's is answered with %d", maria.status())
	}
	maria.sees("Jane")
	maria.sees("https://jane.example.com/new")
	if got := maria.group("Contacts").value("URL"); got != "https://maria.example.com/new" {
		maria.errorf("what was typed became %q", got)
	}
	if got := db.url("contacts"); got != "https://jane.example.com/new" {
		t.Errorf("the refused save has left %s", got)
	}
	maria.follows()
	maria.press("Save")
	if got := db.url("contacts"); got != "https://maria.example.com/new" {
		t.Errorf("saving again has left %s", got)
	}
	jane.open(settingsPath)
	jane.sees("Maria")
}

// TestPagePersons_OtherGroupsAreNoConflict: two persons who change different channels do not meet.
func TestPagePersons_OtherGroupsAreNoConflict(t *testing.T) {
	t.Parallel()
	jane, maria, db := twoPersons(t)
	jane.group("Contacts").fill("URL", "https://jane.example.com/new")
	jane.press("Save")
	maria.group("Folders").fill("URL", "https://maria.example.com/new")
	maria.press("Save")
	if maria.status() != 200 || db.url("contacts") != "https://jane.example.com/new" || db.url("folders") != "https://maria.example.com/new" {
		maria.errorf("status %d; contacts %s, folders %s", maria.status(), db.url("contacts"), db.url("folders"))
	}
}

// TestPagePersons_ByKeyboardAlone: the setup of a channel without a mouse; the Save button hides nothing that has
// the focus.
func TestPagePersons_ByKeyboardAlone(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	rcv := newReceiver(t, nil)
	p.open(settingsPath)
	p.tabTo("textbox URL")
	p.key(rcv.URL + "/typed")
	p.tabTo("checkbox Enabled")
	p.key(" ")
	p.tabTo("button Save")
	p.loading("press Enter", func(context.Context) error { p.key(kb.Enter); return nil })
	if got := db.url("documents"); got != rcv.URL+"/typed" {
		p.errorf("the keyboard has saved %q", got)
	}
	if hidden := p.hiddenFocus(); len(hidden) > 0 {
		p.errorf("hidden while it has the focus: %s", strings.Join(hidden, ", "))
	}
}

// hiddenFocus goes through a page with the tab key and returns what has the focus behind something else.
func (p *tab) hiddenFocus() (hidden []string) {
	p.t.Helper()
	p.open(p.path())
	first := ""
	for range 200 {
		p.key("\t")
		at := evaluate[string](p, `(() => {
			const e = document.activeElement, r = (e.getClientRects()[0] ?? e.getBoundingClientRect())
			if (e === document.body) return "the end"
			const top = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2)
			const seen = top && (e.contains(top) || [...(e.labels ?? [])].some((l) => l.contains(top)))
			return (seen ? "" : "hidden ") + e.localName + " " + (e.id || e.textContent.trim()) + " " + e.getBoundingClientRect().y.toFixed(0) + " " + scrollY.toFixed(0) })()`)
		if at == "the end" || at == first {
			break
		}
		if first == "" {
			first = at
		}
		if what, is := strings.CutPrefix(at, "hidden "); is {
			hidden = append(hidden, what)
		}
	}
	return hidden
}

// TestPagePersons_UnsavedChangesAreAskedAbout: a person who leaves with changes is asked, after saving no more.
func TestPagePersons_UnsavedChangesAreAskedAbout(t *testing.T) {
	t.Parallel()
	p, _ := walk(t)
	p.open(settingsPath)
	p.follow("General")
	p.open(settingsPath)
	p.group("Rules").fill("URL", "https://rules.example.com/")
	p.sees("Not saved yet: Rules")
	p.follow("General")
	if got := p.asked(); len(got) != 1 || got[0] != "beforeunload" {
		p.errorf("leaving with a change, the person was asked %q", got)
	}
	p.open(settingsPath)
	p.group("Rules").fill("URL", "https://rules.example.com/")
	p.press("Save")
	p.follow("General")
	if got := p.asked(); len(got) != 0 {
		p.errorf("after saving, the person was asked %q", got)
	}
}

// TestPagePersons_WithoutScript: the setup of a channel, a test event and its answer.
func TestPagePersons_WithoutScript(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	p.withoutScript()
	p.setUp("Cases", newReceiver(t, nil).URL)
	p.group("Cases").press("Send test event")
	p.sees("Delivered") // the page loads itself again until then
	if n := db.count(`select count(*) from webhook.outbox where is_test and status = 'sent'`); n != 1 {
		t.Errorf("%d test events were sent", n)
	}
	p.open("/deliveries")
	p.pick("Channel", "Contacts")
	p.press("Filter")
	p.sees("No delivery matches")
	p.follow("Clear")
	p.pick("Channel", "Cases")
	p.press("Filter")
	p.sees("case.created")
}
