package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
)

// An orchestrator calls a bare address, without a login and through whatever is between.
func TestHealth_AnswerWithoutALogin(t *testing.T) {
	for _, options := range []Options{onLoopback(), withPassword(), behindTrustedProxy(), {Hosts: []string{"webhooks.example.com"}, PasswordHash: withPassword().PasswordHash}} {
		s, _ := newTestSite(options)
		h := s.around(s.routes())
		for _, path := range []string{"/livez", "/readyz"} {
			res := answer(h, request("GET", path, nil, func(r *http.Request) { r.Host, r.RemoteAddr = "10.0.0.7:8098", "192.0.2.1:1" }))
			if text := res.text; res.StatusCode != 200 || text != "ok\n" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: status %d: %s", path, res.StatusCode, text)
			}
			if res := answer(h, request("POST", path, nil, nil)); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("POST %s: status %d", path, res.StatusCode)
			}
		}
	}
}

func TestHealth_NotReadyWithoutTheDatabase(t *testing.T) {
	s, logs := newTestSite(onLoopback())
	s.store = readyStore{ready: func(context.Context) error { return errors.New("geheim") }}
	h := s.around(s.routes())
	res := answer(h, request("GET", "/readyz", nil, nil))
	if text := res.text; res.StatusCode != 503 || strings.Contains(text, "geheim") || !strings.Contains(text, "database") {
		t.Errorf("status %d: %s", res.StatusCode, text)
	}
	if res := answer(h, request("GET", "/livez", nil, nil)); res.StatusCode != 200 {
		t.Errorf("livez: status %d", res.StatusCode)
	}
	if logs.FilterMessage("page not ready").Len() != 1 {
		t.Errorf("the log has %v", logs.All())
	}
}

// Who asks a thousand times costs the database one question.
func TestHealth_DatabaseIsAskedOnceAtATime(t *testing.T) {
	var asked atomic.Int64
	s := newSite(readyStore{ready: func(context.Context) error { asked.Add(1); return nil }}, zap.NewNop(), onLoopback())
	h := s.around(http.NotFoundHandler())
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() { answer(h, request("GET", "/readyz", nil, nil)) })
	}
	all.Wait()
	if n := asked.Load(); n < 1 || n > 5 { // the test may take some seconds where the machine is busy
		t.Errorf("the database was asked %d times", n)
	}
}
