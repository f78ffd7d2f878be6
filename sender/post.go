package sender

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// post makes the attempt on one connection after the other, until a byte of the
// request was written.
//
// A kept connection may turn out to be closed before a single byte of the
// request was written. Then, and only then, the request goes to another
// connection: it was not sent yet.
func (s *Sender) post(ctx context.Context, to *endpoint, req outbox.Request) (outbox.Result, *trail, error) {
	head, err := to.target.head(s.agent, req)
	if err != nil {
		return outbox.Result{}, &trail{}, err
	}
	for {
		went := &trail{}
		result, err := s.try(ctx, to, req, head, went)
		if went.reused {
			s.judge(ctx, to.target.key, err)
		}
		if err == nil || went.wrote() || !went.reused || ctx.Err() != nil {
			return result, went, err
		}
	}
}

// judge notes what an attempt has shown of the kept connections of an origin.
func (s *Sender) judge(ctx context.Context, key string, err error) {
	switch {
	case err == nil:
		s.pool.heard(key, true)
	case !isOurs(ctx, err):
		s.pool.endReuse(key)
	case errors.Is(err, errTimedOut):
		s.pool.heard(key, false)
	}
}

// isOurs reports whether the attempt ended because its time ran out or it was cancelled.
func isOurs(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
}

// try makes the attempt on one connection.
func (s *Sender) try(ctx context.Context, to *endpoint, req outbox.Request, head []byte, went *trail) (outbox.Result, error) {
	c, err := s.connect(ctx, to.target, went)
	if err != nil {
		return outbox.Result{}, causeOr(ctx, err)
	}
	release := context.AfterFunc(ctx, c.abort)
	answer, up, err := c.exchange(to.finish(head, req, s.now()), req.Body, went) //nolint:bodyclose // Send reads the body and decides about the connection
	if err != nil {
		release()
		_ = c.Close()
		return outbox.Result{}, causeOr(ctx, err)
	}
	body := c.body(ctx, answer)
	up.finish(c, answer.StatusCode/100 == 2)
	s.keep(to.target.key, c, keepFor(answer), release() && body.whole && up.whole())
	return verdict(req, to, answer, body), nil
}

// causeOr is why the attempt was ended, if it was; else the error. A dialler has
// the deadline of its context, and may be a moment ahead of it.
func causeOr(ctx context.Context, err error) error {
	var late net.Error
	if at, ok := ctx.Deadline(); ok && errors.As(err, &late) && late.Timeout() && !time.Now().Before(at) {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// connect returns a kept connection, or a new one on which the receiver has not
// said anything yet.
func (s *Sender) connect(ctx context.Context, to *target, went *trail) (*conn, error) {
	for c := s.pool.get(ctx, to.key); c != nil; c = s.pool.get(ctx, to.key) {
		if !s.dialer.identity.stale(c.offered) {
			went.got(c, true)
			return c, nil
		}
		_ = c.Close()
	}
	c, err := s.dialer.dial(ctx, to, went)
	if err != nil {
		return nil, err
	}
	went.got(c, false)
	if err := c.quiet(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// keep puts a connection back whose request was written and whose answer was
// read, both to the end, if not a byte more has come.
func (s *Sender) keep(key string, c *conn, keep time.Duration, whole bool) {
	if whole && c.in.Buffered() > 0 {
		s.pool.endReuse(key)
	}
	if !whole || keep <= 0 || c.in.Buffered() > 0 {
		_ = c.Close()
		return
	}
	c.keep = keep
	_ = c.SetDeadline(time.Time{})
	s.pool.put(key, c)
}
