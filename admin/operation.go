package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// Operation is something that is done to many events, batch by batch. It is a row of the database, so it
// goes on without the browser, and after a restart of the page.
type Operation struct {
	ID           int64
	Kind         string // resend or release
	Actor        string
	Resend       Resend   // which events a resend sends
	Channels     []string // of a release: whose events are discarded
	Created      time.Time
	Expected     int64 // how many events were counted when it began
	ExpectedMore bool  // there are more than that
	Done         int64
	LeftOut      int64
	Finished     *time.Time
	Stopped      *time.Time
	StoppedBy    string
	Problem      string // why it cannot go on, in words
}

// Over reports whether nothing of it remains to be done.
func (o Operation) Over() bool { return o.Finished != nil || o.Stopped != nil }

// ErrNoOperation means that there is no operation with this id.
var ErrNoOperation = errors.New("no such operation")

// ErrStepTooLong means that an operation goes on: the step that runs now did not end in time.
var ErrStepTooLong = errors.New("the step of the operation takes too long")

// operationStore is the part of Store that operations use.
type operationStore interface {
	// Operation returns an operation, or ErrNoOperation.
	Operation(ctx context.Context, id int64) (Operation, error)

	// UnfinishedOperations returns the ids of those that are neither finished nor stopped, the oldest first.
	UnfinishedOperations(ctx context.Context) ([]int64, error)

	// AdvanceOperation does the next batch. more: there is another one, or another process is at it.
	AdvanceOperation(ctx context.Context, id int64) (more bool, err error)

	// StopOperation ends it after the batch that runs now, for which it waits, or returns ErrStepTooLong.
	// One that is over stays as it is.
	StopOperation(ctx context.Context, actor string, id int64) error
}

// How often the page looks for operations that another process has begun and left, and how long it
// rests between two batches, so that workers and the application have the database as well.
const (
	lookForOperationsEvery = 10 * time.Second
	restBetweenBatches     = 20 * time.Millisecond
)

// runOperations does what is to be done, one operation at a time, until ctx ends. A page that may only show leaves
// them to others.
func (s *site) runOperations(ctx context.Context) {
	if s.ReadOnly {
		<-ctx.Done()
		return
	}
	look := time.NewTicker(lookForOperationsEvery)
	defer look.Stop()
	for {
		s.advanceAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-s.begun:
		}
	}
}

// wakeOperations has an operation begin at once.
func (s *site) wakeOperations() {
	select {
	case s.begun <- struct{}{}:
	default: // it was woken already
	}
}

// advanceAll does them in turns. One that fails does not keep the others from going on.
func (s *site) advanceAll(ctx context.Context) {
	ids, err := s.store.UnfinishedOperations(ctx)
	s.interrupted(ctx, 0, err)
	for len(ids) > 0 && ctx.Err() == nil {
		var unfinished []int64
		for _, id := range ids {
			more, err := s.advance(ctx, id)
			s.interrupted(ctx, id, err)
			if more && err == nil {
				unfinished = append(unfinished, id)
			}
		}
		ids = unfinished
	}
}

// interrupted logs what keeps an operation, or all of them (id 0), from going on for now.
func (s *site) interrupted(ctx context.Context, id int64, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Warn("operation interrupted, it goes on when the database answers", zap.Int64("operation", id), zap.Error(err))
	}
}

func (s *site) advance(ctx context.Context, id int64) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if more, err = s.store.AdvanceOperation(ctx, id); err != nil || !more {
		return more, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(restBetweenBatches):
	}
	return more, nil
}

// operationPage shows how far an operation is. While it runs the browser loads the page again.
func (s *site) operationPage(w http.ResponseWriter, r *http.Request) error {
	o, err := s.operationOf(r)
	if err != nil {
		return err
	}
	title := map[string]string{"resend": "Resend", "release": "Turn Offline Mode off"}[o.Kind]
	v := view{Title: title, Body: o}
	if !o.Over() && o.Problem == "" {
		v.Refresh = 1
	}
	s.renderView(w, r, http.StatusOK, "operation.html", v)
	return nil
}

func (s *site) stopOperation(w http.ResponseWriter, r *http.Request) error {
	o, err := s.operationOf(r)
	if err != nil {
		return err
	}
	err = s.store.StopOperation(r.Context(), userOf(r), o.ID)
	if errors.Is(err, ErrStepTooLong) {
		return failure{Status: http.StatusServiceUnavailable, Title: "It was not stopped yet",
			Means: "The database is busy with a step of it, which takes unusually long. It goes on.", Do: "Go back, and choose Stop again in a moment."}
	}
	if err != nil {
		return err
	}
	s.redirect(w, r, operationPath(o.ID))
	return nil
}

func operationPath(id int64) string { return "/operations/" + strconv.FormatInt(id, 10) }

func (s *site) operationOf(r *http.Request) (Operation, error) {
	missing := failure{Status: http.StatusNotFound, Title: "There is no such operation",
		Means: "The address names a resend or a release that does not exist, or was removed.", Do: "Look at the deliveries themselves."}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return Operation{}, missing
	}
	o, err := s.store.Operation(r.Context(), id)
	if errors.Is(err, ErrNoOperation) {
		return o, missing
	}
	return o, err
}
