package envelope

import (
	"strings"
	"time"
)

// zoneLayouts are RFC 3339 with every offset that PostgreSQL writes: +00 and
// +05:30, and +08:05:43 for a local time of before 1901.
var zoneLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04:05Z07:00:00",
}

// timestamp turns occurred_at, RFC 3339 or PostgreSQL's ISO text, into the
// envelope's timestamp: UTC, cut (not rounded) to whole seconds, "Z". What
// RFC 3339 cannot say (infinity, a year before 1 or after 9999) is an error.
func timestamp(occurredAt string) (string, error) {
	// Rows are read in UTC, and of all layouts Go reads and writes RFC 3339 fastest.
	// Several spaces count as one, as in Go's own layouts.
	if utc, ok := strings.CutSuffix(occurredAt, "+00"); ok {
		day, clock, _ := strings.Cut(utc, " ")
		at, err := time.Parse(time.RFC3339, day+"T"+strings.TrimLeft(clock, " ")+"Z")
		if err == nil && at.Year() >= 1 {
			return at.Format(time.RFC3339), nil
		}
	}
	text := strings.ToUpper(strings.Replace(occurredAt, " ", "T", 1))
	for _, layout := range zoneLayouts {
		at, err := time.Parse(layout, text)
		if utc := at.UTC(); err == nil && utc.Year() >= 1 && utc.Year() <= 9999 {
			return utc.Format(time.RFC3339), nil
		}
	}
	return "", &Error{
		Field: "occurred_at",
		Problem: `"` + excerpt(occurredAt) + `" is not a time between the years 1 and 9999, such as 2026-03-22T08:30:00Z: ` +
			"correct it in the application, or in occurred_at of this row",
	}
}
