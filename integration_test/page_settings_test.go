package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// settingsSite is the page over a database with the schema and the roles. No channel has a URL.
func settingsSite(t *testing.T) (*database, *site) {
	t.Helper()
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	return db, newSite(t, db, nil)
}

// changed is a form with some fields set; nil removes one.
func changed(form url.Values, pairs ...string) url.Values {
	form = maps.Clone(form)
	for i := 0; i < len(pairs); i += 2 {
		form[pairs[i]] = []string{pairs[i+1]}
	}
	return form
}

// everySetting is all that a save may change.
func (db *database) everySetting() (all string) {
	db.t.Helper()
	if err := db.Get(&all, `select (select string_agg(c::text, e'\n' order by c.position) from webhook.channels c) || s::text from webhook.settings s`); err != nil {
		db.t.Fatal(err)
	}
	return all
}

func TestPageSettings_SavesWhatThePersonChanged(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := site.get(settingsPath).form(settingsPath)
	saved := site.post(settingsPath, changed(form, "documents.url", " \u200bhttps://hook.example/geheim\t", "documents.enabled", "on",
		"contacts.url", "https://bücher.example/x", "contacts.statuses", "200;202 409", "contacts.in_flight", "7", "contacts.per_second", "30", "contacts.traceparent", "on",
		"auth", "bearer", "token", " Authorization: Bearer  t0ken "))
	text := saved.follow().text()
	for _, part := range []string{"Saved: Documents, Contacts, Webhook Auth.", "around the URL of Documents were removed",
		"of Contacts is saved as xn--bcher-kva.example (punycode)", "around the token were removed", "The word Bearer in front of the token was removed", "A token is set."} {
		if !strings.Contains(text, part) {
			t.Errorf("after saving the page does not say %q: %s", part, text)
		}
	}
	for query, want := range map[string]int{
		`select count(*) from webhook.channels where name = 'documents' and url = 'https://hook.example/geheim' and enabled`:                                                                                                               1,
		`select count(*) from webhook.channels where name = 'contacts' and url = 'https://xn--bcher-kva.example/x' and not enabled and accept_status = '{200,202,409}' and max_in_flight = 7 and max_per_second = 30 and send_traceparent`: 1,
		`select count(*) from webhook.settings where auth = 'bearer' and bearer_token = 't0ken'`:                                                                                                                                           1,
		`select count(*) from webhook.interventions where action = 'settings' and actor <> role`:                                                                                                                                           3,
	} {
		if got := db.count(query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	form = site.get(settingsPath).form(settingsPath)
	if again := site.post(settingsPath, form).follow().text(); !strings.Contains(again, "Nothing was saved: no setting was changed.") {
		t.Errorf("saved unchanged: %s", again)
	}
	if n := db.count(`select count(*) from webhook.interventions where action = 'settings'`); n != 3 {
		t.Errorf("%d changes are recorded, a form without a change was saved", n)
	}
	site.post(settingsPath, changed(form, "contacts.url", "", "contacts.per_second", "")).follow()
	if n := db.count(`select count(*) from webhook.channels where name = 'contacts' and url is null and max_per_second is null`); n != 1 {
		t.Error("URL and limit were not removed")
	}
}

func TestPageSettings_TheTokenIsNeverSentBack(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim-gesetzt'`)
	db.exec(`update webhook.channels set url = 'https://old.example/' where name = 'documents'`)
	form := site.get(settingsPath).form(settingsPath)
	for name, p := range map[string]*shownPage{
		"the page":           site.get(settingsPath),
		"a wrong field":      site.post(settingsPath, changed(form, "token", "geheim-getippt", "rules.in_flight", "0")),
		"a refused token":    site.post(settingsPath, changed(form, "token", "geheim-\u200bgetippt")),
		"a token and None":   site.post(settingsPath, changed(form, "token", "geheim-getippt", "auth", "none")),
		"a host that is new": site.post(settingsPath, changed(form, "documents.url", "https://new.example/")),
		"general":            site.get("/settings/general"),
		"a saved token":      site.post(settingsPath, changed(form, "token", "geheim-getippt")).follow(),
	} {
		if strings.Contains(p.source, "geheim") {
			t.Errorf("%s contains the token", name)
		}
	}
}

func TestPageSettings_ANewHostGetsTheTokenOnlyIfConfirmed(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim'`)
	db.exec(`update webhook.channels set url = 'https://old.example/a' where name = 'documents'`)
	form := site.get(settingsPath).form(settingsPath)
	before := db.everySetting()
	for name, values := range map[string]url.Values{
		"another host":   changed(form, "documents.url", "https://o1d.example/a"),
		"another port":   changed(form, "documents.url", "https://old.example:8443/a"),
		"no TLS":         changed(form, "documents.url", "http://old.example/a"),
		"a URL is set":   changed(form, "contacts.url", "https://new.example/", "contacts.enabled", "on"),
		"another's host": changed(form, "contacts.url", "https://old.example@new.example/"),
		"forged":         changed(form, "documents.url", "https://o1d.example/a", "send_to", "old.example 443"),
		"off":            changed(form, "contacts.url", "https://new.example/"),
	} {
		p := site.post(settingsPath, values)
		if p.status != 422 || !strings.Contains(p.wrong("token"), "Type the token again") || !regexp.MustCompile(`Send the token to \S+ too`).MatchString(p.text()) {
			t.Errorf("%s: status %d, %s", name, p.status, p.text())
		}
		if db.everySetting() != before {
			t.Fatalf("%s: something was saved", name)
		}
	}
	for name, values := range map[string]url.Values{
		"the same host, another path":    changed(form, "documents.url", "HTTPS://OLD.example:443/b"),
		"the same host, another channel": changed(form, "contacts.url", "https://old.example/c"),
		"typed again":                    changed(form, "folders.url", "https://new.example/", "token", "geheim2"),
	} {
		if p := site.post(settingsPath, values); p.status != 303 {
			t.Errorf("%s: status %d, %s", name, p.status, p.text())
		}
		form = site.get(settingsPath).form(settingsPath)
	}
	asked := site.post(settingsPath, changed(form, "cases.url", "https://third.example:8443/x"))
	if !strings.Contains(asked.text(), "Send the token to third.example:8443 too") {
		t.Errorf("the label names another host: %s", asked.text())
	}
	ticked := asked.form(settingsPath)
	ticked.Add("send_to", "third.example 8443")
	if p := site.post(settingsPath, ticked); p.status != 303 {
		t.Errorf("ticked: status %d, %s", p.status, p.text())
	}
	// None and back: these hosts were not confirmed for the token that was kept.
	site.post(settingsPath, changed(site.get(settingsPath).form(settingsPath), "auth", "none")).follow()
	if p := site.post(settingsPath, changed(site.get(settingsPath).form(settingsPath), "auth", "bearer")); p.status != 422 || !strings.Contains(p.text(), "Send the token to old.example too") {
		t.Errorf("bearer again: status %d, %s", p.status, p.text())
	}
}

func TestPageSettings_OfTwoPeopleTheSecondSeesBothValues(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	stale := site.get(settingsPath).form(settingsPath)
	site.post(settingsPath, changed(stale, "documents.url", "https://first.example/path", "auth", "bearer", "token", "first")).follow()

	// Another group, and the same value: no conflict.
	if p := site.post(settingsPath, changed(stale, "documents.url", "https://first.example/path", "rules.in_flight", "5")); p.status != 303 {
		t.Errorf("the same value, and another group: status %d, %s", p.status, p.text())
	}
	// The switch of Offline Mode is in the same row as the token, and not in this form.
	fresh := site.get(settingsPath).form(settingsPath)
	db.exec(`update webhook.settings set offline_mode = true`)
	if p := site.post(settingsPath, changed(fresh, "token", "second")); p.status != 303 {
		t.Errorf("Offline Mode, and the token: status %d, %s", p.status, p.text())
	}

	before := db.everySetting()
	second := changed(stale, "documents.url", "https://second.example/", "token", "third", "auth", "bearer", "cases.in_flight", "9")
	p := site.post(settingsPath, second)
	text := p.text()
	for _, part := range []string{"Nothing was saved: another person has changed", "Saved meanwhile by", "https://first.example/path", "with a token that may be another one"} {
		if !strings.Contains(text, part) {
			t.Errorf("status %d, the page does not say %q: %s", p.status, part, text)
		}
	}
	form := p.form(settingsPath)
	if p.status != 409 || form.Get("documents.url") != "https://second.example/" || form.Get("cases.in_flight") != "9" || form.Get("token") != "" {
		t.Errorf("status %d, the form has %v", p.status, form)
	}
	if db.everySetting() != before {
		t.Error("something was saved")
	}
	if p := site.post(settingsPath, changed(form, "token", "third")); p.status != 303 {
		t.Errorf("saved again: status %d, %s", p.status, p.text())
	}
	if n := db.count(`select count(*) from webhook.channels c cross join webhook.settings s where c.name = 'documents' and c.url = 'https://second.example/' and s.bearer_token = 'third'`); n != 1 {
		t.Error("what was saved knowingly is not what is there")
	}
}

// TestPageSettings_OfSavesAtOnceOneWins: the settings are locked before they are compared.
func TestPageSettings_OfSavesAtOnceOneWins(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := site.get(settingsPath).form(settingsPath)
	statuses := make([]int, 4)
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`select from webhook.channels where name = 'documents' for update`)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, site.address+settingsPath,
				strings.NewReader(changed(form, "documents.url", fmt.Sprintf("https://hook.example/%d", i)).Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if resp, err := site.client.Do(req); err == nil {
				statuses[i] = resp.StatusCode
				resp.Body.Close()
			}
		})
	}
	eventually(t, "two of them have come to the lock", func() bool {
		return db.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) >= 2
	})
	_ = tx.Rollback()
	all.Wait()
	slices.Sort(statuses)
	if want := []int{303, 409, 409, 409}; !slices.Equal(statuses, want) {
		t.Errorf("the answers are %v, want %v", statuses, want)
	}
	if n := db.count(`select count(*) from webhook.interventions where action = 'settings'`); n != 1 {
		t.Errorf("%d changes are recorded", n)
	}
}

