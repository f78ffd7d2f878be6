package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"net/http"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// serverHello is RFC 4346, section 7.4.1.3, of a server that has chosen this version.
func serverHello(version uint16) []byte {
	body := binary.BigEndian.AppendUint16(nil, version)
	body = append(body, make([]byte, 32)...) // random
	body = append(body, 0, 0xc0, 0x13, 0)    // no session, ECDHE-RSA with AES-128-CBC, no compression
	head := []byte{0x16, 3, 1, 0, byte(len(body) + 4), 2, 0, 0, byte(len(body))}
	return append(head, body...)
}

func TestTLS_OldVersionsAreRefused(t *testing.T) {
	own := selfSigned(t, ecKey(t), "localhost")
	roots := x509.NewCertPool()
	roots.AddCert(own.Leaf)
	for name, version := range map[string]uint16{"TLS 1.0": tls.VersionTLS10, "TLS 1.1": tls.VersionTLS11} {
		t.Run(name, func(t *testing.T) {
			srv := quiet(t, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: version, MaxVersion: version})
			srv.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
			s := New(Options{AllowNetworks: loopback, RootCAs: roots, Timeout: 10 * time.Second})
			got := send(t, s, newRequest(srv.URL))
			failsWith(t, got, "tls: ", srv.URL, "no TLS version from 1.2", "must enable TLS 1.2 or 1.3", "nothing was sent")
			if got.Failure != outbox.FailureTLS || got.Received != outbox.ReceivedNo {
				t.Errorf("got %+v", got)
			}
			old := serveRaw(t, func(_ *raw, c *rawConn) { // older than the list of versions in a ClientHello: it names its own
				_, _ = c.in.Peek(1)
				_, _ = c.Write(serverHello(version))
				c.hang()
			})
			got = send(t, s, newRequest(old.origin("https")))
			failsWith(t, got, "tls: ", old.origin("https"), "no TLS version from 1.2", "must enable TLS 1.2 or 1.3", "nothing was sent")
			if seen := s.Look(context.Background(), srv.URL, ""); seen.Failure != outbox.FailureTLS || seen.TLSVersion != "" {
				t.Errorf("a look: %+v", seen)
			}
		})
	}
}
