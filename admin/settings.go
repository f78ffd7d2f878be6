package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
)

const settingsPath = "/settings/integrations/webhooks"

// mostChanges is how many of the newest changes a settings page shows.
const mostChanges = 10

func (s *site) settingsPage(w http.ResponseWriter, r *http.Request) error {
	now, err := s.store.Settings(r.Context())
	if err != nil {
		return err
	}
	return s.renderSettings(w, r, http.StatusOK, now, &saving{site: s}, savedNotices(r.URL.Query(), now))
}

// saveSettings saves what a person has changed, or nothing.
func (s *site) saveSettings(w http.ResponseWriter, r *http.Request) error {
	now, err := s.store.Settings(r.Context())
	if err != nil {
		return err
	}
	form, err := readSettingsForm(r.PostForm, now)
	if err != nil {
		return err
	}
	if err := form.check(func(urls []string) ([]string, error) { return s.store.URLProblems(r.Context(), urls) }); err != nil {
		return err
	}
	save := &saving{site: s, form: form}
	err = errNotSaved
	if !form.anyWrong() {
		_, err = s.store.ChangeSettings(r.Context(), userOf(r), save.decide)
	}
	if err != nil {
		return s.settingsNotSaved(w, r, save, err)
	}
	s.redirect(w, r, settingsPath+"?"+save.said().Encode())
	return nil
}

// settingsNotSaved shows what was typed over the settings of now, with why nothing was saved.
func (s *site) settingsNotSaved(w http.ResponseWriter, r *http.Request, save *saving, err error) error {
	status := http.StatusUnprocessableEntity
	var notices []notice
	var refused *SettingRefused
	var undecryptable SecretRefused
	switch {
	case errors.Is(err, errConflict):
		status = http.StatusConflict
	case errors.As(err, &refused):
		save.form.refuse(refused)
	case errors.As(err, &undecryptable):
		save.form.auth.wrong["token"] = "Nothing is saved: " + undecryptable.Reason
	case errors.Is(err, ErrSettingsLocked):
		status, notices = http.StatusServiceUnavailable, []notice{{Tone: "bad", Text: lockedInWords}}
	case !errors.Is(err, errNotSaved):
		return err
	}
	now, err := s.store.Settings(r.Context())
	if err != nil {
		return err
	}
	return s.renderSettings(w, r, status, now, save, notices)
}

const lockedInWords = "Nothing was saved: another session of the database holds the settings. Save again in a moment. If it stays so, tell the operator."

// refuse puts what the database refuses beside its field.
func (f *settingsForm) refuse(e *SettingRefused) {
	field := map[string]string{"url": "url", "accept_status": "statuses", "max_in_flight": "in_flight", "max_per_second": "per_second"}[e.Column]
	for _, c := range f.channels {
		if c.Name == e.Channel {
			if field == "" {
				field = "url"
			}
			c.wrong[field] = "The database does not accept it: " + e.Words + "."
			return
		}
	}
	f.auth.wrong["token"] = "The database does not accept it: " + e.Words + "."
}

// said is what the page says after saving, in the address to which the browser is sent: codes, no text.
func (s *saving) said() url.Values {
	said := url.Values{"saved": s.saved}
	if len(s.saved) == 0 {
		said.Set("saved", "nothing")
	}
	for _, c := range s.form.channels {
		if slices.Contains(s.saved, c.Name) {
			for _, code := range c.repaired {
				said.Add("repaired", code+"."+c.Name)
			}
		}
	}
	if slices.Contains(s.saved, "auth") {
		for _, code := range s.form.auth.repaired {
			said.Add("repaired", code+".auth")
		}
	}
	return said
}

// sendTest queues a test event, and leads to its delivery.
func (s *site) sendTest(w http.ResponseWriter, r *http.Request) error {
	in := fieldsOf(r.PostForm)
	channel := in.text("channel")
	if err := in.done(); err != nil {
		return err
	}
	id, err := s.store.SendTest(r.Context(), userOf(r), channel)
	switch {
	case errors.Is(err, ErrNoChannel):
		return errMalformed("There is no channel of that name.")
	case errors.Is(err, ErrNoURL):
		return s.refuseTest(w, r, channel)
	case err != nil:
		return err
	}
	s.redirect(w, r, deliveryPath(id))
	return nil
}

func (s *site) refuseTest(w http.ResponseWriter, r *http.Request, channel string) error {
	now, err := s.store.Settings(r.Context())
	if err != nil {
		return err
	}
	return s.renderSettings(w, r, http.StatusUnprocessableEntity, now, &saving{site: s}, []notice{{Tone: "bad",
		Text: "No test event was sent: " + channelTitle(channel) + " has no URL that is saved. Paste it, save, then send the test event."}})
}
