package integration_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// answerOnDemand answers a request with the status that its data contain, as in
// {"name": "answer 404"}, and a body that echoes the Authorization header. A
// redirect leads to target.
func answerOnDemand(t testing.TB, target string) string {
	demand := regexp.MustCompile(`answer (\d+)`)
	return newResponder(t, func(w http.ResponseWriter, r receipt) {
		status, _ := strconv.Atoi(demand.FindStringSubmatch(r.body)[1])
		w.Header().Set("Location", target+"/secretpath?key=secretkey")
		w.WriteHeader(status)
		if status != 204 && status != 304 {
			fmt.Fprintf(w, "echo of %s", r.header.Get("Authorization"))
		}
	}).URL
}

// statuses are answers, and the class and the error that each leaves; {channel} and
// {to} stand for the channel's name and the target of a redirect. No error: delivered.
var statuses = []struct {
	code              int
	failure, received string
	want              string
}{
	{200, "", "yes", ""},
	{201, "", "yes", ""},
	{202, "not_counted", "yes", "HTTP 202 Accepted from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 202 where name = '{channel}'"},
	{203, "not_counted", "yes", "HTTP 203 Non-Authoritative Information from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 203 where name = '{channel}'"},
	{204, "", "yes", ""},
	{205, "not_counted", "yes", "HTTP 205 Reset Content from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 205 where name = '{channel}'"},
	{206, "not_counted", "yes", "HTTP 206 Partial Content from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 206 where name = '{channel}'"},
	{207, "not_counted", "yes", "HTTP 207 Multi-Status from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 207 where name = '{channel}'"},
	{226, "not_counted", "yes", "HTTP 226 IM Used from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 226 where name = '{channel}'"},
	{299, "not_counted", "yes", "HTTP 299 from {from} is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 299 where name = '{channel}'"},
	{300, "redirect", "no", "redirect: HTTP 300 Multiple Choices from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{301, "redirect", "no", "redirect: HTTP 301 Moved Permanently from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{302, "redirect", "no", "redirect: HTTP 302 Found from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{303, "redirect", "no", "redirect: HTTP 303 See Other from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{304, "redirect", "no", "redirect: HTTP 304 Not Modified from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{307, "redirect", "no", "redirect: HTTP 307 Temporary Redirect from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{308, "redirect", "no", "redirect: HTTP 308 Permanent Redirect from {from} to {to}; redirects are never followed, so set the channel's URL to where it should go"},
	{400, "rejected", "no", "HTTP 400 Bad Request from {from}"},
	{401, "rejected", "no", "HTTP 401 Unauthorized from {from}"},
	{403, "rejected", "no", "HTTP 403 Forbidden from {from}"},
	{404, "rejected", "no", "HTTP 404 Not Found from {from}"},
	{405, "rejected", "no", "HTTP 405 Method Not Allowed from {from}"},
	{408, "rejected", "no", "HTTP 408 Request Timeout from {from}"},
	{409, "rejected", "no", "HTTP 409 Conflict from {from}"},
	{410, "rejected", "no", "HTTP 410 Gone from {from}"},
	{413, "rejected", "no", "HTTP 413 Request Entity Too Large from {from}"},
	{421, "rejected", "no", "HTTP 421 Misdirected Request from {from}"},
	{425, "rejected", "no", "HTTP 425 Too Early from {from}"},
	{429, "rate_limited", "no", "HTTP 429 Too Many Requests from {from}"},
	{499, "rejected", "no", "HTTP 499 from {from}"},
	{500, "server_error", "no", "HTTP 500 Internal Server Error from {from}"},
	{502, "server_error", "no", "HTTP 502 Bad Gateway from {from}"},
	{503, "server_error", "no", "HTTP 503 Service Unavailable from {from}"},
	{504, "server_error", "no", "HTTP 504 Gateway Timeout from {from}"},
	{599, "server_error", "no", "HTTP 599 from {from}"},
}

func TestDelivery_EveryStatusIsJudged(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	target := newReceiver(t, func(receipt) int { followed.Add(1); return 200 })
	from := answerOnDemand(t, target.URL)
	db := ready(t, from)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'tok_geheim-5ecret'`)

	for _, event := range []string{"document.exported", "contact.created"} {
		for _, s := range statuses {
			db.publish(event, fmt.Sprintf(`{"id": %d, "status": "Export", "filename": "answer %d", "name": "answer %d"}`, s.code, s.code, s.code))
		}
	}
	startWorker(t, quick(db.address))
	eventually(t, "every event had its first answer", func() bool {
		return db.count(`select count(*) from webhook.outbox where http_status is null`) == 0
	})
	for i, r := range db.rows() {
		s := statuses[i%len(statuses)]
		channel := map[string]string{"document.exported": "documents", "contact.created": "contacts"}[r.Event]
		want := strings.NewReplacer("{from}", from, "{to}", target.URL, "{channel}", channel).Replace(s.want)
		checkJudged(t, r, s.code, want)
		failure, received := db.judged(r.ID)
		if failure != s.failure || received != s.received {
			t.Errorf("%s, %d: failure %q, received %q, want %q and %q", r.Event, s.code, failure, received, s.failure, s.received)
		}
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("the target of the redirects was called %d times", n)
	}
}

// judged are the columns failure and received of a row, "" for null.
func (db *database) judged(id int64) (failure, received string) {
	db.t.Helper()
	if err := db.QueryRow(`select coalesce(failure, ''), coalesce(received, '') from webhook.outbox where id = $1`, id).Scan(&failure, &received); err != nil {
		db.t.Fatal(err)
	}
	return failure, received
}

// checkJudged compares a row that was answered with code with what it should be.
func checkJudged(t *testing.T, r row, code int, wantError string) {
	t.Helper()
	document, success := r.Event == "document.exported", wantError == ""
	want := "sent"
	switch {
	case document && !success:
		want = "pending"
	case !success:
		want = "failed"
	}
	if r.Status != want || value(r.HTTPStatus) != code {
		t.Errorf("%s, %d: %s with http_status %d, want %s", r.Event, code, r.Status, value(r.HTTPStatus), want)
	}
	if value(r.Error) != wantError || (r.Error == nil) != success {
		t.Errorf("%s, %d: the error is\n got %s\nwant %s", r.Event, code, value(r.Error), wantError)
	}
	if (r.SyncedAt != nil) != (document && success) {
		t.Errorf("%s, %d: synced_at is %v", r.Event, code, r.SyncedAt)
	}
	if !document && r.Attempts != 1 {
		t.Errorf("%s, %d: attempted %d times", r.Event, code, r.Attempts)
	}
	wantResponse := "echo of Bearer ***"
	if code == 204 || code == 304 || code == 205 {
		wantResponse = value(r.Response) // they have no body, or none that must be read
		if strings.Contains(wantResponse, "geheim") {
			t.Errorf("%s, %d: the response is %s", r.Event, code, wantResponse)
		}
	}
	if value(r.Response) != wantResponse {
		t.Errorf("%s, %d: the response is %q, want %q", r.Event, code, value(r.Response), wantResponse)
	}
}

func TestDelivery_SQLInAnErrorMakesTheChannelCountTheStatus(t *testing.T) {
	t.Parallel()
	db := ready(t, answerOnDemand(t, ""))
	startWorker(t, quick(db.address))
	for _, code := range []int{202, 226, 299} {
		for _, event := range []string{"contact.created", "audit.log"} {
			data := fmt.Sprintf(`{"name": "answer %d", "action": "answer %d"}`, code, code)
			before := db.publish(event, data)
			eventually(t, "it is not counted", func() bool { return db.status(before) == "failed" })
			_, line, found := strings.Cut(value(db.row(before).Error), "to count it: ")
			if !found {
				t.Fatalf("the error has no line of SQL: %s", value(db.row(before).Error))
			}
			db.exec(line)
			after := db.publish(event, data)
			eventually(t, "it is counted", func() bool { return db.row(after).FinishedAt != nil })
			if got := db.row(after); got.Status != "sent" || got.Error != nil || *got.HTTPStatus != code {
				t.Errorf("%s, %d: %s after %q", event, code, got.Status, line)
			}
			if got := db.status(before); got != "failed" {
				t.Errorf("the event of before the change is %s", got)
			}
		}
	}
}

func TestDelivery_AcceptedStatusCountsForItsChannelOnly(t *testing.T) {
	t.Parallel()
	db := ready(t, answerOnDemand(t, ""))
	db.exec(`update webhook.channels set accept_status = '{202}' where name = 'contacts'`)
	startWorker(t, quick(db.address))
	for _, c := range []struct {
		event, data, want string
	}{
		{"contact.created", `{"name": "answer 202"}`, "sent"},
		{"contact.created", `{"name": "answer 200"}`, "failed"}, // no longer listed
		{"folder.created", `{"name": "answer 202"}`, "failed"},
		{"folder.created", `{"name": "answer 200"}`, "sent"},
	} {
		id := db.publish(c.event, c.data)
		eventually(t, "it is finished", func() bool { return db.row(id).FinishedAt != nil })
		if got := db.status(id); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.event, c.data, got, c.want)
		}
	}
}
