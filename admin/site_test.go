package admin

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/alexedwards/argon2id"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// readyStore answers whether it is ready, and nothing else.
type readyStore struct {
	Store
	ready func(context.Context) error
}

func (s readyStore) Ready(ctx context.Context) error {
	if s.ready == nil {
		return nil
	}
	return s.ready(ctx)
}

const password = "correct horse battery"

// quickHash costs little, so that a test may log in often.
func quickHash(password string) string {
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 64, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		panic(err)
	}
	return hash
}

var hashOf = sync.OnceValue(func() string { return quickHash(password) })

// The three ways to be let in.
func onLoopback() Options { return Options{Loopback: true, User: "root", Version: "1.2.3"} }
func withPassword() Options {
	return Options{PasswordHash: func() (string, error) { return hashOf(), nil }}
}
func behindTrustedProxy() Options {
	return Options{UserHeader: "X-Forwarded-User", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}}
}

// newTestSite is a site and its log.
func newTestSite(options Options) (*site, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return newSite(readyStore{}, zap.New(core), options), logs
}

// showsUser is a page that says who asks for it.
func showsUser(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "user "+userOf(r)+"\n")
}

// request is one to a page on this machine; change may be nil.
func request(method, target string, form url.Values, change func(*http.Request)) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	r.Host, r.RemoteAddr = "127.0.0.1:8098", "127.0.0.1:50000"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(r)
	}
	return r
}

// reply is what a handler has answered.
type reply struct {
	StatusCode int
	Header     http.Header
	text       string
}

// Cookies are those that it sets.
func (r reply) Cookies() []*http.Cookie {
	var cookies []*http.Cookie
	for _, line := range r.Header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			cookies = append(cookies, c)
		}
	}
	return cookies
}

// answer is what a handler answers to a request.
func answer(h http.Handler, r *http.Request) reply {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// header sets one header.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

// isPage checks that an answer is a page of ours in words, with its one h1.
func isPage(t *testing.T, name string, res reply, status int, words ...string) {
	t.Helper()
	text := res.text
	if res.StatusCode != status {
		t.Errorf("%s: status %d, want %d: %s", name, res.StatusCode, status, text)
	}
	if n := strings.Count(text, "<h1"); n != 1 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%s: %d h1, %s: %s", name, n, res.Header.Get("Content-Type"), text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s: it does not say %q: %s", name, word, text)
		}
	}
}
