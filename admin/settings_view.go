package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// settingsView is what the page of the channels shows.
type settingsView struct {
	Notices  []notice    // on top: what was saved, what is wrong
	Problems []fieldLink // to each field that is wrong or in conflict
	Groups   []channelGroup
	Auth     authGroup
	Recent   []Change
	Plain    []string // secrets in plain text although there is a key
	Absent   bool     // no worker was seen within a minute
	Seen     *time.Time
}

// notice is a sentence with a tone.
type notice struct {
	Tone, Text string
}

// fieldLink leads to a field that needs attention.
type fieldLink struct{ To, Text string }

// field is a text field as it is shown.
type field struct {
	ID, Name, Label, Value string
	Wrong                  string // what is wrong with it
}

// channelGroup is a channel with what is known about it.
type channelGroup struct {
	Name, Title    string
	Was            string
	URL            field
	Enabled        bool
	Statuses       field
	InFlight       field
	PerSecond      field
	Traceparent    bool
	Open           bool // the advanced settings differ from the usual ones, or are wrong
	Changed        bool // typed, and not saved
	Theirs         *theirs
	State          state
	Because        string // the state, in a sentence
	BecauseGeneral bool   // it is to be changed in General
	Facts          ChannelFacts
	HasURL         bool
	EndsSoon       bool // the certificate
	Tool           *tool
	Plain          bool // a token goes to an http:// URL
	WarnOfVolume   bool // it may have very many events
	WeekPerDay     int64
	Waits          int64 // events that wait for the channel to be enabled
	TokenRefused   bool  // the tool refuses a request with a token
	ToolOpen       bool  // its hint: until the channel is healthy
}

// theirs are the values that another person has saved meanwhile.
type theirs struct {
	*channelForm
	By *Change
}

// authGroup is "Webhook Auth".
type authGroup struct {
	Was      string
	Bearer   bool
	TokenSet bool
	Token    field
	Retype   bool // a token was typed that is not kept
	Ask      []endpoint
	Conflict bool
	By       *Change
	Saved    string // "Bearer Token" or "None", what another person has saved
	Changed  bool
}

func (s *site) renderSettings(w http.ResponseWriter, r *http.Request, status int, now Settings, save *saving, notices []notice) error {
	v, err := s.settingsView(r.Context(), now, save)
	if err != nil {
		return err
	}
	v.Notices = append(notices, v.Notices...)
	switch {
	case status == http.StatusConflict:
		v.Notices = append(v.Notices, notice{Tone: "wait", Text: "Nothing was saved: another person has changed the same settings since you opened this page. " +
			"What you entered is still here, beside what they saved. Save again to overwrite it, or open the page anew to keep it."})
	case len(v.Problems) > 0:
		v.Notices = append(v.Notices, notice{Tone: "bad", Text: "Nothing was saved. Correct what is marked, then save again:"})
	}
	s.render(w, r, status, "settings.html", "Webhooks", v)
	return nil
}

func (s *site) settingsView(ctx context.Context, now Settings, save *saving) (v settingsView, err error) {
	facts, err := s.store.ChannelFacts(ctx)
	if err != nil {
		return v, err
	}
	waiting, err := s.store.Waiting(ctx, true)
	if err != nil {
		return v, err
	}
	if v.Recent, err = s.store.RecentChanges(ctx, mostChanges); err != nil {
		return v, err
	}
	if v.Seen, err = s.store.WorkerSeen(ctx); err != nil {
		return v, err
	}
	if v.Plain, err = s.store.PlainSecrets(ctx); err != nil {
		return v, err
	}
	v.Absent = v.Seen == nil || time.Since(*v.Seen) > workerAbsentAfter
	for i, c := range now.Channels {
		shown := c.shownAs()
		if save.form != nil && i < len(save.form.channels) && save.form.channels[i].changed {
			shown = save.form.channels[i]
		}
		v.add(groupOf(now, c, shown, facts[c.Name]), waiting)
	}
	v.Auth = s.authGroup(now, save, v.Recent)
	v.Problems = append(v.Problems, problemsOf("Webhook Auth", v.Auth.Token)...)
	if v.Auth.Conflict {
		v.Problems = append(v.Problems, fieldLink{"#" + v.Auth.Token.ID, "Webhook Auth"})
	}
	return v, nil
}

// add adds a channel, with what waits on it and who has changed it meanwhile.
func (v *settingsView) add(g channelGroup, waiting []Waiting) {
	for _, w := range waiting {
		if w.Channel == g.Name {
			g.Waits = w.Events
		}
	}
	if g.Theirs != nil {
		g.Theirs.By = savedMeanwhile(v.Recent, g.Name)
		v.Problems = append(v.Problems, fieldLink{"#" + g.URL.ID, g.Title})
	}
	v.Groups = append(v.Groups, g)
	v.Problems = append(v.Problems, problemsOf(g.Title, g.URL, g.Statuses, g.InFlight, g.PerSecond)...)
}

func problemsOf(group string, fields ...field) (links []fieldLink) {
	for _, f := range fields {
		if f.Wrong != "" {
			links = append(links, fieldLink{"#" + f.ID, group + ", " + f.Label})
		}
	}
	return links
}

