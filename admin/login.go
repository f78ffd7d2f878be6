package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"
	"go.uber.org/zap"
)

// defaultPerson is who acts where a password is entered without a name.
const defaultPerson = "administrator"

// loginView is what the login page shows.
type loginView struct {
	Next    string // where to go after the login
	Name    string
	Problem string
}

func (s *site) loginPage(w http.ResponseWriter, r *http.Request) error {
	if s.PasswordHash == nil {
		return s.noSuchPage(w, r)
	}
	s.render(w, r, http.StatusOK, "login.html", "Log in", loginView{Next: localPath(r.FormValue("next"))})
	return nil
}

// toLogin leads to the login and from there back. What was to be done is not: a form cannot be kept.
func (s *site) toLogin(w http.ResponseWriter, r *http.Request) {
	if !reads(r) {
		s.fail(w, r, failure{Status: http.StatusForbidden, Title: "You are not logged in",
			Means: "The session has ended. Nothing was changed.", Do: "Log in in another tab, then go back and try again: what you entered is still there."})
		return
	}
	s.redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()))
}

// logIn compares with the hash of now: a changed password needs no restart.
func (s *site) logIn(w http.ResponseWriter, r *http.Request) error {
	if s.PasswordHash == nil {
		return s.noSuchPage(w, r)
	}
	view := loginView{Next: localPath(r.PostFormValue("next")), Name: personName(r.PostFormValue("name"))}
	hash, err := s.passwordHash()
	if err != nil {
		return err
	}
	guesser := guesserOf(r, hash)
	if wait := s.logins.begin(guesser); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		view.Problem = "There were too many wrong passwords. Wait a minute, then try again."
		s.render(w, r, http.StatusTooManyRequests, "login.html", "Log in", view)
		return nil
	}
	right, err := s.compare(guesser, r.PostFormValue("password"), hash)
	if err != nil {
		return err
	}
	if !right {
		s.log.Warn("page login failed", zap.String("peer", peerOf(r)))
		view.Problem = "The password is wrong."
		s.render(w, r, http.StatusUnprocessableEntity, "login.html", "Log in", view)
		return nil
	}
	s.begin(w, r, view.Name, guesser, hash)
	s.redirect(w, r, view.Next)
	return nil
}

// passwordHash is the hash as it is now. What is no whole hash lets in no one.
func (s *site) passwordHash() (string, error) {
	hash, err := s.PasswordHash()
	if err != nil {
		return "", err
	}
	if err := CheckPasswordHash(hash); err != nil {
		return "", fmt.Errorf("the hash of the password: %w", err)
	}
	return hash, nil
}

// compare ends a guess, also where it panics: the others wait for it.
func (s *site) compare(g guesser, password, hash string) (right bool, err error) {
	defer func() { s.logins.end(g, right) }()
	return argon2id.ComparePasswordAndHash(password, hash)
}

// begin begins a session with an id of its own, whatever the browser had before. The log names no person: a
// password typed into the wrong field would be in it.
func (s *site) begin(w http.ResponseWriter, r *http.Request, name string, g guesser, hash string) {
	if name == "" {
		name = defaultPerson
	}
	s.sessions.end(r)
	s.setCookie(w, r, sessionCookie, s.sessions.begin(name, hash), sessionLife)
	s.setCookie(w, r, knownCookie, g.mark(hash), knownLife)
	s.log.Info("page login", zap.String("peer", peerOf(r)))
}

// logoutPage asks: an action is a POST.
func (s *site) logoutPage(w http.ResponseWriter, r *http.Request) error {
	if s.PasswordHash == nil {
		return s.noSuchPage(w, r)
	}
	s.render(w, r, http.StatusOK, "logout.html", "Log out", nil)
	return nil
}

func (s *site) logOut(w http.ResponseWriter, r *http.Request) error {
	if s.PasswordHash == nil {
		return s.noSuchPage(w, r)
	}
	s.sessions.end(r)
	s.setCookie(w, r, sessionCookie, "", -time.Second)
	s.redirect(w, r, "/login")
	return nil
}

// setCookie sets a cookie of this site. A client that lies about X-Forwarded-Proto changes its own cookie only.
func (s *site) setCookie(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration) {
	scheme, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the browser came by TLS; plain http stays possible on loopback
		Name: name, Value: value, Path: s.BasePath + "/", MaxAge: int(life / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil || strings.EqualFold(strings.TrimSpace(scheme), "https"),
	})
}

// localPath is a path of this site, or the root: a link to the login must not lead away from here.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") ||
		strings.ContainsAny(next, "\\\r\n\t") || !plain(u.Path) || u.Path == "/login" || u.Path == "/logout" {
		return "/"
	}
	return next
}
