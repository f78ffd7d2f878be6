package sender

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// networkError is a way in which an attempt ends without a status. attempt
// returns the Result and the origin that it is about; {origin} stands for it, {host} for its host.
type networkError struct {
	name     string
	attempt  func(t *testing.T) (got outbox.Result, origin string)
	failure  outbox.Failure
	received outbox.Received // empty: depends on which of the two is quicker
	begins   string
	says     []string
}

func TestSend_EveryNetworkErrorHasItsFailureAndReceived(t *testing.T) {
	t.Parallel()
	for _, e := range networkErrors(t) {
		t.Run(e.name, func(t *testing.T) {
			got, origin := e.attempt(t)
			if got.Failure != e.failure || e.received != "" && got.Received != e.received || got.Status != 0 {
				t.Errorf("got %+v, want %s, received %s", got, e.failure, e.received)
			}
			u, err := url.Parse(origin)
			if err != nil {
				t.Fatal(err)
			}
			about := origin
			if strings.Contains(e.begins, "{host}") {
				about = u.Hostname()
			}
			here := strings.NewReplacer("{origin}", origin, "{host}", u.Hostname())
			for i := range e.says {
				e.says[i] = here.Replace(e.says[i])
			}
			failsWith(t, got, here.Replace(e.begins), append(e.says, about)...)
			if strings.Contains(got.Error, "geheim") {
				t.Errorf("the path is shown: %s", got.Error)
			}
		})
	}
}

