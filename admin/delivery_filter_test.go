package admin

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

var filterChannels = []DeliveryChannel{{"documents", "document.exported"}, {"audit_log", "audit.log"}}

func TestFilter_Times(t *testing.T) {
	now := time.Date(2026, 11, 28, 14, 2, 30, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2026-11-27":                time.Date(2026, 11, 27, 0, 0, 0, 0, time.Local),
		"2026-11-28 14:02":          time.Date(2026, 11, 28, 14, 2, 0, 0, time.Local),
		"2026-11-28T14:02":          time.Date(2026, 11, 28, 14, 2, 0, 0, time.Local),
		"2026-11-28 14:02:03":       time.Date(2026, 11, 28, 14, 2, 3, 0, time.Local),
		"2026-11-28T14:02:03Z":      time.Date(2026, 11, 28, 14, 2, 3, 0, time.UTC),
		"2026-11-28T14:02:03+08:00": time.Date(2026, 11, 28, 6, 2, 3, 0, time.UTC),
		"2026-11-28T14:02:03.5Z":    time.Date(2026, 11, 28, 14, 2, 3, 5e8, time.UTC),
		"2h":                        now.Add(-2 * time.Hour),
		" 7d ":                      now.Add(-7 * 24 * time.Hour),
		"30m":                       now.Add(-30 * time.Minute),
		"2 H ago":                   now.Add(-2 * time.Hour),
		"0h":                        now,
	} {
		f, typed := readFilter(url.Values{"since": {text}}, filterChannels, now)
		if len(typed.Wrong) > 0 || !f.Since.Equal(want) {
			t.Errorf("since %q: %v, %v, %v was expected", text, f.Since, typed.Wrong, want)
		}
	}
	for _, text := range []string{"yesterday", "2026-13-01", "2026-02-30", "28.11.2026", "-2h", "2", "h", "99999999999999999999d", "2147483647w", "2h3m", "0000-01-01", "infinity", "2026-11-28 25:00", "10000-01-01", "\x00", "\xff", strings.Repeat("9", 100000)} {
		if f, typed := readFilter(url.Values{"until": {text}}, filterChannels, now); typed.Wrong["until"] == "" || typed.Typed["until"] != strings.TrimSpace(text) {
			t.Errorf("until %q: %v, and nothing is wrong", text, f.Until)
		}
	}
}

func TestFilter_UntilADateIncludesThatDay(t *testing.T) {
	f, typed := readFilter(url.Values{"since": {"2026-11-28"}, "until": {"2026-11-28"}}, filterChannels, time.Now())
	if len(typed.Wrong) > 0 || !f.Until.Equal(time.Date(2026, 11, 29, 0, 0, 0, 0, time.Local)) {
		t.Errorf("%v to %v: %v", f.Since, f.Until, typed.Wrong)
	}
}

func TestFilter_WrongValuesAreNamed(t *testing.T) {
	for name, values := range map[string][]string{
		"channel":  {"fax", "Documents", "documents'", "\x00", "<script>"},
		"status":   {"delivered", "Sent", "pending,sent", "\xff"},
		"failure":  {"429", "oops"},
		"document": {"a\x00b", "\xff\xfe", strings.Repeat("x", 201)},
		"error":    {"a\x00b", "\xff", strings.Repeat("é", 201)},
	} {
		for _, value := range values {
			_, typed := readFilter(url.Values{name: {value}}, filterChannels, time.Now())
			if typed.Wrong[name] == "" || len(typed.Wrong) != 1 {
				t.Errorf("%s=%q: %v", name, value, typed.Wrong)
			}
		}
	}
	if _, typed := readFilter(url.Values{"since": {"1h"}, "until": {"2h"}}, filterChannels, time.Now()); typed.Wrong["until"] == "" {
		t.Error("until before since is not wrong")
	}
}

// Which of two is meant is not known, and a wider filter than the one that was meant sends more again.
func TestFilter_TwiceIsWrong(t *testing.T) {
	for _, name := range filterNames {
		value := map[string]string{"channel": "documents", "status": "failed", "failure": "dns", "since": "2h", "until": "1h"}[name]
		if _, typed := readFilter(url.Values{name: {value, value}}, filterChannels, time.Now()); typed.Wrong[name] == "" {
			t.Errorf("%s twice is not wrong", name)
		}
	}
}

func TestFilter_QueryIsWhatWasTyped(t *testing.T) {
	query := url.Values{"channel": {"audit_log"}, "error": {` 100% & "more" `}, "since": {"2h"}, "unknown": {"x"}, "status": {""}}
	f, typed := readFilter(query, filterChannels, time.Now())
	if len(typed.Wrong) > 0 || len(f.Events) != 1 || f.Events[0] != "audit.log" || f.Error != `100% & "more"` {
		t.Errorf("%+v, %v", f, typed.Wrong)
	}
	if got := typed.Query("before", "7", "to", ""); got != "?before=7&channel=audit_log&error=100%25+%26+%22more%22&since=2h" {
		t.Errorf("the query of a link is %s", got)
	}
}
