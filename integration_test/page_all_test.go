package integration_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// A worldPage is a page with the world behind it.
type worldPage struct {
	name   string
	path   func(*world) string
	status int // 0 is 200
}

// worldPages are all pages, and the states of a page that look different.
var worldPages = []worldPage{
	{name: "settings", path: at(settingsPath)},
	{name: "general", path: at("/settings/general")},
	{name: "deliveries", path: at("/deliveries")},
	{name: "deliveries-lost", path: at("/deliveries?status=failed&since=7d")},
	{name: "deliveries-none", path: at("/deliveries?document=no-such-document")},
	{name: "deliveries-wrong", path: at("/deliveries?since=yesterday&channel=fax"), status: 422},
	{name: "delivery-sent", path: deliveryOf("export sent again")},
	{name: "delivery-failed", path: deliveryOf("failed rejected 401")},
	{name: "delivery-unknown", path: deliveryOf("failed timeout")},
	{name: "delivery-retried", path: deliveryOf("export retried")},
	{name: "delivery-superseded", path: deliveryOf("export superseded")},
	{name: "delivery-marked", path: deliveryOf("export marked")},
	{name: "delivery-hostile", path: deliveryOf("hostile export")},
	{name: "delivery-large", path: deliveryOf("hostile contact")},
	{name: "delivery-long", path: deliveryOf("export with a long id")},
	{name: "delivery-resend", path: below("failed timeout", "/resend")},
	{name: "delivery-mark", path: below("failed timeout", "/delivered")},
	{name: "resend", path: at("/deliveries/resend?status=failed&since=7d")},
	{name: "resend-none", path: at("/deliveries/resend?document=no-such-document")},
	{name: "operation", path: stoppedOperation},
	{name: "overview", path: at("/overview")},
	{name: "no-such-page", path: at("/no/such/page"), status: 404},
}

func at(path string) func(*world) string { return func(*world) string { return path } }

func deliveryOf(name string) func(*world) string {
	return func(w *world) string { return fmt.Sprintf("/deliveries/%d", w.id(name)) }
}

// stoppedOperation is the page of a resend that Maria has stopped.
func stoppedOperation(w *world) string {
	w.t.Helper()
	var id int64
	if err := w.Get(&id, `
		insert into webhook.operations (kind, actor, channel, status, error_text, include_received, expected, done, left_out, stopped_at, stopped_by)
		values ('resend', 'jean', 'contacts', 'failed', repeat('long', 40), true, 1312, 500, 4, clock_timestamp(), 'Maria') returning id`); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("/operations/%d", id)
}

// below is a page below that of a delivery.
func below(name, path string) func(*world) string {
	return func(w *world) string { return deliveryOf(name)(w) + path }
}

// TestPages_FollowTheRules: each page, in each window and theme, with hostile data. None of them shows a secret, and
// no text has become markup.
func TestPages_FollowTheRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newTab(t, servePage(t, w.database, nil))
	for _, page := range worldPages {
		w.workerStillRuns()
		p.open(page.path(w))
		if want := cmp.Or(page.status, 200); p.status() != want {
			p.errorf("%s: status %d, want %d", page.name, p.status(), want)
			continue
		}
		p.follows()
		p.lacks(worldToken)
		if page.name != "settings" {
			p.lacks(worldKey)
		}
		if title := evaluate[string](p, `document.title`); strings.Contains(title, "taken over") {
			p.errorf("%s: a script in a payload has run", page.name)
		}
	}
}
