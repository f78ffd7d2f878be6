package admin

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// healthChecks answers whether the process lives, and whether it can serve: before the Host is checked and
// without login, since an orchestrator calls a bare address.
func (s *site) healthChecks(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/livez" && r.URL.Path != "/readyz":
			h.ServeHTTP(w, r)
		case !reads(r):
			w.Header().Set("Allow", "GET, HEAD")
			answerHealth(w, http.StatusMethodNotAllowed, "GET and HEAD only")
		case r.URL.Path == "/readyz" && s.ready.ask(s.isReady) != nil:
			answerHealth(w, http.StatusServiceUnavailable, "not ready: the database does not answer, or lacks the schema")
		default:
			answerHealth(w, http.StatusOK, "ok")
		}
	})
}

func (s *site) isReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	err := s.store.Ready(ctx)
	if err != nil {
		s.log.Warn("page not ready", zap.Error(err))
	}
	return err
}

func answerHealth(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// readyFor is how long an answer of the database counts: who asks more often costs it nothing.
const readyFor = time.Second

// readiness asks once at a time, and remembers the answer.
type readiness struct {
	mu    sync.Mutex
	until time.Time
	err   error
}

func (r *readiness) ask(isReady func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().After(r.until) {
		r.err = isReady()
		r.until = time.Now().Add(readyFor)
	}
	return r.err
}
