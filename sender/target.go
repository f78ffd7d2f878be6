package sender

import (
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/recordengine/webhooks/outbox"
)

// target is a URL as it is called.
type target struct {
	url     *url.URL // parsed; what it hides must not be shown
	https   bool
	key     string // one for all connections that may be shared
	address string // to look up and dial
	host    string // of the Host header
	server  string // whose certificate is expected; sent as SNI
	path    string // the request target, exactly as sent
	origin  string // scheme://host[:port], all that may be shown of a URL
	auth    string // the Authorization header, or empty
}

// newTarget reads host and path as curl does: no default or empty port, the host
// in lower case and in punycode, the last dot of a full name for the look-up and the
// Host header only. Path and query are sent as they are written, see escape.
func newTarget(u *url.URL, raw, token string) (*target, error) {
	name, err := ascii(strings.ToLower(u.Hostname()))
	if err != nil {
		return nil, err
	}
	t := &target{url: u, https: u.Scheme == "https", server: strings.TrimSuffix(name, ".")}
	port, usual := u.Port(), "80"
	if t.https {
		usual = "443"
	}
	if port = strings.TrimLeft(port, "0"); port == "" {
		port = usual
	}
	t.address = net.JoinHostPort(name, port)
	t.key = u.Scheme + "://" + t.address
	shown := t.address
	if port == usual {
		shown = strings.TrimSuffix(t.address, ":"+port)
	}
	t.origin = cut(clean(u.Scheme+"://"+shown), maxOrigin)
	t.host = withoutZone(shown)
	t.path = requestTarget(raw)
	t.auth = authorization(u.User, token)
	return t, nil
}

// ascii returns a host name in punycode. A name that the rules of IDNA reject is
// translated all the same: whether there is such a host, its name server knows.
func ascii(name string) (string, error) {
	if strings.Trim(name, printable) == "" {
		return name, nil
	}
	if a, err := idna.Lookup.ToASCII(name); err == nil {
		return a, nil
	}
	if a, err := idna.Punycode.ToASCII(name); err == nil {
		return a, nil
	}
	return "", errors.New("the URL's host cannot be written in ASCII")
}

// printable is all of ASCII that can be seen.
var printable = func() string {
	var b strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

// withoutZone drops the zone of an address: it means something on this machine only.
func withoutZone(host string) string {
	if from, to := strings.IndexByte(host, '%'), strings.LastIndexByte(host, ']'); 0 < from && from < to {
		return host[:from] + host[to:]
	}
	return host
}

// requestTarget returns path and query of a URL, as they go on the wire.
func requestTarget(raw string) string {
	raw, _, _ = strings.Cut(raw, "#")
	_, rest, _ := strings.Cut(raw, "://")
	at := strings.IndexAny(rest, "/?")
	if at < 0 {
		return "/"
	}
	path, query, asks := strings.Cut(rest[at:], "?")
	if path = escape(path, ""); path == "" {
		path = "/"
	}
	if asks {
		path += "?" + escape(query, "?")
	}
	return path
}

// escape encodes what RFC 3986 forbids in a path, and nothing else: not what is
// encoded already, and not what it merely allows to be encoded.
func escape(text, also string) string {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if strings.IndexByte(allowed, c) >= 0 || strings.IndexByte(also, c) >= 0 || c == '%' && isEscape(text[i:]) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[c>>4])
		b.WriteByte("0123456789ABCDEF"[c&15])
	}
	return b.String()
}

func isEscape(text string) bool {
	if len(text) < 3 {
		return false
	}
	_, err := strconv.ParseUint(text[1:3], 16, 8)
	return err == nil
}

// authorization is the bearer token, or else the URL's own userinfo as Basic.
func authorization(user *url.Userinfo, token string) string {
	switch {
	case token != "":
		return "Bearer " + token
	case user != nil:
		password, _ := user.Password()
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
	}
	return ""
}

func hasControl(value string) bool {
	return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// head is the POST of docs/contract.md, "The request", up to the headers of its signature, see finish.
// webhook-id is sent in lower case, as written.
func (t *target) head(agent string, req outbox.Request) ([]byte, error) {
	switch {
	case hasControl(req.WebhookID):
		return nil, errors.New("the webhook-id contains a control character, so it is no header value")
	case hasControl(req.Traceparent):
		return nil, errors.New("the traceparent contains a control character, so it is no header value")
	}
	b := make([]byte, 0, 512)
	b = append(b, "POST "+t.path+" HTTP/1.1\r\nHost: "+t.host+"\r\nUser-Agent: "+agent+"\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(req.Body)), 10)
	if t.auth != "" {
		b = append(b, "\r\nAuthorization: "+t.auth...)
	}
	b = append(b, "\r\nContent-Type: application/json\r\nwebhook-id: "+req.WebhookID+"\r\n"...)
	if req.Traceparent != "" {
		b = append(b, "traceparent: "+req.Traceparent+"\r\n"...)
	}
	return b, nil
}
