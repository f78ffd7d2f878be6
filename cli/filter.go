package cli

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/outbox"
)

// filter are flags with the names and the meaning of the filters of the page.
type filter struct {
	command string
	fields  map[string]*string
}

func (f *flags) filter() *filter {
	text := func(name, kind, about string) *string {
		s := new(string)
		f.setting(name, kind, about, func(value string) error {
			if strings.TrimSpace(value) == "" { // a variable of a script that is not set must not mean all events
				return errors.New("it is empty")
			}
			*s = value
			return nil
		})
		return s
	}
	return &filter{f.name, map[string]*string{
		"channel":  f.channel("of this channel"),
		"status":   f.oneOf("status", "with this status", admin.DeliveryStatuses()),
		"failure":  f.oneOf("failure", "whose newest attempt failed in this way: timeout, rejected, …", admin.FailureNames()),
		"document": text("document", "id", "of the document with this id"),
		"error":    text("error", "text", "with this text in the error"),
		"since":    text("since", "time", "since then: a date, a time, or 2h, 7d back"),
		"until":    text("until", "time", "until then"),
	}}
}

// any reports whether a filter is set.
func (v *filter) any() bool { return len(v.values()) > 0 }

// channel is the one that is looked for, "" for all.
func (v *filter) channel() string { return *v.fields["channel"] }

func (v *filter) values() url.Values {
	values := url.Values{}
	for name, value := range v.fields {
		if *value != "" {
			values.Set(name, *value)
		}
	}
	return values
}

// read returns the filter, or what is wrong with it.
func (v *filter) read(now time.Time) (admin.DeliveryFilter, error) {
	var channels []admin.DeliveryChannel
	for _, c := range outbox.Channels() {
		channels = append(channels, admin.DeliveryChannel{Name: c.Name, Event: c.Event})
	}
	read, wrong := admin.ReadFilter(v.values(), channels, now)
	var errs []error
	for _, name := range admin.FilterNames() {
		if wrong[name] != "" {
			errs = append(errs, usagef("%s: --%s: %s", v.command, name, wrong[name]))
		}
	}
	return read, errors.Join(errs...)
}
