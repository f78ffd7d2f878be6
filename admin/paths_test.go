package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// at is a request whose path is exactly this one.
func at(method, path string) *http.Request {
	return request(method, "/", nil, func(r *http.Request) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			u = &url.URL{Path: path}
		}
		if strings.HasPrefix(path, "//") { // as net/http has it
			u = &url.URL{Path: path}
		}
		r.URL, r.RequestURI = u, path
	})
}

// An absurd path has no page, and none leads away from the site.
func TestPaths_WithDetoursHaveNoPage(t *testing.T) {
	options := onLoopback()
	options.BasePath = "/webhooks"
	for base, options := range map[string]Options{"": onLoopback(), "/webhooks": options} {
		s, _ := newTestSite(options)
		h := s.around(s.routes())
		for _, path := range []string{
			"//", "///", "//evil.example", "//evil.example/", "///evil.example/%2e%2e", "/../", "/..", "/./", "/a/../login", "/%2e%2e/login", "/%2e/", "/%2E%2E%2Flogin", "/login/..", "/static/../login", "/static//x",
			"/%00", "/\x00", "/a%0d%0aSet-Cookie:%20a=b", "/\x7f", "/%2f%2fevil.example", "/static%2f..%2flogin", `/\evil.example`, `/..\..\`, "*", "evil", "", "/é/%ff", "/" + strings.Repeat("a", 8<<10), "/" + strings.Repeat("a/", 4<<10), "/nowhere",
		} {
			for _, prefix := range []string{"", base} {
				for _, method := range []string{"GET", "HEAD", "POST"} {
					res := answer(h, at(method, prefix+path))
					if base != "" && prefix+path == base {
						continue // the site itself
					}
					if to := res.Header.Get("Location"); to != "" {
						t.Errorf("%s %.40q leads to %q", method, prefix+path, to)
					}
					isPage(t, method+" "+prefix+path[:min(40, len(path))], res, 404, "There is no such page")
				}
			}
		}
	}
}

func TestPaths_WrongMethodIsExplained(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	session := with(cookieOf(t, logInAs(h, password, nil), sessionCookie))
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", "/login", "GET, HEAD, POST"}, {"DELETE", "/logout", "GET, HEAD, POST"}, {"POST", "/", "GET, HEAD"}, {"OPTIONS", "/login", "GET, HEAD, POST"},
		{"PATCH", "/static/1/style.css", "GET, HEAD"}, {"TRACE", "/", "GET, HEAD"}, {"<script>", "/", "GET, HEAD"},
	} {
		res := answer(h, request("GET", c.path, nil, func(r *http.Request) { session(r); r.Method = c.method }))
		if got := res.Header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, got, c.allow)
		}
		isPage(t, c.method, res, 405, "Nothing was changed", strings.ReplaceAll(c.allow, ", ", " and "))
	}
}

func TestPaths_HeadIsGetWithoutABody(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	session := with(cookieOf(t, logInAs(h, password, nil), sessionCookie))
	for _, path := range []string{"/", "/login", "/logout", "/static/" + staticVersion + "/style.css", "/static/old/page.js", "/static/old/nothing", "/livez", "/readyz", "/nowhere"} {
		get, head := answer(h, request("GET", path, nil, session)), answer(h, request("HEAD", path, nil, session))
		if get.StatusCode != head.StatusCode || get.Header.Get("Content-Type") != head.Header.Get("Content-Type") || get.Header.Get("Location") != head.Header.Get("Location") {
			t.Errorf("%s: GET %d %v, HEAD %d %v", path, get.StatusCode, get.Header, head.StatusCode, head.Header)
		}
	}
}

// A proxy may leave the base path in the path, or remove it: all that a browser follows has it.
func TestPaths_BaseIsInEveryLink(t *testing.T) {
	options := withPassword()
	options.BasePath = "/a/webhooks"
	s, _ := newTestSite(options)
	h := s.around(s.routes())
	session := with(cookieOf(t, logInAs(h, password, nil), sessionCookie))
	for _, prefix := range []string{"", "/a/webhooks"} {
		if to := answer(h, request("GET", prefix+"/", nil, session)).Header.Get("Location"); to != "/a/webhooks/settings/integrations/webhooks" {
			t.Errorf("%q leads to %q", prefix+"/", to)
		}
		if to := answer(h, request("GET", prefix+"/overview", nil, nil)).Header.Get("Location"); to != "/a/webhooks/login?next=%2Foverview" {
			t.Errorf("the login is at %q", to)
		}
		page := answer(h, request("GET", prefix+"/logout", nil, session)).text
		for _, link := range strings.FieldsFunc(page, func(c rune) bool { return c == ' ' || c == '>' || c == '\n' }) {
			name, value, is := strings.Cut(link, "=")
			if is && (name == "href" || name == "src" || name == "action") && !strings.HasPrefix(value, `"/a/webhooks/`) && value != `"#main"` {
				t.Errorf("a link without the base path: %s", link)
			}
		}
		if res := answer(h, request("GET", prefix+"/static/"+staticVersion+"/style.css", nil, nil)); res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") {
			t.Errorf("the style: status %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
		}
		if res := answer(h, request("GET", prefix+"/livez", nil, nil)); res.StatusCode != 200 {
			t.Errorf("livez: status %d", res.StatusCode)
		}
	}
	if res := answer(h, request("GET", "/a/webhooks", nil, session)); res.StatusCode != 303 {
		t.Errorf("the base path itself: status %d", res.StatusCode)
	}
	if res := answer(h, request("GET", "/a/webhooksx", nil, session)); res.StatusCode != 404 {
		t.Errorf("beside the base path: status %d", res.StatusCode)
	}
}
