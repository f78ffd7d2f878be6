package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/signature"
)

// exampleReceivers are those of docs/snippets/receive. Each runs in a folder of its own, with the file
// that verifies beside it, as docs/receive.md says.
var exampleReceivers = []struct {
	language, command string
	files             []string // the first one is run
	work, endless     string   // a line of it, and what takes its place in a receiver that never finishes its work
}{
	{"Python", "python3", []string{"receive/receive.py", "verify/verify.py"}, `print("working on", event["event"], flush=True)`, `threading.Event().wait()`},
	{"Node", "node", []string{"receive/receive.mjs", "verify/verify.mjs"}, `console.log("working on", event.event);`, `await new Promise(() => {});`},
}

// exampleReceiver is a running one.
type exampleReceiver struct {
	t       *testing.T
	url     string
	process *os.Process
	printed *logBuffer
}

// copyExample copies files of docs/snippets into a folder, and returns it.
func copyExample(t *testing.T, files []string, replace ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, file := range files {
		content := strings.NewReplacer(replace...).Replace(text(t, filepath.Join(snippets, file)))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startExample runs a receiver on a free port until the test ends.
func startExample(t *testing.T, dir, command, file, token, secret string, env ...string) *exampleReceiver {
	t.Helper()
	path, err := exec.LookPath(command)
	if err != nil {
		give := t.Skipf
		if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
			give = t.Fatalf
		}
		give("docs/snippets/receive/%s was not run: no %s", file, command)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(path, file)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "WEBHOOK_TOKEN="+token, "WEBHOOK_SECRET="+secret, "PORT="+port)
	cmd.Env = append(cmd.Env, env...)
	r := &exampleReceiver{t, "http://" + address, nil, &logBuffer{}}
	var log logBuffer
	cmd.Stdout, cmd.Stderr = r.printed, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the receiver printed:\n%s%s", r.printed.String(), log.String())
		}
	})
	eventually(t, "the receiver listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return r
}

// signed is a request as a worker sends it.
func (r *exampleReceiver) signed(token, secret, id string, at time.Time, body string) *http.Request {
	r.t.Helper()
	key, err := signature.Parse(secret)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/hook", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "webhook-id": id, "webhook-timestamp": fmt.Sprint(at.Unix()),
		"webhook-signature": string(key.Append(nil, id, at.Unix(), []byte(body))),
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return req
}

func (r *exampleReceiver) status(req *http.Request) int {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// raw sends bytes, ends the request there, and returns the status line; "" if the connection was closed without one.
func (r *exampleReceiver) raw(request string) (statusLine string) {
	r.t.Helper()
	at, _ := url.Parse(r.url)
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, request)
	_ = conn.(*net.TCPConn).CloseWrite()
	statusLine, _ = bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(statusLine)
}

// workedOn waits until an event is worked on, and returns how often each of them was before.
func (r *exampleReceiver) workedOn(last string) map[string]int {
	r.t.Helper()
	eventually(r.t, "it works on "+last, func() bool { return strings.Contains(r.printed.String(), "working on "+last+"\n") })
	times := map[string]int{}
	for line := range strings.SplitSeq(r.printed.String(), "\n") {
		if event, ok := strings.CutPrefix(line, "working on "); ok {
			times[event]++
		}
	}
	return times
}

