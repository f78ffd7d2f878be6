package outbox

import (
	"strings"
	"time"
)

// zoneLayouts are RFC 3339 with every offset that PostgreSQL writes: +00 and
// +05:30, and +08:05:43 for a local time of before 1901.
var zoneLayouts = []string{
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04:05Z07:00:00",
}

const (
	workerLayout = "2006-01-02 15:04:05+00" // as PostgreSQL writes to the worker, whose sessions are in UTC
	sentLayout   = "2006-01-02T15:04:05Z"
)

// timestamp turns occurred_at, RFC 3339 or PostgreSQL's ISO text, into the
// envelope's timestamp: UTC, cut (not rounded) to whole seconds, "Z". What
// RFC 3339 cannot say (infinity, a year before 1 or after 9999) is an error.
func timestamp(occurredAt string) (string, error) {
	if at, err := time.Parse(workerLayout, occurredAt); err == nil && at.Year() >= 1 {
		return at.Format(sentLayout), nil
	}
	text := strings.ToUpper(strings.Replace(occurredAt, " ", "T", 1))
	for _, layout := range zoneLayouts {
		at, err := time.Parse(layout, text)
		if utc := at.UTC(); err == nil && utc.Year() >= 1 && utc.Year() <= 9999 {
			return utc.Format(sentLayout), nil
		}
	}
	return "", &RenderError{
		Field:   "occurred_at",
		Problem: `"` + excerpt(occurredAt) + `" was found, a time of the years 1 to 9999 such as 2026-03-22T08:30:00Z was expected`,
	}
}
