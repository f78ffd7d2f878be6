package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// cutAction is something that a person does: whole is what count returns once it is done, by which nothing is 0.
type cutAction struct {
	name  string
	do    func() (status int, text string)
	count string
	whole int
}

// Whichever message of an action is lost, on its way there or back: it is done as a whole or not at all, once, and
// the page says neither that nothing was changed where it was, nor the other way round.
func TestPage_ALostMessageLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	way := newProxy(t, db.address)
	page := newDeliveriesPage(t, &database{DB: db.DB, address: way.address, t: t})
	id := db.publish("contact.created", `{"id": 1}`)
	db.nothingDone()
	_, source := page.get(settingsPath)
	settings := parsedPage(t, source).form(settingsPath)
	for _, a := range []cutAction{
		{"save", func() (int, string) {
			form := maps.Clone(settings)
			form.Set("contacts.url", "https://new.example/x")
			form.Set("rules.url", "https://new.example/y")
			form.Set("token", "another token")
			return page.post(settingsPath, form)
		}, `select (select count(*) from webhook.channels where url like 'https://new.example/%') + (select count(*) from webhook.settings where bearer_token = 'another token')
			+ (select count(*) from webhook.interventions where action = 'settings')`, 6},
		{"send test", func() (int, string) { return page.post(settingsPath+"/test", url.Values{"channel": {"contacts"}}) },
			`select count(*) from webhook.outbox where is_test`, 1},
		{"resend", func() (int, string) { return page.post(fmt.Sprintf("/deliveries/%d/resend", id), url.Values{}) },
			`select (select count(*) from webhook.outbox where not is_test and status = 'pending') + (select count(*) from webhook.interventions where action = 'retry')`, 2},
		{"resend many", func() (int, string) {
			return page.post("/deliveries/resend", url.Values{"counted": {time.Now().UTC().Format(time.RFC3339Nano)}})
		},
			`select count(*) from webhook.operations`, 1},
	} {
		for _, back := range []bool{false, true} {
			page.cutEverywhere(db, way, a, back)
		}
	}
}

// parsedPage is a page of this process.
func parsedPage(t testing.TB, source string) *shownPage {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	return &shownPage{t: t, source: source, doc: doc}
}

// nothingDone is how it was before each action.
func (db *database) nothingDone() {
	db.t.Helper()
	db.exec(`set session_replication_role = replica;
		delete from webhook.interventions; delete from webhook.operations; delete from webhook.outbox where is_test;
		update webhook.outbox set status = 'failed', finished_at = now(), attempts = 1, claim_id = gen_random_uuid(), failure = 'dns', received = 'no', error = 'x';
		update webhook.channels set url = 'https://old.example/' where name in ('contacts', 'rules');
		update webhook.settings set auth = 'bearer', bearer_token = 'a token';
		reset session_replication_role`)
}

// cutEverywhere does an action once for each message that it exchanges with the database, which is lost.
func (p *deliveriesPage) cutEverywhere(db *database, way *proxy, a cutAction, back bool) {
	p.t.Helper()
	for lost := int32(1); ; lost++ {
		db.nothingDone()
		var n atomic.Int32
		hook := func(*exchange) action {
			if n.Add(1) == lost {
				return cut
			}
			return pass
		}
		if back {
			way.onAnswer(hook)
		} else {
			way.onRequest(hook)
		}
		status, text := a.do()
		way.onAnswer(nil)
		way.onRequest(nil)
		done := db.count(a.count)
		where := fmt.Sprintf("%s, message %d (back: %v): status %d, %d of %d done", a.name, lost, back, status, done, a.whole)
		switch {
		case done != 0 && done != a.whole:
			p.t.Errorf("%s: half of it: %s", where, text)
		case status == http.StatusSeeOther && done == 0, status != http.StatusSeeOther && done != 0 && !strings.Contains(text, "which of the two is not known"),
			status != http.StatusSeeOther && status != http.StatusServiceUnavailable:
			p.t.Errorf("%s: %s", where, text)
		}
		if n.Load() < lost {
			if status != http.StatusSeeOther {
				p.t.Errorf("%s: without a loss: %s", where, text)
			}
			return
		}
	}
}
