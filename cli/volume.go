package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// volumeDocument is webhook.volume.
type volumeDocument struct {
	Hours []volumeHour `json:"hours" about:"the hours of the last seven days in which there was something, by channel, hour and status"`
}

// volumeHour is one row of it.
type volumeHour struct {
	Channel string    `json:"channel" about:"the channel"`
	Hour    time.Time `json:"hour" about:"the beginning of the hour"`
	Status  string    `json:"status" about:"of the events: by when they were finished, or else by when they are due"`
	Events  int64     `json:"events" about:"how many, without test events"`
}

// The spans by which it adds up.
const byChannel, byDay, byHour = "channel", "day", "hour"

// volumeCommand is `webhooks volume`: webhook.volume for a terminal.
var volumeCommand = command{
	name: "volume", group: groupRead, role: readerRole, document: volumeDocument{},
	about: "count the events of the last seven days",
	text: "Read it before you turn on a channel that is paid by the call. What was skipped, since the channel was off, is counted like the rest. BUSIEST is the most events of one hour. Test events are not " +
		"counted. The hours are those of UTC.",
	examples: []string{
		"all channels: webhooks volume",
		"the audit log, hour by hour: webhooks volume --channel audit_log --by hour",
	},
	flags: func(f *flags) action {
		channel := f.channel("of this channel only")
		by := f.oneOf("by", "a line for each of these (default channel)", []string{byChannel, byDay, byHour})
		database, asJSON := f.database(), f.json()
		return func(_, stop context.Context, _ []string) error {
			return withDatabase(stop, f, *database, func(db *sqlx.DB) error {
				v := volumeDocument{Hours: []volumeHour{}}
				if err := db.SelectContext(stop, &v.Hours, `
					-- $1 channel, '' for all; what an application made due in no year of a calendar is left out
					select channel, hour, status, events from webhook.volume
					 where ($1 = '' or channel = $1) and hour <= '9999-12-31 23:59Z'`, *channel); err != nil {
					return fmt.Errorf("volume: %w", err)
				}
				for i := range v.Hours {
					v.Hours[i].Hour = v.Hours[i].Hour.UTC()
				}
				if *asJSON {
					return writeJSON(f.p.Stdout, v)
				}
				return f.printVolume(v, *by)
			})
		}
	},
}

// volumeSum is what a channel had in one span.
type volumeSum struct {
	channel, span         string
	all, day, most        int64 // most: of one hour
	perHour               map[time.Time]int64
	sent, failed, skipped int64
}

// sumVolume adds up by channel and span, in the order of the rows.
func sumVolume(hours []volumeHour, by string, now time.Time) (sums []*volumeSum) {
	for _, h := range hours {
		span := map[string]string{byDay: "2006-01-02", byHour: "2006-01-02 15:04"}[by]
		if span != "" {
			span = h.Hour.Format(span)
		}
		if n := len(sums); n == 0 || sums[n-1].channel != h.Channel || sums[n-1].span != span {
			sums = append(sums, &volumeSum{channel: h.Channel, span: span, perHour: map[time.Time]int64{}})
		}
		sums[len(sums)-1].add(h, now)
	}
	return sums
}

func (s *volumeSum) add(h volumeHour, now time.Time) {
	s.all += h.Events
	if now.Sub(h.Hour) < 24*time.Hour {
		s.day += h.Events
	}
	s.perHour[h.Hour] += h.Events
	s.most = max(s.most, s.perHour[h.Hour])
	switch h.Status {
	case "sent":
		s.sent += h.Events
	case "failed":
		s.failed += h.Events
	case "skipped":
		s.skipped += h.Events
	}
}

func (f *flags) printVolume(v volumeDocument, by string) error {
	sums := sumVolume(v.Hours, by, time.Now())
	if len(sums) == 0 {
		fmt.Fprintln(f.p.Stderr, "there was no event in the last seven days")
		return nil
	}
	t := table{right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true}}
	if by == byDay || by == byHour {
		delete(t.right, 1)
		t.add("CHANNEL", "UTC", "EVENTS", "SENT", "FAILED", "SKIPPED")
		for _, s := range sums {
			t.add(s.channel, s.span, fmt.Sprint(s.all), fmt.Sprint(s.sent), fmt.Sprint(s.failed), fmt.Sprint(s.skipped))
		}
		return t.write(f.p.Stdout, f.screenWidth())
	}
	t.add("CHANNEL", "24 H", "7 DAYS", "BUSIEST", "SENT", "FAILED", "SKIPPED")
	for _, s := range sums {
		t.add(s.channel, count(s.day), count(s.all), count(s.most), count(s.sent), count(s.failed), count(s.skipped))
	}
	return t.write(f.p.Stdout, f.screenWidth())
}
