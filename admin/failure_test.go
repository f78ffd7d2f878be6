package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestFailure_EachErrorIsAPageInWords(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
		logged string // the message; "" for none
	}{
		"a failure":            {fmt.Errorf("wrapped: %w", failure{Status: 409, Title: "Changed meanwhile", Means: "m", Do: "d"}), 409, "Changed meanwhile", ""},
		"no database":          {fmt.Errorf("read: %w: geheim", ErrUnavailable), 503, "The database does not answer", "page failed, database unavailable"},
		"a slow database":      {fmt.Errorf("read: %w", context.DeadlineExceeded), 503, "The database does not answer", "page failed, database unavailable"},
		"a lost commit":        {fmt.Errorf("save: %w: %w", ErrUncertain, ErrUnavailable), 503, "not known", "page failed, outcome of a commit unknown"},
		"a lacking privilege":  {fmt.Errorf("%w: geheim", ErrDenied), 500, "lacks a privilege", "page failed"},
		"no schema":            {fmt.Errorf("read: %w: geheim", ErrNoSchema), 503, "this database has no webhook schema; run: webhooks migrate", "page failed"},
		"anything else":        {errors.New("pq: geheim"), 500, "This page failed", "page failed"},
		"markup in a failure":  {failure{Status: 422, Title: "<script>alert(1)</script>"}, 422, "&lt;script&gt;", ""},
		"what a request names": {errors.New("pq: relation \x1b[31m geheim"), 500, "This page failed", "page failed"},
	} {
		s, logs := newTestSite(onLoopback())
		res := answer(s.around(s.handler(func(http.ResponseWriter, *http.Request) error { return c.err })), request("GET", "/overview", nil, nil))
		text := res.text
		if res.StatusCode != c.status || !strings.Contains(text, c.says) || strings.Contains(text, "geheim") || strings.Contains(text, "<script>") {
			t.Errorf("%s: status %d: %s", name, res.StatusCode, text)
		}
		if c.logged == "" && logs.Len() != 0 || c.logged != "" && (logs.Len() != 1 || logs.All()[0].Message != c.logged || logs.All()[0].ContextMap()["path"] != "/overview") {
			t.Errorf("%s: the log has %v", name, logs.All())
		}
	}
}

func TestFailure_PanicIsAPageAndALineOfTheLog(t *testing.T) {
	s, logs := newTestSite(onLoopback())
	var none map[string]int
	h := s.around(s.handler(func(http.ResponseWriter, *http.Request) error { none["geheim"]++; return nil }))
	res := answer(h, request("GET", "/overview", nil, nil))
	text := res.text
	if res.StatusCode != 500 || !strings.Contains(text, "This page failed") || strings.Contains(text, "goroutine") || strings.Contains(text, "nil map") || strings.Contains(text, ".go:") {
		t.Errorf("status %d: %s", res.StatusCode, text)
	}
	lines := logs.FilterMessage("page panicked").All()
	if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0].ContextMap()["panic"]), "nil map") {
		t.Fatalf("the log has %v", logs.All())
	}
	if stack := fmt.Sprint(lines[0].ContextMap()["stack"]); !strings.Contains(stack, "failure_test.go") {
		t.Errorf("the stack is %s", stack)
	}
	if res := answer(h, request("GET", "/livez", nil, nil)); res.StatusCode != 200 {
		t.Errorf("afterwards: status %d", res.StatusCode)
	}
}

// The database may take ten seconds for a page. A browser that goes away ends nothing: what it began is done
// whole, and the connections of the others stay.
func TestFailure_RequestsEndByTheirOwnTime(t *testing.T) {
	s, _ := newTestSite(onLoopback())
	client, leave := context.WithCancel(t.Context())
	h := s.around(s.handler(func(w http.ResponseWriter, r *http.Request) error {
		leave()
		if err := r.Context().Err(); err != nil {
			t.Errorf("with its browser it ends: %v", err)
		}
		if ends, ok := r.Context().Deadline(); !ok || time.Until(ends) > requestTime {
			t.Errorf("it ends in %s", time.Until(ends))
		}
		return nil
	}))
	answer(h, request("GET", "/", nil, nil).WithContext(client))
}

func TestForm_WhatCannotBeReadIsExplained(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		says   string
	}{
		{"ten megabytes", request("POST", "/login", url.Values{"password": {strings.Repeat("x", 10<<20)}}, nil), 413, "The form is too large"},
		{"a megabyte and a byte", request("POST", "/login", url.Values{"password": {strings.Repeat("x", maxForm)}}, nil), 413, "1024 kB"},
		{"a broken escape", request("POST", "/login", url.Values{}, func(r *http.Request) { r.URL.RawQuery = "a=%zz" }), 400, "The form cannot be read"},
		{"a broken query", request("GET", "/login?next=%", nil, nil), 400, "The form cannot be read"},
		{"another kind of form", request("POST", "/login", url.Values{"password": {password}}, func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }), 415, "This is no form"},
		{"JSON", request("POST", "/login", url.Values{"password": {password}}, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }), 415, "This is no form"},
		{"no kind", request("POST", "/login", url.Values{"password": {password}}, func(r *http.Request) { r.Header.Del("Content-Type") }), 415, "This is no form"},
		{"a body of unknown length", request("POST", "/login", url.Values{"password": {password}}, func(r *http.Request) { r.Header.Del("Content-Type"); r.ContentLength = -1 }), 415, "This is no form"},
	} {
		isPage(t, c.name, answer(h, c.r), c.status, c.says)
	}
	// Who is not let in sends no form that is read.
	isPage(t, "no session", answer(h, request("POST", "/settings/general", url.Values{"a": {strings.Repeat("x", 10<<20)}}, nil)), 403, "You are not logged in")
}

// Before the login a page shows nothing of the site.
func TestFailure_BeforeTheLoginThereIsNoNavigation(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	for _, r := range []*http.Request{
		request("GET", "/login", nil, nil), request("POST", "/x", nil, nil), at("GET", "//x"), request("GET", "/", nil, func(r *http.Request) { r.Header.Set("Cookie", "webhooks_session=x"); r.Method = "POST" }),
		request("POST", "/login", nil, header("Origin", "https://evil.example")), request("GET", "/static/x/y", nil, nil),
	} {
		if text := answer(h, r).text; strings.Contains(text, "<nav") || strings.Contains(text, "Log out") || !strings.Contains(text, "<h1") {
			t.Errorf("%s %s: %s", r.Method, r.URL, text)
		}
	}
}
