package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Resend is which finished events are sent again. The fields of the filter are those of the list.
type Resend struct {
	Channel         string // "": all
	Filter          DeliveryFilter
	IncludeReceived bool // also what the receiver has or may have
}

// ResendPreview is what a resend would do.
type ResendPreview struct {
	At       time.Time // what has finished since was not counted
	Channels []ResendChannel
	First    []Delivery // the first of those that would be sent
}

// ResendChannel is the part of a channel. A count above 10,000 means that there are more.
type ResendChannel struct {
	Channel                         string
	Send, Overtaken, Received, Test int64
	More                            bool // there are others that were not counted
	Off                             bool // the channel is off: its events would be skipped
}

// Title is the channel's name as a heading.
func (c ResendChannel) Title() string { return channelTitle(c.Channel) }

// resendStore is the part of Store that a resend of many events uses.
type resendStore interface {
	// PreviewResend says what a resend would do, in bounded time.
	PreviewResend(ctx context.Context, re Resend) (ResendPreview, error)

	// StartResend begins a resend and returns the id of its operation.
	StartResend(ctx context.Context, actor string, re Resend) (int64, error)
}

// resendManyView is what the page shows on which many events are resent.
type resendManyView struct {
	typedFilter
	ResendPreview
	Status          string // the one that is resent; "": all that are finished
	IncludeReceived bool
	Send            int64
	More            bool
	Overtaken       int64
	Received        int64
	Test            int64
	Problem         string
	now             time.Time // of which "2h" is reckoned back
}

// Count is how many events would be sent again: "1 event", "312 events", "10,000+ events".
func (v resendManyView) Count() string {
	switch {
	case v.Send == 1 && !v.More:
		return "1 event"
	case v.More && v.Send <= mostCounted:
		return number(v.Send) + "+ events"
	}
	return capped(v.Send) + " events"
}

// Button is what the button says: how many events it sends.
func (v resendManyView) Button() string {
	return "Resend " + v.Count()
}

// Counted is when the events were counted, for the form.
func (v resendManyView) Counted() string { return v.At.UTC().Format(time.RFC3339Nano) }

// Off are the channels that are off and whose events would be skipped.
func (v resendManyView) Off() (titles []string) {
	for _, c := range v.Channels {
		if c.Off && c.Send > 0 {
			titles = append(titles, c.Title())
		}
	}
	return titles
}

// askResendMany is GET /deliveries/resend: it counts, and asks.
func (s *site) askResendMany(w http.ResponseWriter, r *http.Request) error {
	re, v, err := s.readResend(r)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if v.Problem != "" {
		status = http.StatusUnprocessableEntity
	} else if err := s.preview(r.Context(), re, &v); err != nil {
		return err
	}
	s.render(w, r, status, "resend.html", "Resend", v)
	return nil
}

// countResends answers the script of the resend page: what the button says with the other box.
func (s *site) countResends(w http.ResponseWriter, r *http.Request) error {
	re, v, err := s.readResend(r)
	if err != nil {
		return err
	}
	if v.Problem != "" {
		return failure{Status: http.StatusUnprocessableEntity, Title: "The filter cannot be used", Means: v.Problem, Do: "Reload the page."}
	}
	if err := s.preview(r.Context(), re, &v); err != nil {
		return err
	}
	return answerJSON(w, struct {
		Button  string `json:"button"`
		Counted string `json:"counted"`
		None    bool   `json:"none"`
	}{v.Button(), v.Counted(), v.Send == 0})
}

func (s *site) preview(ctx context.Context, re Resend, v *resendManyView) (err error) {
	if v.ResendPreview, err = s.store.PreviewResend(ctx, re); err != nil {
		return err
	}
	for _, c := range v.Channels {
		v.Send += c.Send
		v.Overtaken += c.Overtaken
		v.Received += c.Received
		v.Test += c.Test
		v.More = v.More || c.More
	}
	return nil
}

