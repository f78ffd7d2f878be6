package integration_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/signature"
)

const secretsPagePath = "/settings/integrations/webhooks/secrets"

var shownSecret = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+|whpk_[A-Za-z0-9+/=]+`)

// made makes a signing secret on the page, and returns what is shown, and where.
func made(t *testing.T, site *site, kind, overlap string) (shown, at string) {
	t.Helper()
	answer := site.post(secretsPagePath, url.Values{"kind": {kind}, "overlap": {overlap}})
	page := answer.follow()
	if shown = shownSecret.FindString(html.UnescapeString(page.source)); shown == "" {
		t.Fatalf("no secret is shown: %s", page.text())
	}
	if strings.Contains(answer.location, shown) {
		t.Error("the address holds the secret")
	}
	return shown, answer.location
}

// TestPageSecrets_IsShownOnce: not in an address, and not when the page is loaded again.
func TestPageSecrets_IsShownOnce(t *testing.T) {
	t.Parallel()
	_, site := settingsSite(t)
	if text := site.get(secretsPagePath).text(); !strings.Contains(text, "Requests are not signed") {
		t.Errorf("without one: %s", text)
	}
	for _, kind := range []string{"hmac", "ed25519"} {
		shown, at := made(t, site, kind, "24h")
		if _, err := signature.Parse(shown); err != nil && kind == "hmac" {
			t.Errorf("%s: %v", kind, err)
		}
		again := site.get(at)
		if strings.Contains(again.source, shown) || shownSecret.MatchString(again.source) {
			t.Errorf("%s: it is shown again", kind)
		}
		if text := again.text(); !strings.Contains(text, "was shown once") {
			t.Errorf("%s: loaded again: %s", kind, text)
		}
	}
	if page := site.get(secretsPagePath); shownSecret.MatchString(page.source) || strings.Contains(page.source, "whsk_") {
		t.Error("the list shows a secret")
	}
}

// TestPageSecrets_ARotationHasAnEndThatIsShown: the older one signs beside the new one until then, and a person
// can retire it before.
func TestPageSecrets_ARotationHasAnEndThatIsShown(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	made(t, site, "hmac", "24h")
	made(t, site, "hmac", "24h")
	made(t, site, "ed25519", "24h")
	if n := db.count(`select count(*) from webhook.secrets where id = 1 and ends_at between now() + interval '23 hours' and now() + interval '24 hours'`); n != 1 {
		t.Error("the older one does not end after a day")
	}
	if n := db.count(`select count(*) from webhook.secrets where id > 1 and ends_at is null`); n != 2 {
		t.Error("one without a successor of its kind has an end")
	}
	if text := site.get(secretsPagePath).text(); !strings.Contains(text, "Signs until "+db.ask(`select to_char(ends_at, 'YYYY-MM-DD HH24:MI:SS') from webhook.secrets where id = 1`)) {
		t.Errorf("its end is not shown: %s", text)
	}
	if text := site.get(secretsPagePath + "/1/retire").text(); !strings.Contains(text, "Retire signing secret 1?") {
		t.Errorf("it is not asked: %s", text)
	}
	site.post(secretsPagePath+"/1/retire", nil).follow()
	if n := db.count(`select count(*) from webhook.secrets where id = 1 and ends_at <= now()`); n != 1 {
		t.Error("it was not retired")
	}
	for _, id := range []string{"1", "99", "x", "-1", "99999999999999999999"} {
		if page := site.post(secretsPagePath+"/"+id+"/retire", nil); page.status != http.StatusNotFound || !strings.Contains(page.text(), "no such signing secret") {
			t.Errorf("retire %s: %d %s", id, page.status, page.text())
		}
	}
	if note := db.ask(`select note from webhook.interventions where note like 'signing secret 1%' order by id desc limit 1`); !strings.Contains(note, "ended") {
		t.Errorf("recorded: %s", note)
	}
}

func TestPageSecrets_WrongInputMakesNone(t *testing.T) {
	t.Parallel()
	db, site := settingsSite(t)
	for _, form := range []url.Values{{}, {"kind": {"rsa"}, "overlap": {"24h"}}, {"kind": {"hmac"}}, {"kind": {"hmac"}, "overlap": {"-1h"}}, {"kind": {"hmac"}, "overlap": {"99999h"}}, {"kind": {"\x00"}, "overlap": {"24h"}}} {
		if page := site.post(secretsPagePath, form); page.status != http.StatusUnprocessableEntity || !strings.Contains(page.text(), "No secret was made") {
			t.Errorf("%v: %d %s", form, page.status, page.text())
		}
	}
	if n := db.count(`select count(*) from webhook.secrets`); n != 0 {
		t.Errorf("%d secrets were made", n)
	}
}
