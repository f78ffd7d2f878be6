package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Every answer has them: pages, errors, redirects, static files, health checks.
func TestHeaders_OfEveryAnswer(t *testing.T) {
	for _, options := range []Options{onLoopback(), withPassword(), behindTrustedProxy()} {
		s, _ := newTestSite(options)
		pages := http.NewServeMux()
		pages.Handle("/", s.routes())
		pages.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("geheim") })
		h := s.around(pages)
		for _, r := range []*http.Request{
			request("GET", "/", nil, nil), request("GET", "/login", nil, nil), request("POST", "/login", url.Values{"password": {"x"}}, nil), request("GET", "/nowhere", nil, nil), request("PUT", "/", nil, nil),
			request("GET", "/static/"+staticVersion+"/page.js", nil, nil), request("GET", "/static/x/nothing", nil, nil), request("GET", "/livez", nil, nil), request("GET", "/readyz", nil, nil), request("POST", "/livez", nil, nil),
			request("GET", "/panic", nil, nil), request("GET", "/?%zz", nil, nil), request("POST", "/login", url.Values{"password": {strings.Repeat("x", 10<<20)}}, nil),
			request("GET", "/", nil, func(r *http.Request) { r.Host = "evil.example" }), request("POST", "/login", nil, header("Sec-Fetch-Site", "cross-site")), at("GET", "//evil.example"),
		} {
			res := answer(h, r)
			name := fmt.Sprintf("%s %.40s: status %d", r.Method, r.URL, res.StatusCode)
			for header, want := range map[string]string{
				"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := res.Header.Values(header); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s is %q", name, header, got)
				}
			}
			if cache := res.Header.Get("Cache-Control"); cache != "no-store" && (!strings.HasPrefix(r.URL.Path, "/static/") || res.StatusCode != 200) {
				t.Errorf("%s: Cache-Control is %q", name, cache)
			}
			if server := res.Header.Get("Server"); server != "" {
				t.Errorf("%s: Server is %q", name, server)
			}
		}
	}
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'", "form-action 'self'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "data:") {
		t.Error(policy)
	}
}

func TestHeaders_StaticFilesMayBeKeptAsLongAsTheyAreTheSame(t *testing.T) {
	s, _ := newTestSite(onLoopback())
	h := s.around(s.routes())
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		res := answer(h, request("GET", "/static/"+staticVersion+"/"+name, nil, nil))
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, %v", name, res.StatusCode, res.Header)
		}
		if res := answer(h, request("GET", "/static/000000000000/"+name, nil, nil)); res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("an older %s: %v", name, res.Header)
		}
	}
	for _, name := range []string{"..", "%2e%2e", "..%2fadmin.go", "", "style.css/", "static", "templates"} {
		isPage(t, name, answer(h, at("GET", "/static/x/"+name)), 404)
	}
}
