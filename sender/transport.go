package sender

import (
	"context"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"
)

const (
	// keepIdle is how long an unused connection is kept. It has to be well
	// below what receivers keep (gunicorn 2 s, node and Apache 5 s): a request
	// on a connection that is being closed is a lost event where there is only
	// one attempt.
	keepIdle = time.Second

	// maxIdlePerHost is no limit of its own. All channels may have one host, and
	// at the end of a burst all their connections are idle at once: as many as
	// max_in_flight of each channel together, up to 1000 a channel. A limit below
	// that would close connections that the next second needs. What bounds them
	// is max_in_flight, since a connection is only made for an attempt, and keepIdle.
	maxIdlePerHost = math.MaxInt

	// maxHeader bounds an answer's headers, interim 1xx answers included.
	maxHeader = 64 << 10
)

// newTransport returns a transport that speaks HTTP/1.1 only (HTTP/2 replays
// requests after GOAWAY and REFUSED_STREAM), uses no proxy (the guard would
// check the proxy's address, not the receiver's), requests no compression and
// hence never inflates a bomb.
func newTransport(d *dialer) *http.Transport {
	t := &http.Transport{
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        keepIdle,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// dialer makes guarded and counted connections. It has a timeout of its own,
// since net/http hides the attempt's from it; the attempt's runs out first.
type dialer struct {
	net     net.Dialer
	tls     *tls.Config
	timeout time.Duration
}

func newDialer(o Options) *dialer {
	return &dialer{
		net:     net.Dialer{ControlContext: newGuard(o.AllowNetworks).control},
		tls:     &tls.Config{RootCAs: o.RootCAs, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12},
		timeout: o.Timeout + time.Second,
	}
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn}, nil
}

// dialTLS makes the handshake itself, so that bytes are counted above TLS.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	httptrace.ContextClientTrace(ctx).TLSHandshakeStart()
	conn := tls.Client(raw, d.tlsFor(address))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return &countedConn{Conn: conn}, nil
}

// tlsFor returns the configuration that expects the certificate of address.
func (d *dialer) tlsFor(address string) *tls.Config {
	config := d.tls.Clone()
	config.ServerName = address
	if host, _, err := net.SplitHostPort(address); err == nil {
		config.ServerName = host
	}
	return config
}