func TestPageSettings_ReadOnlyAndBelowAPath(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	site := newSite(t, db, settings{"WEBHOOK_ADMIN_READ_ONLY": "true", "WEBHOOK_ADMIN_BASE_PATH": "/webhooks"})
	site.address = strings.TrimSuffix(site.address, "/webhooks")
	for _, path := range []string{"/webhooks" + settingsPath, "/webhooks" + generalPath} {
		p := site.get(path)
		form := p.form(path)
		if p.status != 200 || !regexp.MustCompile(`<button class="primary" disabled>Save`).MatchString(p.source) {
			t.Errorf("%s: status %d, or Save can be pressed: %s", path, p.status, p.text())
		}
		if p := site.post(path, changed(form, "documents.in_flight", "7", "offline", "on")); p.status != 403 {
			t.Errorf("%s: a save is answered with %d", path, p.status)
		}
	}
	if n := db.count(`select count(*) from webhook.interventions`); n != 0 {
		t.Errorf("%d changes were made", n)
	}
}

// wrongSettings are forms of the page that are refused, each with one field, and what is said beside it.
var wrongSettings = []struct {
	field, value, says string
}{
	{"documents.url", "nonsense", "does not begin with http:// or https://"},
	{"documents.url", "ftp://hook.example/", "does not begin with"},
	{"documents.url", "javascript:alert(1)", "does not begin with"},
	{"documents.url", "//hook.example/", "does not begin with"},
	{"documents.url", "hook.example/x", "does not begin with"},
	{"documents.url", "https:hook.example", "does not begin with"},
	{"documents.url", "https//hook.example", "does not begin with"},
	{"documents.url", "'; drop table webhook.channels; --", "does not begin with"},
	{"documents.url", "<script>alert(1)</script>", "does not begin with"},
	{"documents.url", "https://", "host is missing or malformed"},
	{"documents.url", "https:///path", "host is missing or malformed"},
	{"documents.url", "https://?q", "host is missing or malformed"},
	{"documents.url", "https://user:pass@/", "host is missing or malformed"},
	{"documents.url", "https://[::1", "host is missing or malformed"},
	{"documents.url", "https://[fe80::1%25eth0]/", "host is missing or malformed"},
	{"documents.url", "https://ho|st/", "host is missing or malformed"},
	{"documents.url", "https://host\\path", "host is missing or malformed"},
	{"documents.url", "https://h ost/", "space"},
	{"documents.url", "https://host/a b", "space"},
	{"documents.url", "https://host https://host", "space"},
	{"documents.url", "https://host:0x50/", "malformed"},
	{"documents.url", "https://host:99999/", "port is not between 1 and 65535"},
	{"documents.url", "https://host:0/", "port is not between 1 and 65535"},
	{"documents.url", "https://host:65536/", "port is not between 1 and 65535"},
	{"documents.url", "https://host/%zz", "not followed by two hexadecimal digits"},
	{"documents.url", "https://host/%", "not followed by two hexadecimal digits"},
	{"documents.url", "https://ho\u200bst/", "the invisible character U+200B"},
	{"documents.url", "https://host/\u202egnp", "the invisible character U+202E"},
	{"documents.url", "https://host/\ufeffx", "the invisible character U+FEFF"},
	{"documents.url", "https://host/\u00a0x", "the invisible character U+00A0"},
	{"documents.url", "https://host/a\nb", "a line break"},
	{"documents.url", "https://host/\r\nX-Evil: 1", "a line break"},
	{"documents.url", "https://host/a\tb", "a tab"},
	{"documents.url", "https://host/\x00x", "the invisible character U+0000"},
	{"documents.url", "https://host/\x7fx", "the invisible character U+007F"},
	{"documents.url", "https://host/\xff\xfe", "bytes that are no text"},
	{"documents.url", "https://host/\xc3", "bytes that are no text"},
	{"documents.url", "https://host/" + strings.Repeat("x", 9000), "more than 8"},
	{"documents.url", strings.Repeat("x", 900_000), "more than 8"},
	{"documents.url", "https://host/" + strings.Repeat("日", 4000), "more than 8"},
	{"documents.enabled", "on", "Documents is enabled and has no URL"},
	{"audit_log.enabled", "on", "Audit Log is enabled and has no URL"},

	{"rules.statuses", "", "nothing would count as delivered"},
	{"rules.statuses", "   ", "nothing would count as delivered"},
	{"rules.statuses", ",,,", "nothing would count as delivered"},
	{"rules.statuses", "200,abc", "“abc” cannot count"},
	{"rules.statuses", "abc", "“abc” cannot count"},
	{"rules.statuses", "199", "“199” cannot count"},
	{"rules.statuses", "300", "“300” cannot count"},
	{"rules.statuses", "302", "“302” cannot count"},
	{"rules.statuses", "500", "“500” cannot count"},
	{"rules.statuses", "408", "“408” cannot count"},
	{"rules.statuses", "2xx", "“2xx” cannot count"},
	{"rules.statuses", "-200", "“-200” cannot count"},
	{"rules.statuses", "+200", "“+200” cannot count"},
	{"rules.statuses", "200.0", "“200.0” cannot count"},
	{"rules.statuses", "2e2", "“2e2” cannot count"},
	{"rules.statuses", "200-204", "“200-204” cannot count"},
	{"rules.statuses", "{200,201}", "cannot count"},
	{"rules.statuses", "20000000000000000000", "cannot count"},
	{"rules.statuses", "２００", "cannot count"},
	{"rules.statuses", "200\x00", ""}, // a character at the end that cannot be seen separates
	{"rules.statuses", "null", "“null” cannot count"},
	{"rules.statuses", "<b>", "“<b>” cannot count"},
	{"rules.statuses", "200\xff", "cannot count"},
	{"rules.statuses", strings.Repeat("9", 100_000), "cannot count"},

	{"cases.in_flight", "", "whole number from 1 to 1,000"},
	{"cases.in_flight", "0", "whole number from 1 to 1,000"},
	{"cases.in_flight", "-1", "whole number from 1 to 1,000"},
	{"cases.in_flight", "1001", "whole number from 1 to 1,000"},
	{"cases.in_flight", "1e9", "whole number from 1 to 1,000"},
	{"cases.in_flight", "1e2", "whole number from 1 to 1,000"},
	{"cases.in_flight", "1.5", "whole number from 1 to 1,000"},
	{"cases.in_flight", "0x10", "whole number from 1 to 1,000"},
	{"cases.in_flight", "many", "whole number from 1 to 1,000"},
	{"cases.in_flight", "NaN", "whole number from 1 to 1,000"},
	{"cases.in_flight", "10 000", "whole number from 1 to 1,000"},
	{"cases.in_flight", "99999999999999999999", "whole number from 1 to 1,000"},
	{"cases.in_flight", "١٢", "whole number from 1 to 1,000"},
	{"cases.in_flight", "5\x00", "whole number from 1 to 1,000"},
	{"cases.per_second", "0", "Leave it empty for no limit"},
	{"cases.per_second", "-1", "Leave it empty for no limit"},
	{"cases.per_second", "10001", "whole number from 1 to 10,000"},
	{"cases.per_second", "0.5", "Leave it empty for no limit"},
	{"cases.per_second", "1e9", "Leave it empty for no limit"},
	{"cases.per_second", "unlimited", "Leave it empty for no limit"},
	{"cases.per_second", "\xff", "Leave it empty for no limit"},
	{"cases.per_second", "2147483648", "Leave it empty for no limit"},

	{"token", "   ", "only white space"},
	{"token", "\u200b\ufeff", "only white space"},
	{"token", "Bearer", "only the word Bearer"},
	{"token", "bearer ", "only the word Bearer"},
	{"token", "Authorization: Bearer", "only the word Bearer"},
	{"token", "a\nb", "a line break"},
	{"token", "a\r\nX-Evil: 1", "a line break"},
	{"token", "a\tb", "a tab"},
	{"token", "a\u200bb", "the invisible character U+200B"},
	{"token", "a\x00b", "the invisible character U+0000"},
	{"token", "a\x7fb", "the invisible character U+007F"},
	{"token", "a\xffb", "bytes that are no text"},
	{"token", strings.Repeat("x", 9000), "more than 8"},
}

