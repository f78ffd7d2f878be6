package admin

import "time"

// health is what is known of a channel, from which its state follows.
type health struct {
	Enabled, Offline bool
	Problem          string     // why it cannot be called as it is configured; "": it can
	PausedUntil      *time.Time // as its receiver asked with Retry-After; nil or past: not paused
	FailingSince     *time.Time // of its endpoint; nil: the newest attempt has succeeded, or there was none
	LastSuccess      *time.Time
	EverUsed         bool // an attempt was made since the URL was set
}

// channelState is the state of a channel in words. What a person has to change comes before what the
// receiver does: a channel in Offline Mode is held, also if its endpoint failed before. A pause follows
// from failures, and so comes after them.
func channelState(h health, now time.Time) state {
	switch {
	case !h.Enabled:
		return state{"Off", "off"}
	case h.Offline, h.Problem != "":
		return state{"Held", "held"}
	case h.FailingSince != nil:
		return state{"Failing since " + clock(*h.FailingSince, now), "bad"}
	case h.paused(now):
		return state{"Held", "held"}
	case !h.EverUsed && h.LastSuccess == nil:
		return state{"Never used", "off"}
	}
	return state{"Healthy", "ok"}
}

// heldBecause is why a channel is held, in words; "" if it is not.
func heldBecause(h health, now time.Time) string {
	switch {
	case !h.Enabled:
		return ""
	case h.Offline:
		return "Offline Mode is on"
	case h.Problem != "":
		return pageWords(h.Problem)
	case h.FailingSince == nil && h.paused(now):
		return "paused until " + clock(*h.PausedUntil, now)
	}
	return ""
}

func (h health) paused(now time.Time) bool { return h.PausedUntil != nil && h.PausedUntil.After(now) }

// clock is an instant in short: the time of day, with the day if it is another one. The zone is that of
// this process, as in exact.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch {
	case t.Year() != now.Year():
		return t.Format("2 Jan 2006 15:04")
	case t.YearDay() != now.YearDay():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("15:04")
}