func TestSnippets_ReceiversTakeWhatAWorkerSendsAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, e := range exampleReceivers {
		t.Run(e.language, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://hook.example.com")
			secret := secrets(t, db, "new")
			db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'tok'`)
			r := startExample(t, copyExample(t, e.files), e.command, filepath.Base(e.files[0]), "tok", secret)
			db.exec(`update webhook.channels set url = $1`, r.url)

			// A worker, and a resend of what it has delivered.
			ids := []int64{db.document("42"), db.publish("contact.created", `{"contact_id": 7, "name": "发票 \u0000"}`), db.publish("audit.log", `{}`)}
			db.once()
			db.exec(`select webhook.retry($1)`, ids[1])
			db.once()
			if n := db.count(`select count(*) from webhook.outbox where status = 'sent' and http_status = 204`); n != len(ids) {
				t.Errorf("%d of %d events were delivered", n, len(ids))
			}

			// What others send.
			const body = `{"event":"another.one"}`
			now := time.Now()
			without := func(header string) *http.Request {
				req := r.signed("tok", secret, "b-9", now, body)
				req.Header.Del(header)
				return req
			}
			changed := r.signed("tok", secret, "b-9", now, body)
			changed.Body, changed.ContentLength = io.NopCloser(strings.NewReader(`{"event":"another.1"}`)), 21
			inChunks := func() *http.Request {
				req := r.signed("tok", secret, "b-2", now, body)
				req.ContentLength = -1
				return req
			}
			get := r.signed("tok", secret, "b-9", now, "")
			get.Method = http.MethodGet
			for _, c := range []struct {
				what   string
				req    *http.Request
				status int
			}{
				{"an event", r.signed("tok", secret, "b-1", now, body), 204},
				{"the same again", r.signed("tok", secret, "b-1", now, body), 204},
				{"in chunks", inChunks(), 204},
				{"in chunks, again", inChunks(), 204},
				{"no token", without("Authorization"), 401},
				{"another token", r.signed("other", secret, "b-9", now, body), 401},
				{"no signature", without("webhook-signature"), 401},
				{"no time", without("webhook-timestamp"), 401},
				{"the id removed on the way", without("webhook-id"), 401},
				{"another body than was signed", changed, 401},
				{"signed with another secret", r.signed("tok", signature.NewSecret(signature.HMAC), "b-9", now, body), 401},
				{"ten minutes old", r.signed("tok", secret, "b-9", now.Add(-10*time.Minute), body), 401},
				{"signed without an id", r.signed("tok", secret, "", now, body), 400},
				{"no JSON", r.signed("tok", secret, "b-9", now, `{"event":`), 400},
				{"no object", r.signed("tok", secret, "b-9", now, `["event"]`), 400},
				{"null", r.signed("tok", secret, "b-9", now, `null`), 400},
				{"an empty body", r.signed("tok", secret, "b-9", now, ``), 400},
				{"no event", r.signed("tok", secret, "b-9", now, `{"event":7}`), 400},
				{"not UTF-8", r.signed("tok", secret, "b-9", now, "\xff\xfe\x00"), 400},
				{"nested without end", r.signed("tok", secret, "b-9", now, strings.Repeat("[", 200_000)), 400},
			} {
				if got := r.status(c.req); got != c.status {
					t.Errorf("%s: answered with %d, expected %d", c.what, got, c.status)
				}
			}
			if got := r.status(get); got < 400 {
				t.Errorf("GET is answered with %d", got)
			}
			const head = "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok\r\nwebhook-id: b-9\r\n"
			for request, want := range map[string]string{
				head + "Content-Length: 99\r\n\r\n{\"event\":":                        "", // half a body
				head + "Transfer-Encoding: chunked\r\n\r\n63\r\n{\"event\":":          "", // half a chunk
				head + "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"event\":\r\n":       "", // no last chunk
				head + "Content-Length: 99999999\r\n\r\n{":                            "HTTP/1.1 413",
				head + "Content-Length: -5\r\n\r\n{}":                                 "",
				head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n":      "",
				head + "Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n":      "",
				"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}":           "HTTP/1.1 401",
				"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" /* TLS, by mistake */ : "",
			} {
				if got := r.raw(request); !strings.HasPrefix(got, want) || strings.HasPrefix(got, "HTTP/1.1 2") {
					t.Errorf("%q is answered with %q, expected %q", request, got, want)
				}
			}

			// It has survived that, and worked on each event once.
			if got := r.status(r.signed("tok", secret, "b-3", now, `{"event":"the.last"}`)); got != 204 {
				t.Errorf("afterwards it answers with %d", got)
			}
			want := map[string]int{"document.exported": 1, "contact.created": 1, "audit.log": 1, "another.one": 2, "the.last": 1}
			if got := r.workedOn("the.last"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("it worked on %v, expected %v", got, want)
			}
		})
	}
}

// A receiver is killed in the middle of its work: what it has answered with 204 is worked on at the next start.
func TestSnippets_ReceiversAnswerBeforeTheyWork(t *testing.T) {
	t.Parallel()
	for _, e := range exampleReceivers {
		t.Run(e.language, func(t *testing.T) {
			t.Parallel()
			secret := signature.NewSecret(signature.HMAC)
			dir, file := copyExample(t, e.files, e.work, e.endless), filepath.Base(e.files[0])
			if strings.Contains(text(t, filepath.Join(dir, file)), e.work) {
				t.Fatalf("%s has no line %s", file, e.work)
			}
			first := startExample(t, dir, e.command, file, "", secret)
			for _, event := range []string{"the.first", "the.last"} {
				if got := first.status(first.signed("", secret, event, time.Now(), `{"event":"`+event+`"}`)); got != 204 {
					t.Fatalf("while it works it answers with %d", got)
				}
			}
			_ = first.process.Kill()
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text(t, filepath.Join(snippets, e.files[0]))), 0o600); err != nil {
				t.Fatal(err)
			}
			second := startExample(t, dir, e.command, file, "", secret)
			if got := second.status(second.signed("", secret, "the.first", time.Now(), `{"event":"the.first"}`)); got != 204 {
				t.Errorf("a repetition is answered with %d", got)
			}
			eventually(t, "both are worked on", func() bool {
				printed := second.printed.String()
				return strings.Count(printed, "working on the.first\n") == 1 && strings.Count(printed, "working on the.last\n") == 1
			})
		})
	}
}

// The receiver in Python, with chat.py for its work: the chat gets the event in its own format, and money as it was written.
func TestSnippets_ChatGetsAMessageOfItsOwn(t *testing.T) {
	t.Parallel()
	const message = `Zoé <at user_id=\"all\"> & Co INV-7 12500.00 https://re.example/api/document/42/view`
	const event = `{"event":"document.exported","document":{"id":42,"vendor_name":"Zoé <at user_id=\"all\"> & Co","invoice_number":"INV-7",` +
		`"total_amount":12500.00,"currency":null,"doc_url":"https://re.example/api/document/42/view"}}`
	for chat, want := range map[string]string{
		"slack":   `{"text":"` + strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;").Replace(message) + `"}`,
		"discord": `{"content":"` + message + `","allowed_mentions":{"parse":[]}}`,
		"teams": `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","version":"1.4",` +
			`"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"type":"TextBlock","wrap":true,"text":"` + message + `"}]}}]}`,
		"feishu": `{"msg_type":"text","content":{"text":"` + strings.ReplaceAll(message, "<", "‹") + `"}}`,
	} {
		t.Run(chat, func(t *testing.T) {
			t.Parallel()
			rcv := newResponder(t, func(w http.ResponseWriter, _ receipt) {
				_, _ = io.WriteString(w, `{"code": 19001, "msg": "param invalid"}`) // to Feishu an error, to the others a success
			})
			e := exampleReceivers[0]
			own := regexp.MustCompile(`(?s)def work\(event\):.*?\n\n`).FindString(text(t, filepath.Join(snippets, e.files[0])))
			dir := copyExample(t, append([]string{"receive/chat.py"}, e.files...), own, "from chat import work\n\n")
			secret := signature.NewSecret(signature.HMAC)
			r := startExample(t, dir, e.command, filepath.Base(e.files[0]), "", secret, "CHAT="+chat, "CHAT_URL="+rcv.URL)
			if got := r.status(r.signed("", secret, "a-1", time.Now(), event)); got != 204 {
				t.Fatalf("answered with %d", got)
			}
			eventually(t, "the message arrives", func() bool { return len(rcv.all()) == 1 })
			if got := rcv.all()[0].body; !sameJSON(t, got, want) {
				t.Errorf("the chat gets\n%s\nexpected, by meaning,\n%s", got, want)
			}
			db := filepath.Join(dir, "events.db")
			outcome := `import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute("select tries, done_at is not null, error like '%19001%' from received").fetchone())`
			expected := "1 1 None"
			if chat == "feishu" {
				expected = "1 0 1"
			}
			eventually(t, "the outcome is recorded as "+expected, func() bool {
				out, err := exec.Command(e.command, "-c", outcome, db).Output()
				return err == nil && strings.TrimSpace(string(out)) == expected
			})
		})
	}
}