// startResend is POST /deliveries/resend.
func (s *site) startResend(w http.ResponseWriter, r *http.Request) error {
	re, v, err := s.readResend(r)
	if err != nil {
		return err
	}
	if v.Problem == "" && !isResendForm(r.Form) {
		v.Problem = "The form was not complete, or has a field that this page does not know. Nothing was sent again. Open the list, and begin anew."
	}
	if v.Problem == "" {
		v.Problem = re.endAt(r.PostFormValue("counted"))
	}
	if v.Problem != "" {
		s.render(w, r, http.StatusUnprocessableEntity, "resend.html", "Resend", v)
		return nil
	}
	id, err := s.store.StartResend(r.Context(), userOf(r), re)
	if err != nil {
		return err
	}
	s.wakeOperations()
	s.redirect(w, r, operationPath(id))
	return nil
}

// endAt ends a resend where its events were counted: what has failed since was not counted. So a second click
// sends nothing a second time either. problem: the form does not say when that was.
func (re *Resend) endAt(counted string) (problem string) {
	at, err := time.Parse(time.RFC3339Nano, counted)
	if err != nil {
		return "The form was incomplete. Nothing was sent again. Look at the numbers, then choose the button once more."
	}
	at = storableTime(at)
	if re.Filter.Until.IsZero() || re.Filter.Until.After(at) {
		re.Filter.Until = at
	}
	if !re.Filter.Until.After(re.Filter.Since) {
		return "Since is after the time at which the events were counted, so there was none. Nothing was sent again."
	}
	return ""
}

// isResendForm reports whether a form is that of the resend page. A filter whose name is wrong would be none,
// and everything be sent again.
func isResendForm(form url.Values) bool {
	in := fieldsOf(form)
	in.text("counted")
	for _, name := range filterNames {
		if form.Has(name) {
			in.text(name)
		}
	}
	if form.Has("include_received") {
		in.choice("include_received", "yes")
	}
	return in.done() == nil
}

// readResend reads the filter of the list, from the query or the form. Only what is finished can be resent.
func (s *site) readResend(r *http.Request) (Resend, resendManyView, error) {
	channels, err := s.store.DeliveryChannels(r.Context())
	if err != nil {
		return Resend{}, resendManyView{}, err
	}
	now := time.Now()
	f, typed := readFilter(r.Form, channels, now)
	re := Resend{Channel: typed.Typed[filterChannel], Filter: f, IncludeReceived: r.Form.Get("include_received") != ""}
	v := resendManyView{typedFilter: typed, Status: f.Status, IncludeReceived: re.IncludeReceived, now: now}
	switch {
	case len(typed.Wrong) > 0:
		for _, name := range filterNames {
			if wrong := typed.Wrong[name]; wrong != "" {
				v.Problem = wrong
				break
			}
		}
	case f.Status == "pending" || f.Status == "sending":
		v.Problem = "What waits is sent by itself. Only finished deliveries can be sent again: choose another status."
	}
	return re, v, nil
}

// Frozen is the filter with its times as instants: "2h" back means from when the events were counted.
func (v resendManyView) Frozen() map[string]string {
	frozen := map[string]string{}
	for _, name := range filterNames {
		text := v.Typed[name]
		if at, day, ok := readTime(text, v.now); ok && (name == filterSince || name == filterUntil) && !day {
			text = at.UTC().Format(time.RFC3339Nano)
		}
		if text != "" {
			frozen[name] = text
		}
	}
	return frozen
}

// LeftOut says what matches the filter and is not sent again, and why.
func (v resendManyView) LeftOut() (reasons []string) {
	add := func(n int64, one, many string) {
		if n > 0 {
			reasons = append(reasons, fmt.Sprintf("%s %s", number(n), plural(n, one, many)))
		}
	}
	add(v.Overtaken, "export was followed by a later export of the same document, which counts", "exports were followed by later exports of the same documents, which count")
	if !v.IncludeReceived {
		add(v.Received, "event is one that the receiver has or may have", "events are ones that the receiver has or may have")
	}
	add(v.Test, "is a test event", "are test events")
	return reasons
}

// LeftOut is how many events of the channel match and are not sent again.
func (c ResendChannel) LeftOut() int64 { return c.Overtaken + c.Received + c.Test }