func TestPageSettings_WrongInputIsExplainedBesideItsFieldAndNothingIsSaved(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := site.get(settingsPath).form(settingsPath)
	before := db.everySetting()
	for _, c := range wrongSettings {
		name := fmt.Sprintf("%s %.40q", c.field, c.value)
		// A right change beside the wrong one: it is all or nothing.
		p := site.post(settingsPath, changed(form, "folders.in_flight", "77", c.field, c.value, "auth", "bearer", "token", cmpOr(c.field == "token", c.value, "right")))
		if c.says == "" {
			if p.status != 303 {
				t.Errorf("%s: status %d", name, p.status)
			}
			db.exec(`update webhook.channels set max_in_flight = 128`)
			db.exec(`update webhook.settings set auth = 'none', bearer_token = null`)
			form, before = site.get(settingsPath).form(settingsPath), db.everySetting()
			continue
		}
		field := strings.Replace(c.field, ".enabled", ".url", 1)
		if said := p.wrong(field); p.status != 422 || !strings.Contains(said, c.says) {
			t.Errorf("%s: status %d, beside it: %q", name, p.status, said)
		}
		if db.everySetting() != before {
			t.Fatalf("%s: something was saved", name)
		}
		if sent := p.form(settingsPath); field != "token" && sent.Get("folders.in_flight") != "77" {
			t.Errorf("%s: what was typed is gone: %v", name, sent)
		}
		noSQL(t, name, p)
	}
}

