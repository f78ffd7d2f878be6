package sender

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// judged are the classes of the statuses 199 to 599, where 200, 201 and 204 count.
var judged = []struct {
	from, to int
	failure  outbox.Failure
	received outbox.Received
}{
	{199, 199, outbox.FailureBadAnswer, outbox.ReceivedMaybe},
	{200, 201, "", outbox.ReceivedYes},
	{202, 203, outbox.FailureNotCounted, outbox.ReceivedYes},
	{204, 204, "", outbox.ReceivedYes},
	{205, 299, outbox.FailureNotCounted, outbox.ReceivedYes},
	{300, 399, outbox.FailureRedirect, outbox.ReceivedNo},
	{400, 428, outbox.FailureRejected, outbox.ReceivedNo},
	{429, 429, outbox.FailureRateLimited, outbox.ReceivedNo},
	{430, 499, outbox.FailureRejected, outbox.ReceivedNo},
	{500, 599, outbox.FailureServerError, outbox.ReceivedNo},
}

func TestSend_EveryStatusHasItsFailureAndReceived(t *testing.T) {
	srv := answerer(t)
	s := newSender(t, 10*time.Second)
	next := 199
	for _, j := range judged {
		if j.from != next {
			t.Fatalf("no class for %d", next)
		}
		for next = j.from; next <= j.to; next++ {
			got := statusResult(t, s, srv, next)
			if got.Failure != j.failure || got.Received != j.received || got.Status != next {
				t.Errorf("status %d: %+v, want failure %q, received %s", next, got, j.failure, j.received)
			}
			if counts := next == 200 || next == 201 || next == 204; got.Delivered() != counts {
				t.Errorf("status %d: delivered %v", next, got.Delivered())
			}
		}
	}
	if next != 600 {
		t.Errorf("the last status is %d", next-1)
	}
}

// statusResult is the Result of an answer with this status. An interim one does
// not end an attempt over the network: net/http waits for the next.
func statusResult(t *testing.T, s *Sender, origin string, code int) outbox.Result {
	t.Helper()
	req := newRequest(fmt.Sprintf("%s/%d", origin, code))
	if code >= 200 {
		return send(t, s, req)
	}
	to := s.endpoint(req.URL, req.Token, req.Secrets)
	return verdict(req, to, &http.Response{StatusCode: code, Body: http.NoBody}, body{})
}

// answerer answers with the status that is in the path.
func answerer(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	}).URL
}

func TestSend_StatusErrorSaysWhatToDo(t *testing.T) {
	origin := answerer(t)
	s := newSender(t, 10*time.Second)
	for _, c := range []struct {
		code int
		want string
	}{
		{202, "HTTP 202 Accepted from " + origin + " is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 202 where name = 'contacts'"},
		{203, "HTTP 203 Non-Authoritative Information from " + origin + " is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 203 where name = 'contacts'"},
		{206, "HTTP 206 Partial Content from " + origin + " is not counted"},
		{299, "HTTP 299 from " + origin + " is not counted"},
		{300, "redirect: HTTP 300 Multiple Choices from " + origin + " without a Location"},
		{304, "redirect: HTTP 304 Not Modified from " + origin + " without a Location"},
		{400, "HTTP 400 Bad Request from " + origin},
		{401, "HTTP 401 Unauthorized from " + origin},
		{403, "HTTP 403 Forbidden from " + origin},
		{404, "HTTP 404 Not Found from " + origin},
		{407, "HTTP 407 Proxy Authentication Required from " + origin},
		{408, "HTTP 408 Request Timeout from " + origin},
		{410, "HTTP 410 Gone from " + origin},
		{413, "HTTP 413 Request Entity Too Large from " + origin},
		{418, "HTTP 418 I'm a teapot from " + origin},
		{421, "HTTP 421 Misdirected Request from " + origin},
		{425, "HTTP 425 Too Early from " + origin},
		{429, "HTTP 429 Too Many Requests from " + origin},
		{499, "HTTP 499 from " + origin},
		{500, "HTTP 500 Internal Server Error from " + origin},
		{502, "HTTP 502 Bad Gateway from " + origin},
		{503, "HTTP 503 Service Unavailable from " + origin},
		{504, "HTTP 504 Gateway Timeout from " + origin},
		{599, "HTTP 599 from " + origin},
		{777, "HTTP 777 from " + origin},
		{999, "HTTP 999 from " + origin},
	} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			got := send(t, s, newRequest(fmt.Sprintf("%s/%d", origin, c.code)))
			failsWith(t, got, c.want)
			if got.Status != c.code {
				t.Errorf("status %d", got.Status)
			}
		})
	}
}

