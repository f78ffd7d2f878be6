package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// overviewFake answers with an overview; nothing else of Store is called.
type overviewFake struct {
	Store
	is  Overview
	err error
}

func (f *overviewFake) Overview(context.Context) (Overview, error) { return f.is, f.err }

// overviewAt is the instant of the tests: shortly after an hour has begun.
var overviewAt = time.Date(2026, 3, 22, 14, 30, 0, 0, time.UTC)

func before(d time.Duration) *time.Time {
	t := overviewAt.Add(-d)
	return &t
}

// calm is an overview in which nothing needs attention.
func calm() Overview {
	o := Overview{At: overviewAt, CleanedUp: before(time.Hour), CountedUntil: *before(5 * time.Second),
		Workers: []OverviewWorker{{Name: "host:7", Started: *before(48 * time.Hour), Seen: *before(3 * time.Second)}}, WorkerSeen: before(3 * time.Second)}
	for _, name := range []string{"documents", "contacts", "folders", "cases", "notifications", "rules", "audit_log"} {
		o.Channels = append(o.Channels, OverviewChannel{Name: name, AtLeastOnce: name == "documents", Enabled: true, Host: "hook.example",
			LastSuccess: before(time.Minute), EverUsed: true})
	}
	return o
}

// channel is a channel of an overview, to be changed.
func (o Overview) channel(name string) *OverviewChannel {
	return &o.Channels[slices.IndexFunc(o.Channels, func(c OverviewChannel) bool { return c.Name == name })]
}

func get(t *testing.T, h http.Handler, path string) (status int, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// overviewPage is the page, and its text as a person reads it.
func overviewPage(t *testing.T, o Overview) (page, text string) {
	t.Helper()
	status, page := get(t, New(&overviewFake{is: o}, zap.NewNop(), Options{Loopback: true, User: "jean"}), "/overview")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, page)
	}
	text = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")
	return page, html.UnescapeString(strings.Join(strings.Fields(text), " "))
}

func TestOverview_AllIsWell(t *testing.T) {
	t.Parallel()
	o := calm()
	o.channel("rules").Enabled = false
	_, text := overviewPage(t, o)
	for _, part := range []string{"All is well. Checked", "Documents Healthy hook.example", "Audit Log Healthy", "Rules Off"} {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not say %q: %s", part, text)
		}
	}
	if strings.Contains(text, "attention Folders") || strings.Contains(text, "needs attention Contacts") || strings.Contains(text, "1 thing") {
		t.Errorf("something needs attention: %s", text)
	}
}

func TestOverview_ANewInstallationSaysHowToBegin(t *testing.T) {
	t.Parallel()
	o := Overview{At: overviewAt, CountedUntil: overviewAt, Channels: []OverviewChannel{{Name: "documents", Problem: "it has no URL"}, {Name: "audit_log", Problem: "it has no URL"}}}
	page, text := overviewPage(t, o)
	for _, part := range []string{"No channel is on yet. Set a URL, turn its channel on and save; what is delivered then appears here.", "No worker is running", "Audit Log Off"} {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not say %q: %s", part, text)
		}
	}
	if strings.Contains(text, "All is well") || strings.Contains(text, "cannot be called") || !strings.Contains(page, `<a href="/settings/integrations/webhooks">`) {
		t.Errorf("%s", page)
	}
}

