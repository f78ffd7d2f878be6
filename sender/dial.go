package sender

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
)

// dialer makes guarded connections that speak HTTP/1.1 only: HTTP/2 replays
// requests after GOAWAY and REFUSED_STREAM. There is no proxy: the guard would
// judge the proxy's address, not the receiver's.
type dialer struct {
	guard    guard
	roots    *roots
	resolver *net.Resolver // nil is the system's

	connect func(ctx context.Context, network, address string) (net.Conn, error) // in place of the network, in tests
}

func newDialer(o Options) *dialer {
	return &dialer{guard: newGuard(o.AllowNetworks), roots: newRoots(o)}
}

// dial looks up, connects and, for https, completes the handshake.
func (d *dialer) dial(ctx context.Context, to *target, t *trail) (*conn, error) {
	socket, err := d.socket(ctx, to, t)
	if err != nil {
		return nil, err
	}
	if !to.https {
		return newConn(socket, socket), nil
	}
	t.reach(handshaking)
	below := &records{Conn: socket}
	secure := tls.Client(below, d.config(to, t))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = socket.Close()
		return nil, d.diagnose(ctx, to, t, err)
	}
	c := newConn(secure, socket)
	c.records = below
	return c, nil
}

func (d *dialer) socket(ctx context.Context, to *target, t *trail) (net.Conn, error) {
	if d.connect != nil {
		return d.connect(ctx, "tcp", to.address)
	}
	// KeepAlive: a connection lives for a minute at most, and each attempt has its own deadline.
	dial := net.Dialer{Resolver: d.resolver, KeepAlive: -1, ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
		t.reach(connecting)
		return d.guard.control(ctx, network, address, c)
	}}
	return dial.DialContext(ctx, "tcp", to.address)
}

// config expects the certificate of this host. It notes whether the server
// requests a client certificate, which the worker does not have.
func (d *dialer) config(to *target, t *trail) *tls.Config {
	return &tls.Config{
		RootCAs:    d.roots.pool(),
		ServerName: to.server,
		NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.certRequested.Store(true)
			return &tls.Certificate{}, nil
		},
	}
}
