package admin

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Two people: each group carries a fingerprint of the values that the form was made from. What a person has
// not changed is not written; what another one has changed as well meanwhile is a conflict, and nothing is saved.
var (
	errConflict = errors.New("another person has saved the same group meanwhile")
	errNotSaved = errors.New("a field is wrong")
)

// shownAs are the values of a channel as its fields show them.
func (c ChannelSettings) shownAs() *channelForm {
	statuses := make([]string, len(c.AcceptStatuses))
	for i, status := range c.AcceptStatuses {
		statuses[i] = strconv.Itoa(status)
	}
	shown := &channelForm{Name: c.Name, URL: c.URL, Enabled: c.Enabled, Statuses: strings.Join(statuses, ", "), MaxInFlight: strconv.Itoa(c.MaxInFlight), Traceparent: c.SendTraceparent}
	if c.MaxPerSecond > 0 {
		shown.MaxPerSecond = strconv.Itoa(c.MaxPerSecond)
	}
	shown.Was = shown.fingerprint()
	return shown
}

// fingerprint is one of the values of a group as they are in its fields.
func (c *channelForm) fingerprint() string {
	return fingerprint(c.Name, c.URL, strconv.FormatBool(c.Enabled), c.Statuses, c.MaxInFlight, c.MaxPerSecond, strconv.FormatBool(c.Traceparent))
}

func fingerprint(values ...string) string {
	sum := sha256.New()
	for _, value := range values {
		sum.Write([]byte(strconv.Itoa(len(value)) + ":" + value))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// authVersion is which authentication a form was made from. Of the token it has a sum under a key of this
// process, so that it cannot be guessed from the page; and when the settings were last changed, for another process.
type authVersion struct{ auth, updated, token string }

func (s *site) authVersion(now Settings) authVersion {
	sum := hmac.New(sha256.New, s.formKey)
	sum.Write([]byte(now.TokenSum))
	return authVersion{now.Auth, strconv.FormatInt(now.Updated.UnixMicro(), 10), hex.EncodeToString(sum.Sum(nil)[:16])}
}

func (v authVersion) String() string { return v.auth + "." + v.updated + "." + v.token }

func versionOf(text string) (v authVersion, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] != "none" && parts[0] != "bearer" {
		return v, false
	}
	return authVersion{parts[0], parts[1], parts[2]}, true
}

// same reports whether neither the choice nor the token has changed between the two.
func (v authVersion) same(other authVersion) bool {
	return v.auth == other.auth && (v.updated == other.updated || v.token == other.token)
}

// saving decides what a form changes of the settings as they are now.
type saving struct {
	site  *site
	form  *settingsForm
	saved []string   // the groups that are changed
	ask   []endpoint // where the token would be sent as well, which was not confirmed
}

// endpoint is a server that gets the token.
type endpoint struct{ Key, Host string }

func (s *saving) decide(now Settings) (change SettingsChange, err error) {
	s.saved, s.ask = nil, nil // it may be asked more than once
	s.form.auth.wrong, s.form.auth.conflict = map[string]string{}, false
	conflict := false
	for _, c := range s.form.channels {
		c.theirs = nil
		saved, ok := now.channel(c.Name)
		if !ok || !c.changed || c.parsed.equal(saved) {
			continue
		}
		if saved.shownAs().Was != c.Was {
			c.theirs, conflict = &saved, true
			continue
		}
		change.Channels = append(change.Channels, c.parsed)
		s.saved = append(s.saved, c.Name)
	}
	if s.decideAuth(now, &change) {
		conflict = true
	}
	switch {
	case conflict:
		return SettingsChange{}, errConflict
	case s.form.anyWrong():
		return SettingsChange{}, errNotSaved
	}
	if s.ask = s.unconfirmed(now, change); len(s.ask) > 0 {
		s.form.auth.wrong["token"] = "Type the token again, or tick where it may be sent as well. Nothing is saved yet: a typing error in a URL must not send the token to another server."
		return SettingsChange{}, errNotSaved
	}
	return change, nil
}

func (s *saving) decideAuth(now Settings, change *SettingsChange) (conflict bool) {
	form := &s.form.auth
	was, _ := versionOf(form.Was)
	if form.Token == "" && (form.Auth == was.auth || form.Auth == now.Auth) {
		return false // as it was, or as another person has set it
	}
	if !was.same(s.site.authVersion(now)) {
		form.conflict = true
		return true
	}
	if form.Auth == "bearer" && form.Token == "" && !now.TokenSet {
		form.wrong["token"] = "Bearer Token is selected, and no token is set. Paste the token, or select None."
		return false
	}
	if form.Auth != now.Auth {
		change.Auth = &form.Auth
	}
	if form.Token != "" {
		change.Token = &form.Token
	}
	s.saved = append(s.saved, "auth")
	return false
}

// unconfirmed are the endpoints that the token which is set would be sent to from now on, and was not before.
func (s *saving) unconfirmed(now Settings, change SettingsChange) (ask []endpoint) {
	auth := now.Auth
	if change.Auth != nil {
		auth = *change.Auth
	}
	if auth != "bearer" || change.Token != nil || !now.TokenSet {
		return nil
	}
	confirmed := maps.Clone(s.form.sendTo)
	if now.Auth == "bearer" {
		for _, c := range now.Channels {
			key, _ := endpointOf(c.URL)
			confirmed[key] = true
		}
	}
	confirmed[""] = false // an address that cannot be distinguished from another
	for i, c := range after(now, change) {
		key, host := endpointOf(c.URL)
		asIs := c.URL == now.Channels[i].URL && (now.Auth == "bearer" || key == "")
		if c.URL == "" || asIs || confirmed[key] || slices.Contains(ask, endpoint{key, host}) {
			continue
		}
		ask = append(ask, endpoint{key, host})
	}
	return ask
}

// TokenMovesTo is the host to which the token that is set would follow a channel's URL from another one; "" if it stays
// where it is, or goes to no endpoint that does not have it already.
func TokenMovesTo(now Settings, changed ChannelSettings) (host string) {
	key, host := endpointOf(changed.URL)
	if now.Auth != "bearer" || !now.TokenSet || changed.URL == "" {
		return ""
	}
	moves := false
	for _, c := range now.Channels {
		known, _ := endpointOf(c.URL)
		switch {
		case c.URL == changed.URL && c.Name == changed.Name, key != "" && known == key:
			return ""
		case c.Name == changed.Name:
			moves = c.URL != ""
		}
	}
	if !moves {
		return ""
	}
	return cmp.Or(host, "another host")
}

// after are the channels once a change is saved.
func after(now Settings, change SettingsChange) []ChannelSettings {
	channels := slices.Clone(now.Channels)
	for i, c := range channels {
		if at := slices.IndexFunc(change.Channels, func(n ChannelSettings) bool { return n.Name == c.Name }); at >= 0 {
			channels[i] = change.Channels[at]
		}
	}
	return channels
}

// savedMeanwhile is who changed a group last, for a conflict.
func savedMeanwhile(recent []Change, channel string) *Change {
	for _, c := range recent {
		if c.Channel == channel && time.Since(c.At) < 24*time.Hour {
			return &c
		}
	}
	return nil
}