func TestAttention_SaysWhatToDoAndWhere(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) *time.Time {
		t := time.Date(2026, 3, 22, hour, minute, 0, 0, time.Local)
		return &t
	}
	for name, c := range map[string]struct {
		change            func(o *Overview)
		title, says, link string
	}{
		"no worker": {func(o *Overview) {
			o.Workers[0].Seen, o.WorkerSeen = *before(5 * time.Minute), before(5*time.Minute)
			o.channel("contacts").Waiting = 1204
		}, "No worker has been seen for 5 minutes", "Nothing is delivered. 1,204 events wait.", "/deliveries?status=pending"},
		"no worker, nothing waits": {func(o *Overview) { o.Workers, o.WorkerSeen = nil, nil }, "No worker is running", "Nothing waits at the moment.", "/deliveries?status=pending"},
		"one of two workers is gone": {func(o *Overview) {
			o.Workers = append(o.Workers, OverviewWorker{Name: "host:8", Seen: *before(7 * time.Minute)})
		}, "The worker host:8 has not been seen for 7 minutes", "Read its log.", "/deliveries?status=pending"},
		"workers of another environment": {func(o *Overview) {
			o.Environment = "production"
			o.Workers[0].Environment = "staging"
		}, "The worker host:7 delivers nothing", "Started for the environment staging, while this database belongs to the environment production.", "/deliveries?status=pending"},
		"Offline Mode": {func(o *Overview) {
			o.Offline, o.OfflineSince, o.OfflineBy = true, at(9, 2), "Jane"
			o.channel("cases").Waiting = mostCounted + 1
		}, "Offline Mode is on since 09:02", "Turned on by Jane. Nothing is delivered on any channel. 10,000+ events wait.", "/settings/general"},
		"Offline Mode, by a hand that left no trace": {func(o *Overview) { o.Offline = true }, "Offline Mode is on", "Nothing is delivered on any channel.", "/settings/general"},
		"on without a URL": {func(o *Overview) {
			for _, name := range []string{"contacts", "folders"} {
				o.channel(name).Problem = "it has no URL: update webhook.channels set url = 'https://...' where name = '" + name + "'"
			}
		}, "Contacts and Folders are on but cannot be called", "It has no URL. Events wait until this is fixed.", "/settings/integrations/webhooks#contacts"},
		"failing": {func(o *Overview) {
			c := o.channel("contacts")
			c.FailingSince, c.LastError, c.LastHint = at(14, 2), "HTTP 404", "The path of the URL is wrong: regenerate the webhook URL in the receiving tool."
		}, "Contacts has been failing since 14:02", "The newest failure: HTTP 404. The path of the URL is wrong", "/deliveries?channel=contacts&status=failed"},
		"several are failing alike": {func(o *Overview) {
			for i, name := range []string{"documents", "rules", "contacts"} {
				c := o.channel(name)
				c.FailingSince, c.LastError, c.LastHint = at(14-i, 2), "HTTP 503", "The receiving server is temporarily down or overloaded."
			}
		}, "Documents, Contacts and Rules have been failing since 12:02", "The newest failure: HTTP 503. The receiving server", "/deliveries?channel=rules&status=failed"},
		"documents are failing": {func(o *Overview) { o.channel("documents").FailingSince = at(14, 2) },
			"Documents has been failing since 14:02", "", "/deliveries?channel=documents&status=pending"},
		"a look has failed": {func(o *Overview) {
			c := o.channel("rules")
			c.LookProblem, c.LookHint = "lookup hook.example: no such host", "The host name does not resolve."
		}, "The endpoint of Rules cannot be reached", "A worker looked, and found: lookup hook.example: no such host. The host name does not resolve.", "/settings/integrations/webhooks#rules"},
		"paused": {func(o *Overview) { c := o.channel("cases"); c.PausedUntil = before(-2 * time.Minute) }, "Cases is paused until ", "with Retry-After", "/settings/integrations/webhooks#cases"},
		"a certificate ends": {func(o *Overview) {
			for _, name := range []string{"cases", "rules"} {
				o.channel(name).CertificateEnds = before(-5 * 24 * time.Hour)
			}
		}, "The certificate of hook.example ends in 5 days", "Nothing can be delivered to Cases and Rules from then on. Ask those", "/settings/integrations/webhooks#cases"},
		"a certificate has ended": {func(o *Overview) { o.channel("cases").CertificateEnds = before(3 * time.Hour) }, "The certificate of hook.example ended 3 hours ago", "", "/settings/integrations/webhooks#cases"},
		"lost events": {func(o *Overview) { o.channel("contacts").Lost, o.channel("audit_log").Lost = 312, 1 }, "313 failed events were not resent",
			"In the last seven days.", "/deliveries?channel=audit_log&status=failed&since=7d"},
		"one lost event":                        {func(o *Overview) { o.channel("contacts").Lost = 1 }, "1 failed event was not resent", "", "/deliveries?channel=contacts&status=failed&since=7d"},
		"documents with an error of their data": {func(o *Overview) { o.channel("documents").Unrenderable = 2 }, "2 documents wait because of an error in their data", "", "/deliveries?channel=documents&status=pending&failure=render"},
		"no clean-up":                           {func(o *Overview) { o.CleanedUp = before(3 * 24 * time.Hour) }, "The clean-up has not come to its end for 3 days", `Search the workers' log for "clean-up".`, ""},
		"never a clean-up":                      {func(o *Overview) { o.CleanedUp = nil }, "No clean-up has come to its end yet", "", ""},
	} {
		o := calm()
		c.change(&o)
		all := attentionOf(o)
		if len(all) != 1 {
			t.Errorf("%s: %d things: %+v", name, len(all), all)
			continue
		}
		if !strings.HasPrefix(all[0].Title, c.title) {
			t.Errorf("%s: the title is %q, %q was expected", name, all[0].Title, c.title)
		}
		page, text := overviewPage(t, o)
		if !strings.Contains(text, "1 thing needs attention "+c.title) || !strings.Contains(text, c.says) || !strings.Contains(html.UnescapeString(page), `<a href="`+c.link) || strings.Contains(text, "All is well") {
			t.Errorf("%s: %q or a link to %q is missing: %s", name, c.says, c.link, text)
		}
		if strings.Contains(text, "update webhook.") {
			t.Errorf("%s: the page says SQL: %s", name, text)
		}
	}
}

