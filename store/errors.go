package store

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/lib/pq"

	"github.com/lib/pq/pqerror"

	"github.com/recordengine/webhooks/outbox"
)

// rolledBack says whether the server itself has reported that the statement
// failed and changed nothing. A session that was ended is no such report:
// pg_terminate_backend may strike after the commit. Severities come translated
// from some servers, so the SQLSTATE counts too.
func rolledBack(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) || pe.Severity == pqerror.SeverityFatal || pe.Severity == pqerror.SeverityPanic {
		return false
	}
	c := code(err)
	return !strings.HasPrefix(c, "08") && !strings.HasPrefix(c, "57P")
}

// code is the SQLSTATE that the server has reported, or "".
func code(err error) string {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return string(pe.Code)
	}
	return ""
}

// refused: the values are at fault (data exception, integrity violation).
func refused(err error) bool {
	c := code(err)
	return len(c) == 5 && (c[:2] == "22" || c[:2] == "23")
}

// denied: rights or a rule of the database's owner are at fault (42, access rule
// violation; P0, an exception of PL/pgSQL; 2F and 38, of another function).
func denied(err error) bool {
	c := code(err)
	return len(c) == 5 && (c[:2] == "42" || c[:2] == "P0" || c[:2] == "2F" || c[:2] == "38")
}

// conflicting: another transaction was quicker; the same statement may well
// succeed now. 23505 is the unique index that keeps two attempts of one
// document apart.
func conflicting(err error) bool {
	switch code(err) {
	case "23505", "40001", "40P01", "55P03":
		return true
	}
	return false
}

// failed wraps an error for the dispatcher. After a failover a connection to
// the old primary is of no use, and the pool would keep it: it is emptied.
func (s *Store) failed(doing string, err error) error {
	if code(err) == "25006" {
		s.dropIdle()
		err = fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if refused(err) {
		err = fmt.Errorf("%w: %w", outbox.ErrRejected, err)
	}
	if denied(err) {
		err = fmt.Errorf("%w: %w", outbox.ErrDenied, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Transient reports whether waiting can help: the server could not be reached, or
// it cannot serve now (starting up, shutting down, out of connections, a lock, a
// standby). Not so a wrong password, a missing database or privilege, or a schema
// that this program cannot work with.
func Transient(err error) bool {
	if errors.Is(err, ErrSchema) {
		return false
	}
	c := code(err)
	if len(c) != 5 {
		return true // no answer of the server
	}
	switch c[:2] {
	case "08", "40", "53", "57": // connection, rollback, resources, operator
		return true
	}
	return c == "55P03" || c == "25006" // lock not available, read-only transaction
}

// dropIdle closes the pooled connections that nobody uses now.
func (s *Store) dropIdle() {
	s.db.SetMaxIdleConns(0)
	s.db.SetMaxIdleConns(maxConnections)
}

// withoutDSN drops the address that url.Parse quotes, since it may hold a password.
func withoutDSN(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
