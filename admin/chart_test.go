package admin

import (
	"strings"
	"testing"
	"time"
)

func TestChart_IsTheLast24Hours(t *testing.T) {
	t.Parallel()
	hour := overviewAt.Truncate(time.Hour)
	c := chartOf([]OverviewHour{
		{Hour: hour.Add(-24 * time.Hour), Delivered: 7}, // before the first bar
		{Hour: hour.Add(-23 * time.Hour), Delivered: 10},
		{Hour: hour, Delivered: 600, Failed: 1, Skipped: 399},
	}, overviewAt)
	if len(c.Bars) != 24 || !c.Bars[0].Hour.Equal(hour.Add(-23*time.Hour)) || !c.Bars[23].Hour.Equal(hour) || c.Most != 1000 {
		t.Fatalf("%d bars from %s, at most %d", len(c.Bars), c.Bars[0].Hour, c.Most)
	}
	if c.Summary != "The last 24 hours: 610 delivered, 1 failed, 399 skipped; at most 1,000 in an hour" {
		t.Error(c.Summary)
	}
	if len(c.Bars[1].Parts) != 0 || c.Bars[0].Delivered != 10 {
		t.Errorf("%+v", c.Bars[:2])
	}
	if !strings.HasSuffix(c.Bars[23].Label, ": 600 delivered, 1 failed, 399 skipped") {
		t.Error(c.Bars[23].Label)
	}
}

// TestChart_AFailureAmongThousandsIsSeen: what failed is on top, and never too low to be seen.
func TestChart_AFailureAmongThousandsIsSeen(t *testing.T) {
	t.Parallel()
	c := chartOf([]OverviewHour{{Hour: overviewAt.Truncate(time.Hour), Delivered: 100_000, Failed: 1, Skipped: 50_000}}, overviewAt)
	parts := c.Bars[23].Parts
	if len(parts) != 3 || parts[0].Kind != "delivered" || parts[1].Kind != "skipped" || parts[2].Kind != "failed" || parts[2].Height != leastHeight {
		t.Fatalf("%+v", parts)
	}
	y := chartHeight
	for _, p := range parts {
		if p.Y+p.Height != y {
			t.Errorf("%+v does not stand on what is below it, %d", p, y)
		}
		y = p.Y
	}
	if y < -8 {
		t.Errorf("the bar ends at %d, above the picture", y)
	}
}

func TestChart_NothingFinished(t *testing.T) {
	t.Parallel()
	if c := chartOf(nil, overviewAt); len(c.Bars) != 24 || c.Most != 0 || c.Summary != "The last 24 hours: nothing" {
		t.Errorf("%+v", c)
	}
}
