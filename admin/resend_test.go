package admin

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// resendFake answers with a preview, and notes what was begun.
type resendFake struct {
	Store
	is    ResendPreview
	err   error
	asked []Resend
	begun []Resend
	actor string
}

func (f *resendFake) DeliveryChannels(context.Context) ([]DeliveryChannel, error) {
	return []DeliveryChannel{{"documents", "document.exported"}, {"contacts", "contact.created"}, {"audit_log", "audit.log"}}, nil
}

func (f *resendFake) PreviewResend(_ context.Context, re Resend) (ResendPreview, error) {
	f.asked = append(f.asked, re)
	return f.is, f.err
}

func (f *resendFake) StartResend(_ context.Context, actor string, re Resend) (int64, error) {
	f.begun, f.actor = append(f.begun, re), actor
	return 7, f.err
}

var countedAt = time.Date(2026, 3, 22, 14, 30, 0, 123456000, time.UTC)

// lostEvents is a preview with something of each kind.
func lostEvents() *resendFake {
	return &resendFake{is: ResendPreview{At: countedAt, First: []Delivery{{ID: 12, Event: "contact.created", Status: "failed", HTTPStatus: 503, Failure: "server_error"}},
		Channels: []ResendChannel{{Channel: "documents", Overtaken: 2}, {Channel: "contacts", Send: 300, Received: 3, Test: 1}, {Channel: "audit_log", Send: 12, Off: true}}}}
}

func resendPage(f *resendFake, r *http.Request) reply {
	return answer(New(f, zap.NewNop(), onLoopback()), r)
}

// readable is what is to be read on a page.
func readable(page string) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(page, " ")), " ")
}

var tags = regexp.MustCompile(`<[^>]*>`)

func TestResendMany_CountsAndSaysWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	f := lostEvents()
	res := resendPage(f, request("GET", "/deliveries/resend?channel=contacts&status=failed&failure=server_error&since=2h", nil, nil))
	isPage(t, "the preview", res, 200, "<h1>Resend</h1>", ">Resend 312 events</button>", `value="2026-03-22T14:30:00.123456Z"`)
	text := readable(res.text)
	for _, part := range []string{"312 events", "Channel Contacts", "Status Failed", "Failure Receiver&#39;s server error (5xx)", "Since 2h", "Documents 0 2", "Contacts 300 4", "Audit Log Off 12 0",
		"2 exports were followed by later exports", "3 events are ones that the receiver has or may have", "1 is a test event", "Audit Log is off.", "The first 1", "Include events the receiver may have",
		"These are up to 3 more."} {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not say %q: %s", part, text)
		}
	}
	re := f.asked[0]
	if re.Channel != "contacts" || !slices.Equal(re.Filter.Events, []string{"contact.created"}) || re.Filter.Status != "failed" || re.IncludeReceived || time.Since(re.Filter.Since) < 2*time.Hour-time.Second {
		t.Errorf("it asks for %+v", re)
	}
}

func TestResendMany_WithTheBox(t *testing.T) {
	t.Parallel()
	f := lostEvents()
	res := resendPage(f, request("GET", "/deliveries/resend?include_received=yes", nil, nil))
	text := readable(res.text)
	if !f.asked[0].IncludeReceived || !strings.Contains(res.text, `value="yes" checked`) || strings.Contains(text, "are ones that the receiver") || strings.Contains(text, "up to 3 more") || !strings.Contains(text, "None: all finished deliveries") {
		t.Errorf("%+v: %s", f.asked[0], text)
	}
	count := resendPage(f, request("GET", "/deliveries/resend/count?status=failed&include_received=yes", nil, nil))
	if count.StatusCode != 200 || count.text != `{"button":"Resend 312 events","counted":"2026-03-22T14:30:00.123456Z","none":false}` {
		t.Errorf("the count: %d, %s", count.StatusCode, count.text)
	}
	isPage(t, "a wrong filter", resendPage(f, request("GET", "/deliveries/resend/count?status=fax", nil, nil)), 422, "There is no status")
}

func TestResendMany_Counts(t *testing.T) {
	t.Parallel()
	for says, channels := range map[string][]ResendChannel{
		"Resend 0 events":       nil,
		"Resend 1 event":        {{Send: 1}},
		"Resend 1,204 events":   {{Send: 1200}, {Send: 4}},
		"Resend 10,000 events":  {{Send: 10000}},
		"Resend 10,000+ events": {{Send: 10001, More: true}},
		"Resend 3+ events":      {{Send: 3, More: true}},
		"Resend 1+ events":      {{Send: 1, More: true}},
	} {
		f := &resendFake{is: ResendPreview{At: countedAt, Channels: channels}}
		res := resendPage(f, request("GET", "/deliveries/resend", nil, nil))
		if !strings.Contains(html.UnescapeString(res.text), ">"+says+"</button>") {
			t.Errorf("%+v: it does not say %q: %s", channels, says, res.text)
		}
		if disabled := strings.Contains(res.text, `id="resend" disabled`); disabled != (says == "Resend 0 events") {
			t.Errorf("%s: disabled %t", says, disabled)
		}
	}
}

