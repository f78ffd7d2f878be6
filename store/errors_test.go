package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/recordengine/webhooks/outbox"
)

// Any other error leaves open whether a statement was committed: then a claim must be looked up, not
// treated as failed.
func TestErrors_OnlyTheServersReportMeansRolledBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"a unique violation", &pq.Error{Severity: "ERROR", Code: "23505"}, true},
		{"a lock that was not available, wrapped", fmt.Errorf("scan: %w", &pq.Error{Severity: "ERROR", Code: "55P03"}), true},
		{"a statement that was cancelled", &pq.Error{Severity: "ERROR", Code: "57014"}, true},
		{"a session that an administrator ended", &pq.Error{Severity: pqerror.SeverityFatal, Code: "57P01"}, false},
		{"the same from a server that speaks another language", &pq.Error{Severity: "致命错误", Code: "57P01"}, false},
		{"a session that ended for another reason", &pq.Error{Severity: pqerror.SeverityFatal, Code: "25P03"}, false},
		{"a server process that panicked", &pq.Error{Severity: pqerror.SeverityPanic, Code: "XX000"}, false},
		{"a connection exception", &pq.Error{Severity: "ERROR", Code: "08006"}, false},
		{"a connection that was closed", io.EOF, false},
		{"a connection that broke", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false},
	} {
		if got := rolledBack(tt.err); got != tt.want {
			t.Errorf("%s: rolled back is %t", tt.name, got)
		}
	}
}

func TestTransient_OnlyWhatPassesByItself(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"no server", &net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{"a connection that broke", io.EOF, true},
		{"a server that starts up, wrapped", fmt.Errorf("ping: %w", &pq.Error{Code: "57P03"}), true},
		{"too many connections", &pq.Error{Code: "53300"}, true},
		{"a deadlock", &pq.Error{Code: "40P01"}, true},
		{"a lock that was not available", &pq.Error{Code: "55P03"}, true},
		{"a standby", &pq.Error{Code: "25006"}, true},
		{"a wrong password", &pq.Error{Code: "28P01"}, false},
		{"no such database", &pq.Error{Code: "3D000"}, false},
		{"no privilege", &pq.Error{Code: "42501"}, false},
		{"an exception of schema.sql", &pq.Error{Code: "P0001"}, false},
		{"another schema", fmt.Errorf("%w: version 7", ErrSchema), false},
	} {
		if got := Transient(tt.err); got != tt.want {
			t.Errorf("%s: transient is %t", tt.name, got)
		}
	}
}

// A trigger of the database's owner may miss a table as well: that is a denial, as any error of a trigger.
func TestErrors_AMissingSchemaIsTold(t *testing.T) {
	for _, tt := range []struct {
		err  pq.Error
		want error
	}{
		{pq.Error{Code: "42P01", Message: `relation "webhook.outbox" does not exist`}, outbox.ErrNoSchema},
		{pq.Error{Code: "42P01", Message: `Relation »webhook.outbox« existiert nicht`}, outbox.ErrNoSchema},
		{pq.Error{Code: "3F000", Message: `schema "webhook" does not exist`}, outbox.ErrNoSchema},
		{pq.Error{Code: "42P01", Message: `relation "audit" does not exist`}, outbox.ErrDenied},
		{pq.Error{Code: "42501", Message: `permission denied for schema webhook`}, outbox.ErrDenied},
	} {
		err := new(Store).failed("claim", &tt.err)
		for _, is := range []error{outbox.ErrNoSchema, outbox.ErrDenied} {
			if errors.Is(err, is) != errors.Is(tt.want, is) {
				t.Errorf("%v; %v was expected", err, tt.want)
			}
		}
	}
}
