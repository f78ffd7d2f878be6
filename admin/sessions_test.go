package admin

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func sessionRequest(id string) *http.Request {
	return request("GET", "/", nil, with(&http.Cookie{Name: sessionCookie, Value: id}))
}

func TestSessions_EndAfterTheirTime(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSessions()
	s.now = func() time.Time { return now }
	in := func(id string) bool { _, in := s.user(sessionRequest(id), "hash"); return in }
	idle, used := s.begin("ada", "hash"), s.begin("eve", "hash")
	for range 11 {
		now = now.Add(time.Hour)
		if !in(used) {
			t.Fatalf("a session in use is over after %s", now.Sub(time.Unix(1e9, 0)))
		}
	}
	if in(idle) {
		t.Error("a session of which nothing was heard for eleven hours is one")
	}
	now = now.Add(time.Hour)
	if in(used) {
		t.Error("a session of twelve hours is one")
	}
	s.begin("ada", "hash")
	if len(s.all) != 1 {
		t.Errorf("%d sessions are kept", len(s.all))
	}
}

func TestSessions_AreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSessions()
	s.now = func() time.Time { return now }
	first := s.begin("first", "hash")
	second := s.begin("second", "hash")
	for i := range maxSessions {
		now = now.Add(time.Millisecond)
		s.begin(fmt.Sprint(i), "hash")
		if _, in := s.user(sessionRequest(first), "hash"); !in {
			t.Fatal("a session in use has ended")
		}
	}
	if _, in := s.user(sessionRequest(second), "hash"); in || len(s.all) > maxSessions {
		t.Errorf("the one that is not used is kept: %t; %d are kept", in, len(s.all))
	}
}
