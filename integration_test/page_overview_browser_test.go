package integration_test

import (
	"strings"
	"testing"
)

// TestPageOverview_FollowsTheRules in each view, with channels in every state and hostile texts.
func TestPageOverview_FollowsTheRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`insert into webhook.tally (channel, hour, status, latency, events)
		select c.name, date_trunc('hour', now()) - n * interval '1 hour', s.status, s.latency, 1 + n * 37 % 100
		  from webhook.channels c, generate_series(0, 23) n, (values ('sent', 22::smallint), ('failed', 0::smallint), ('skipped', 0::smallint)) s (status, latency)
		 where c.name in ('documents', 'cases')
		on conflict (channel, hour, status, latency) do nothing`)
	w.exec(`update webhook.endpoints set failing_since = now() - interval '3 hours', failed_at = now(), certificate_ends = now() + interval '4 days 1 hour' where channel = 'cases'`)
	p := newTab(t, servePage(t, w.database, nil))
	p.open("/overview")
	if p.h1() != "Overview" || p.status() != 200 {
		p.fatalf("%d %s", p.status(), p.h1())
	}
	for _, part := range []string{"need attention", "Cases has been failing since", "Notifications is on but cannot be called", "The certificate of n8n.example.com ends in 4 days"} {
		p.sees(part)
	}
	p.follows()
	evaluate[int](p, `(() => { for (const d of document.querySelectorAll("details")) d.open = true; return 0 })()`)
	p.follows()
}

func TestPageOverview_OfANewInstallationFollowsTheRules(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	p := newTab(t, servePage(t, db, nil))
	p.open("/overview")
	p.sees("No channel is on yet.")
	p.follows()
}

// TestPageOverview_FiguresAreLive: figures follow by themselves, a state waits for the reader. Without script
// all of it is there after a reload.
func TestPageOverview_FiguresAreLive(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://hooks.example.com")
	db.exec(`select webhook.create_roles()`)
	db.workerSeen()
	db.exec(`update webhook.workers set seen_at = now() + interval '1 hour'`)
	p := newTab(t, servePage(t, db, nil))
	p.open("/overview")
	p.sees("All is well.")
	announced := func() bool { return strings.Contains(p.text(), "A state, or what needs attention, has changed.") }
	now := func() { // as when the tab is shown again; else it takes ten seconds
		evaluate[bool](p, `document.dispatchEvent(new Event("visibilitychange"))`)
	}
	figure := func(name string) string {
		return evaluate[string](p, `document.querySelector("[data-figure='`+name+`']").textContent`)
	}
	db.publish("contact.created", `{}`)
	db.exec(`insert into webhook.tally (channel, hour, status, latency, events) values ('rules', date_trunc('hour', now()), 'sent', 22, 1204)`)
	now()
	p.eventually("the figures are those of now", func() bool {
		return figure("contacts-waiting") == "1" && figure("rules-delivered") == "1,204" && strings.HasPrefix(figure("rules-p50"), "p50 4")
	})
	p.sees("oldest just now")
	if announced() {
		p.errorf("figures are announced as a change of a state")
	}

	db.exec(`update webhook.channels set enabled = false where name = 'cases'`)
	now()
	p.eventually("the change is announced", announced)
	p.sees("All is well.") // nothing has moved
	p.follows()
	p.follow("Show it")
	p.sees("Cases Off")
	if announced() {
		p.errorf("a change is announced after it was shown")
	}

	silent := p.another()
	silent.withoutScript()
	silent.open("/overview")
	silent.sees("oldest")
	silent.follow("Reload")
	silent.sees("Overview")
}
