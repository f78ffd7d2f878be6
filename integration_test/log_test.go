package integration_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// logEntry is a line of the log in the format json.
type logEntry map[string]any

// entries are the lines of a worker's log. Each has a level, a message and a time in RFC 3339, UTC.
func (w *worker) entries(t *testing.T) (all []logEntry) {
	t.Helper()
	for line := range strings.Lines(w.log.String()) {
		var entry logEntry
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		at, _ := entry["time"].(string)
		if written, err := time.Parse(time.RFC3339, at); err != nil || written.Location() != time.UTC || entry["msg"] == "" || entry["level"] == "" {
			t.Errorf("%v: %s", err, line)
		}
		all = append(all, entry)
	}
	return all
}

// deadAddress is one at which no process listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A receiver that is down fails two thousand events. The log has a line for each of its channels when it begins
// and when it ends, and what was lost; every event is in the database.
func TestLog_AReceiverThatIsDownHasOneLineAtItsStartAndOneAtItsEnd(t *testing.T) {
	t.Parallel()
	address := deadAddress(t)
	db := ready(t, "http://"+address)
	db.exec(`select webhook.publish('contact.created', '{"contact_id": 7}') from generate_series(1, 2000)`)
	db.exec(`select webhook.publish('document.exported', json_build_object('id', i, 'status', 'Export')) from generate_series(1, 50) i`)
	began := time.Now()
	w := startWorker(t, quick(db.address))
	eventually(t, "every event was attempted", func() bool {
		return db.count(`select count(*) from webhook.outbox where failure = 'refused' and leased_until is null`) == 2050
	})

	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	rcv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	_ = rcv.Listener.Close()
	rcv.Listener = l
	rcv.Start()
	t.Cleanup(rcv.Close)
	last := db.publish("contact.created", `{"contact_id": 8}`)
	eventually(t, "what waits is delivered", func() bool {
		return db.status(last) == "sent" && db.count(`select count(*) from webhook.outbox where event = 'document.exported' and status = 'sent'`) == 50
	})
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}

	lines := map[string]int{}
	for _, entry := range w.entries(t) {
		channel, _ := entry["channel"].(string)
		lines[fmt.Sprint(entry["msg"], " ", channel)]++
		if entry["msg"] == "channel recovered" && channel == "contacts" && fmt.Sprint(entry["failed"], entry["lost"]) != "2000 2000" {
			t.Errorf("it counts %v", entry)
		}
	}
	want := []string{"channel failing contacts", "channel failing documents", "channel recovered contacts", "channel recovered documents", "worker started ", "worker stopped, every outcome recorded "}
	for _, each := range want {
		if lines[each] != 1 {
			t.Errorf("%d lines %q, expected one", lines[each], each)
		}
	}
	for each, n := range lines {
		if !slices.Contains(want, each) && (!strings.HasPrefix(each, "channel still failing") || n > int(time.Since(began)/time.Minute)) {
			t.Errorf("%d lines %q", n, each)
		}
	}
}

// Each channel fails in a way of its own, and what they are called with is in no line: neither at the level debug,
// nor in what a worker that ends says.
func TestLog_NoSecretAndNoPathInAnyField(t *testing.T) {
	t.Parallel()
	rcv := newResponder(t, func(w http.ResponseWriter, r receipt) {
		everything := fmt.Sprint(r.path, r.query, r.header)
		switch {
		case strings.HasPrefix(r.path, "/contacts"):
			w.WriteHeader(500)
			fmt.Fprint(w, everything)
		case strings.HasPrefix(r.path, "/folders"):
			w.Header().Set("Location", "https://other.example/planted-location?key=planted-location")
			w.WriteHeader(302)
		default:
			w.WriteHeader(202)
			fmt.Fprint(w, everything)
		}
	})
	echo := talker(t, func(c net.Conn) { // answers with what it was asked, which is no HTTP
		asked := make([]byte, 4096)
		n, _ := c.Read(asked)
		_, _ = c.Write(append([]byte("HTTP/1.1 "), asked[:n]...))
	})
	db := ready(t, rcv.URL)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(rcv.URL, "http://"))
	for channel, endpoint := range map[string]string{
		"documents": "http://127.0.0.1:" + port, "contacts": "http://127.0.0.1:" + port, "folders": "http://127.0.0.1:" + port, "cases": "http://" + echo,
		"notifications": "http://" + deadAddress(t), "rules": "https://127.0.0.1:" + port, "audit_log": "http://10.0.0.1",
	} {
		db.exec(`update webhook.channels set url = $2 || '/' || name || '/planted-path?key=planted-query' where name = $1`, channel, endpoint)
	}
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'planted-token'`)
	secret := secrets(t, db, "new")
	publishAll := func() {
		db.document("1")
		for _, event := range []string{"contact.created", "folder.created", "case.created", "notification.created", "rule.executed", "audit.log"} {
			db.publish(event, `{}`)
		}
	}
	env := quick(db.address)
	env["WEBHOOK_LOG_LEVEL"], env["WEBHOOK_SECRET_KEY"] = "debug", keyOf('k')
	var said strings.Builder
	run := func(what, says string) {
		t.Helper()
		publishAll()
		_, errs, _ := runProgram(t, env, nil, "run", "--once")
		if !strings.Contains(errs, says) {
			t.Errorf("%s: %q is not in %s", what, says, errs)
		}
		said.WriteString(errs)
	}
	run("to each channel", `"channel failing"`)
	env["WEBHOOK_LOG_FORMAT"] = "console"
	run("as a person reads it", "channel failing channel=cases")
	env["WEBHOOK_PROXY"] = "http://planted-user:planted-password@" + deadAddress(t)
	run("through a proxy", "failure=proxy")
	delete(env, "WEBHOOK_PROXY")
	db.exec(`update webhook.settings set auth = 'none'`)
	db.exec(`update webhook.channels set url = replace(url, '://', '://planted-user:planted-password@')`)
	run("with userinfo", "channel failing")
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = e'planted\u200btoken'`)
	run("with a token that cannot be sent", "channel cannot be called, its events wait")
	env["DATABASE_URL"] = "postgres://planted-user:planted-password@" + deadAddress(t) + "/x?sslmode=nonsense"
	run("to another database", "webhooks: ")

	planted := []string{"planted", secret, strings.TrimPrefix(secret, "whsec_"), keyOf('k'), base64.StdEncoding.EncodeToString([]byte("planted-user:planted-password"))}
	for line := range strings.Lines(said.String()) {
		for _, each := range planted {
			if strings.Contains(line, each) {
				t.Errorf("%q is in %s", each, line)
			}
		}
	}
}
