package integration_test

import (
	"strings"
	"testing"
)

// changes are the rows of webhook.interventions about settings, oldest first: "channel: note".
func (db *database) changes() (all []string) {
	db.t.Helper()
	if err := db.Select(&all, `select coalesce(channel, '') || ': ' || note from webhook.interventions where action = 'settings' order by id`); err != nil {
		db.t.Fatal(err)
	}
	return all
}

func TestSettingsHistory_EachChangeIsOneRowInWords(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	for _, c := range []struct{ statement, want string }{
		{`update webhook.channels set url = 'https://user:geheim@hooks.example.com/geheim?key=geheim', enabled = true, accept_status = '{200,204}' where name = 'cases'`,
			"cases: cases: URL set (hooks.example.com); turned on; accept_status {200,201,204} → {200,204}"},
		{`update webhook.channels set url = url || '/geheim', enabled = true where name = 'cases'`, "cases: cases: URL changed, same host"},
		{`update webhook.channels set url = replace(url, 'https:', 'http:') where name = 'cases'`, "cases: cases: URL changed, same host (https → http)"},
		{`update webhook.channels set url = 'https://hook.eu1.make.com:8443/geheim', max_in_flight = 7, max_per_second = 4, send_traceparent = true where name = 'cases'`,
			"cases: cases: URL changed (hooks.example.com → hook.eu1.make.com:8443); max_in_flight 128 → 7; max_per_second no limit → 4; send_traceparent turned on"},
		{`update webhook.channels set url = 'https://geheim geheim/' where name = 'cases'`, "cases: cases: URL changed (hook.eu1.make.com:8443 → a URL that cannot be called)"},
		{`update webhook.channels set url = 'https://geheim  geheim/' where name = 'cases'`, "cases: cases: URL changed"},
		{`update webhook.channels set url = '', enabled = false where name = 'cases'`, "cases: cases: URL removed (was a URL that cannot be called); turned off"},
		{`update webhook.channels set url = null where name = 'cases'`, ""},
		{`update webhook.channels set url = ' ', enabled = enabled, updated_at = now()`, ""},
		{`update webhook.channels set example = '{"a": 1}' where name = 'cases'`, "cases: cases: example changed"},
		{`update webhook.settings set offline_mode = true, auth = 'bearer', bearer_token = 'geheim'`, ": Offline Mode turned on; auth none → bearer; bearer token set"},
		{`update webhook.settings set offline_mode = true, bearer_token = ' geheim ', updated_at = now()`, ""},
		{`update webhook.settings set bearer_token = 'geheim2', document_base_url = 'https://re.example/geheim'`, ": bearer token changed; document_base_url set (re.example)"},
		{`update webhook.settings set bearer_token = null, auth = 'none', environment = 'staging', min_retention = '2 days'`,
			": auth bearer → none; bearer token removed; environment none → staging; min_retention 1 day → 2 days"},
		{`update webhook.settings set offline_mode = false, instance_id = gen_random_uuid()`, ": Offline Mode turned off; instance_id changed"},
	} {
		before := len(db.changes())
		db.exec(c.statement)
		added := db.changes()[before:]
		if c.want == "" && len(added) > 0 || c.want != "" && (len(added) != 1 || added[0] != c.want) {
			t.Errorf("%s\nleaves  %q\nexpected %q", c.statement, added, c.want)
		}
	}
	if all := strings.Join(db.changes(), "\n"); strings.Contains(all, secret) {
		t.Errorf("a secret is shown:\n%s", all)
	}
}

func TestSettingsHistory_NamesThePersonAndTheRole(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	admin := loginRole(t, db, "webhook_admin")
	newest := `select actor || ', ' || role from webhook.interventions order by id desc limit 1`
	for named, want := range map[string]string{
		"Jane":                        "Jane",
		" Jane\n\u200bvan\u202e Doe ": "Jane van Doe",
		"":                            admin.name,
		" \u200b\t":                   admin.name,
		strings.Repeat("é", 300):      strings.Repeat("é", 200),
	} {
		for _, act := range []string{
			`update webhook.channels set enabled = not enabled where name = 'cases'`,
			`update webhook.settings set offline_mode = not offline_mode`,
			`select webhook.cancel(webhook.send_test('cases'))`,
		} {
			tx := admin.MustBegin()
			tx.MustExec(`select set_config('webhook.actor', $1, true)`, named)
			if _, err := tx.Exec(act); err != nil {
				t.Fatalf("%s: %s", act, complaintOf(err))
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if got := db.ask(newest); got != want+", "+admin.name {
				t.Errorf("%q: %s: by %s, expected %s, %s", named, act, got, want, admin.name)
			}
		}
	}
	id := db.publish("contact.created", `{}`)
	tx := admin.MustBegin()
	tx.MustExec(`select set_config('webhook.actor', 'Jane', true)`)
	tx.MustExec(`select webhook.cancel($1)`, id)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	with(t, "explain", admin.ask(`select webhook.explain($1)`, id), "Cancelled by Jane at ")
	if got := admin.ask(`select webhook.retry($1)`, id); !strings.Contains(got, "Sent again by "+admin.name) {
		t.Errorf("the name outlives its transaction: %s", got)
	}
}
