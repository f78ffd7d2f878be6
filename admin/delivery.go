package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// DeliveryDetail is an event with all that its page shows, except its data.
type DeliveryDetail struct {
	Delivery
	Channel         string
	ChannelOn       bool
	Offline         bool   // Offline Mode is on
	Problem         string // why the channel cannot be called, in words; "": it can
	Host            string // of the channel's URL; "": there is none
	Auth            bool   // a bearer token is sent
	DocumentBaseURL string
	AtLeastOnce     bool
	WebhookID       string
	Occurred        Instant
	Finished        *time.Time
	ClaimedBy       string
	ClaimedAt       *time.Time
	LeasedUntil     *time.Time
	Response        string // the beginning of the newest answer
	Explain         string // webhook.explain
	Later           int64  // a later export of the same document, which keeps this one from being sent; 0: none

	Runs          []AttemptRun   // the newest first
	Interventions []Intervention // the newest first
}

// AttemptRun are consecutive attempts that failed in the same way and left the event pending.
type AttemptRun struct {
	Attempts        int
	HTTPStatus      int // 0: no answer
	Failure         string
	Received        string
	Error           string
	FirstAt, LastAt time.Time
}

// Intervention is what a person did to an event, and what it was before.
type Intervention struct {
	Action        string // retry, cancel, discard or mark_delivered
	At            time.Time
	Actor         string
	WasStatus     string
	WasFinished   *time.Time
	WasHTTPStatus int
	WasFailure    string
	WasReceived   string
	WasError      string
	Note          string
}

// ErrNoDelivery means that there is no event with this id.
var ErrNoDelivery = errors.New("no such delivery")

// RefusedError is why the database refuses an action, in words.
type RefusedError struct{ Reason string }

func (e RefusedError) Error() string { return "refused: " + e.Reason }

// deliveryStore is the part of Store that the page of one delivery uses.
type deliveryStore interface {
	// Delivery returns an event, or ErrNoDelivery.
	Delivery(ctx context.Context, id int64) (DeliveryDetail, error)

	// DeliveryData returns the data of an event and its size in bytes, or ErrNoDelivery. Of data that is
	// larger than most bytes it returns the beginning.
	DeliveryData(ctx context.Context, id int64, most int) (data []byte, size int64, err error)

	// Resend, Cancel and MarkDelivered act on an event. They return ErrNoDelivery, or a RefusedError.
	Resend(ctx context.Context, actor string, id int64) error
	Cancel(ctx context.Context, actor string, id int64) error
	MarkDelivered(ctx context.Context, actor string, id int64, note string) error
}

// deliveryView is what the page of one delivery shows.
type deliveryView struct {
	DeliveryDetail
	Payload  payload
	Raw      bool // the payload as it is sent, not pretty
	Timeline []moment
	Actions  deliveryActions
}

func (s *site) deliveryPage(w http.ResponseWriter, r *http.Request) error {
	d, err := s.deliveryOf(r)
	if err != nil {
		return err
	}
	data, size, err := s.store.DeliveryData(r.Context(), d.ID, mostRendered)
	if err != nil {
		return asNoDelivery(err)
	}
	raw := r.URL.Query().Get("view") == "raw"
	now := time.Now()
	s.renderView(w, r, http.StatusOK, "delivery.html", view{
		Title: fmt.Sprintf("Delivery %d", d.ID), Refresh: d.refresh(now),
		Body: deliveryView{DeliveryDetail: d, Payload: payloadOf(d, data, size), Raw: raw, Timeline: timelineOf(d), Actions: actionsOf(d, s.ReadOnly)},
	})
	return nil
}

// deliveryOf is the delivery that a path names.
func (s *site) deliveryOf(r *http.Request) (DeliveryDetail, error) {
	id, err := deliveryID(r)
	if err != nil {
		return DeliveryDetail{}, err
	}
	d, err := s.store.Delivery(r.Context(), id)
	return d, asNoDelivery(err)
}

func deliveryID(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != text {
		return 0, noDelivery
	}
	return id, nil
}

var noDelivery = failure{Status: http.StatusNotFound, Title: "There is no such delivery",
	Means: "The address names a delivery that does not exist. It may have been pruned after its retention time.",
	Do:    "Look for it in the list of deliveries."}

func asNoDelivery(err error) error {
	if errors.Is(err, ErrNoDelivery) {
		return noDelivery
	}
	return err
}

// refresh is in how many seconds the browser loads the page again: soon while something is about to
// happen, never for what is finished or is held until a person changes a setting.
func (d DeliveryDetail) refresh(now time.Time) int {
	switch {
	case d.Finished != nil:
		return 0
	case d.Leased:
		return 1
	case d.HeldBy() != "" || d.Due == nil:
		return 0
	}
	wait := d.Due.Sub(now)
	switch {
	case wait < -30*time.Second: // no worker seems to be running
		return 5
	case wait < time.Second:
		return 1
	}
	return int(min(wait, 10*time.Second) / time.Second)
}

// HeldBy is what keeps a waiting event from being sent until a person changes it; "": nothing.
func (d DeliveryDetail) HeldBy() string {
	switch {
	case d.Finished != nil || d.Leased:
		return ""
	case d.Offline:
		return "Offline Mode is on."
	case d.Problem != "" && (d.ChannelOn || d.IsTest) && d.HeldInGeneral():
		return "The Document base URL is missing."
	case d.Problem != "" && (d.ChannelOn || d.IsTest):
		return "The channel cannot be called as it is configured."
	case !d.ChannelOn && d.AtLeastOnce:
		return "The channel is off."
	}
	return ""
}

// HeldInGeneral reports whether what keeps it from being sent is changed in General.
func (d DeliveryDetail) HeldInGeneral() bool {
	return d.Offline || d.Channel == documentsChannel && d.DocumentBaseURL == "" && d.Host != ""
}

// ChannelTitle is the channel's name as a heading.
func (d DeliveryDetail) ChannelTitle() string { return channelTitle(d.Channel) }

// DuePassed reports whether the next attempt could be made by now.
func (d DeliveryDetail) DuePassed() bool { return d.Due != nil && d.Due.Before(time.Now()) }

// ReceivedWords say whether the receiver has the event.
func (d DeliveryDetail) ReceivedWords() string {
	switch {
	case d.Leased:
		return "Not known yet: it is being sent."
	case d.Attempts == 0 && d.Received == "":
		return "No: it was not sent yet."
	case d.Received == "" && d.Status == "superseded":
		return "Maybe: an earlier attempt may have arrived."
	}
	return receivedWords(d.Received)
}
