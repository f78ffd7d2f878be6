package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// A session ends so long after its login, and so long after its last request.
const (
	sessionLife = 12 * time.Hour
	sessionIdle = 2 * time.Hour
)

// maxSessions are kept. With one more the one that was used longest ago ends.
const maxSessions = 1000

const sessionCookie = "webhooks_session"

// sessions are those who have logged in, until the process ends. An id is known to its browser only; here
// is its hash.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]session
	now func() time.Time
}

type session struct {
	user       string
	password   string // the hash of the password of its login: with another one set, the session is over
	began, met time.Time
}

func newSessions() *sessions {
	return &sessions{all: map[[sha256.Size]byte]session{}, now: time.Now}
}

// begin returns the id of a new session.
func (s *sessions) begin(user, password string) (id string) {
	id = rand.Text()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	s.all[sha256.Sum256([]byte(id))] = session{user: user, password: password, began: now, met: now}
	return id
}

// makeRoom removes the sessions that are over, and the one that was used longest ago where there are too many.
func (s *sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	met := now
	for key, each := range s.all {
		if each.over(now) {
			delete(s.all, key)
		} else if !each.met.After(met) {
			oldest, met = key, each.met
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
}

// user is who has logged in from this browser, with the password that is still the one.
func (s *sessions) user(r *http.Request, password string) (user string, in bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range sessionKeys(r) {
		found, ok := s.all[key]
		if ok && !found.over(now) && found.password == password {
			found.met = now
			s.all[key] = found
			return found.user, true
		}
	}
	return "", false
}

// end ends the sessions of this browser.
func (s *sessions) end(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range sessionKeys(r) {
		delete(s.all, key)
	}
}

func (s session) over(now time.Time) bool {
	return now.Sub(s.began) >= sessionLife || now.Sub(s.met) >= sessionIdle
}

// sessionKeys are the sessions that a request names: more than one where the page was at another path of
// the same host before.
func sessionKeys(r *http.Request) (keys [][sha256.Size]byte) {
	for _, cookie := range r.CookiesNamed(sessionCookie) {
		keys = append(keys, sha256.Sum256([]byte(cookie.Value)))
	}
	return keys
}
