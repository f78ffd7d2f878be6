package admin

import (
	"net/http"
	"strings"
	"testing"
)

func TestAccess_LoopbackNeedsNoLogin(t *testing.T) {
	s, _ := newTestSite(onLoopback())
	if text := answer(s.around(http.HandlerFunc(showsUser)), request("GET", "/", nil, nil)).text; text != "user root\n" {
		t.Errorf("it says %q", text)
	}
	for _, path := range []string{"/login", "/logout"} {
		isPage(t, path, answer(s.around(s.routes()), request("GET", path, nil, nil)), 404)
	}
}

// A proxy in front of a page without a login lets in everyone whom it lets through.
func TestAccess_LoopbackRefusesWhatAProxyPassesOn(t *testing.T) {
	s, _ := newTestSite(onLoopback())
	h := s.around(http.HandlerFunc(showsUser))
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "X-Real-IP", "CF-Connecting-IP", "x-forwarded-for"} {
		for _, method := range []string{"GET", "POST"} {
			res := answer(h, request(method, "/", nil, header(name, "192.0.2.9")))
			isPage(t, name, res, 403, "WEBHOOK_ADMIN_PASSWORD_HASH", "WEBHOOK_ADMIN_TRUSTED_PROXIES")
		}
	}
	// A proxy that says nothing and sets Host: the browser still names where it is.
	res := answer(h, request("POST", "/", nil, func(r *http.Request) {
		r.Header.Set("Origin", "https://webhooks.example.com")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}))
	isPage(t, "Origin", res, 403, "behind a proxy")
	if res := answer(h, request("POST", "/", nil, header("Origin", "http://127.0.0.1:8098"))); res.StatusCode != 200 {
		t.Errorf("its own origin: status %d", res.StatusCode)
	}
}

func TestAccess_HeaderCountsFromTrustedProxiesOnly(t *testing.T) {
	s, logs := newTestSite(behindTrustedProxy())
	h := s.around(http.HandlerFunc(showsUser))
	for _, c := range []struct {
		name, peer string
		users      []string
		want       string // "" is 403
	}{
		{"a trusted proxy", "10.1.2.3:5000", []string{"ada@example.com"}, "ada@example.com"},
		{"one that is named by the IPv6 form of its address", "[::ffff:10.1.2.3]:5000", []string{"ada"}, "ada"},
		{"one on the link", "[fe80::1%eth0]:5000", []string{"ada"}, "ada"},
		{"a peer that is none", "192.0.2.9:5000", []string{"ada"}, ""},
		{"the machine itself", "127.0.0.1:5000", []string{"ada"}, ""},
		{"no header", "10.1.2.3:5000", nil, ""},
		{"an empty one", "10.1.2.3:5000", []string{""}, ""},
		{"a blank one", "10.1.2.3:5000", []string{" \t"}, ""},
		{"one of what cannot be seen", "10.1.2.3:5000", []string{"\u200b\u202e"}, ""},
		{"two: one may be the client's", "10.1.2.3:5000", []string{"ada", "root"}, ""},
		{"twice the same", "10.1.2.3:5000", []string{"ada", "ada"}, ""},
		{"with bidi, controls and broken UTF-8", "10.1.2.3:5000", []string{" a\u202ed\x7fa\xff "}, "ada"},
		{"a long one", "10.1.2.3:5000", []string{strings.Repeat("é", 5000)}, strings.Repeat("é", maxName)},
		{"no peer", "", []string{"ada"}, ""},
		{"a socket", "@", []string{"ada"}, ""},
	} {
		res := answer(h, request("GET", "/", nil, func(r *http.Request) {
			r.RemoteAddr, r.Host = c.peer, "webhooks.example.com"
			r.Header["X-Forwarded-User"] = c.users
		}))
		if c.want == "" {
			isPage(t, c.name, res, 403, "WEBHOOK_ADMIN_TRUST_USER_HEADER")
		} else if text := res.text; text != "user "+c.want+"\n" {
			t.Errorf("%s: it says %q", c.name, text)
		}
	}
	if logs.Len() > 0 {
		t.Errorf("it logs %v", logs.All())
	}
}

// In no other mode does the header name anybody.
func TestAccess_HeaderIsIgnoredWhereNoneIsTrusted(t *testing.T) {
	s, _ := newTestSite(withPassword())
	res := answer(s.around(http.HandlerFunc(showsUser)), request("GET", "/", nil, header("X-Forwarded-User", "root")))
	if res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Location"), "/login?") {
		t.Errorf("status %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
}

func TestAccess_ReadOnlyChangesNothing(t *testing.T) {
	options := onLoopback()
	options.ReadOnly = true
	s, _ := newTestSite(options)
	h := s.around(http.HandlerFunc(showsUser))
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 403, "PUT": 403, "PATCH": 403, "DELETE": 403} {
		if res := answer(h, request(method, "/settings/general", nil, nil)); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", method, res.StatusCode, want)
		}
	}
	isPage(t, "POST", answer(h, request("POST", "/deliveries/7/resend", nil, nil)), 403, "WEBHOOK_ADMIN_READ_ONLY", "Nothing was changed", `aria-label="Pages"`)
}

// A browser's own words about where a request comes from decide; where it has none, those of its Origin.
func TestAccess_OtherSitesActOnNothing(t *testing.T) {
	for name, options := range map[string]Options{"loopback": onLoopback(), "password": withPassword()} {
		s, _ := newTestSite(options)
		h := s.around(s.routes())
		for _, path := range []string{"/login", "/logout", "/settings/general", "/deliveries/7/resend"} {
			for _, headers := range []map[string]string{
				{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8098"},
				{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9999"},
			} {
				res := answer(h, request("POST", path, nil, func(r *http.Request) {
					for k, v := range headers {
						r.Header.Set(k, v)
					}
				}))
				isPage(t, name+" "+path, res, 403, "another site")
			}
		}
	}
}

// The header says no-referrer, with which a browser names the origin of a form "null": over plain HTTP, where
// it has no Sec-Fetch-Site, the login would be refused.
func TestAccess_FormsNameTheirOrigin(t *testing.T) {
	s, _ := newTestSite(withPassword())
	if text := answer(s.around(s.routes()), request("GET", "/login", nil, nil)).text; !strings.Contains(text, `<meta name="referrer" content="same-origin">`) {
		t.Error(text)
	}
}