func cmpOr(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// noSQL: a page in words, without a statement, a name of a constraint or a stack.
func noSQL(t *testing.T, name string, p *shownPage) {
	t.Helper()
	if m := regexp.MustCompile(`update webhook|select (\*|webhook|\w+ from)|pq: |constraint|goroutine|\.go:\d|violat`).FindString(p.text()); m != "" || p.status >= 500 || len(p.text()) < 50 {
		t.Errorf("%s: status %d, %q in: %.200s", name, p.status, m, p.text())
	}
}

func TestPageSettings_AForgedFormIsRefusedInWords(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := changed(site.get(settingsPath).form(settingsPath), "folders.in_flight", "77")
	before := db.everySetting()
	forged := map[string]url.Values{"empty": {}, "an unknown channel": changed(form, "tasks.url", "https://x.example/"), "an unknown field": changed(form, "documents.example", "{}"),
		"an unknown choice": changed(form, "auth", "basic"), "no choice": changed(form, "auth", ""), "a box with another value": changed(form, "documents.enabled", "perhaps"),
		"a malformed version": changed(form, "auth.was", "bearer"), "an empty version": changed(form, "auth.was", ""), "a version of another choice": changed(form, "auth.was", "x.y.z")}
	for field := range form {
		if field != "documents.enabled" {
			missing := maps.Clone(form)
			delete(missing, field)
			forged["without "+field] = missing
		}
		twice := maps.Clone(form)
		twice[field] = append(slices.Clone(form[field]), "x")
		forged["twice "+field] = twice
	}
	for name, values := range forged {
		p := site.post(settingsPath, values)
		if p.status != 422 || !strings.Contains(p.text(), "Nothing was saved") {
			t.Errorf("%s: status %d, %s", name, p.status, p.text())
		}
		noSQL(t, name, p)
	}
	// A fingerprint that is not that of the saved values: as if another person had changed them.
	if p := site.post(settingsPath, changed(form, "folders.was", "0")); p.status != 409 {
		t.Errorf("a forged fingerprint: status %d", p.status)
	}
	if db.everySetting() != before {
		t.Fatal("something was saved")
	}
	for name, p := range map[string]*shownPage{
		"10 MB":            site.do(http.MethodPost, settingsPath, "application/x-www-form-urlencoded", strings.NewReader("documents.url="+strings.Repeat("x", 10<<20))),
		"no form":          site.do(http.MethodPost, settingsPath, "application/json", strings.NewReader(`{"documents.url": "https://x.example/"}`)),
		"multipart":        site.do(http.MethodPost, settingsPath, "multipart/form-data; boundary=x", strings.NewReader("--x--")),
		"a broken escape":  site.do(http.MethodPost, settingsPath, "application/x-www-form-urlencoded", strings.NewReader("documents.url=%zz")),
		"DELETE":           site.do(http.MethodDelete, settingsPath, "", nil),
		"a test, no name":  site.post(settingsPath+"/test", url.Values{}),
		"a test, two":      site.post(settingsPath+"/test", url.Values{"channel": {"documents", "contacts"}}),
		"a test, unknown":  site.post(settingsPath+"/test", url.Values{"channel": {"tasks"}}),
		"a test, no text":  site.post(settingsPath+"/test", url.Values{"channel": {"a\x00\xff"}}),
		"a test, no URL":   site.post(settingsPath+"/test", url.Values{"channel": {"documents"}}),
		"a test by GET":    site.get(settingsPath + "/test"),
		"hostile codes":    site.get(settingsPath + "?saved=%3Cscript%3E&repaired=host.tasks&repaired=x&saved=" + strings.Repeat("x", 5000)),
		"general, empty":   site.post("/settings/general", url.Values{}),
		"general, unknown": site.post("/settings/general", url.Values{"offline.was": {"maybe"}, "base_url": {""}, "base_url.was": {""}}),
	} {
		if p.status < 400 && name != "hostile codes" {
			t.Errorf("%s: status %d", name, p.status)
		}
		noSQL(t, name, p)
		if strings.Contains(p.source, "<script>alert") || db.everySetting() != before {
			t.Errorf("%s: it was taken", name)
		}
	}
	if p := site.post(settingsPath+"/test", url.Values{"channel": {"documents"}}); p.status != 422 || !strings.Contains(p.text(), "Documents has no URL that is saved") {
		t.Errorf("a test without a URL: status %d, %s", p.status, p.text())
	}
	if n := db.count(`select count(*) from webhook.outbox`); n != 0 {
		t.Errorf("%d events were written", n)
	}
}

func TestPageSettings_SendTestEventLeadsToItsDelivery(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.exec(`update webhook.channels set url = 'https://hook.example/' where name = 'contacts'`)
	p := site.post(settingsPath+"/test", url.Values{"channel": {"contacts"}})
	id := db.count(`select id from webhook.outbox where is_test and event = 'contact.created'`)
	if p.status != 303 || p.location != fmt.Sprintf("/deliveries/%d", id) {
		t.Errorf("status %d, to %s; the event is %d", p.status, p.location, id)
	}
}

// TestPageSettings_ShowsTheVolumeBeforeAChannelIsEnabled: what the tally has counted, and the exports that wait.
func TestPageSettings_ShowsTheVolumeBeforeAChannelIsEnabled(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.exec(`insert into webhook.outbox (event, data) select 'document.exported', json_build_object('id', n) from generate_series(1, 12) n`)
	db.exec(`insert into webhook.tally (channel, hour, status, latency, events) values
		('audit_log', date_trunc('hour', now()) - interval '2 hours', 'skipped', 0, 900), ('audit_log', date_trunc('hour', now()) - interval '2 hours', 'sent', 5, 100),
		('audit_log', date_trunc('hour', now()) - interval '3 days', 'skipped', 0, 400), ('audit_log', date_trunc('hour', now()) - interval '8 days', 'skipped', 0, 5000)`)
	text := site.get(settingsPath).text()
	for _, part := range []string{"12 events wait and will be delivered once the channel is enabled", "about 200 a day, ", "The audit log can fire frequently"} {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not say %q: %s", part, text)
		}
	}
	if !regexp.MustCompile(`Last 7 days: 1.400 events, about 200 a day, 1.000 in the busiest hour`).MatchString(text) {
		t.Errorf("the volume is another: %s", text)
	}
}

