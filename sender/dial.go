package sender

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
)

// dialer makes guarded connections that speak HTTP/1.1 only: HTTP/2 replays
// requests after GOAWAY and REFUSED_STREAM. A proxy of the environment
// (HTTPS_PROXY) is none: the guard would judge its address, not the receiver's.
type dialer struct {
	guard    guard
	roots    *roots
	identity identity
	proxy    *Proxy        // nil: none
	resolver *net.Resolver // nil is the system's

	connect func(ctx context.Context, network, address string) (net.Conn, error) // in place of the network, in tests
}

func newDialer(o Options) *dialer {
	return &dialer{
		guard: newGuard(o.AllowNetworks), roots: newRoots(o), proxy: o.Proxy,
		identity: identity{certFile: o.ClientCertFile, keyFile: o.ClientKeyFile},
	}
}

// dial looks up, connects and, for https, completes the handshake.
func (d *dialer) dial(ctx context.Context, to *target, t *trail) (*conn, error) {
	socket, err := d.socket(ctx, to, t)
	if err != nil {
		return nil, err
	}
	return d.secure(ctx, to, t, socket)
}

// secure completes the handshake on a socket, for https. It closes the socket if that fails.
func (d *dialer) secure(ctx context.Context, to *target, t *trail, socket net.Conn) (*conn, error) {
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
	c.records, c.offered = below, t.offered
	return c, nil
}

func (d *dialer) socket(ctx context.Context, to *target, t *trail) (net.Conn, error) {
	if d.connect != nil {
		return d.connect(ctx, "tcp", to.address)
	}
	if d.proxy != nil {
		return d.tunnel(ctx, to, t)
	}
	// KeepAlive: a connection lives for a minute at most, and each attempt has its own deadline.
	dial := net.Dialer{Resolver: d.resolver, KeepAlive: -1, ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
		t.reach(connecting)
		return d.guard.control(ctx, network, address, c)
	}}
	return dial.DialContext(ctx, "tcp", to.address)
}

// config expects the certificate of this host. A server that requests a client
// certificate is offered the worker's, or none; both is noted.
func (d *dialer) config(to *target, t *trail) *tls.Config {
	return &tls.Config{
		RootCAs:    d.roots.pool(),
		ServerName: to.server,
		NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.certRequested.Store(true)
			if t.offered = d.identity.certificate(); t.offered != nil {
				return t.offered, nil
			}
			return &tls.Certificate{}, nil
		},
	}
}
