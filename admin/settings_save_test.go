package admin

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// savedSettings are those of a database with two channels.
func savedSettings() Settings {
	return Settings{Auth: "bearer", TokenSet: true, TokenSum: "sum", Updated: time.Unix(1000, 0), Channels: []ChannelSettings{
		{Name: "documents", URL: "https://a.example/1", Enabled: true, AcceptStatuses: []int{200, 201, 204}, MaxInFlight: 128},
		{Name: "audit_log", URL: "https://b.example/2", AcceptStatuses: []int{200}, MaxInFlight: 5, MaxPerSecond: 30},
	}}
}

// formOf is what a browser sends for a page that shows these settings; pairs are what the person typed.
func formOf(s *site, now Settings, pairs ...string) url.Values {
	form := url.Values{"auth": {now.Auth}, "auth.was": {s.authVersion(now).String()}, "token": {""}}
	for _, c := range now.Channels {
		shown := c.shownAs()
		for name, value := range map[string]string{"was": shown.Was, "url": shown.URL, "statuses": shown.Statuses, "in_flight": shown.MaxInFlight, "per_second": shown.MaxPerSecond} {
			form.Set(c.Name+"."+name, value)
		}
		if c.Enabled {
			form.Set(c.Name+".enabled", "on")
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// saveOver is what such a form changes of the settings as they are by now.
func saveOver(t *testing.T, s *site, shown, now Settings, pairs ...string) (SettingsChange, *saving, error) {
	t.Helper()
	form, err := readSettingsForm(formOf(s, shown, pairs...), shown)
	if err != nil {
		t.Fatal(err)
	}
	if err := form.check(func(urls []string) ([]string, error) { return make([]string, len(urls)), nil }); err != nil {
		t.Fatal(err)
	}
	save := &saving{site: s, form: form}
	change, err := save.decide(now)
	return change, save, err
}

func TestSaving_OnlyWhatThePersonChanged(t *testing.T) {
	s := &site{formKey: []byte("key")}
	shown := savedSettings()
	theirs := savedSettings()
	theirs.Channels[1].URL, theirs.DocumentBaseURL, theirs.OfflineMode, theirs.Updated = "https://b.example/theirs", "https://re.example", true, time.Unix(2000, 0)
	change, save, err := saveOver(t, s, shown, theirs, "documents.in_flight", "7")
	if err != nil || len(change.Channels) != 1 || change.Channels[0].Name != "documents" || change.Channels[0].MaxInFlight != 7 || change.Auth != nil || change.Token != nil {
		t.Errorf("%+v, %v: only documents was changed by this person", change, err)
	}
	if !slices.Equal(save.saved, []string{"documents"}) {
		t.Errorf("it says that %q were saved", save.saved)
	}
	if change, _, err := saveOver(t, s, shown, theirs); err != nil || !changesNothing(change) {
		t.Errorf("a form without a change: %+v, %v", change, err)
	}
	// Written in another way, and the same.
	if change, _, err := saveOver(t, s, shown, shown, "documents.statuses", "200;201 ,204", "documents.url", " https://a.example/1"); err != nil || !changesNothing(change) {
		t.Errorf("the same in other words: %+v, %v", change, err)
	}
}

func changesNothing(c SettingsChange) bool {
	return len(c.Channels) == 0 && c.Auth == nil && c.Token == nil && c.DocumentBaseURL == nil && c.OfflineMode == nil && c.Release == nil
}

func TestSaving_TheSameGroupIsAConflict(t *testing.T) {
	s := &site{formKey: []byte("key")}
	shown := savedSettings()
	theirs := savedSettings()
	theirs.Channels[1].MaxInFlight = 6
	change, save, err := saveOver(t, s, shown, theirs, "audit_log.url", "https://b.example/mine", "documents.in_flight", "7")
	if !errors.Is(err, errConflict) || !changesNothing(change) {
		t.Errorf("%+v, %v", change, err)
	}
	if theirs := save.form.channels[1].theirs; theirs == nil || theirs.MaxInFlight != 6 || save.form.channels[0].theirs != nil {
		t.Error("what the other person saved is not kept for the page")
	}
	// What both have typed is no conflict.
	theirs.Channels[1] = shown.Channels[1]
	theirs.Channels[1].URL = "https://b.example/both"
	if change, _, err := saveOver(t, s, shown, theirs, "audit_log.url", "https://b.example/both"); err != nil || !changesNothing(change) {
		t.Errorf("both have saved the same: %+v, %v", change, err)
	}
}

func TestSaving_TheTokenOfTwoPeople(t *testing.T) {
	shown := savedSettings()
	other := func(change func(*Settings)) Settings {
		now := savedSettings()
		now.Updated = time.Unix(2000, 0)
		change(&now)
		return now
	}
	for _, c := range []struct {
		what     string
		now      Settings
		restart  bool // of the page's process: another key
		pairs    []string
		conflict bool
	}{
		{"no session", shown, false, []string{"token", "mine"}, false},
		{"no session, after a restart", shown, true, []string{"token", "mine"}, false},
		{"Offline Mode", other(func(s *Settings) { s.OfflineMode = true }), false, []string{"token", "mine"}, false},
		{"another token", other(func(s *Settings) { s.TokenSum = "theirs" }), false, []string{"token", "mine"}, true},
		{"another token, and None", other(func(s *Settings) { s.TokenSum = "theirs" }), false, []string{"auth", "none"}, true},
		{"both None", other(func(s *Settings) { s.Auth = "none" }), false, []string{"auth", "none"}, false},
		{"None, and a token", other(func(s *Settings) { s.Auth = "none" }), false, []string{"token", "mine"}, true},
		{"another token, this person changed nothing", other(func(s *Settings) { s.TokenSum = "theirs" }), false, nil, false},
	} {
		s := &site{formKey: []byte("key")}
		form, err := readSettingsForm(formOf(s, shown, c.pairs...), shown)
		if err != nil {
			t.Fatal(err)
		}
		if c.restart {
			s = &site{formKey: []byte("another")}
		}
		_, err = (&saving{site: s, form: form}).decide(c.now)
		if errors.Is(err, errConflict) != c.conflict || !c.conflict && err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestSaving_TheTokenGoesToNoNewServerUnasked(t *testing.T) {
	s := &site{formKey: []byte("key")}
	none := savedSettings()
	none.Auth = "none"
	unset := none
	unset.TokenSet = false
	for _, c := range []struct {
		what  string
		now   Settings
		pairs []string
		asks  string
	}{
		{"the same server", savedSettings(), []string{"documents.url", "https://A.example:443/other"}, ""},
		{"that of another channel", savedSettings(), []string{"documents.url", "https://b.example/3"}, ""},
		{"another host", savedSettings(), []string{"documents.url", "https://c.example/"}, "c.example"},
		{"another port", savedSettings(), []string{"documents.url", "https://a.example:8443/"}, "a.example:8443"},
		{"without TLS", savedSettings(), []string{"documents.url", "http://a.example/"}, "a.example"},
		{"two at once", savedSettings(), []string{"documents.url", "https://c.example/", "audit_log.url", "https://d.example/"}, "c.example d.example"},
		{"one for two", savedSettings(), []string{"documents.url", "https://c.example/1", "audit_log.url", "https://c.example/2"}, "c.example"},
		{"ticked", savedSettings(), []string{"documents.url", "https://c.example/", "send_to", "c.example 443"}, ""},
		{"another ticked", savedSettings(), []string{"documents.url", "https://c.example/", "send_to", "a.example 443"}, "c.example"},
		{"typed again", savedSettings(), []string{"documents.url", "https://c.example/", "token", "t"}, ""},
		{"and None", savedSettings(), []string{"documents.url", "https://c.example/", "auth", "none"}, ""},
		{"removed", savedSettings(), []string{"audit_log.url", ""}, ""},
		{"while None", none, []string{"documents.url", "https://c.example/"}, ""},
		{"from None to Bearer Token", none, []string{"auth", "bearer"}, "a.example b.example"},
	} {
		form, err := readSettingsForm(formOf(s, c.now, c.pairs...), c.now)
		if err != nil {
			t.Fatal(err)
		}
		if err := form.check(func(urls []string) ([]string, error) { return make([]string, len(urls)), nil }); err != nil {
			t.Fatal(err)
		}
		save := &saving{site: s, form: form}
		change, err := save.decide(c.now)
		var asks []string
		for _, e := range save.ask {
			asks = append(asks, e.Host)
		}
		if strings.Join(asks, " ") != c.asks || (err == nil) != (c.asks == "") || err != nil && !changesNothing(change) {
			t.Errorf("%s: asks for %q, %v; want %q", c.what, asks, err, c.asks)
		}
	}
	if _, save, err := saveOver(t, s, unset, unset, "auth", "bearer"); !errors.Is(err, errNotSaved) || save.form.auth.wrong["token"] == "" {
		t.Errorf("Bearer Token without a token: %v", err)
	}
}

// TestAuthVersion_ShowsNothingOfTheToken: who has the page cannot try tokens against it.
func TestAuthVersion_ShowsNothingOfTheToken(t *testing.T) {
	now := savedSettings()
	one, two := (&site{formKey: []byte("one")}).authVersion(now), (&site{formKey: []byte("two")}).authVersion(now)
	if one.token == two.token || strings.Contains(one.String(), now.TokenSum) {
		t.Errorf("%s, %s: it does not depend on the key", one, two)
	}
	if !one.same(two) {
		t.Error("another process takes the unchanged settings for changed ones")
	}
}

// TestFingerprint_TellsValuesApart: also where one value ends as the next begins.
func TestFingerprint_TellsValuesApart(t *testing.T) {
	if fingerprint("ab", "c") == fingerprint("a", "bc") || fingerprint("a") == fingerprint("a", "") || fingerprint("1:a") == fingerprint("1", "a") {
		t.Error("different values have one fingerprint")
	}
}