func TestAttention_IsNotNeeded(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(o *Overview){
		"an off channel without a URL":                func(o *Overview) { c := o.channel("rules"); c.Enabled, c.Problem = false, "it has no URL" },
		"an off channel that failed":                  func(o *Overview) { c := o.channel("rules"); c.Enabled, c.FailingSince = false, before(time.Hour) },
		"an off channel's certificate":                func(o *Overview) { c := o.channel("rules"); c.Enabled, c.CertificateEnds = false, before(0) },
		"a certificate that is good for a month":      func(o *Overview) { o.channel("rules").CertificateEnds = before(-30 * 24 * time.Hour) },
		"a pause that is over":                        func(o *Overview) { o.channel("rules").PausedUntil = before(0) },
		"a worker that was not seen for a few cycles": func(o *Overview) { o.Workers[0].Seen = *before(50 * time.Second) },
		"a clean-up that is a day ago":                func(o *Overview) { o.CleanedUp = before(25 * time.Hour) },
		"no clean-up yet, as the worker is young":     func(o *Overview) { o.CleanedUp, o.Workers[0].Started = nil, *before(time.Minute) },
	} {
		o := calm()
		change(&o)
		if all := attentionOf(o); len(all) > 0 {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

// TestOverview_HostileNamesAreText: what comes from outside is neither markup nor turns what follows.
func TestOverview_HostileNamesAreText(t *testing.T) {
	t.Parallel()
	const hostile = "\u202e<script>alert(1)</script>\x00'\"&"
	o := calm()
	o.Environment = hostile
	o.Workers[0].Name = hostile + strings.Repeat("x", 100_000)
	o.Offline, o.OfflineSince, o.OfflineBy = true, before(time.Hour), hostile
	for i := range o.Channels {
		c := &o.Channels[i]
		c.Host, c.FailingSince, c.LastError, c.LookProblem, c.CertificateEnds = hostile, before(time.Hour), hostile+strings.Repeat("y", 100_000), hostile, before(0)
	}
	page, _ := overviewPage(t, o)
	if strings.Contains(page, "<script>") || strings.ContainsAny(page, "\u202e\x00") {
		t.Error("it is not only text")
	}
	if len(page) > 150_000 || strings.Contains(page, strings.Repeat("x", 1000)) {
		t.Errorf("a page of %d bytes", len(page))
	}
}

// TestOverview_HasNoInlineCode that the Content-Security-Policy would refuse.
func TestOverview_HasNoInlineCode(t *testing.T) {
	t.Parallel()
	o := calm()
	o.channel("contacts").Hours = []OverviewHour{{overviewAt.Truncate(time.Hour), 3, 2, 1}}
	page, _ := overviewPage(t, o)
	if found := regexp.MustCompile(`(?i)\s(style|on\w+)=|<style|<script>|javascript:`).FindString(page); found != "" {
		t.Errorf("the page has %q", found)
	}
}

// TestOverviewFigures_AreThoseOfThePage: each element that the script fills has its figure, with the text that was loaded.
func TestOverviewFigures_AreThoseOfThePage(t *testing.T) {
	t.Parallel()
	o := calm()
	c := o.channel("contacts")
	c.Waiting, c.Oldest, c.Latencies = 12, before(time.Hour), []OverviewLatency{{40 * time.Millisecond, 1}}
	c.Hours = []OverviewHour{{overviewAt.Truncate(time.Hour), 1204, 2, 3}}
	fake := &overviewFake{is: o}
	h := New(fake, zap.NewNop(), Options{Loopback: true, User: "jean"})
	_, page := get(t, h, "/overview")
	figuresOf := func() (f figures) {
		status, body := get(t, h, "/overview/figures")
		if err := json.Unmarshal([]byte(body), &f); err != nil || status != http.StatusOK {
			t.Fatalf("status %d, %v: %s", status, err, body)
		}
		return f
	}
	f := figuresOf()
	filled := regexp.MustCompile(`data-figure="([^"]*)">([^<]*)<`).FindAllStringSubmatch(page, -1)
	if len(filled) != 7*6 || len(filled) != len(f.Texts) {
		t.Errorf("%d elements, %d figures", len(filled), len(f.Texts))
	}
	for _, element := range filled {
		if got, ok := f.Texts[element[1]]; !ok || got != html.UnescapeString(element[2]) {
			t.Errorf("%s is %q on the page, and %q", element[1], element[2], got)
		}
	}
	if got := f.Texts["contacts-delivered"] + " " + f.Texts["contacts-waiting"] + " " + f.Texts["contacts-p50"]; got != "1,204 12 p50 40 ms" {
		t.Errorf("%s", got)
	}
	times := regexp.MustCompile(`data-instant="([^"]*)"`).FindAllStringSubmatch(page, -1)
	for _, element := range times {
		if _, ok := f.Instants[element[1]]; !ok {
			t.Errorf("%s is missing", element[1])
		}
	}
	if len(times) != 8 || f.Instants["contacts-oldest"].At != "2026-03-22T13:30:00Z" || f.Instants["rules-oldest"].At != "" {
		t.Errorf("%d instants: %v", len(times), f.Instants)
	}
	if !strings.Contains(page, fmt.Sprintf("data-version=%q", f.Version)) {
		t.Errorf("version %s is not that of the page", f.Version)
	}

	c.Waiting, fake.is.At = 13, overviewAt.Add(10*time.Second)
	if now := figuresOf(); now.Version != f.Version || now.Texts["contacts-waiting"] != "13" {
		t.Errorf("another figure: version %s after %s, %v", now.Version, f.Version, now.Texts)
	}
	c.FailingSince = before(time.Minute)
	if now := figuresOf(); now.Version == f.Version {
		t.Error("an endpoint fails, the version has not changed")
	}
	c.FailingSince, c.Enabled = nil, false
	if now := figuresOf(); now.Version == f.Version {
		t.Error("a channel is off, the version has not changed")
	}
}

func TestOverview_TheDatabaseDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := New(&overviewFake{err: fmt.Errorf("read the overview: %w", ErrUnavailable)}, zap.NewNop(), Options{Loopback: true, User: "jean"})
	for _, path := range []string{"/overview", "/overview/figures"} {
		if status, body := get(t, h, path); status != http.StatusServiceUnavailable || !strings.Contains(body, "The database does not answer") {
			t.Errorf("%s: status %d: %s", path, status, body)
		}
	}
}

func TestPercentile_IsOfAllHoursTogether(t *testing.T) {
	t.Parallel()
	all := []OverviewLatency{{10, 50}, {20, 48}, {400, 1}, {5000, 1}}
	for share, want := range map[float64]time.Duration{0.5: 10, 0.51: 20, 0.98: 20, 0.99: 400, 1: 5000} {
		if got := percentile(all, share); got != want {
			t.Errorf("p%v is %d, %d was expected", share*100, got, want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("of none: %d", got)
	}
}

func TestShort_HasTwoDigitsOrThree(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "1 ms", 42 * time.Millisecond: "42 ms", 999 * time.Millisecond: "999 ms", 1340 * time.Millisecond: "1.3 s",
		12 * time.Second: "12 s", 100 * time.Second: "100 s", 12 * time.Minute: "12 min", 20 * time.Hour: "20 h",
	} {
		if got := short(d); got != want {
			t.Errorf("%s: %q, %q was expected", d, got, want)
		}
	}
}

// TestOverview_UncountedIsNotNone: where it is not known what waits, the page does not say that nothing does.
func TestOverview_UncountedIsNotNone(t *testing.T) {
	o := calm()
	o.Offline, o.Uncounted = true, true
	if v := viewOf(o); v.Channels[0].Waiting != "–" || v.Version == viewOf(calm()).Version || !v.Uncounted {
		t.Errorf("%+v", v)
	}
	if text := o.waits(); text != "How much waits is not known at the moment." {
		t.Error(text)
	}
}
