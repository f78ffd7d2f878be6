package admin

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

type userKey struct{}

// userOf is the person who makes a request: the name that is recorded with what they change.
func userOf(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

func withUser(r *http.Request, user string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), userKey{}, user))
}

// letIn decides who makes a request.
func (s *site) letIn(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.UserHeader != "":
			s.letInNamed(w, r, h)
		case s.PasswordHash != nil:
			s.letInLoggedIn(w, r, h)
		case s.throughProxy(r):
			s.fail(w, r, failure{Status: http.StatusForbidden, Title: "This page is behind a proxy and has no login",
				Means: "On a loopback address it lets in everybody on this machine. A proxy passes on requests from elsewhere.",
				Do:    "Set WEBHOOK_ADMIN_PASSWORD_HASH, or WEBHOOK_ADMIN_TRUST_USER_HEADER with WEBHOOK_ADMIN_TRUSTED_PROXIES, and restart it."})
		default:
			h.ServeHTTP(w, withUser(r, s.User))
		}
	})
}

// letInNamed lets in whom a trusted proxy names.
func (s *site) letInNamed(w http.ResponseWriter, r *http.Request, h http.Handler) {
	user, trusted := s.proxiedUser(r)
	if !trusted {
		s.fail(w, r, failure{Status: http.StatusForbidden, Title: "No user was named",
			Means: "Users of this page are named by a proxy in front of it. This request did not come through a trusted proxy, or named no one.",
			Do:    "Open the page through its proxy. For the operator: WEBHOOK_ADMIN_TRUST_USER_HEADER and WEBHOOK_ADMIN_TRUSTED_PROXIES."})
		return
	}
	h.ServeHTTP(w, withUser(r, user))
}

// letInLoggedIn lets in who has a session, and everybody to the login and to the static files, which it uses.
func (s *site) letInLoggedIn(w http.ResponseWriter, r *http.Request, h http.Handler) {
	open := r.URL.Path == "/login" || strings.HasPrefix(r.URL.Path, "/static/")
	password, err := s.passwordHash()
	if err != nil && !open {
		s.fail(w, r, s.asFailure(r, err))
		return
	}
	user, in := s.sessions.user(r, password)
	if !in && !open {
		s.toLogin(w, r)
		return
	}
	h.ServeHTTP(w, withUser(r, user))
}

// readOnly refuses each action where the page may only show.
func (s *site) readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ReadOnly && !reads(r) && r.URL.Path != "/login" && r.URL.Path != "/logout" {
			s.fail(w, r, failure{Status: http.StatusForbidden, Title: "This page is read-only",
				Means: "It was started with WEBHOOK_ADMIN_READ_ONLY=true. Nothing was changed.",
				Do:    "Use a page that may change settings, or ask the operator."})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// proxiedUser is the user that a trusted proxy names. A header that is there twice names no user: one of
// them may be the client's own.
func (s *site) proxiedUser(r *http.Request) (user string, trusted bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	address := peer.Addr().Unmap().WithZone("")
	if err != nil || !slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return "", false
	}
	named := r.Header.Values(s.UserHeader)
	if len(named) != 1 {
		return "", false
	}
	user = personName(named[0])
	return user, user != ""
}

// maxName is how much of a person's name is kept, in characters.
const maxName = 200

// personName is a name as it is recorded and shown: one line without what cannot be seen.
func personName(name string) string {
	name = strings.TrimSpace(strings.Map(func(c rune) rune {
		if c == utf8.RuneError || unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || blank(c) {
			return -1
		}
		return c
	}, name))
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName])
	}
	return name
}

// throughProxy reports a request that a proxy has passed on: it says so, or what was asked for is another
// host than the one that answers.
func (s *site) throughProxy(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || slices.Contains(proxyHeaders, name) {
			return true
		}
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err != nil || origin.Host != "" && !s.answers(origin.Host)
}

// proxyHeaders are those that proxies add, beside X-Forwarded-….
var proxyHeaders = []string{"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Original-Host", "X-Original-Url"}
