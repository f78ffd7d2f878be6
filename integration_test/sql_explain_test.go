package integration_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/envelope"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/sender"
)

// The secrets of the settings and URLs of these tests all hold this word.
const secret = "geheim"

// explained is a paragraph that a support person may paste: one, without a
// secret, that says these parts.
func (db *database) explained(id int64, parts ...string) string {
	db.t.Helper()
	text := db.ask(`select webhook.explain($1)`, id)
	with(db.t, "explain", text, parts...)
	checkParagraph(db.t, text)
	return text
}

func checkParagraph(t testing.TB, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\n\r\t") || strings.Contains(text, "  ") || strings.Contains(text, secret) || strings.Contains(text, "<NULL>") ||
		strings.Contains(text, " .") || strings.Contains(text, "..") && !strings.Contains(text, "https://…") || len(text) > 2000 || !strings.HasSuffix(strings.TrimSuffix(text, ")"), ".") {
		t.Errorf("this is no plain paragraph:\n%q", text)
	}
}

// failing are attempts that end badly: how, and what explain must say of them.
type failing struct {
	name   string
	result outbox.Result
	parts  []string
}

func TestExplainSaysWhatEachFailureMeansAndWhatToDo(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://user:"+secret+"@re.example/"+secret+"?key="+secret)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = '` + secret + `'`)
	said := map[string]bool{}
	for _, f := range allFailures(t) {
		for _, event := range []string{"contact.created", "document.exported"} {
			id := db.publish(event, fmt.Sprintf(`{"id": %q}`, f.name))
			columns := `attempts = 1, status = 'failed', finished_at = now()`
			if event == "document.exported" {
				columns = `attempts = 1, due_at = now() + interval '7 seconds'`
			}
			db.exec(`update webhook.outbox set `+columns+`, http_status = nullif($2, 0), error = $3 where id = $1`, id, f.result.Status, f.result.Error)
			parts := append([]string{strings.TrimRight(f.result.Error, ".")}, f.parts...)
			if event == "contact.created" {
				again := fmt.Sprintf("To send it again: select webhook.retry(%d).", id)
				if strings.HasPrefix(f.result.Error, "render:") {
					again = "Sent again as it is, it would fail in the same way"
				}
				parts = append(parts, "will not be sent again by itself", again)
			} else {
				parts = append(parts, "was not delivered yet, after one attempt; the next attempt is due at 20")
			}
			t.Run(f.name+"/"+event, func(t *testing.T) {
				text := db.ask(`select webhook.explain($1)`, id)
				with(t, "explain", text, parts...)
				checkParagraph(t, text)
			})
		}
		said[query[string](t, db.address, `select coalesce(webhook.hint(nullif($1, 0), $2), '')`, f.result.Status, f.result.Error)] = true
	}
	body := query[string](t, db.address, `select prosrc from pg_proc where oid = 'webhook.hint(int, text)'::regprocedure`)
	hints := regexp.MustCompile(`(?:then|else) '((?:[^']|'')*)'`).FindAllStringSubmatch(body, -1)
	if len(hints) < 30 {
		t.Fatalf("only %d hints were found in the function", len(hints))
	}
	for _, h := range hints {
		if hint := strings.ReplaceAll(h[1], "''", "'"); !said[hint] {
			t.Errorf("no case has this hint: %s", hint)
		}
	}
}

// allFailures have the texts of the sender and the renderer themselves, but
// for those that would need a broken network.
func allFailures(t *testing.T) []failing {
	all := append(statusFailures(t), transportFailures(t)...)
	all = append(all, renderFailures(t)...)
	text := func(name, text string, parts ...string) {
		all = append(all, failing{name, outbox.Result{Error: text}, parts})
	}
	text("interrupted, unknown", "interrupted: outcome unknown", "nobody knows whether the receiver has the event", "look there")
	text("unreachable", "unreachable: cannot connect to https://re.example (connect: no route to host); nothing was sent", "no way to that address", "firewall")
	text("superseded", "superseded: row 7 is a later export of this document; this one was never sent", "Nothing to do")
	text("not recorded", "the error text could not be stored: see the worker's log", "See the worker's log")
	text("no authorities", "tls: this machine has no certificate authorities to judge https://re.example by (SSL_CERT_FILE); nothing was sent", "SSL_CERT_FILE")
	return all
}

