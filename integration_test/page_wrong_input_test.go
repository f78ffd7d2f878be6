package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A time that Go reads is one that PostgreSQL reads, or is refused in words: its zones end before 16 hours, and
// its instants are microseconds.
func TestPageWrongInput_TimesAtTheEdges(t *testing.T) {
	t.Parallel()
	p := newDeliveriesPage(t, ready(t, "https://re.example"))
	times := []string{"", "2020-01-01T10:00:00Z", "2020-01-01T10:00:00.0000001Z", "2020-01-01T10:00:00.0000009Z", "2020-01-01T10:00:00+23:59",
		"2020-01-01T10:00:00-23:59", "0001-01-01", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31", "9999-12-31T23:59:59.9999999Z", "5200w"}
	for _, path := range []string{"/deliveries", "/deliveries/new?after=0", "/deliveries/resend"} {
		path, query, _ := strings.Cut(path, "?")
		for _, first := range times {
			for _, second := range times {
				for _, names := range [][2]string{{"since", "until"}, {"from", "to"}} {
					more := url.Values{names[0]: {first}, names[1]: {second}, "status": {"failed"}}.Encode()
					if status, text := p.get(path + "?" + query + "&" + more); status != http.StatusOK && status != http.StatusUnprocessableEntity {
						t.Errorf("%s, %s: status %d: %s", path, more, status, text)
					}
				}
			}
		}
	}
}

// A driver may take a long error for another message, and wait for its rest.
func TestPageWrongInput_LongNames(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	p := newDeliveriesPage(t, db)
	long := strings.Repeat("a", 100000)
	if status, text := p.post(settingsPath+"/test", url.Values{"channel": {long}}); status != http.StatusUnprocessableEntity || !strings.Contains(text, "no channel of that name") {
		t.Errorf("a test event: status %d: %s", status, text)
	}
	for _, query := range []string{`insert into webhook.outbox (event, data) values ($1, '{}')`, `select webhook.retry_failed($1)`, `select webhook.retry_failed(failure => $1)`,
		`select webhook.start_resend(status => $1)`, `select webhook.start_resend(failure => $1)`, `select webhook.start_release(array[$1])`} {
		if _, err := db.Exec(query, long); err == nil || !strings.Contains(err.Error(), "unknown") || len(err.Error()) > 1000 {
			t.Errorf("%s: %.1000v", query, err)
		}
	}
}

// A filter whose name is misspelt is none: everything would be sent again.
func TestPageResend_SendsNothingByAForgedForm(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	p := newDeliveriesPage(t, db)
	counted := url.QueryEscape(time.Now().UTC().Format(time.RFC3339Nano))
	for _, body := range []string{"", "status=failed", "counted=&status=failed", "counted=soon", "counted=%s&counted=%s", "counted=%s&confirmed=yes",
		"counted=%s&chanel=contacts", "counted=%s&status=failed&status=skipped", "counted=%s&status=failed&include_received=no",
		"counted=%s&status=failed&include_received=yes&include_received=yes", "counted=%s&status=pending", "counted=%s&status=nosuch", "counted=%s&before=7",
		"counted=2020-01-01T10:00:00.0000002Z&since=2020-01-01T10:00:00.0000001Z"} {
		form, err := url.ParseQuery(strings.ReplaceAll(body, "%s", counted))
		if err != nil {
			t.Fatal(err)
		}
		if status, text := p.post("/deliveries/resend", form); status != http.StatusUnprocessableEntity || !strings.Contains(text, `role="alert"`) {
			t.Errorf("%q: status %d: %s", body, status, text)
		}
	}
	if status, text := p.post("/deliveries/resend?channel=contacts&counted="+counted, url.Values{"channel": {"documents"}}); status != http.StatusUnprocessableEntity {
		t.Errorf("two channels: status %d: %s", status, text)
	}
	if n := db.count(`select count(*) from webhook.operations`); n != 0 {
		t.Errorf("%d operations were begun", n)
	}
	for _, body := range []string{"counted=%s", "counted=2026-01-01T10:00:00%%2B23:59", "counted=%s&status=failed&include_received=yes&channel=contacts&since=2020-01-01T10:00:00Z"} {
		form, _ := url.ParseQuery(strings.ReplaceAll(strings.ReplaceAll(body, "%%", "%"), "%s", counted))
		if status, text := p.post("/deliveries/resend", form); status != http.StatusSeeOther {
			t.Errorf("%q: status %d: %s", body, status, text)
		}
	}
}