func networkErrors(t *testing.T) []networkError {
	const no, maybe = outbox.ReceivedNo, outbox.ReceivedMaybe
	asleep := func(*raw, *rawConn) { time.Sleep(time.Second) } // reads nothing: the network's buffers fill
	hang := func(_ *raw, c *rawConn) { c.hang() }
	say := func(text string) func(r *raw, c *rawConn) {
		return func(r *raw, c *rawConn) { c.request(r); c.say("%s", text); c.hang() }
	}
	all := []networkError{
		{"private address", blockedAttempt, outbox.FailureBlockedAddress, no, "address not allowed: {origin} leads to 127.0.0.1, which is loopback", []string{"add 127.0.0.1/32 to WEBHOOK_ALLOW_NETWORKS"}},
		{"webhook-id that is no header value", badHeaderAttempt, outbox.FailureConfig, no, "cannot call: ", []string{"webhook-id"}},

		{"no such name", named(3), outbox.FailureDNS, no, "dns: no such host: {host}; nothing was sent", nil},
		{"name without an address", named(0), outbox.FailureDNS, no, "dns: no such host: {host}; nothing was sent", nil},
		{"name server fails", named(2), outbox.FailureDNS, no, "dns: the host of {origin} could not be looked up (server misbehaving); nothing was sent", nil},
		{"name server does not answer", silentName, outbox.FailureTimeout, no, "timed out: 400ms ran out while looking up the name of {origin}; nothing was sent", nil},

		{"nothing listens", refusedAttempt, outbox.FailureRefused, no, "refused: nothing accepts connections at {origin}; nothing was sent", nil},
		{"connection is not accepted", fullQueueAttempt, outbox.FailureTimeout, no, "timed out: 400ms ran out while connecting to {origin}; nothing was sent", nil},
		{"no TLS handshake", silent("https", 0, hang), outbox.FailureTimeout, no, "timed out: 400ms ran out while in the TLS handshake with {origin}; nothing was sent", nil},
		{"TLS handshake breaks off", talking("https", func(r *raw, c *rawConn) { c.in.Peek(1) }), outbox.FailureConnectionLost, no, "connection lost: {origin}", []string{"in the TLS handshake"}},

		{"request is not read", silent("http", 64<<20, asleep), outbox.FailureTimeout, maybe, "timed out: 400ms ran out while sending to {origin}; outcome unknown", nil},
		{"request is read as bytes only", silent("http", 10, hang), outbox.FailureTimeout, maybe, "timed out: 400ms ran out while waiting for the answer of {origin}; outcome unknown", nil},
		{"no answer", silent("http", 10, say("")), outbox.FailureTimeout, maybe, "timed out: 400ms ran out while waiting for the answer of {origin}; outcome unknown", nil},
		{"headers do not end", silent("http", 10, say("HTTP/1.1 200 OK\r\nX: y\r\n")), outbox.FailureTimeout, maybe, "timed out: 400ms ran out while waiting for the answer of {origin}; outcome unknown", nil},
		{"interim answers only", silent("http", 10, say("HTTP/1.1 102 Processing\r\n\r\n")), outbox.FailureTimeout, maybe, "timed out: 400ms ran out while waiting for the answer of {origin}; outcome unknown", nil},

		{"stopped before the look-up", stoppedAtOnce, outbox.FailureInterrupted, no, "interrupted: nothing was sent", nil},
		{"stopped in the handshake", stoppedIn("https", func(_ *raw, c *rawConn) { c.in.Peek(1) }), outbox.FailureInterrupted, no, "interrupted: nothing was sent", nil},
		{"stopped after the request", stoppedIn("http", func(r *raw, c *rawConn) { c.request(r) }), outbox.FailureInterrupted, maybe, "interrupted: outcome unknown", nil},
		{"stopped by a deadline", stoppedByDeadline, outbox.FailureInterrupted, maybe, "interrupted: outcome unknown", nil},
	}
	for name, answer := range map[string]string{
		"no answer at all": "", "half a status line": "HTTP/1.1 20", "headers break off": "HTTP/1.1 200 OK\r\nContent-Le",
	} {
		all = append(all, networkError{name, answered(answer), outbox.FailureConnectionLost, maybe, "connection lost: ", nil})
	}
	for name, answer := range map[string]string{
		"another protocol":          "SSH-2.0-OpenSSH_9.6\r\n",
		"status in words":           "HTTP/1.1 two hundred\r\n\r\n",
		"header without colon":      "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"two lengths":               "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"unknown transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: magic\r\n\r\n",
	} {
		all = append(all, networkError{name, answered(answer), outbox.FailureBadAnswer, maybe, "bad answer: ", nil})
	}
	all = append(all, networkError{"TLS alert to plain HTTP", answered("\x15\x03\x01\x00\x02\x02\x46\n\n"), outbox.FailureBadAnswer, maybe,
		"bad answer: {origin} speaks TLS on this port; change the URL to https://; outcome unknown", nil})
	for name, answer := range map[string]string{
		"16 MB in one header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 16<<20) + "\r\n\r\n",
		"16 MB of headers":    "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: yyyyyyyyyyyy\r\n", 1<<20) + "\r\n",
		"16 MB status line":   "HTTP/1.1 200 " + strings.Repeat("x", 16<<20),
		"interim answers":     strings.Repeat("HTTP/1.1 102 Processing\r\nX: y\r\n\r\n", 10_000),
	} {
		all = append(all, networkError{name, answered(answer), outbox.FailureBadAnswer, maybe, "answer too large: ", nil})
	}
	return append(all, tlsErrors(t)...)
}

