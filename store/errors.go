package store

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/recordengine/webhooks/outbox"
)

// This file is the one place where SQLSTATEs are interpreted.

// code is the SQLSTATE that the server reported, or "".
func code(err error) string {
	var pe *pq.Error
	if errors.As(err, &pe) {
		return string(pe.Code)
	}
	return ""
}

// class reports whether the server reported a SQLSTATE of one of these classes.
func class(err error, classes ...string) bool {
	c := code(err)
	return len(c) == 5 && slices.Contains(classes, c[:2])
}

// rolledBack reports whether the server itself reported that the statement failed and changed nothing.
// The end of a session is no such report: pg_terminate_backend may come after the commit. Severities are
// translated by some servers, so the SQLSTATE counts too.
func rolledBack(err error) bool {
	var pe *pq.Error
	if !errors.As(err, &pe) || pe.Severity == pqerror.SeverityFatal || pe.Severity == pqerror.SeverityPanic {
		return false
	}
	return !class(err, "08") && !strings.HasPrefix(code(err), "57P")
}

// rejected: the values are at fault (data exception, integrity violation).
func rejected(err error) bool { return class(err, "22", "23") }

// denied: privileges or a rule of the database's owner are at fault (42, access rule violation; P0, an
// exception of PL/pgSQL; 2F and 38, of another function).
func denied(err error) bool { return class(err, "42", "P0", "2F", "38") }

// schemaMissing: the schema of webhooks does not exist, or a table of it: it was dropped while this program ran, or the
// database was restored without it.
func schemaMissing(err error) bool { return code(err) == "3F000" || code(err) == "42P01" }

// conflicting: another transaction was quicker, and the same statement may succeed now. 23505 is the
// unique index that keeps two attempts of one document apart, 40001 the trigger function
// webhook.refuse_overtaken: sessions are READ COMMITTED, so the server itself has no such failure.
func conflicting(err error) bool {
	return code(err) == "23505" || code(err) == "40001" || lockMissed(err)
}

// lockMissed: a lock was not granted within lock_timeout, or only at the price of a deadlock. The
// transaction may succeed when it is repeated.
func lockMissed(err error) bool { return lockTimedOut(err) || code(err) == "40P01" }

// lockTimedOut: a row was locked for longer than lock_timeout.
func lockTimedOut(err error) bool { return code(err) == "55P03" }

// refusedByState: a function of the schema refused, since the row is in another state or a worker holds it. Its
// message says so in words.
func refusedByState(err error) bool { return code(err) == "55000" || code(err) == "55006" }

// missing: a function of the schema was given the id of a row that does not exist.
func missing(err error) bool { return code(err) == "P0002" }

// noSuchValue: a function of the schema was given a name that does not exist, or bytes that are no text.
func noSuchValue(err error) bool { return code(err) == "22023" || code(err) == "22021" }

// cancelled: the statement reached its time limit, or its client left.
func cancelled(err error) bool { return code(err) == "57014" }

// readOnly: the session is on a server that accepts no writes.
func readOnly(err error) bool { return code(err) == "25006" }

// waitEnded: a commit is done on this server alone, since its wait for a standby was ended; the server reports success
// and this warning, whose text may be translated.
func waitEnded(notice *pq.Error) bool { return notice.Routine == "SyncRepWaitForLSN" }

// errWaitEnded: see waitEnded.
var errWaitEnded = errors.New("its wait for a synchronous standby was ended")

// connectionLost: the connection was closed, perhaps long ago; the server did not report why.
func connectionLost(err error) bool {
	return errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn)
}

// failed wraps an error for the dispatcher. After a failover a connection to the old primary is of no
// use, and where one connection is dead the others may be: the pool, which would keep them, is emptied.
func (s *Store) failed(doing string, err error) error {
	switch {
	case code(err) == "":
		s.dropIdle()
	case readOnly(err):
		s.dropIdle()
		err = fmt.Errorf("%w: %w", ErrReadOnly, err)
	case rejected(err):
		err = fmt.Errorf("%w: %w", outbox.ErrRejected, err)
	case denied(err):
		err = fmt.Errorf("%w: %w", outbox.ErrDenied, s.withGrant(err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// ErrParameter means that the server does not know a parameter of the DSN.
var ErrParameter = errors.New("the server does not know a parameter of DATABASE_URL; remove it")

// connectError is why no connection was made, without the address that url.Parse quotes.
func connectError(err error) error {
	if c := code(err); c == "42704" || c == "08P01" && strings.Contains(err.Error(), "startup parameter") { // the latter of pgbouncer
		return fmt.Errorf("%w: %w", ErrParameter, err)
	}
	return withoutDSN(err)
}

// Transient reports whether waiting can help: the server could not be reached, or it cannot serve now
// (starting up, shutting down, out of connections, a lock, a standby). It cannot with a wrong password, a
// missing database or privilege, a parameter or pooler that cannot be used, a server without TLS or with
// an untrusted certificate, a missing file, or a schema that this program cannot work with.
func Transient(err error) bool {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var file *fs.PathError
	switch {
	case errors.Is(err, ErrSchema), errors.Is(err, ErrPooled), errors.Is(err, ErrParameter), errors.Is(err, pq.ErrSSLNotSupported):
		return false
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &file):
		return false
	case code(err) == "":
		return true // no answer of the server
	}
	// 08 is the connection, 40 a rollback, 53 resources, 57 an operator
	return class(err, "08", "40", "53", "57") || lockTimedOut(err) || readOnly(err)
}

// dropIdle closes the pooled connections that are not in use.
func (s *Store) dropIdle() {
	s.db.SetMaxIdleConns(0)
	s.db.SetMaxIdleConns(workerConnections)
}

// withoutDSN drops the address that url.Parse quotes, since it may hold a password.
func withoutDSN(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
