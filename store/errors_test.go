package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// Whatever else comes leaves it open whether a statement was committed: then a
// claim must be looked up, not taken for failed.
func TestOnlyTheServersReportOfAFailedStatementMeansRolledBack(t *testing.T) {
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
