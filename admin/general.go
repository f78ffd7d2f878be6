package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

const generalPath = "/settings/general"

// generalForm is what a person sent from the page General, or from the step that turns Offline Mode off.
type generalForm struct {
	offline, offlineWas bool
	typed, base         string // the base URL, and how it is saved
	baseWas             string // its fingerprint

	asked   bool              // they have answered what becomes of that which waits
	answers map[string]string // by channel: deliver or discard

	baseChanged  bool
	wrong        string // what is wrong with the base URL
	repaired     []string
	conflict     bool
	unanswered   map[string]bool
	offlineSaved bool
	baseSaved    bool
}

const (
	answerDeliver = "deliver"
	answerDiscard = "discard"
)

func readGeneralForm(form url.Values, now Settings) (*generalForm, error) {
	in := fieldsOf(form)
	f := &generalForm{offline: in.tick("offline"), offlineWas: in.choice("offline.was", "on", "off") == "on",
		typed: in.text("base_url"), baseWas: in.text("base_url.was"), asked: in.tick("asked"), answers: map[string]string{}, unanswered: map[string]bool{}}
	f.base = f.typed
	f.baseChanged = fingerprint(f.typed) != f.baseWas
	for _, c := range now.Channels {
		if name := "waiting." + c.Name; form.Has(name) {
			f.answers[c.Name] = in.choice(name, answerDeliver, answerDiscard)
		}
	}
	return f, in.done()
}

// check repairs the base URL, and examines it if this person has changed it. urlProblems is that of the Store.
func (f *generalForm) check(urlProblems func([]string) ([]string, error)) error {
	if !f.baseChanged {
		return nil
	}
	f.base, f.repaired = RepairURL(f.typed)
	if f.base == "" {
		return nil
	}
	problems, err := urlProblems([]string{storable(f.base)})
	if err != nil {
		return err
	}
	switch {
	case len(f.base) > maxURL:
		f.wrong = "The address is too long. Paste it again: it may be there more than once."
	case unseenIn(f.base) != "":
		f.wrong = "The address contains " + unseenIn(f.base) + ". Type it as one word."
	case strings.ContainsAny(f.base, " ?#"):
		f.wrong = "The address contains a space, a ? or a #, and doc_url begins with it. Enter it without."
	case problems[0] != "":
		f.wrong = urlInWords(problems[0]) + " For example: https://yourinstance.recordengine.ai"
	case strings.Contains(strings.SplitN(f.base, "/", 4)[2], "@"):
		f.wrong = "The address contains a user name or a password, which every doc_url would show. Enter it without."
	}
	return nil
}

// decide is what the form changes of the settings as they are now. The switch itself cannot be in conflict:
// it is as this person wants it, or as they saw it.
func (f *generalForm) decide(now Settings) (change SettingsChange, err error) {
	f.conflict, f.baseSaved, f.offlineSaved = false, false, false // it may be asked more than once
	if f.baseChanged && f.base != now.DocumentBaseURL {
		if fingerprint(now.DocumentBaseURL) != f.baseWas {
			f.conflict = true
			return change, errConflict
		}
		change.DocumentBaseURL, f.baseSaved = &f.base, true
	}
	if f.offline == f.offlineWas || f.offline == now.OfflineMode {
		return change, nil
	}
	f.offlineSaved = true
	if discarded := f.discarded(now); len(discarded) > 0 {
		change.Release = &Release{Discard: discarded}
	} else {
		change.OfflineMode = &f.offline
	}
	return change, nil
}

func (f *generalForm) discarded(now Settings) (channels []string) {
	for _, c := range now.Channels {
		if f.answers[c.Name] == answerDiscard {
			channels = append(channels, c.Name)
		}
	}
	return channels
}

// turnsOff reports whether the form turns Offline Mode off.
func (f *generalForm) turnsOff(now Settings) bool {
	return now.OfflineMode && f.offlineWas && !f.offline
}

