package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

// logInAs posts the login form.
func logInAs(h http.Handler, word string, change func(*http.Request)) reply {
	return answer(h, request("POST", "/login", url.Values{"password": {word}, "name": {"Ada"}, "next": {"/deliveries?channel=cases"}}, change))
}

// cookieOf is a cookie that an answer sets.
func cookieOf(t *testing.T, res reply, name string) *http.Cookie {
	t.Helper()
	for _, c := range res.Cookies() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("status %d, no cookie %s: %v", res.StatusCode, name, res.Cookies())
	return nil
}

// with sends cookies along.
func with(cookies ...*http.Cookie) func(*http.Request) {
	return func(r *http.Request) {
		for _, c := range cookies {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
}

// isIn reports whether a request with these cookies is let in.
func isIn(h http.Handler, cookies ...*http.Cookie) bool {
	return answer(h, request("GET", "/nowhere", nil, with(cookies...))).StatusCode == 404
}

func TestLogin_LeadsThereAndBack(t *testing.T) {
	s, logs := newTestSite(withPassword())
	h := s.around(s.routes())
	res := answer(h, request("GET", "/deliveries?channel=cases", nil, nil))
	if res.StatusCode != 303 || res.Header.Get("Location") != "/login?next=%2Fdeliveries%3Fchannel%3Dcases" {
		t.Fatalf("status %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	page := answer(h, request("GET", res.Header.Get("Location"), nil, nil)).text
	if !strings.Contains(page, `name="next" value="/deliveries?channel=cases"`) || strings.Contains(page, "<nav") {
		t.Error(page)
	}
	res = logInAs(h, password, nil)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/deliveries?channel=cases" {
		t.Errorf("status %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	session := cookieOf(t, res, sessionCookie)
	if !session.HttpOnly || session.SameSite != http.SameSiteLaxMode || session.Secure || session.Path != "/" || session.MaxAge != 12*3600 || session.Domain != "" || len(session.Value) < 26 {
		t.Errorf("the cookie is %s", session)
	}
	inside := s.around(http.HandlerFunc(showsUser))
	if text := answer(inside, request("GET", "/", nil, with(session))).text; text != "user Ada\n" {
		t.Errorf("it says %q", text)
	}
	noSecret(t, logs, password, session.Value, hashOf(), "Ada")
}

// noSecret checks that no entry of the log has one of these.
func noSecret(t *testing.T, logs *observer.ObservedLogs, secrets ...string) {
	t.Helper()
	for _, entry := range logs.All() {
		line := entry.Message + fmt.Sprint(entry.ContextMap())
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("the log has %q: %s", secret, line)
			}
		}
	}
}

func TestLogin_CookiesOfABasePathBehindHTTPS(t *testing.T) {
	options := withPassword()
	options.BasePath = "/webhooks"
	s, _ := newTestSite(options)
	h := s.around(s.routes())
	for _, path := range []string{"/webhooks/login", "/login"} { // the proxy leaves the base path, or removes it
		for scheme, secure := range map[string]bool{"https": true, "HTTPS": true, "https, http": true, "http": false, "": false} {
			res := answer(h, request("POST", path, url.Values{"password": {password}}, header("X-Forwarded-Proto", scheme)))
			for _, name := range []string{sessionCookie, knownCookie} {
				if c := cookieOf(t, res, name); c.Path != "/webhooks/" || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
					t.Errorf("%s with %q: the cookie is %s", path, scheme, c)
				}
			}
			if to := res.Header.Get("Location"); to != "/webhooks/" {
				t.Errorf("it leads to %q", to)
			}
		}
	}
}

func TestLogin_WrongPasswordIsExplained(t *testing.T) {
	s, logs := newTestSite(withPassword())
	h := s.around(s.routes())
	for _, wrong := range []string{"", "wrong", password + " ", strings.ToUpper(password), "\x00"} {
		res := logInAs(h, wrong, nil)
		if len(res.Cookies()) > 0 {
			t.Errorf("%q: cookies %v", wrong, res.Cookies())
		}
		isPage(t, wrong, res, 422, "The password is wrong.", `aria-invalid="true"`, `aria-describedby="login-problem"`, `value="Ada"`, `value="/deliveries?channel=cases"`)
	}
	if logs.FilterMessage("page login failed").Len() != 5 {
		t.Errorf("it logs %v", logs.All())
	}
	noSecret(t, logs, "wrong\"", strings.ToUpper(password))
}

// A session that someone put into the browser before the login is not the one after it.
func TestLogin_SessionIsNeverOneFromBefore(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	planted := &http.Cookie{Name: sessionCookie, Value: "planted"}
	first := cookieOf(t, logInAs(h, password, with(planted)), sessionCookie)
	second := cookieOf(t, logInAs(h, password, with(first)), sessionCookie)
	if first.Value == planted.Value || second.Value == first.Value {
		t.Error("the id is one from before")
	}
	if isIn(h, planted) || isIn(h, first) || !isIn(h, second) {
		t.Error("of the three sessions not exactly the last is one")
	}
	if !isIn(h, planted, second) || !isIn(h, second, planted) {
		t.Error("a cookie of another path hides the session")
	}
}

func TestLogin_LogoutEndsTheSessionHere(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	mine, other := cookieOf(t, logInAs(h, password, nil), sessionCookie), cookieOf(t, logInAs(h, password, nil), sessionCookie)
	isPage(t, "GET /logout", answer(h, request("GET", "/logout", nil, with(mine))), 200, "You are logged in as Ada.")
	if !isIn(h, mine) {
		t.Fatal("GET has logged out")
	}
	res := answer(h, request("POST", "/logout", url.Values{}, with(mine)))
	if res.StatusCode != 303 || res.Header.Get("Location") != "/login" || cookieOf(t, res, sessionCookie).MaxAge >= 0 {
		t.Errorf("status %d to %q: %v", res.StatusCode, res.Header.Get("Location"), res.Cookies())
	}
	if isIn(h, mine) || !isIn(h, other) {
		t.Error("the cookie still opens the page, or another person's does not")
	}
}

func TestLogin_ForgedCookiesOpenNothing(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	res := logInAs(h, password, nil)
	session, known := cookieOf(t, res, sessionCookie), cookieOf(t, res, knownCookie)
	for _, value := range []string{"", session.Value[1:], session.Value + "A", strings.ToLower(session.Value), known.Value, "administrator", strings.Repeat("A", 26), strings.Repeat("A", 100_000)} {
		if isIn(h, &http.Cookie{Name: sessionCookie, Value: value}) {
			t.Errorf("%.30q opens the page", value)
		}
	}
	if isIn(h, known) {
		t.Error("the mark of a browser opens the page")
	}
}

func TestLogin_AfterTheSessionAFormIsRefusedInWords(t *testing.T) {
	s, _ := newTestSite(withPassword())
	isPage(t, "POST", answer(s.around(s.routes()), request("POST", "/settings/general", url.Values{"a": {"b"}}, nil)), 403, "You are not logged in", "Nothing was changed")
}

func TestLogin_AnotherPasswordEndsTheSessions(t *testing.T) {
	hash, err := hashOf(), error(nil)
	s, logs := newTestSite(Options{PasswordHash: func() (string, error) { return hash, err }})
	h := s.around(s.routes())
	session := cookieOf(t, logInAs(h, password, nil), sessionCookie)
	fresh := quickHash("another password")
	hash = fresh
	if isIn(h, session) {
		t.Error("a session of the old password is still one")
	}
	if res := logInAs(h, password, nil); res.StatusCode != 422 {
		t.Errorf("the old password: status %d", res.StatusCode)
	}
	if res := logInAs(h, "another password", nil); res.StatusCode != 303 {
		t.Errorf("the new password: status %d", res.StatusCode)
	}
	// A file that is gone, or was cut off, lets in no one, and the log says why.
	for name, broken := range map[string]struct {
		hash string
		err  error
	}{
		"gone": {"", errors.New("no such file")}, "empty": {"", nil}, "cut off": {hash[:strings.LastIndexByte(hash, '$')+1], nil}, "of no rounds": {strings.Replace(hash, "t=2", "t=0", 1), nil},
	} {
		hash, err = broken.hash, broken.err
		for _, word := range []string{"", "another password"} {
			isPage(t, name, logInAs(h, word, nil), 500, "This page failed")
		}
		if isIn(h, session) {
			t.Errorf("%s: the session is one", name)
		}
	}
	if n := logs.FilterMessage("page failed").Len(); n < 4 {
		t.Errorf("the log has %d lines", n)
	}
	noSecret(t, logs, hashOf(), fresh, password, "another password")
}

func TestLogin_TooManyWrongOnesWait(t *testing.T) {
	s, _ := newTestSite(withPassword())
	now := time.Unix(1e9, 0)
	s.logins.now = func() time.Time { return now }
	h := s.around(s.routes())
	for i := range guessesOfOne {
		if res := logInAs(h, "wrong", nil); res.StatusCode != 422 {
			t.Fatalf("attempt %d: status %d", i, res.StatusCode)
		}
	}
	now = now.Add(10*time.Second + time.Millisecond)
	for _, word := range []string{"wrong", password} {
		res := logInAs(h, word, nil)
		if res.Header.Get("Retry-After") != "50" || len(res.Cookies()) > 0 {
			t.Errorf("Retry-After is %q, cookies %v", res.Header.Get("Retry-After"), res.Cookies())
		}
		isPage(t, word, res, 429, "There were too many wrong passwords.")
	}
	if res := logInAs(h, password, func(r *http.Request) { r.RemoteAddr = "192.0.2.7:1" }); res.StatusCode != 303 {
		t.Errorf("another peer: status %d", res.StatusCode)
	}
	now = now.Add(50 * time.Second)
	if res := logInAs(h, password, nil); res.StatusCode != 303 {
		t.Errorf("a minute later: status %d", res.StatusCode)
	}
}

// Of a flood from everywhere, with the right page in the browser of one who uses it.
func TestLogin_FloodKeepsNoOneOutWhoUsesThePage(t *testing.T) {
	s, _ := newTestSite(withPassword())
	now := time.Unix(1e9, 0)
	s.logins.now = func() time.Time { return now }
	h := s.around(s.routes())
	known := cookieOf(t, logInAs(h, password, nil), knownCookie)
	compared := 0
	for i := range 200 {
		res := logInAs(h, "wrong", func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i) })
		if res.StatusCode == 422 {
			compared++
		}
	}
	if compared != guessesOfAll {
		t.Errorf("%d wrong passwords were compared in one window", compared)
	}
	if n := len(s.logins.wrong); n > guessesOfAll+1 {
		t.Errorf("%d guessers are kept", n)
	}
	for range 20 { // right passwords do not count, however many there are
		if res := logInAs(h, password, with(known)); res.StatusCode != 303 || cookieOf(t, res, knownCookie).Value != known.Value {
			t.Fatalf("from a known browser: status %d", res.StatusCode)
		}
	}
	for i := range guessesOfOne + 1 { // and it guesses no more than others
		if res := logInAs(h, "wrong", with(known)); (res.StatusCode == 422) != (i < guessesOfOne) {
			t.Errorf("wrong password %d of a known browser: status %d", i, res.StatusCode)
		}
	}
	for _, forged := range []string{"", "A", known.Value + "0", known.Value[1:], strings.Split(known.Value, ".")[0] + "." + strings.Repeat("0", 64)} {
		if res := logInAs(h, password, with(&http.Cookie{Name: knownCookie, Value: forged})); res.StatusCode != 429 {
			t.Errorf("with the forged mark %q: status %d", forged, res.StatusCode)
		}
	}
}

