package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/recordengine/webhooks/metrics"
)

// serveMetrics returns the address at which the metrics of a worker are served.
func serveMetrics(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := &telemetry{log: zap.NewNop(), Metrics: metrics.New(metrics.Options{})}
	served.serve(l)
	t.Cleanup(served.close)
	return l.Addr().String()
}

// TestMetrics_ClientsThatStayConnectedKeepNoHealthCheckOut: /livez decides whether the worker is restarted.
func TestMetrics_ClientsThatStayConnectedKeepNoHealthCheckOut(t *testing.T) {
	address := serveMetrics(t)
	for i := range metricsConnections + 1 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: worker\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("client %d got no answer while the others stay connected: %v", i+1, err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !answer.Close {
			t.Fatalf("client %d: HTTP %s, the connection is kept: %t", i+1, answer.Status, !answer.Close)
		}
	}
}

// TestMetrics_SilentClientsKeepNoHealthCheckOut: the oldest connection gives way to a new one.
func TestMetrics_SilentClientsKeepNoHealthCheckOut(t *testing.T) {
	address := serveMetrics(t)
	var silent []net.Conn
	for range 2 * metricsConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		silent = append(silent, c)
	}
	for i, c := range silent[:metricsConnections] {
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second)) // sooner than those that send nothing are ended
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("connection %d does not give way: %v", i+1, err)
		}
	}
}