// What the page could check and the database refuses is said in words as well.
func TestPageSettings_WhatTheDatabaseRefusesIsSaidBesideItsField(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.exec(`create function public.strict() returns trigger language plpgsql as $$
		begin raise exception 'webhook.channels: max_per_second is 5, a number below 5 was expected' using errcode = 'check_violation', column = 'max_per_second', constraint = 'x'; end $$`)
	db.exec(`create trigger a before update on webhook.channels for each row when (new.max_per_second = 5) execute function public.strict()`)
	form := site.get(settingsPath).form(settingsPath)
	before := db.everySetting()
	p := site.post(settingsPath, changed(form, "contacts.in_flight", "9", "rules.per_second", "5"))
	if said := p.wrong("rules.per_second"); p.status != 422 || said != "The database does not accept it: 5, a number below 5 was expected." {
		t.Errorf("status %d, beside it: %q", p.status, said)
	}
	if db.everySetting() != before {
		t.Error("the other channel was saved")
	}
}

func TestPageSettings_LockedSettingsAreWaitedFor(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	form := changed(site.get(settingsPath).form(settingsPath), "contacts.in_flight", "9")
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`select from webhook.settings for share`)
	p := site.post(settingsPath, form)
	if p.status != 503 || !strings.Contains(p.text(), "another session of the database holds the settings") || p.form(settingsPath).Get("contacts.in_flight") != "9" {
		t.Errorf("while a session holds the settings: status %d, %s", p.status, p.text())
	}
	_ = tx.Rollback()
	if p := site.post(settingsPath, form); p.status != 303 {
		t.Errorf("afterwards: status %d, %s", p.status, p.text())
	}
}

