package admin

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DeliveryFilter is what deliveries are looked for.
type DeliveryFilter struct {
	Events       []string // those of the channel, or all
	Status       string   // of webhook.outbox; pending: also what is being sent; "": any
	Failure      string   // a class of webhook.outbox.failure; "": any, and none
	Document     string   // the id of a document; "": any, and none
	Error        string   // a part of the error's text, in any case; "": any, and none
	Since, Until time.Time
}

// deliveryStatuses are the statuses of webhook.outbox.
var deliveryStatuses = []string{"pending", "sending", "sent", "failed", "skipped", "superseded", "cancelled"}

// Statuses are the statuses of webhook.outbox that rows may have. Waiting is what is not finished: while
// it is sent a document stays pending, and another event is sending.
func (f DeliveryFilter) Statuses() []string {
	switch f.Status {
	case "":
		return deliveryStatuses
	case "pending", "sending":
		return []string{"pending", "sending"}
	}
	return []string{f.Status}
}

// OnlyLeased reports whether only rows that a worker holds are looked for.
func (f DeliveryFilter) OnlyLeased() bool { return f.Status == "sending" }

// The names of the filters in the query.
const (
	filterChannel, filterStatus, filterFailure = "channel", "status", "failure"
	filterDocument, filterError                = "document", "error"
	filterSince, filterUntil                   = "since", "until"
)

var filterNames = []string{filterChannel, filterStatus, filterFailure, filterDocument, filterError, filterSince, filterUntil}

// typedFilter is a filter as it was typed, and what is wrong with it, by name.
type typedFilter struct {
	Typed map[string]string
	Wrong map[string]string
}

// DeliveryStatuses are the statuses that deliveries can be looked for by.
func DeliveryStatuses() []string { return slices.Clone(deliveryStatuses) }

// FilterNames are the names of the filters, in the order of the form.
func FilterNames() []string { return slices.Clone(filterNames) }

// ReadFilter reads the filter of the list of deliveries. wrong says, by the name of the filter, what is wrong
// with its value; the filter is whole only if nothing is.
func ReadFilter(query url.Values, channels []DeliveryChannel, now time.Time) (f DeliveryFilter, wrong map[string]string) {
	f, typed := readFilter(query, channels, now)
	return f, typed.Wrong
}

// readFilter reads the filter of a query. It is whole only if nothing is wrong.
func readFilter(query url.Values, channels []DeliveryChannel, now time.Time) (f DeliveryFilter, t typedFilter) {
	t = typedFilter{Typed: map[string]string{}, Wrong: map[string]string{}}
	for _, name := range filterNames {
		t.Typed[name] = strings.TrimSpace(query.Get(name))
		if len(query[name]) > 1 {
			t.Wrong[name] = "This is there more than once. Choose one."
		}
	}
	f.Events = t.events(channels)
	f.Status = t.oneOf(filterStatus, deliveryStatuses)
	f.Failure = t.oneOf(filterFailure, FailureNames())
	f.Document = t.text(filterDocument)
	f.Error = t.text(filterError)
	f.Since = t.time(filterSince, now)
	f.Until = t.time(filterUntil, now)
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Until.After(f.Since) {
		t.Wrong[filterUntil] = "This is not after Since, so nothing can be between the two."
	}
	return f, t
}

func (t typedFilter) events(channels []DeliveryChannel) (events []string) {
	name := t.Typed[filterChannel]
	for _, c := range channels {
		if name == "" || name == c.Name {
			events = append(events, c.Event)
		}
	}
	if len(events) == 0 {
		t.Wrong[filterChannel] = fmt.Sprintf("There is no channel “%s”. Choose one of the list.", middle(name, 40))
	}
	return events
}

func (t typedFilter) oneOf(name string, known []string) string {
	value := t.Typed[name]
	if value != "" && !slices.Contains(known, value) {
		t.Wrong[name] = fmt.Sprintf("There is no %s “%s”. Choose one of the list.", name, middle(value, 40))
	}
	return value
}

// longestFilter is the longest text that is looked for, in characters. No id of a document is longer than 200.
const longestFilter = 200

func (t typedFilter) text(name string) string {
	value := t.Typed[name]
	switch {
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		t.Wrong[name] = "This contains a character that no text of the database has."
	case utf8.RuneCountInString(value) > longestFilter:
		t.Wrong[name] = fmt.Sprintf("This is too long. Enter at most %d characters.", longestFilter)
	}
	return value
}

func (t typedFilter) time(name string, now time.Time) time.Time {
	value := t.Typed[name]
	if value == "" {
		return time.Time{}
	}
	at, day, ok := readTime(value, now)
	if !ok {
		t.Wrong[name] = "This is no time. Enter a date (" + now.Local().Format("2006-01-02") + "), a time (" +
			now.Local().Format("2006-01-02 15:04") + "), or how long ago (30m, 2h, 7d)."
	}
	if day && name == filterUntil { // the day is a part of what is looked for
		at = at.AddDate(0, 0, 1)
	}
	return storableTime(at)
}

// storableTime is an instant as PostgreSQL has it: in microseconds, and in UTC. It knows no zone that is 16
// hours or more from there, as +23:59, which Go reads.
func storableTime(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

// timeLayouts are the forms of a time, in the zone of this process unless it names its own.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04"}

// ReadTime reads a date, of which it is the beginning, a time in the zone of this process, or how long ago.
func ReadTime(text string, now time.Time) (time.Time, error) {
	at, _, ok := readTime(strings.TrimSpace(text), now)
	if !ok {
		return at, fmt.Errorf("%q is no time, expected a date (%s), a time (%s), or how long ago (30m, 2h, 7d)",
			middle(text, 40), now.Local().Format("2006-01-02"), now.Local().Format("2006-01-02 15:04"))
	}
	return storableTime(at), nil
}

// readTime reads a date, a time, or how long ago. day: it is a date, and at is its beginning.
func readTime(text string, now time.Time) (at time.Time, day, ok bool) {
	if back, ok := readBack(text); ok {
		return now.Add(-back), false, true
	}
	if at, err := time.ParseInLocation("2006-01-02", text, time.Local); err == nil {
		return at, true, at.Year() >= 1
	}
	for _, layout := range timeLayouts {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, false, at.UTC().Year() >= 1 && at.UTC().Year() <= 9999
		}
	}
	return time.Time{}, false, false
}

// longestBack is as far back as "how long ago" may be, in seconds: 100 years.
const longestBack = 100 * 365 * 24 * 3600

// readBack reads how long ago: a number, then s, m, h, d or w; "ago" or "back" may follow.
func readBack(text string) (time.Duration, bool) {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(text), "ago"), "back"))
	if text == "" {
		return 0, false
	}
	seconds, known := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 24 * 3600, 'w': 7 * 24 * 3600}[text[len(text)-1]]
	n, err := strconv.ParseInt(strings.TrimSpace(text[:len(text)-1]), 10, 32)
	if !known || err != nil || n < 0 || n*seconds > longestBack {
		return 0, false
	}
	return time.Duration(n*seconds) * time.Second, true
}

// Query is the filter as it was typed, for a link; more are pairs of a name and a value.
func (t typedFilter) Query(more ...string) string {
	query := url.Values{}
	for _, name := range filterNames {
		if value := t.Typed[name]; value != "" {
			query.Set(name, value)
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			query.Set(more[i], more[i+1])
		}
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// Any reports whether anything is filtered.
func (t typedFilter) Any() bool { return t.Query() != "" }
