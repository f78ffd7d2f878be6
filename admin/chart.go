package admin

import (
	"fmt"
	"strings"
	"time"
)

// chart is what a channel did in the last 24 hours, as stacked bars: what was delivered at the bottom, then
// what was skipped, and on top what failed. The sizes are units of the SVG's viewBox.
type chart struct {
	Bars    []bar
	Most    int64  // in one hour
	Summary string // the chart in one sentence
}

// bar is one hour.
type bar struct {
	OverviewHour
	X     int
	From  string // the beginning of the hour
	Label string // the hour and its counts
	Parts []part
}

// part is one kind of a bar.
type part struct {
	Kind      string // delivered, skipped or failed
	Y, Height int
}

const (
	chartHours  = 24
	barStep     = 12 // from one bar to the next
	chartHeight = 48 // of the highest bar
	leastHeight = 4  // of a part, so that one failure among thousands is seen
)

// chartOf draws 24 hours, of which the last is the one that runs at now.
func chartOf(hours []OverviewHour, now time.Time) (c chart) {
	known := map[int64]OverviewHour{}
	for _, h := range hours {
		known[h.Hour.Unix()] = h
		c.Most = max(c.Most, h.all())
	}
	var sum OverviewHour
	first := now.UTC().Truncate(time.Hour).Add(-(chartHours - 1) * time.Hour)
	for i := range chartHours {
		begin := first.Add(time.Duration(i) * time.Hour)
		h := known[begin.Unix()]
		h.Hour = begin
		c.Bars = append(c.Bars, bar{OverviewHour: h, X: i * barStep, Parts: h.parts(c.Most),
			From:  begin.Local().Format("2 Jan 15:04 MST"),
			Label: begin.Local().Format("15:04") + " to " + begin.Add(time.Hour).Local().Format("15:04") + ": " + h.words()})
		sum.Delivered, sum.Failed, sum.Skipped = sum.Delivered+h.Delivered, sum.Failed+h.Failed, sum.Skipped+h.Skipped
	}
	c.Summary = "The last 24 hours: " + sum.words()
	if c.Most > 0 {
		c.Summary += fmt.Sprintf("; at most %s in an hour", number(c.Most))
	}
	return c
}

func (h OverviewHour) all() int64 { return h.Delivered + h.Failed + h.Skipped }

// parts are stacked from the bottom. Rounding up may lift a bar a little above the highest: the chart is
// high enough for that.
func (h OverviewHour) parts(most int64) (parts []part) {
	y := chartHeight
	for _, p := range []struct {
		kind   string
		events int64
	}{{"delivered", h.Delivered}, {"skipped", h.Skipped}, {"failed", h.Failed}} {
		if p.events == 0 {
			continue
		}
		height := max(int(p.events*chartHeight/most), leastHeight)
		y -= height
		parts = append(parts, part{p.kind, y, height})
	}
	return parts
}

// words are the counts of an hour, or of all: "12 delivered, 3 failed".
func (h OverviewHour) words() string {
	var words []string
	for _, p := range []struct {
		word   string
		events int64
	}{{"delivered", h.Delivered}, {"failed", h.Failed}, {"skipped", h.Skipped}} {
		if p.events > 0 {
			words = append(words, number(p.events)+" "+p.word)
		}
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}