// unansweredOf notes the channels on which events wait and for which there is no answer.
func (f *generalForm) unansweredOf(waiting []Waiting) bool {
	for _, w := range waiting {
		if f.answers[w.Channel] == "" {
			f.unanswered[w.Channel] = true
		}
	}
	return len(f.unanswered) > 0
}

func (s *site) generalPage(w http.ResponseWriter, r *http.Request) error {
	now, err := s.store.Settings(r.Context())
	if err != nil {
		return err
	}
	return s.renderGeneral(w, r, http.StatusOK, now, nil, generalNotices(r.URL.Query(), now))
}

func (s *site) saveGeneral(w http.ResponseWriter, r *http.Request) error {
	now, err := s.store.Settings(r.Context())
	if err != nil {
		return err
	}
	form, err := readGeneralForm(r.PostForm, now)
	if err != nil {
		return err
	}
	if err := form.check(func(urls []string) ([]string, error) { return s.store.URLProblems(r.Context(), urls) }); err != nil {
		return err
	}
	if form.wrong != "" {
		return s.renderGeneral(w, r, http.StatusUnprocessableEntity, now, form, nil)
	}
	if form.turnsOff(now) {
		waiting, err := s.store.Waiting(r.Context(), false)
		if err != nil {
			return err
		}
		if form.unansweredOf(waiting) {
			return s.renderRelease(w, r, form, waiting)
		}
	}
	operation, err := s.store.ChangeSettings(r.Context(), userOf(r), form.decide)
	if err != nil {
		return s.generalNotSaved(w, r, now, form, err)
	}
	s.afterGeneral(w, r, form, operation)
	return nil
}

// generalNotSaved shows the form again, with why nothing was saved.
func (s *site) generalNotSaved(w http.ResponseWriter, r *http.Request, now Settings, form *generalForm, err error) error {
	var refused *SettingRefused
	switch {
	case errors.Is(err, ErrReleasing):
		return failure{Status: http.StatusConflict, Title: "Offline Mode is being turned off already",
			Means: "Another person has begun it, or it is off by now. Nothing was changed.", Do: "Open General again to see how it is."}
	case errors.Is(err, ErrSettingsLocked):
		return s.renderGeneral(w, r, http.StatusServiceUnavailable, now, form, []notice{{Tone: "bad", Text: lockedInWords}})
	case errors.As(err, &refused):
		form.wrong = "The database does not accept it: " + refused.Words + "."
		return s.renderGeneral(w, r, http.StatusUnprocessableEntity, now, form, nil)
	case !errors.Is(err, errConflict):
		return err
	}
	if now, err = s.store.Settings(r.Context()); err != nil {
		return err
	}
	return s.renderGeneral(w, r, http.StatusConflict, now, form, nil)
}

func (s *site) afterGeneral(w http.ResponseWriter, r *http.Request, form *generalForm, operation int64) {
	if operation != 0 {
		s.wakeOperations()
		s.redirect(w, r, operationPath(operation))
		return
	}
	said := url.Values{}
	switch {
	case form.offlineSaved && form.offline:
		said.Add("saved", "offline")
	case form.offlineSaved:
		said.Add("saved", "online")
	}
	if form.baseSaved {
		said.Add("saved", "base_url")
		said["repaired"] = form.repaired
	}
	if len(said) == 0 {
		said.Set("saved", "nothing")
	}
	s.redirect(w, r, generalPath+"?"+said.Encode())
}

// generalView is what the page General shows.
type generalView struct {
	Notices    []notice
	Offline    bool // as it is to be shown in the box
	OfflineNow bool
	OfflineWas bool
	Base       field
	BaseWas    string
	Changed    bool
	Theirs     string // the base URL that another person has saved meanwhile
	By         *Change
	Conflict   bool
	NeedsBase  bool // Documents is on, and there is no base URL
	Held       []waitingView
	Recent     []Change
}

// waitingView is what waits on a channel, with its question.
type waitingView struct {
	Waiting
	Title      string
	Answer     string
	Unanswered bool
}

