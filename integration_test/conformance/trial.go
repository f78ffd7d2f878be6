package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// feature is something that the outbox relies on.
type feature struct {
	name    string
	promise string // what falls without it
	try     func(*trial)
}

// difference is the error of a server that executes the statements, with another result.
type difference string

func (d difference) Error() string { return string(d) }

// patience is how long one feature may take; more is an answer that never came.
const patience = 30 * time.Second

// world is where features are tried.
type world struct {
	url    string
	schema string // the file
}

// attempt tries a feature. Nil: the server has it.
func (w *world) attempt(ctx context.Context, f feature) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := &trial{ctx: ctx, url: w.url, schema: w.schema}
	defer t.end()
	f.try(t)
	if t.err != nil && ctx.Err() != nil {
		return difference(fmt.Sprintf("no answer within %s: %v", patience, t.err))
	}
	return t.err
}

// trial is one feature being tried. After its first error its sessions do nothing.
type trial struct {
	ctx    context.Context
	url    string
	schema string
	err    error
	ends   []func()
}

func (t *trial) end() {
	for _, end := range t.ends {
		end()
	}
}

// fail keeps the first error.
func (t *trial) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// want fails unless a result is the expected one.
func (t *trial) want(what, got, wanted string) {
	if t.err == nil && got != wanted {
		t.err = difference(fmt.Sprintf("%s: %q, expected %q", what, got, wanted))
	}
}

// eventually asks until the answer is "true"; there is nothing to wait on in another session.
func (t *trial) eventually(what string, ask func() string) {
	for t.err == nil {
		if ask() == "true" {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.ctx.Done():
			t.fail(difference(what + ": not within the time"))
		}
	}
}

func open(address string) (*sql.DB, error) {
	connector, err := pq.NewConnector(address)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// session is a connection that is closed when the trial ends.
type session struct {
	t    *trial
	conn *sql.Conn
	pid  string
}

// session connects. A wait for a lock ends with an error after a while, whatever the server's default is.
func (t *trial) session() *session {
	s := &session{t: t}
	if t.err != nil {
		return s
	}
	db, err := open(t.url)
	if err == nil {
		t.ends = append(t.ends, func() { _ = db.Close() })
		s.conn, err = db.Conn(t.ctx)
	}
	if err != nil {
		t.fail(err)
		return s
	}
	s.pid = s.get(`select pg_backend_pid()`)
	return s
}

// do executes a statement.
func (s *session) do(statement string, args ...any) {
	if s.t.err != nil {
		return
	}
	if _, err := s.conn.ExecContext(s.t.ctx, statement, args...); err != nil {
		s.t.fail(err)
	}
}

// get returns the first column of all rows as text, with a space between them. Null is "".
func (s *session) get(statement string, args ...any) string {
	if s.t.err != nil {
		return ""
	}
	text, err := s.query(statement, args...)
	if err != nil {
		s.t.fail(err)
	}
	return text
}

func (s *session) query(statement string, args ...any) (text string, err error) {
	rows, err := s.conn.QueryContext(s.t.ctx, statement, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for between := ""; rows.Next(); between = " " {
		var value sql.NullString
		if err := rows.Scan(&value); err != nil {
			return "", err
		}
		text += between + value.String
	}
	return text, rows.Err()
}

// refusal is what an expected error says beside its SQLSTATE.
type refusal struct{ constraint, hint string }

// refused executes a statement that must fail with this SQLSTATE.
func (s *session) refused(sqlstate, statement string, args ...any) refusal {
	if s.t.err != nil {
		return refusal{}
	}
	text, err := s.query(statement, args...)
	return s.t.mustBe(sqlstate, text, err)
}

// mustBe fails unless a statement has failed with this SQLSTATE.
func (t *trial) mustBe(sqlstate, text string, err error) refusal {
	var refused *pq.Error
	switch {
	case err == nil:
		t.fail(difference(fmt.Sprintf("no error, and the result %q; SQLSTATE %s was expected", text, sqlstate)))
	case !errors.As(err, &refused):
		t.fail(err)
	case string(refused.Code) != sqlstate:
		t.fail(difference(fmt.Sprintf("SQLSTATE %s was expected: %v", sqlstate, err)))
	default:
		return refusal{refused.Constraint, refused.Hint}
	}
	return refusal{}
}

// answer is of a statement that another session is waited for.
type answer struct {
	text string
	err  error
}

// waits begins a statement that must wait for a lock, and returns once it does.
func (s *session) waits(watcher *session, statement string, args ...any) <-chan answer {
	answers := make(chan answer, 1)
	if s.t.err != nil {
		answers <- answer{}
		return answers
	}
	go func() {
		text, err := s.query(statement, args...)
		answers <- answer{text, err}
	}()
	s.t.eventually("a statement that waits for a lock is seen in pg_stat_activity", func() string {
		select {
		case a := <-answers:
			answers <- a
			s.t.fail(difference(fmt.Sprintf("it did not wait: %q, %v", a.text, a.err)))
		default:
		}
		return watcher.get(`select coalesce(wait_event_type = 'Lock', false) from pg_stat_activity where pid = $1::int`, s.pid)
	})
	return answers
}
