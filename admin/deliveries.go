package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// DeliveryChannel is a channel as a filter names it.
type DeliveryChannel struct{ Name, Event string }

// Title is the channel's name as a heading.
func (c DeliveryChannel) Title() string { return channelTitle(c.Name) }

// DeliveryPlace is where a page of the list begins. The zero value is its beginning.
type DeliveryPlace struct {
	Before   int64     // ids below this; 0: any
	From, To time.Time // finished, or due, from From on and before To
}

// Instant is a time of the database, as its text where Go cannot hold it: infinity, or a year of five digits.
type Instant struct {
	Text string
	Time *time.Time
}

// Delivery is an event as a row of the list.
type Delivery struct {
	ID         int64
	Event      string
	Status     string
	IsTest     bool
	Leased     bool // a worker holds it
	Claimed    bool // its newest outcome is that of an attempt
	Document   string
	At         Instant // when it finished, or happened
	Due        *time.Time
	Attempts   int
	HTTPStatus int // 0: no answer
	Failure    string
	Received   string
	Error      string
	Hint       string
}

// DeliveryList is a page of the list, the newest first.
type DeliveryList struct {
	Rows []Delivery
	More bool // there are others below the last

	// The search ended before it had seen all rows that may match: at this id, or of all that finished, or
	// are due, at this instant. Neither: the list is complete.
	ReachedID int64
	From      time.Time
}

// ErrSearchTooLong means that a search was given up.
var ErrSearchTooLong = errors.New("the search took too long")

// deliveriesStore is the part of Store that the list uses.
type deliveriesStore interface {
	// DeliveryChannels returns the channels in their order.
	DeliveryChannels(ctx context.Context) ([]DeliveryChannel, error)

	// Deliveries returns at most so many, in bounded time, or ErrSearchTooLong.
	Deliveries(ctx context.Context, f DeliveryFilter, place DeliveryPlace, most int) (DeliveryList, error)

	// NewDeliveries counts those with a higher id, at most so many; of the newest ones if there are very many.
	NewDeliveries(ctx context.Context, f DeliveryFilter, after int64, most int) (int, error)
}

// pageLength is how many deliveries a page of the list has.
const pageLength = 50

// deliveriesView is what the list shows.
type deliveriesView struct {
	typedFilter
	Channels []DeliveryChannel
	Failures []failureClass
	Quick    []quickFilter
	Problem  string // why there is no list
	List     DeliveryList
	Newest   bool   // it is the first page
	After    int64  // the newest delivery of the list
	Older    string // the query of the next page; "": none
	Further  string // the query that continues the search; "": it is complete
	Searched string // how far it went, in words
}

// quickFilter is a link to a filter that is often used.
type quickFilter struct {
	Word, Query string
	Current     bool
}

func (s *site) deliveriesPage(w http.ResponseWriter, r *http.Request) error {
	channels, err := s.store.DeliveryChannels(r.Context())
	if err != nil {
		return err
	}
	query := r.URL.Query()
	f, typed := readFilter(query, channels, time.Now())
	place, ok := readPlace(query)
	if !ok {
		typed.Wrong["before"] = "The link to this page of the list is malformed. Choose Filter to begin with the newest."
	}
	v := deliveriesView{typedFilter: typed, Channels: channels, Failures: failureClasses, Quick: quickFilters(typed), Newest: place == ListPlace{}}
	status := http.StatusOK
	switch {
	case len(typed.Wrong) > 0:
		status, v.Problem = http.StatusUnprocessableEntity, typed.Wrong["before"]
		if v.Problem == "" {
			v.Problem = "The filter cannot be used. What is wrong is said beside each field."
		}
	default:
		v.List, err = s.store.Deliveries(r.Context(), f, place.DeliveryPlace, pageLength)
		if errors.Is(err, ErrSearchTooLong) {
			status, v.Problem = http.StatusServiceUnavailable,
				"The search took too long and was given up. The database is busy, or the filter finds little among very many deliveries. Choose a channel and a status, or a shorter time, and try again."
		} else if err != nil {
			return err
		}
	}
	v.page(place)
	s.render(w, r, status, "deliveries.html", "Deliveries", v)
	return nil
}

// ListPlace is a place as links name it. A search that goes by time has pages of its own: Below is where
// it began, and where the next one begins.
type ListPlace struct {
	DeliveryPlace
	Below int64
}

// After is where the list goes on behind a page that began at p; more is false where it is complete.
func (p ListPlace) After(page DeliveryList) (next ListPlace, more bool) {
	from, below := p.From, p.Below
	if !page.From.IsZero() {
		from, below = page.From, p.Before
	}
	switch {
	case page.More:
		return ListPlace{DeliveryPlace{Before: page.Rows[len(page.Rows)-1].ID, From: from, To: p.To}, below}, true
	case page.ReachedID != 0:
		return ListPlace{DeliveryPlace{Before: page.ReachedID, From: from, To: p.To}, below}, true
	case !from.IsZero():
		return ListPlace{DeliveryPlace: DeliveryPlace{Before: below, To: from}}, true
	}
	return ListPlace{}, false
}

