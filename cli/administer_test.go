package cli

import (
	"strings"
	"testing"
)

func TestProgress_BarFillsWhenAllIsDone(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		done, expected int64
		more           bool
	}{
		"[###############...............] 500 of 1000 ":     {500, 1000, false},
		"[##############################] 1000 of 1000 ":    {1000, 1000, false},
		"[#.............................] 500 of 10000+ ":   {500, 10000, true},
		"[#############################.] 12500 of 12500+ ": {12500, 10000, true},
		"[##############################] 12600 of 12600 ":  {12600, 12600, false},
		"500 ": {500, 0, true},
	} {
		var out strings.Builder
		(&progress{w: &out}).show(c.done, c.expected, c.more)
		if got := strings.TrimPrefix(out.String(), "\r"); got != want || len(got) > 60 {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
	if got := plus(10001, true) + plus(10001, false); got != "10000+10001" {
		t.Errorf("%q", got)
	}
}