func TestResendMany_SendsWhatWasCounted(t *testing.T) {
	t.Parallel()
	at := countedAt.Format(time.RFC3339Nano)
	for name, c := range map[string]struct{ until, want string }{
		"no end":       {"", at},
		"a later end":  {"2026-03-22T15:00:00Z", at},
		"an earlier":   {"2026-03-22T13:00:00Z", "2026-03-22T13:00:00Z"},
		"the same day": {"2026-03-22", at},
	} {
		f := lostEvents()
		form := url.Values{"channel": {"contacts"}, "until": {c.until}, "since": {"2026-03-01T00:00:00.5Z"}, "counted": {at}, "include_received": {"yes"}}
		res := resendPage(f, request("POST", "/deliveries/resend", form, nil))
		if res.StatusCode != 303 || res.Header.Get("Location") != "/operations/7" || len(f.begun) != 1 || f.actor != "root" {
			t.Fatalf("%s: %d, %s, begun by %s: %+v", name, res.StatusCode, res.Header.Get("Location"), f.actor, f.begun)
		}
		if re := f.begun[0]; re.Filter.Until.UTC().Format(time.RFC3339Nano) != c.want || re.Channel != "contacts" || !re.IncludeReceived || re.Filter.Since.UTC().Format(time.RFC3339Nano) != "2026-03-01T00:00:00.5Z" {
			t.Errorf("%s: begun %+v, its end should be %s", name, re, c.want)
		}
	}
}

func TestResendMany_TimesAreThoseOfTheCount(t *testing.T) {
	t.Parallel()
	page := resendPage(lostEvents(), request("GET", "/deliveries/resend?since=2h&until=2099-03-22", nil, nil)).text
	since := between(page, `name="since" value="`, `"`)
	at, err := time.Parse(time.RFC3339Nano, since)
	if ago := time.Since(at); err != nil || ago < 2*time.Hour || ago > 2*time.Hour+time.Minute {
		t.Errorf("since is %q", since)
	}
	if until := between(page, `name="until" value="`, `"`); until != "2099-03-22" {
		t.Errorf("until is %q: a day stays one", until)
	}
}

func TestResendMany_WrongRequestsSendNothing(t *testing.T) {
	t.Parallel()
	counted := countedAt.Format(time.RFC3339Nano)
	for name, form := range map[string]url.Values{
		"without a count":      {"status": {"failed"}},
		"a malformed count":    {"status": {"failed"}, "counted": {"yesterday"}},
		"what waits":           {"status": {"pending"}, "counted": {counted}},
		"what is being sent":   {"status": {"sending"}, "counted": {counted}},
		"an unknown status":    {"status": {"lost"}, "counted": {counted}},
		"an unknown channel":   {"channel": {"fax"}, "counted": {counted}},
		"a time that is none":  {"since": {"soon"}, "counted": {counted}},
		"a time after the end": {"since": {"2h"}, "until": {"3h"}, "counted": {counted}},
		"since is later":       {"since": {"2026-04-01"}, "counted": {counted}},
	} {
		f := lostEvents()
		res := resendPage(f, request("POST", "/deliveries/resend", form, nil))
		if isPage(t, name, res, 422, `role="alert"`); len(f.begun) > 0 {
			t.Errorf("%s: begun %+v", name, f.begun)
		}
	}
	f := lostEvents()
	isPage(t, "what waits", resendPage(f, request("GET", "/deliveries/resend?status=pending", nil, nil)), 422, "What waits is sent by itself")
	if len(f.asked) > 0 {
		t.Error("it was counted")
	}
}

func TestResendMany_AnErrorIsAPage(t *testing.T) {
	t.Parallel()
	for err, status := range map[error]int{ErrUnavailable: 503, ErrSearchTooLong: 503, errors.New("geheim"): 500} {
		f := lostEvents()
		f.err = err
		for _, r := range []*http.Request{request("GET", "/deliveries/resend", nil, nil), request("POST", "/deliveries/resend", url.Values{"counted": {countedAt.Format(time.RFC3339Nano)}}, nil)} {
			res := resendPage(f, r)
			if isPage(t, r.Method, res, status); strings.Contains(res.text, "geheim") {
				t.Errorf("%s: %s", r.Method, res.text)
			}
		}
	}
}

func TestResendMany_ReadOnly(t *testing.T) {
	t.Parallel()
	f, options := lostEvents(), onLoopback()
	options.ReadOnly = true
	page := New(f, zap.NewNop(), options)
	isPage(t, "the preview", answer(page, request("GET", "/deliveries/resend", nil, nil)), 200, `id="resend" disabled aria-describedby="why-none">Resend 312 events</button>`, "This page is read-only.")
	isPage(t, "the resend", answer(page, request("POST", "/deliveries/resend", url.Values{"counted": {countedAt.Format(time.RFC3339Nano)}}, nil)), 403, "read-only")
	if len(f.begun) > 0 {
		t.Errorf("begun %+v", f.begun)
	}
}

// between is what stands between two texts.
func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}