// What the network of a test does not produce.
func TestFailure_ErrorsOfTheOperatingSystem(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	fresh := func(at stage) *trail { tr := &trail{}; tr.reach(at); return tr }
	for _, c := range []struct {
		name  string
		class outbox.Failure
		want  string
		err   error
		trail *trail
	}{
		{"no route", outbox.FailureUnreachable, "unreachable: cannot connect to https://h (connect: no route to host); nothing was sent", dial(syscall.EHOSTUNREACH), fresh(connecting)},
		{"no network", outbox.FailureUnreachable, "unreachable: cannot connect to https://h (connect: network is unreachable); nothing was sent", dial(syscall.ENETUNREACH), fresh(connecting)},
		{"no free port", outbox.FailureUnreachable, "unreachable: cannot connect to https://h (connect: cannot assign requested address); nothing was sent", dial(syscall.EADDRNOTAVAIL), fresh(connecting)},
		{"no free file", outbox.FailureUnreachable, "unreachable: cannot connect to https://h (connect: too many open files); nothing was sent", dial(syscall.EMFILE), fresh(connecting)},
		{"the kernel's timeout", outbox.FailureTimeout, "timed out: while connecting to https://h; nothing was sent", dial(syscall.ETIMEDOUT), fresh(connecting)},
		{"the dialler's timeout", outbox.FailureTimeout, "timed out: while connecting to https://h; nothing was sent", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, fresh(connecting)},
		{"name server does not answer", outbox.FailureDNS, "dns: the host of https://h could not be looked up (i/o timeout); nothing was sent", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "h", IsTimeout: true}}, fresh(lookingUp)},
		{"refused name server is no refused receiver", outbox.FailureDNS, "dns: the host of https://h could not be looked up (connection refused); nothing was sent", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "connection refused", UnwrapErr: syscall.ECONNREFUSED}}, fresh(lookingUp)},
		{"the request itself is rejected", outbox.FailureConfig, "cannot call: https://h (strange); nothing was sent", errors.New("strange"), fresh(lookingUp)},
		{"closed before the request was written", outbox.FailureConnectionLost, "connection lost: https://h (http: server closed idle connection); nothing was sent", errors.New("http: server closed idle connection"), &trail{conn: &conn{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := (failure{err: c.err, origin: "https://h", trail: c.trail}).result()
			if got.Error != c.want || got.Failure != c.class || got.Received != outbox.ReceivedNo {
				t.Errorf("got  %+v\nwant %s: %q", got, c.class, c.want)
			}
		})
	}
}

// The context ends while the body is being read: the status is there and counts.
func TestSend_StoppedAfterTheStatusIsASuccess(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	srv := serveRaw(t, func(r *raw, c *rawConn) {
		c.request(r)
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
		c.hang()
	})
	s := newSender(t, 10*time.Second)
	s.dialer.connect = func(_ context.Context, network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		return &stoppingConn{Conn: conn, stop: cancel}, err
	}
	if got := sendCtx(ctx, t, s, newRequest(srv.url())); !got.Delivered() {
		t.Errorf("got %+v", got)
	}
}

// stoppingConn calls stop upon the second read: the first one brought the whole
// head of the answer, and only Send reads the body.
type stoppingConn struct {
	net.Conn
	stop  func()
	reads int
}

func (c *stoppingConn) Read(p []byte) (int, error) {
	if c.reads++; c.reads == 2 {
		c.stop()
	}
	return c.Conn.Read(p)
}

func TestSend_BadAnswerThatEchoesTheRequestIsMasked(t *testing.T) {
	for _, answer := range []string{
		plainToken + "\r\n\r\n",
		"POST /hook/0123456789abcdef?key=fedcba9876543210\r\n\r\n",
		"HTTP/1.1 200 OK\r\nbad header Bearer " + plainToken + " /hook/0123456789abcdef \r\n\r\n",
	} {
		req := newRequest(answering(t, answer).url() + "/hook/0123456789abcdef?key=fedcba9876543210")
		req.Token = plainToken
		got := send(t, newSender(t, 10*time.Second), req)
		failsWith(t, got, "bad answer: ", "***")
		for _, secret := range []string{plainToken, "0123456789", "fedcba"} {
			if strings.Contains(got.Error, secret) {
				t.Errorf("error %q", got.Error)
			}
		}
	}
}

func TestSend_LongHostDoesNotHideTheOutcome(t *testing.T) {
	got := send(t, newSender(t, 10*time.Second), newRequest("http://"+strings.Repeat("é", 2000)+".test/"))
	if !strings.HasSuffix(got.Error, "nothing was sent") {
		t.Errorf("error %q", got.Error)
	}
}