// groupOf is a channel as it is saved, with what is shown of it in its fields.
func groupOf(now Settings, saved ChannelSettings, shown *channelForm, facts ChannelFacts) channelGroup {
	entry := func(name, label, value string) field {
		return field{ID: saved.Name + "-" + name, Name: saved.Name + "." + name, Label: label, Value: value, Wrong: shown.wrong[name]}
	}
	g := channelGroup{
		Name: saved.Name, Title: channelTitle(saved.Name), Was: shown.Was, Enabled: shown.Enabled, Changed: shown.changed,
		URL: entry("url", "URL", shown.URL), Statuses: entry("statuses", "Accepted statuses", shown.Statuses),
		InFlight: entry("in_flight", "Max in flight", shown.MaxInFlight), PerSecond: entry("per_second", "Max per second", shown.MaxPerSecond),
		Traceparent: shown.Traceparent,
		Facts:       facts, HasURL: saved.URL != "", WarnOfVolume: saved.Name == auditLogChannel, WeekPerDay: (facts.WeekEvents + 6) / 7,
	}
	g.Open = shown.wrong["statuses"]+shown.wrong["in_flight"]+shown.wrong["per_second"] != "" || shown.theirs != nil
	if shown.theirs != nil {
		g.Was = shown.theirs.shownAs().Was // saving again overwrites knowingly
		g.Theirs = &theirs{channelForm: shown.theirs.shownAs()}
	}
	if found, ok := toolOf(shown.URL); ok {
		g.Tool = &found
		g.TokenRefused = found.RefusesToken && now.Auth == "bearer"
	}
	g.Plain = now.Auth == "bearer" && strings.HasPrefix(strings.ToLower(saved.URL), "http://")
	ends := facts.Look.CertificateEnds
	g.EndsSoon = ends != nil && time.Until(*ends) < certificateNotice
	h := health{Enabled: saved.Enabled, Offline: now.OfflineMode, Problem: facts.Problem, PausedUntil: facts.PausedUntil,
		FailingSince: facts.FailingSince, LastSuccess: facts.LastSuccess, EverUsed: facts.EverUsed}
	g.State = channelState(h, time.Now())
	g.ToolOpen = g.State.Tone != "ok"
	g.Because, g.BecauseGeneral = becauseOf(now, saved, h)
	return g
}

// becauseOf is why a channel is held, as a sentence; general: it is to be changed in General.
func becauseOf(now Settings, c ChannelSettings, h health) (because string, general bool) {
	if because = heldBecause(h, time.Now()); because == "" {
		return "", false
	}
	return "Held: " + because + ".", now.OfflineMode || c.Name == documentsChannel && now.DocumentBaseURL == ""
}

// The only channels that the page knows by name; all others come from the database.
const (
	documentsChannel = "documents" // its payload has a link that begins with the document base URL
	auditLogChannel  = "audit_log" // every action of every user is one of its events
)

// Words are what was changed, with the names of the page's controls for those of the columns.
func (c Change) Words() string {
	note := c.Note
	if rest, ok := strings.CutPrefix(note, c.Channel+": "); ok && c.Channel != "" {
		note = channelTitle(c.Channel) + ": " + rest
	}
	return noteWords.Replace(note)
}

var noteWords = strings.NewReplacer(
	"document_base_url", "Document base URL", "accept_status", "Accepted statuses", "max_in_flight", "Max in flight",
	"max_per_second", "Max per second", "send_traceparent", "Send traceparent", "auth none → bearer", "Webhook Auth: Bearer Token", "auth bearer → none", "Webhook Auth: None",
)

func (s *site) authGroup(now Settings, save *saving, recent []Change) authGroup {
	g := authGroup{Was: s.authVersion(now).String(), Bearer: now.Auth == "bearer", TokenSet: now.TokenSet,
		Token: field{ID: "token", Name: "token", Label: "Token"}, Ask: slices.DeleteFunc(slices.Clone(save.ask), func(e endpoint) bool { return e.Key == "" })}
	if save.form == nil {
		return g
	}
	form := &save.form.auth
	was, _ := versionOf(form.Was)
	if form.Auth == was.auth && form.Token == "" && len(form.wrong) == 0 {
		return g // this person has not changed it
	}
	g.Changed, g.Conflict, g.Token.Wrong, g.Retype = true, form.conflict, form.wrong["token"], form.Token != ""
	g.Saved = map[bool]string{true: "Bearer Token", false: "None"}[g.Bearer]
	g.Bearer = form.Auth == "bearer"
	if form.conflict {
		g.By = savedMeanwhile(recent, "")
		return g
	}
	g.Was = form.Was
	return g
}

// savedNotices says what was saved and what was repaired, from the codes in the address.
func savedNotices(query url.Values, now Settings) (notices []notice) {
	var saved []string
	for _, name := range query["saved"] {
		switch _, known := now.channel(name); {
		case name == "nothing":
			notices = append(notices, notice{Tone: "off", Text: "Nothing was saved: no setting was changed."})
		case name == "auth":
			saved = append(saved, "Webhook Auth")
		case known:
			saved = append(saved, channelTitle(name))
		}
	}
	if len(saved) > 0 {
		notices = append(notices, notice{Tone: "ok", Text: "Saved: " + strings.Join(saved, ", ") + "."})
	}
	for _, repaired := range query["repaired"] {
		if text := repairedInWords(repaired, now); text != "" {
			notices = append(notices, notice{Tone: "off", Text: text})
		}
	}
	return notices
}

func repairedInWords(repaired string, now Settings) string {
	code, name, _ := strings.Cut(repaired, ".")
	channel, isChannel := now.channel(name)
	switch {
	case code == repairedSpace && isChannel:
		return "White space or invisible characters around the URL of " + channelTitle(name) + " were removed."
	case code == repairedHost && isChannel:
		_, host := endpointOf(channel.URL)
		return "The international host name of " + channelTitle(name) + " is saved as " + host + " (punycode)."
	case code == repairedSpace && name == "auth":
		return "White space or invisible characters around the token were removed."
	case code == repairedBearer && name == "auth":
		return "The word Bearer in front of the token was removed: it is sent with each token."
	}
	return ""
}