// statusFailures are the answers of a receiver; the spec's Troubleshooting and what its list leaves out.
func statusFailures(t *testing.T) (all []failing) {
	srv := newResponder(t, func(w http.ResponseWriter, r receipt) {
		var status int
		_, _ = fmt.Sscan(r.query.Get("answer"), &status)
		w.Header().Set("Location", "https://elsewhere.example/"+secret)
		w.WriteHeader(status)
	})
	s := sender.New(sender.Options{Timeout: 20 * time.Second, AllowNetworks: loopback})
	for status, parts := range map[int][]string{
		202: {"update webhook.channels set accept_status = accept_status || 202 where name = 'contacts'", "a success that is not counted"},
		301: {"to https://elsewhere.example", "redirects are never followed", "Set the channel's URL to the address it redirects to"},
		308: {"Set the channel's URL to the address it redirects to"},
		400: {"does not accept the payload", "schema 2.0"},
		401: {"requires authentication", "add a bearer token in the settings"},
		403: {"The token is incorrect", "IP address is blocked"},
		404: {"path is wrong", "regenerate the webhook URL in the receiving tool"},
		405: {"takes no POST"},
		408: {"waited too long", "tried again by themselves"},
		409: {"refuses the request"},
		410: {"was deleted in the receiving tool", "or turn the channel off"},
		413: {"too large for the receiver", "client_max_body_size"},
		415: {"application/json"},
		422: {"refuses its content"},
		429: {"called too often", "Lower max_in_flight"},
		500: {"down or overloaded", "Documents are tried again by themselves, other events are not"},
		503: {"down or overloaded"},
		504: {"down or overloaded"},
		101: {"does not speak proper HTTP"},
	} {
		req := outboxRequest(fmt.Sprintf("%s/%s?answer=%d", srv.URL, secret, status))
		all = append(all, failing{fmt.Sprint(status), s.Send(context.Background(), req), parts})
	}
	return all
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func outboxRequest(url string) outbox.Request {
	return outbox.Request{URL: url, Token: secret, WebhookID: "x-1", Channel: "contacts", Body: []byte(`{}`), Accept: []int{200, 201, 204}}
}

// transportFailures end without a status.
func transportFailures(t *testing.T) []failing {
	roots := x509.NewCertPool()
	quickly := func(d time.Duration, url string) outbox.Result {
		s := sender.New(sender.Options{Timeout: d, AllowNetworks: loopback, RootCAs: roots})
		defer s.Close()
		return s.Send(context.Background(), outboxRequest(url))
	}
	send := func(url string) outbox.Result { return quickly(20*time.Second, url) }
	now := time.Now()
	expired := tlsServer(t, roots, "127.0.0.1", now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	early := tlsServer(t, roots, "127.0.0.1", now.Add(24*time.Hour), now.Add(48*time.Hour))
	other := tlsServer(t, roots, "other.example", now.Add(-time.Hour), now.Add(time.Hour))
	unknown := tlsServer(t, x509.NewCertPool(), "127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour))
	old := tlsServer(t, roots, "127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour), tls.VersionTLS10)
	closed, silent := closedPort(t), talker(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	plain := talker(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 100))
		fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	says := func(text string) string {
		return talker(t, func(c net.Conn) {
			_, _ = http.ReadRequest(newReader(c))
			fmt.Fprint(c, text)
		})
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	path := "/" + secret
	return []failing{
		{"no such host", send("https://no-such-host.invalid" + path), []string{"dns: ", "The host name does not resolve", "typing error"}},
		{"refused", send("http://" + closed + path), []string{"refused: ", "Nothing listens at that address", "nothing was sent"}},
		{"expired", send("https://" + expired + path), []string{"certificate has expired", "Its owner must renew it"}},
		{"not yet valid", send("https://" + early + path), []string{"not valid yet", "clock"}},
		{"another name", send("https://" + other + path), []string{"(other.example)", "for another host name"}},
		{"unknown authority", send("https://" + unknown + path), []string{"not trusted here", "SSL_CERT_FILE"}},
		{"old TLS", send("https://" + old + path), []string{"tls: ", "TLS with the receiver failed"}},
		{"plain HTTP", send("https://" + plain + path), []string{"speaks plain HTTP on that port", "http://"}},
		{"TLS called by http", send("http://" + says("\x15\x03\x01\x00\x02\x02\x46\n") + path), []string{"bad answer: ", "Change the URL to https://"}},
		{"no HTTP", send("http://" + says("SSH-2.0-OpenSSH_9.6\r\n") + path), []string{"bad answer: ", "does not speak proper HTTP"}},
		{"too large", send("http://" + says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 12<<20)+"\r\n\r\n") + path), []string{"answer too large: ", "does not speak proper HTTP"}},
		{"hangs up", send("http://" + says("") + path), []string{"connection lost: ", "broke the connection before it answered"}},
		{"never answers", quickly(300*time.Millisecond, "http://"+silent+path), []string{"timed out: ", "outcome unknown", "so it may have the event", "answer at once and work afterwards"}},
		{"never shakes hands", quickly(300*time.Millisecond, "https://"+silent+path), []string{"timed out: ", "nothing was sent", "No connection within the time limit"}},
		{"not allowed", sender.New(sender.Options{}).Send(context.Background(), outboxRequest("http://127.0.0.1:9"+path)),
			[]string{"address not allowed: ", "add the network to WEBHOOK_ALLOW_NETWORKS"}},
		{"cannot call", sender.New(sender.Options{}).Send(context.Background(), outboxRequest("http://re.example:0"+path)),
			[]string{"cannot call: ", "Mend its URL or the bearer token"}},
		{"interrupted, not sent", sender.New(sender.Options{AllowNetworks: loopback}).Send(stopped, outboxRequest("http://"+silent+path)),
			[]string{"interrupted: nothing was sent", "It is safe to send the event again"}},
	}
}

// renderFailures are facts that cannot be sent.
func renderFailures(t *testing.T) (all []failing) {
	for facts, parts := range map[string][]string{
		`{"id": 42, "status": "Approved"}`:                                                   {"render: status", "not in Export status", "Set it to Export"},
		`{"id": 42, "status": "Export", "line_items": 7}`:                                    {"render: line_items", "Mend the named field"},
		`{"id": 42, "status": "Export", "line_items": [{"amount": "ten"}]}`:                  {"render: line_items[0].amount", "Mend the named field"},
		`{"status": "Export"}`:                                                               {"render: id", "Mend the named field"},
		`{"id": 42, "status": "Export", "external_refs": "` + strings.Repeat("x", 90) + `"}`: {"render: external_refs", "Mend the named field"},
	} {
		_, err := envelope.Render(envelope.Input{Event: "document.exported", Data: []byte(facts), OccurredAt: exampleTime,
			DocumentBaseURL: "https://re.example"})
		if err == nil {
			t.Fatalf("this can be rendered: %s", facts)
		}
		all = append(all, failing{err.Error(), outbox.Result{Error: err.Error()}, parts})
	}
	_, err := envelope.Render(envelope.Input{Event: "contact.created", Data: []byte(`{}`), OccurredAt: "infinity"})
	return append(all, failing{err.Error(), outbox.Result{Error: err.Error()}, []string{"render: occurred_at", "in occurred_at of this row"}})
}

// tlsServer has a certificate for a name and a time, signed by itself, and gives its address.
func tlsServer(t *testing.T, trusted *x509.CertPool, name string, from, until time.Time, highest ...uint16) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trusted.AddCert(certificate)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS10}
	for _, v := range highest {
		config.MaxVersion = v
	}
	return talker(t, func(c net.Conn) {
		server := tls.Server(c, config)
		_ = server.Handshake()
		_, _ = io.Copy(io.Discard, server)
	})
}