func TestLogin_GuessersAreToldApartByTheirNetwork(t *testing.T) {
	for _, c := range []struct {
		name, one, other, clientOne, clientOther string
		same                                     bool
	}{
		{"two ports", "192.0.2.1:1", "192.0.2.1:2", "", "", true},
		{"two addresses", "192.0.2.1:1", "192.0.2.2:1", "", "", false},
		{"two addresses of one network of IPv6", "[2001:db8::1]:1", "[2001:db8::ffff:2]:1", "", "", true},
		{"two networks of IPv6", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", "", "", false},
		{"two clients of a proxy", "10.0.0.1:1", "10.0.0.1:2", "192.0.2.1", "192.0.2.2", false},
		{"one client that invents others", "10.0.0.1:1", "10.0.0.1:2", "1.1.1.1, 192.0.2.1", "2.2.2.2, 192.0.2.1", true},
		{"what is no address", "10.0.0.1:1", "10.0.0.1:2", strings.Repeat("x", 60_000), "y", true},
	} {
		one := addressOf(request("POST", "/login", nil, func(r *http.Request) { r.RemoteAddr = c.one; r.Header.Set("X-Forwarded-For", c.clientOne) }))
		other := addressOf(request("POST", "/login", nil, func(r *http.Request) { r.RemoteAddr = c.other; r.Header.Set("X-Forwarded-For", c.clientOther) }))
		if (one == other) != c.same || len(one) > 100 {
			t.Errorf("%s: %q and %q", c.name, one, other)
		}
	}
}

func TestLogin_NextStaysHere(t *testing.T) {
	s, _ := newTestSite(withPassword())
	h := s.around(s.routes())
	for next, want := range map[string]string{
		"/overview": "/overview", "/deliveries?channel=cases&before=7": "/deliveries?channel=cases&before=7", "/deliveries/7": "/deliveries/7",
		"": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "https://evil.example/": "/", "http:evil.example": "/", "javascript:alert(1)": "/",
		"/\t/evil.example": "/", "/%0a/evil.example": "/", "/../../evil": "/", "/.//evil.example": "/", "/a/..//evil.example": "/", "evil.example": "/", "@evil.example": "/", "/login?next=/x": "/", "/logout": "/",
		"/\r\nSet-Cookie: a=b": "/", "/%2f%2fevil.example": "/",
	} {
		res := answer(h, request("POST", "/login", url.Values{"password": {password}, "next": {next}}, nil))
		if to := res.Header.Get("Location"); res.StatusCode != 303 || to != want {
			t.Errorf("next=%q: status %d to %q, want %q", next, res.StatusCode, to, want)
		}
	}
}

// Wherever a browser is sent after the login, it is the same site.
func FuzzLogin_LocalPath(f *testing.F) {
	for _, next := range []string{"/overview", "//evil.example", `/\evil.example`, "/..//evil.example", "/%2f/evil.example", "/?next=//x", "/a/../b", "https://x", "/\x00", "/a#//b"} {
		f.Add(next)
	}
	here, _ := url.Parse("http://127.0.0.1:8098/login")
	f.Fuzz(func(t *testing.T, next string) {
		path := localPath(next)
		// As a browser reads it: a backslash is a slash, and what cannot be seen is left out.
		read := strings.Map(func(c rune) rune {
			switch {
			case c == '\\':
				return '/'
			case c == '\t', c == '\r', c == '\n':
				return -1
			}
			return c
		}, strings.TrimFunc(path, func(c rune) bool { return c <= ' ' }))
		to, err := here.Parse(read)
		if err != nil || to.Host != here.Host || to.Scheme != here.Scheme || to.User != nil {
			t.Errorf("%q leads to %v (%v)", next, to, err)
		}
	})
}
