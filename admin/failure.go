package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"go.uber.org/zap"
)

// failure is a page that says what happened, what it means and what to do, in this order.
type failure struct {
	Status           int // of HTTP
	Title, Means, Do string
}

func (f failure) Error() string { return f.Title }

// handler answers an error of a page with a page. A handler that returns one has written nothing. It goes on
// without its browser: what is half done is finished, and a statement that is broken off costs the others
// their connections (see package store).
func (s *site) handler(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), requestTime)
		defer cancel()
		if err := h(w, r.WithContext(ctx)); err != nil {
			s.fail(w, r, s.asFailure(r, err))
		}
	})
}

// asFailure is an error in the words of a page. What an administrator cannot act on is logged.
func (s *site) asFailure(r *http.Request, err error) failure {
	var f failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, ErrUncertain):
		s.log.Warn("page failed, outcome of a commit unknown", zap.String("path", r.URL.Path), zap.Error(err))
		return failure{Status: http.StatusServiceUnavailable, Title: "The database did not answer in time",
			Means: "What you did was done as a whole, or not at all: which of the two is not known.",
			Do:    "Look at the page again before you repeat it."}
	case errors.Is(err, ErrSearchTooLong):
		return failure{Status: http.StatusServiceUnavailable, Title: "The search took too long",
			Means: "It was given up, and nothing was changed. The database is busy, or little matches among very many deliveries.",
			Do:    "Try again in a moment, or choose a channel and a status, or a shorter time."}
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("page failed, database unavailable", zap.String("path", r.URL.Path), zap.Error(err))
		return failure{Status: http.StatusServiceUnavailable, Title: "The database does not answer",
			Means: "Nothing was changed. Deliveries wait, and none is lost.",
			Do:    "Try again in a moment. If it stays so, tell the operator: the log of this page has the error."}
	}
	s.log.Error("page failed", zap.String("path", r.URL.Path), zap.Error(err))
	switch {
	case errors.Is(err, ErrNoSchema):
		return failure{Status: http.StatusServiceUnavailable, Title: "The database is not set up",
			Means: "The tables of webhooks are missing: they were dropped or not restored, or this is another database. Nothing was changed.",
			Do:    "Tell the operator: " + ErrNoSchema.Error() + "."}
	case errors.Is(err, ErrDenied):
		return failure{Status: http.StatusInternalServerError, Title: "The database does not allow this",
			Means: "The database role of this page lacks a privilege. Nothing was changed.",
			Do:    "Tell the operator: the role needs webhook_reader and webhook_admin, and after an upgrade webhooks migrate --roles is to be run again."}
	}
	return failure{Status: http.StatusInternalServerError, Title: "This page failed",
		Means: "It is a fault of the program, not of what you entered.",
		Do:    "Try again. If it stays so, tell the operator: the log of this page has the error."}
}

func (s *site) fail(w http.ResponseWriter, r *http.Request, f failure) {
	s.render(w, r, f.Status, "failure.html", f.Title, f)
}

// recovered answers a panic with a page and logs it.
func (s *site) recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.log.Error("page panicked", zap.String("path", r.URL.Path), zap.String("panic", fmt.Sprint(p)), zap.ByteString("stack", debug.Stack()))
				s.fail(w, r, s.asFailure(r, errPanicked))
			}
		}()
		h.ServeHTTP(w, r)
	})
}

var errPanicked = errors.New("panicked")