func TestSend_ChannelMayAcceptOtherStatuses(t *testing.T) {
	s := newSender(t, 10*time.Second)
	req := newRequest(answerer(t) + "/202")
	req.Accept = []int{200, 202}
	if got := send(t, s, req); !got.Delivered() || got.Status != 202 {
		t.Errorf("got %+v", got)
	}
	req.Accept = nil
	failsWith(t, send(t, s, req), "HTTP 202 Accepted")
}

func TestAcceptSQL_ChannelIsQuoted(t *testing.T) {
	if got := acceptSQL("o'brien", 202); !strings.HasSuffix(got, "where name = 'o''brien'") {
		t.Error(got)
	}
}

func TestSend_UnusualStatusLines(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		delivered    bool
		errorBegins  string
		failure      outbox.Failure
	}{
		{"interim answers are skipped", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 9) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, true, "", ""},
		{"199 is interim", "HTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, true, "", ""},
		{"a storm of interim answers ends", strings.Repeat("HTTP/1.1 102 Processing\r\nX: y\r\n\r\n", 10_000), 0, false, "answer too large: ", outbox.FailureBadAnswer},
		{"101 is no success", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", 101, false, "HTTP 101 Switching Protocols from ", outbox.FailureBadAnswer},
		{"HTTP/1.0 will do", "HTTP/1.0 200 OK\r\n\r\nok", 200, true, "", ""},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, true, "", ""},
		{"the receiver's reason is not shown", "HTTP/1.1 500 tok_5ecret-plain\r\nContent-Length: 0\r\n\r\n", 500, false, "HTTP 500 Internal Server Error from ", outbox.FailureServerError},
		{"status 000", "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n", 0, false, "bad answer: ", outbox.FailureBadAnswer},
		{"status 042", "HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n", 0, false, "bad answer: ", outbox.FailureBadAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := send(t, newSender(t, 10*time.Second), newRequest(answering(t, c.answer).url()))
			if got.Status != c.status || got.Delivered() != c.delivered || got.Failure != c.failure || !strings.HasPrefix(got.Error, c.errorBegins) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSend_SwitchedProtocolIsNotReadAsABody(t *testing.T) {
	srv := serveRaw(t, func(r *raw, c *rawConn) {
		c.request(r)
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nsecret")
		c.hang()
	})
	got := send(t, newSender(t, time.Minute), newRequest(srv.url()))
	failsWith(t, got, "HTTP 101 Switching Protocols from "+srv.url())
	if got.Response != "" || got.Took > 30*time.Second {
		t.Errorf("got %+v", got)
	}
}

func TestSend_RedirectIsNeverFollowed(t *testing.T) {
	var hits atomic.Int32
	target := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", target.URL+"/topsecretpath?key=topsecretkey")
				w.WriteHeader(code)
			})
			got := send(t, newSender(t, 10*time.Second), newRequest(srv.URL))
			failsWith(t, got, fmt.Sprintf("redirect: HTTP %d %s from %s to %s; redirects are never followed", code, http.StatusText(code), srv.URL, target.URL))
			if got.Status != code || strings.Contains(got.Error, "topsecret") {
				t.Errorf("got %+v", got)
			}
		})
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the target was called %d times", n)
	}
}

func TestSend_LocationShowsSchemeAndHostOnly(t *testing.T) {
	for _, c := range []struct{ name, location, want string }{
		{"another host", "https://user:geheim@b.example.com:8443/geheim?geheim#geheim", " to https://b.example.com:8443;"},
		{"relative", "/geheim", " to http://127.0.0.1"},
		{"no scheme", "//c.example.com/geheim", " to http://c.example.com;"},
		{"not a web address", "mailto:geheim@example.com", " to a Location that is no web address"},
		{"unreadable", "https://user:ge/heim:x@[geheim", " to a Location that is no web address"},
		{"the token as a host", "https://" + plainToken + ".example.com/", " to https://***.example.com;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{c.location}
				w.WriteHeader(302)
			})
			req := newRequest(srv.URL + "/hook/0123456789abcdef")
			req.Token = plainToken
			got := send(t, newSender(t, 10*time.Second), req)
			failsWith(t, got, "redirect: HTTP 302 Found from "+srv.URL, c.want)
			if strings.Contains(got.Error, "geheim") || strings.Contains(got.Error, "/hook") {
				t.Errorf("error %q", got.Error)
			}
		})
	}
}
