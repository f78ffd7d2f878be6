package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// deliveryActions are what can be done to an event: for each why it would be refused, in words; "": it
// would not.
type deliveryActions struct {
	Resend, Cancel, Delivered refusal
}

// ResendWarning is why an event that can be resent had better not be yet; "": nothing speaks against it.
func (v deliveryView) ResendWarning() string {
	switch {
	case v.Finished == nil || v.Actions.Resend.Why != "":
		return ""
	case v.Received == "maybe":
		return mayHaveIt
	case v.Failure == "render":
		return sameAgain
	}
	return ""
}

// What a person should know before an event is resent, on its page and where it is asked.
const (
	mayHaveIt = "The receiver may have this event already. Look there first."
	sameAgain = "Its payload could not be built. Sent again as it is, it fails in the same way."
)

// refusal is why an action is refused. Instead is the delivery that can be resent in place of this one; 0: none.
type refusal struct {
	Why     string
	Instead int64
}

// actionsOf judges as webhook.retry, webhook.cancel and webhook.mark_delivered do, which have the last word.
func actionsOf(d DeliveryDetail, readOnly bool) deliveryActions {
	if readOnly {
		r := refusal{Why: "This page is read-only."}
		return deliveryActions{r, r, r}
	}
	if d.Leased {
		r := refusal{Why: "A worker is sending it at this moment."}
		if d.LeasedUntil != nil {
			r.Why = fmt.Sprintf("Worker %s is sending it, until %s at the latest.", visible(d.ClaimedBy), exact(*d.LeasedUntil))
		}
		return deliveryActions{r, r, r}
	}
	var a deliveryActions
	switch {
	case d.Finished == nil && d.Failure == "render":
		a.Resend.Why = "It is not sent until its data is right: export the document again, or Cancel this one."
	case d.Finished == nil:
		a.Resend.Why = "It waits already, and will be sent by itself."
		if d.HeldBy() != "" {
			a.Resend.Why = "It waits already. " + d.HeldBy()
		}
	case d.Later != 0:
		a.Resend = refusal{Why: fmt.Sprintf("Event %d is a later export of the same document. Resend that one.", d.Later), Instead: d.Later}
	}
	if d.Finished != nil {
		a.Cancel.Why = "It is finished: there is nothing to cancel."
	}
	if d.Status == "sent" {
		a.Delivered.Why = "It is delivered already."
	}
	return a
}

// resendView is what is asked before an event is resent.
type resendView struct {
	DeliveryDetail
	Refused  refusal
	Warnings []string
}

func (s *site) askResend(w http.ResponseWriter, r *http.Request) error {
	d, err := s.deliveryOf(r)
	if err != nil {
		return err
	}
	v := resendView{DeliveryDetail: d, Refused: actionsOf(d, s.ReadOnly).Resend, Warnings: resendWarnings(d)}
	status := http.StatusOK
	if v.Refused.Why != "" {
		status = http.StatusConflict
	}
	s.render(w, r, status, "delivery_resend.html", fmt.Sprintf("Resend delivery %d", d.ID), v)
	return nil
}

// resendWarnings are what a person should know before an event is resent.
func resendWarnings(d DeliveryDetail) (all []string) {
	add := func(text string) { all = append(all, text) }
	switch d.Received {
	case "yes":
		add("The receiver has this event already. It gets it again, and knows it by its webhook-id only if it looks at that header.")
	case "maybe":
		add(mayHaveIt)
	}
	if d.Status == "superseded" {
		add("It was superseded by a later export, which was cancelled since.")
	}
	switch {
	case d.Problem != "" && (d.ChannelOn || d.IsTest):
		add("The channel cannot be called as it is configured: the event waits until that is corrected in the settings.")
	case d.Offline:
		add("Offline Mode is on: the event waits until it is turned off.")
	case !d.ChannelOn && d.AtLeastOnce:
		add("The channel is off: the event waits until it is turned on.")
	case !d.ChannelOn && !d.IsTest:
		add("The channel is off: the event is skipped within ten seconds, unless the channel is turned on first.")
	}
	if d.Failure == "render" {
		add(sameAgain)
	}
	return all
}

func (s *site) resend(w http.ResponseWriter, r *http.Request) error {
	return s.act(w, r, "resent", s.store.Resend)
}

func (s *site) cancelDelivery(w http.ResponseWriter, r *http.Request) error {
	return s.act(w, r, "cancelled", s.store.Cancel)
}

// act does something to an event and leads to its page.
func (s *site) act(w http.ResponseWriter, r *http.Request, done string, do func(ctx context.Context, actor string, id int64) error) error {
	id, err := deliveryID(r)
	if err != nil {
		return err
	}
	if err := do(r.Context(), userOf(r), id); err != nil {
		return refusedAction(err, done)
	}
	s.redirect(w, r, deliveryPath(id))
	return nil
}

func deliveryPath(id int64) string { return fmt.Sprintf("/deliveries/%d", id) }

// refusedAction is an action's error as a page.
func refusedAction(err error, done string) error {
	var refused RefusedError
	if errors.As(err, &refused) {
		return failure{Status: http.StatusConflict, Title: "This delivery was not " + done, Means: refused.Reason + " Nothing was changed.",
			Do: "It has changed since its page was loaded. Go back and reload the page: it says what can be done now."}
	}
	return asNoDelivery(err)
}

// deliveredView is the form that marks an event as delivered.
type deliveredView struct {
	DeliveryDetail
	Refused refusal
	Note    string
	Wrong   string
}

func (s *site) askDelivered(w http.ResponseWriter, r *http.Request) error {
	return s.deliveredForm(w, r, http.StatusOK, "", "")
}

func (s *site) deliveredForm(w http.ResponseWriter, r *http.Request, status int, note, wrong string) error {
	d, err := s.deliveryOf(r)
	if err != nil {
		return err
	}
	v := deliveredView{DeliveryDetail: d, Refused: actionsOf(d, s.ReadOnly).Delivered, Note: note, Wrong: wrong}
	if v.Refused.Why != "" {
		status = http.StatusConflict
	}
	s.render(w, r, status, "delivery_delivered.html", fmt.Sprintf("Mark delivery %d as delivered", d.ID), v)
	return nil
}

// longestNote is the longest note, in characters.
const longestNote = 1000

func (s *site) markDelivered(w http.ResponseWriter, r *http.Request) error {
	id, err := deliveryID(r)
	if err != nil {
		return err
	}
	note := strings.TrimSpace(r.PostFormValue("note"))
	switch {
	case strings.TrimFunc(note, func(c rune) bool { return hidden(c) || c == ' ' || c == '\n' || c == '\t' }) == "":
		return s.deliveredForm(w, r, http.StatusUnprocessableEntity, note, "This is empty. Say how it is known that the receiver has the event.")
	case !utf8.ValidString(note) || strings.ContainsRune(note, 0):
		return s.deliveredForm(w, r, http.StatusUnprocessableEntity, strings.ToValidUTF8(note, "�"), "This contains a character that the database cannot store.")
	case utf8.RuneCountInString(note) > longestNote:
		return s.deliveredForm(w, r, http.StatusUnprocessableEntity, note, fmt.Sprintf("This is too long. Enter at most %d characters.", longestNote))
	}
	if err := s.store.MarkDelivered(r.Context(), userOf(r), id, note); err != nil {
		return refusedAction(err, "marked as delivered")
	}
	s.redirect(w, r, deliveryPath(id))
	return nil
}