func (s *site) renderGeneral(w http.ResponseWriter, r *http.Request, status int, now Settings, form *generalForm, notices []notice) error {
	recent, err := s.store.RecentChanges(r.Context(), mostChanges)
	if err != nil {
		return err
	}
	documents, _ := now.channel(documentsChannel)
	v := generalView{Notices: notices, Offline: now.OfflineMode, OfflineNow: now.OfflineMode, OfflineWas: now.OfflineMode, Recent: recent,
		Base:    field{ID: "base_url", Name: "base_url", Label: "Document base URL", Value: now.DocumentBaseURL},
		BaseWas: fingerprint(now.DocumentBaseURL), NeedsBase: documents.Enabled && now.DocumentBaseURL == ""}
	if now.OfflineMode {
		waiting, err := s.store.Waiting(r.Context(), false)
		if err != nil {
			return err
		}
		v.Held = waitingViews(waiting, nil)
	}
	if form != nil {
		v.fill(form, now)
	}
	s.render(w, r, status, "general.html", "General", v)
	return nil
}

// fill keeps what was typed in a form that was not saved.
func (v *generalView) fill(form *generalForm, now Settings) {
	if form.offline != form.offlineWas {
		v.Offline, v.Changed = form.offline, true
	}
	if !form.baseChanged {
		return
	}
	v.Changed, v.Base.Value, v.Base.Wrong = true, form.typed, form.wrong
	if form.conflict {
		v.Conflict, v.Theirs, v.By = true, now.DocumentBaseURL, savedMeanwhile(v.Recent, "")
		return
	}
	v.BaseWas = form.baseWas
}

func waitingViews(waiting []Waiting, form *generalForm) (views []waitingView) {
	for _, w := range waiting {
		view := waitingView{Waiting: w, Title: channelTitle(w.Channel)}
		if form != nil {
			view.Answer, view.Unanswered = form.answers[w.Channel], form.asked && form.unanswered[w.Channel]
		}
		views = append(views, view)
	}
	return views
}

// releaseView is the step between Offline Mode and its end.
type releaseView struct {
	Base, BaseWas string
	Held          []waitingView
	Unanswered    bool
}

// renderRelease asks what becomes of that which waits. Nothing is saved yet.
func (s *site) renderRelease(w http.ResponseWriter, r *http.Request, form *generalForm, waiting []Waiting) error {
	status := http.StatusOK
	if form.asked {
		status = http.StatusUnprocessableEntity
	}
	s.render(w, r, status, "release.html", "Turn Offline Mode off",
		releaseView{Base: form.typed, BaseWas: form.baseWas, Held: waitingViews(waiting, form), Unanswered: form.asked})
	return nil
}

// generalNotices says what was saved, from the codes in the address.
func generalNotices(query url.Values, now Settings) (notices []notice) {
	for _, saved := range query["saved"] {
		switch {
		case saved == "nothing":
			notices = append(notices, notice{Tone: "off", Text: "Nothing was saved: no setting was changed."})
		case saved == "offline" && now.OfflineMode:
			notices = append(notices, notice{Tone: "ok", Text: "Saved: Offline Mode is on. Nothing is delivered until it is turned off."})
		case saved == "online" && !now.OfflineMode:
			notices = append(notices, notice{Tone: "ok", Text: "Saved: Offline Mode is off. What waited is delivered now, where its channel is enabled."})
		case saved == "base_url":
			notices = append(notices, notice{Tone: "ok", Text: "Saved: Document base URL. It is used in each payload from now on."})
		}
	}
	for _, code := range query["repaired"] {
		switch code {
		case repairedSpace:
			notices = append(notices, notice{Tone: "off", Text: "White space or invisible characters around the address were removed."})
		case repairedHost:
			notices = append(notices, notice{Tone: "off", Text: "The international host name of the address is saved in punycode."})
		}
	}
	return notices
}
