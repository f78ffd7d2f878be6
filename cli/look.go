package cli

import (
	"context"
	"time"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
	"github.com/recordengine/webhooks/store"
)

// lookMargin is how much longer than an attempt a look may last until another worker may make it.
const lookMargin = 30 * time.Second

// recordLookEvery is how long after a failure a look is recorded again.
const recordLookEvery = 5 * time.Second

// looks are the looks at endpoints that this worker makes: name, connection and certificate, for the
// page, which opens no connection itself.
type looks struct {
	store      *store.Store
	sender     *sender.Sender
	background func(doing string, do func() error) error
	lease      time.Duration
}

// begin is part of each cycle. An endpoint that hangs holds up neither the others nor the cycle.
func (l *looks) begin(ctx context.Context) {
	_ = l.background("begin to look at endpoints", func() error {
		due, err := l.store.BeginLooks(ctx, l.lease)
		if err != nil && ctx.Err() == nil { // a worker that stops has not failed
			return err
		}
		for _, e := range due {
			go l.look(ctx, e)
		}
		return nil
	})
}

// look makes one. What says nothing about the endpoint is not recorded; another look follows the lease.
// Nothing else waits for it, hence it is recorded in the goroutine that made it, however often that takes.
func (l *looks) look(ctx context.Context, e store.Endpoint) {
	seen := l.sender.Look(ctx, e.URL, "")
	if seen.Failure == outbox.FailureInterrupted || seen.Shortage != "" {
		return
	}
	l.record(ctx, func() error {
		return l.store.EndLook(context.WithoutCancel(ctx), e, store.Look{
			Problem: seen.Problem, Failure: string(seen.Failure), Address: seen.Address, TLSVersion: seen.TLSVersion,
			Subject: seen.Subject, Issuer: seen.Issuer, Ends: seen.Ends,
		})
	})
}

// record repeats the statement that records a look, since another transaction may lock the row, or the database
// be unavailable. When the lease may be over, another look is made instead.
func (l *looks) record(ctx context.Context, end func() error) {
	for until := time.Now().Add(l.lease); time.Now().Before(until); {
		if l.background("record a look at an endpoint", end) == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(recordLookEvery):
		}
	}
}
