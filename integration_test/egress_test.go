package integration_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// egressProxy answers CONNECT with a status, or by connecting if that is 200. Until one
// is set it closes what it accepts.
type egressProxy struct {
	address string
	status  atomic.Int32
	asked   atomic.Int32
}

func newEgressProxy(t *testing.T) *egressProxy {
	t.Helper()
	p := &egressProxy{}
	p.address = talker(t, func(c net.Conn) {
		status := int(p.status.Load())
		if status == 0 {
			return
		}
		in := bufio.NewReader(c)
		req, err := http.ReadRequest(in)
		if err != nil || req.Method != http.MethodConnect {
			return
		}
		p.asked.Add(1)
		if status != http.StatusOK {
			fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
			return
		}
		there, err := net.Dial("tcp", req.Host)
		if err != nil {
			return
		}
		defer there.Close()
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, in); _ = there.Close() }()
		_, _ = io.Copy(c, there)
	})
	return p
}

// TestEgressProxy_EventsWaitUntilItWorks: a proxy that is down, then refuses, then works. Nothing was sent
// meanwhile, so the one-attempt event waits as the document does, and each arrives once.
func TestEgressProxy_EventsWaitUntilItWorks(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	proxy := newEgressProxy(t)
	env := quick(db.address)
	env["WEBHOOK_PROXY"] = "http://worker:pr0xy-5ecret@" + proxy.address
	w := startWorker(t, env)
	document, contact := db.document("42"), db.publish("contact.created", `{"contact_id": 7}`)
	waits := func(words string) func() bool {
		return func() bool {
			return db.count(`select count(*) from webhook.outbox where status = 'pending' and leased_until is null and finished_at is null
				and failure = 'proxy' and received = 'no' and error like '%' || $1 || '%'`, words) == 2
		}
	}
	eventually(t, "both wait, the proxy is down", waits("has closed the connection"))
	with(t, "explain", db.ask(`select webhook.explain($1)`, contact), "was not delivered yet", "egress proxy "+proxy.address, "the event waits")
	eventually(t, "a worker has looked", func() bool {
		return db.count(`select count(*) from webhook.endpoints where look_failure = 'proxy' and address is null`) == 7
	})
	if n := db.count(`select count(*) from webhook.problems where kind = 'event' and failure = 'proxy'`); n != 2 {
		t.Errorf("%d of 2 are problems", n)
	}
	proxy.status.Store(http.StatusProxyAuthRequired)
	eventually(t, "both wait, the proxy refuses", waits("HTTP 407"))
	if n := len(rcv.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
	settings := db.ask(`select settings from webhook.workers`)
	with(t, "webhook.workers", settings, `"proxy": "`+proxy.address+`"`, `"client_certificate": false`)

	proxy.status.Store(http.StatusOK)
	eventually(t, "both are sent", func() bool { return db.status(document) == "sent" && db.status(contact) == "sent" })
	if n := len(rcv.all()); n != 2 || len(rcv.of(contact)) != 1 {
		t.Errorf("%d requests, %d of the one-attempt event", n, len(rcv.of(contact)))
	}
	everything := settings + w.log.String() + db.ask(`select string_agg(o::text, '') from webhook.outbox o`) + db.ask(`select string_agg(a::text, '') from webhook.attempts a`)
	if strings.Contains(everything, "5ecret") {
		t.Error("the proxy's password is shown")
	}
}

// TestEgressProxy_TargetThatItCannotReachFails: that is the receiver's failure, as without a proxy.
func TestEgressProxy_TargetThatItCannotReachFails(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://127.0.0.1:9")
	proxy := newEgressProxy(t)
	proxy.status.Store(http.StatusServiceUnavailable)
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, []byte("http://"+proxy.address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := quick(db.address)
	env["WEBHOOK_PROXY_FILE"] = path
	startWorker(t, env)
	contact := db.publish("contact.created", `{}`)
	eventually(t, "it has failed", func() bool { return db.status(contact) == "failed" })
	if failure, received := db.newestAttempt(contact); failure != "unreachable" || received != "no" {
		t.Errorf("failure %q, received %q", failure, received)
	}
	if db.row(contact).Attempts != 1 {
		t.Errorf("%d attempts", db.row(contact).Attempts)
	}
}

func TestCheck_GoesThroughTheProxy(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	proxy := newEgressProxy(t)
	env := quick(db.address)
	env["WEBHOOK_PROXY"] = "http://worker:pr0xy-5ecret@" + proxy.address
	out, errs, status := runProgram(t, env, nil, "check")
	if status != 3 || strings.Contains(out+errs, "5ecret") {
		t.Errorf("exit status %d: %s%s", status, out, errs)
	}
	with(t, "check", out, "ok    egress proxy: endpoints are reached through "+proxy.address, "BAD   contacts: proxy: the egress proxy "+proxy.address)
	proxy.status.Store(http.StatusOK)
	if out, _, status := runProgram(t, env, nil, "check"); status != 0 || proxy.asked.Load() != 7 {
		t.Errorf("exit status %d, asked %d times: %s", status, proxy.asked.Load(), out)
	}
}

func TestCheck_WarnsOfATokenThatIsSentUnencrypted(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	env := quick(db.address)
	const warning = "warn  contacts: its URL begins with http://: the token is sent unencrypted"
	if out, _, status := runProgram(t, env, nil, "check"); status != 0 || strings.Contains(out, "unencrypted") {
		t.Errorf("without a token, exit status %d: %s", status, out)
	}
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim'`)
	db.exec(`update webhook.channels set url = 'https' || substr(url, 5) where name = 'rules'`)
	out, _, _ := runProgram(t, env, nil, "check")
	with(t, "check", out, warning)
	if strings.Contains(out, "rules: its URL begins") || strings.Contains(out, "geheim") {
		t.Errorf("check says %s", out)
	}
}

// clientCertificate writes a certificate that ends then, and its key.
func clientCertificate(t *testing.T, ends time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: ends.Add(-time.Hour), NotAfter: ends}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestSettings_OfReachingOutAreCheckedAtStart(t *testing.T) {
	t.Parallel()
	cert, key := clientCertificate(t, time.Now().Add(time.Minute))
	_, otherKey := clientCertificate(t, time.Now().Add(time.Minute))
	for _, c := range []struct {
		env  settings
		says string
	}{
		{settings{"WEBHOOK_CLIENT_CERT_FILE": cert}, "WEBHOOK_CLIENT_KEY_FILE is not set"},
		{settings{"WEBHOOK_CLIENT_KEY_FILE": key}, "WEBHOOK_CLIENT_CERT_FILE is not set"},
		{settings{"WEBHOOK_CLIENT_CERT_FILE": cert, "WEBHOOK_CLIENT_KEY_FILE": otherKey}, "does not match"},
		{settings{"WEBHOOK_CLIENT_CERT_FILE": cert, "WEBHOOK_CLIENT_KEY_FILE": cert + ".none"}, "no such file"},
		{settings{"WEBHOOK_PROXY": "http://u:pr0xy-5ecret@proxy"}, "WEBHOOK_PROXY: it has no port"},
		{settings{"WEBHOOK_PROXY": "https://u:pr0xy-5ecret@proxy:1"}, "WEBHOOK_PROXY: it does not begin with http://"},
		{settings{"WEBHOOK_PROXY": "http://proxy:1", "WEBHOOK_PROXY_FILE": cert}, "WEBHOOK_PROXY_FILE: WEBHOOK_PROXY is set, too"},
		{settings{"WEBHOOK_PROXY_FILE": cert}, "WEBHOOK_PROXY_FILE: it "},
		{settings{"WEBHOOK_PROXY_FILE": cert + ".none"}, "no such file"},
	} {
		c.env["DATABASE_URL"] = nowhere
		for _, command := range []string{"run", "check"} {
			_, errs, status := runProgram(t, c.env, nil, command)
			if status != 2 || !strings.Contains(errs, c.says) || strings.Contains(errs, "5ecret") || strings.Contains(errs, "BEGIN") {
				t.Errorf("%s with %v: exit status %d: %s", command, c.env, status, errs)
			}
		}
	}
}

func TestClientCertificate_OneThatCannotBeUsedIsLoggedAndNamedByCheck(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, nil).URL)
	env := quick(db.address)
	env["WEBHOOK_CLIENT_CERT_FILE"], env["WEBHOOK_CLIENT_KEY_FILE"] = clientCertificate(t, time.Now().Add(time.Hour))
	if out, _, status := runProgram(t, env, nil, "check"); status != 0 || !strings.Contains(out, "ok    client certificate: valid until ") {
		t.Errorf("exit status %d: %s", status, out)
	}
	w := startWorker(t, env)
	eventually(t, "the worker runs", func() bool { return strings.Contains(w.log.String(), "worker started") })
	if err := os.WriteFile(env["WEBHOOK_CLIENT_KEY_FILE"], []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is logged", func() bool {
		return strings.Contains(w.log.String(), "client certificate unusable, the last good one stays in use")
	})

	env["WEBHOOK_CLIENT_CERT_FILE"], env["WEBHOOK_CLIENT_KEY_FILE"] = clientCertificate(t, time.Now().Add(-time.Hour))
	if out, _, status := runProgram(t, env, nil, "check"); status != 3 || !strings.Contains(out, "BAD   client certificate: it has expired on ") {
		t.Errorf("expired, exit status %d: %s", status, out)
	}
}