// readPlace reads a place. What is wrong with it was not typed.
func readPlace(query url.Values) (p ListPlace, ok bool) {
	ok = true
	id := func(name string) (n int64) {
		if text := query.Get(name); text != "" {
			var err error
			if n, err = strconv.ParseInt(text, 10, 64); err != nil || n < 1 {
				ok = false
			}
		}
		return n
	}
	at := func(name string) (t time.Time) {
		if text := query.Get(name); text != "" {
			var err error
			if t, err = time.Parse(time.RFC3339Nano, text); err != nil {
				ok = false
			}
		}
		return storableTime(t)
	}
	p.Before, p.Below = id("before"), id("below")
	p.From, p.To = at("from"), at("to")
	return p, ok
}

// page makes the links of a page that begins at a place.
func (v *deliveriesView) page(p ListPlace) {
	if v.Newest && len(v.List.Rows) > 0 {
		v.After = v.List.Rows[0].ID
	}
	next, more := p.After(v.List)
	switch {
	case v.List.More:
		v.Older = v.placed(next)
	case v.List.ReachedID != 0:
		v.Further, v.Searched = v.placed(next), "down to delivery "+strconv.FormatInt(v.List.ReachedID, 10)
	case more:
		v.Further, v.Searched = v.placed(next), "back to "+exact(next.To)
	}
}

func (v *deliveriesView) placed(p ListPlace) string {
	id := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	return v.Query("before", id(p.Before), "from", at(p.From), "to", at(p.To), "below", id(p.Below))
}

// quickFilters are the filters that are one click away. The events of the channels that are attempted once
// stay failed unless a person resends them; documents never fail, they wait.
func quickFilters(t typedFilter) []quickFilter {
	quick := []quickFilter{
		{Word: "All"},
		{Word: "Failed, not resent", Query: "?status=failed"},
		{Word: "Waiting", Query: "?status=pending"},
		{Word: "Delivered", Query: "?status=sent"},
		{Word: "Skipped", Query: "?status=skipped"},
	}
	for i := range quick {
		quick[i].Current = t.Query() == quick[i].Query
	}
	return quick
}

// newDeliveries answers the script of the list: how many deliveries are newer than those it shows.
func (s *site) newDeliveries(w http.ResponseWriter, r *http.Request) error {
	channels, err := s.store.DeliveryChannels(r.Context())
	if err != nil {
		return err
	}
	query := r.URL.Query()
	f, typed := readFilter(query, channels, time.Now())
	after, err := strconv.ParseInt(query.Get("after"), 10, 64)
	if err != nil || after < 0 || len(typed.Wrong) > 0 {
		return failure{Status: http.StatusUnprocessableEntity, Title: "The filter cannot be used",
			Means: "The script of the list sent a malformed filter.", Do: "Reload the list."}
	}
	n, err := s.store.NewDeliveries(r.Context(), f, after, pageLength+1)
	if err != nil {
		return err
	}
	return answerJSON(w, struct {
		Count int  `json:"count"`
		More  bool `json:"more"`
	}{min(n, pageLength), n > pageLength})
}

// answerJSON answers a script of the page.
func answerJSON(w http.ResponseWriter, what any) error {
	answer, err := json.Marshal(what)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
	return nil
}

// Answer is what the newest attempt ended with.
func (d Delivery) Answer() string { return answerWords(d.HTTPStatus, d.Failure) }

// Means is what its state means, in one line.
func (d Delivery) Means() string {
	switch {
	case d.Leased:
		return "Being sent now."
	case d.Status == "sent" && !d.Claimed:
		return "Marked as delivered by a person."
	case d.Status == "sent":
		return ""
	case d.Status == "skipped":
		return "The channel was off."
	case d.Status == "superseded":
		return "A later export of the same document exists."
	case d.Status == "cancelled":
		return "Cancelled by a person."
	case d.Hint != "":
		return firstSentence(pageWords(d.Hint))
	case d.Attempts == 0:
		return "Not attempted yet."
	}
	return "Waits to be sent again."
}

// AfterText is After, for a link.
func (v deliveriesView) AfterText() string { return strconv.FormatInt(v.After, 10) }

// StatusOptions are the statuses that can be looked for, in words.
func (v deliveriesView) StatusOptions() []statusOption {
	return []statusOption{{"sent", "Delivered"}, {"pending", "Waiting"}, {"sending", "Waiting: being sent now"}, {"failed", "Failed"},
		{"skipped", "Skipped"}, {"superseded", "Superseded"}, {"cancelled", "Cancelled"}}
}

// statusOption is a status and its word.
type statusOption struct{ Name, Word string }