// What a worker found at an endpoint is a sentence.
func TestPageSettings_SaysWhatAWorkerFoundAtTheEndpoint(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	db.exec(`update webhook.channels set url = 'https://re.example/' || name`)
	look := func(channel, failure, problem string) {
		db.exec(`update webhook.endpoints set looked_at = now(), looked_by = 'host:7', look_failure = nullif($2, ''), look_problem = nullif($3, ''), address = '192.0.2.1:443' where channel = $1`, channel, failure, problem)
	}
	look("documents", "", "")
	look("contacts", "blocked_address", "address not allowed: re.example leads to 10.1.2.3, which is private; nothing was sent")
	look("cases", "dns", "dns: no such host; nothing was sent")
	with(t, "the page", site.get(settingsPath).text(), "Reachable at 192.0.2.1:443 . Checked just now .",
		"Address not allowed: re.example leads to 10.1.2.3, which is private; nothing was sent. Checked just now .",
		"DNS: no such host; nothing was sent. Checked just now .", "Not checked yet: a worker does so within ten seconds after the URL is saved.")
}

// A page without its tables is no fault of the program, and the operator knows what to do.
func TestPage_WithoutTheSchemaSaysWhatToDo(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	site.get(settingsPath) // its connections know the tables
	db.exec(`drop schema webhook cascade`)
	for _, path := range []string{settingsPath, "/settings/general", "/deliveries", "/deliveries/7", "/deliveries/resend", "/overview"} {
		p := site.get(path)
		if p.status != 503 || !strings.Contains(p.text(), "this database has no webhook schema; run: webhooks migrate") || strings.Contains(p.text(), "fault of the program") {
			t.Errorf("%s: status %d: %s", path, p.status, p.text())
		}
	}
}
