package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recordengine/webhooks/envelope/fixtures"
)

// nowhere is a DSN without a server: what is tested fails before the first connection.
const nowhere = "postgres://u:geheim@127.0.0.1:1/db?sslmode=disable"

func TestSettings_MalformedIsNamedWithExitStatus2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value string }{
		{"WEBHOOK_POLL_INTERVAL", "20"}, {"WEBHOOK_POLL_INTERVAL", "0s"}, {"WEBHOOK_POLL_INTERVAL", "-1s"}, {"WEBHOOK_POLL_INTERVAL", "soon"},
		{"WEBHOOK_TIMEOUT", "30"}, {"WEBHOOK_TIMEOUT", "0"}, {"WEBHOOK_TIMEOUT", "30 s"},
		{"WEBHOOK_LEASE", "1.5.2s"}, {"WEBHOOK_LEASE", "-90s"},
		{"WEBHOOK_RETENTION", "30d"}, {"WEBHOOK_RETENTION", "0h"},
		{"WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/33"}, {"WEBHOOK_ALLOW_NETWORKS", "localhost"}, {"WEBHOOK_ALLOW_NETWORKS", "10.1.2.3/8"}, {"WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8,x"},
		{"WEBHOOK_LOG_LEVEL", "loud"}, {"WEBHOOK_LOG_LEVEL", "INFO"},
		{"WEBHOOK_LOG_FORMAT", "xml"},
	} {
		_, errs, status := runProgram(t, settings{"DATABASE_URL": nowhere, c.name: c.value}, nil, "run")
		if status != 2 || !strings.Contains(errs, c.name) || !strings.Contains(errs, strings.Split(c.value, ",")[len(strings.Split(c.value, ","))-1]) {
			t.Errorf("%s=%s: exit status %d: %s", c.name, c.value, status, errs)
		}
	}
}

func TestSettings_EveryMalformedIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, errs, status := runProgram(t, settings{"WEBHOOK_TIMEOUT": "x", "WEBHOOK_LOG_LEVEL": "y", "DATABASE_URL": nowhere}, nil, "run")
	if status != 2 || !strings.Contains(errs, "WEBHOOK_TIMEOUT") || !strings.Contains(errs, "WEBHOOK_LOG_LEVEL") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

func TestDatabaseURL_IsNamedAndNeverShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  settings
		want string
	}{
		{"missing", settings{}, "DATABASE_URL is not set"},
		{"empty", settings{"DATABASE_URL": ""}, "DATABASE_URL is not set"},
		{"a file that is not there", settings{"DATABASE_URL_FILE": "/nowhere/secret"}, "DATABASE_URL_FILE"},
		{"an empty file", settings{"DATABASE_URL_FILE": "/dev/null"}, "is empty"},
		{"no URL at all", settings{"DATABASE_URL": "postgres://u:geheim@h:port/db"}, "DATABASE_URL"},
		{"an unknown parameter value", settings{"DATABASE_URL": "postgres://u:geheim@h/db?sslmode=perhaps"}, "sslmode"},
		{"no DSN", settings{"DATABASE_URL": "geheim"}, "DATABASE_URL"},
		{"a scheme that is mistyped", settings{"DATABASE_URL": "postgress://u:geheim@h/db"}, "DATABASE_URL"},
		{"a password with an unescaped slash", settings{"DATABASE_URL": "postgres://u:geheim/1@h/db"}, "DATABASE_URL"},
		{"a URL with a line break", settings{"DATABASE_URL": "postgres://u:geheim\n@h/db"}, "DATABASE_URL"},
	} {
		for _, command := range []string{"run", "migrate", "status"} {
			_, errs, status := runProgram(t, c.env, nil, command)
			if status != 2 || !strings.Contains(errs, c.want) {
				t.Errorf("%s, %s: exit status %d: %s", c.name, command, status, errs)
			}
			if strings.Contains(errs, "geheim") {
				t.Errorf("%s, %s: the password is shown: %s", c.name, command, errs)
			}
		}
	}
}

func TestDatabaseURL_FromAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte(newDatabase(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := runProgram(t, settings{"DATABASE_URL_FILE": path}, nil, "migrate", "--check"); status != 0 {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
}

func TestDatabaseURL_ConnectErrorShowsNoPassword(t *testing.T) {
	t.Parallel()
	sound, err := url.Parse(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(u *url.URL){
		"no such role":     func(u *url.URL) { u.User = url.UserPassword("no_role_of_this_name", "geheim-5ecret") },
		"no such database": func(u *url.URL) { u.Path = "/no_database_of_this_name" },
		"a wrong password": func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "geheim-5ecret") },
	} {
		u := *sound
		change(&u)
		password, _ := u.User.Password()
		for _, args := range [][]string{{"run"}, {"run", "--once"}, {"migrate"}, {"status"}} {
			if name == "a wrong password" && !asksForPasswords(t, u.String()) {
				continue // the server of TEST_DATABASE_URL accepts every password
			}
			out, errs, status := runProgram(t, quick(u.String()), nil, args...)
			if status != 1 || len(errs) < 20 {
				t.Errorf("%s, %v: exit status %d: %s %s", name, args, status, out, errs)
			}
			if password != "" && strings.Contains(out+errs, password) {
				t.Errorf("%s, %v: the password is shown: %s", name, args, errs)
			}
		}
	}
}

func asksForPasswords(t *testing.T, wrong string) bool {
	return open(t, wrong).Ping() != nil
}

func TestUsage_WrongIsNamedWithExitStatus2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want string
	}{
		{"", "a command is missing"},
		{"deliver", `unknown command "deliver"`},
		{"--verbose", "webhooks: unknown flag: --verbose; see webhooks --help"},
		{"statsu", `did you mean "status"?`},
		{"status --databse-url x", `did you mean "--database-url"?`},
		{"run -once", `did you mean "--once"?`},
		{"send-test audit-log", `did you mean "audit_log"?`},
		{"secrets lst", `did you mean "list"?`},
		{"completion powershell", "expected bash, zsh or fish"},
		{"run --fast", "-fast"},
		{"run now", `unexpected argument "now"`},
		{"run --timeout", "-timeout"},
		{"run --timeout 30", "timeout"},
		{"run --timeout=1s --lease=2s", "WEBHOOK_LEASE: 2s is too short for WEBHOOK_TIMEOUT 1s: at least 3s"},
		{"run --lease 60s", "WEBHOOK_LEASE: 1m0s is too short for WEBHOOK_TIMEOUT 30s: at least 1m1s"},
		{"run --allow-networks 1.2.3.4/8", "allow-networks"},
		{"run --once=perhaps", "once"},
		{"migrate --force", "-force"},
		{"migrate 7", `unexpected argument "7"`},
		{"status all", `unexpected argument "all"`},
		{"render", "expected EVENT"},
		{"render contact.created twice", `unexpected argument "twice"`},
		{"receive --status 700", `"700" is no HTTP status`},
		{"receive --status 503x", `"" is no number of times`},
		{"receive --status 503x0", `"0" is no number of times`},
		{"receive --status 200,,", "no HTTP status"},
		{"receive --delay slow", "delay"},
		{"version 2", `unexpected argument "2"`},
		{"set contacts https://re.example/5ecret", "set: unexpected argument https://…"},
		{"set https://re.example/5ecret", "set: unknown channel https://…, expected documents"},
		{"demo --now", "-now"},
	} {
		_, errs, status := runProgram(t, settings{"DATABASE_URL": nowhere}, nil, strings.Fields(c.args)...)
		if status != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("webhooks %s: exit status %d: %s", c.args, status, errs)
		}
	}
}

func TestSettings_UnknownVariableIsAWarning(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	env := quick(db.address)
	env["WEBHOOK_SERVICE_HOST"], env["WEBHOOK_POLL_INTERVALL"], env["OTHER"] = "10.0.0.1", "geheim", "x"
	_, errs, status := runProgram(t, env, nil, "run", "--once")
	if status != 0 || !strings.Contains(errs, "WEBHOOK_SERVICE_HOST") || !strings.Contains(errs, "WEBHOOK_POLL_INTERVALL") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	if strings.Contains(errs, "geheim") || strings.Contains(errs, "OTHER") || strings.Contains(errs, "WEBHOOK_TIMEOUT") {
		t.Errorf("it warns of more than it should: %s", errs)
	}
}

func TestSettings_FlagOverridesTheEnvironment(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.publish("contact.created", `{}`)
	env := quick(nowhere)
	env["WEBHOOK_ALLOW_NETWORKS"], env["WEBHOOK_LOG_LEVEL"] = "192.0.2.0/24", "error"
	_, errs, status := runProgram(t, env, nil, "run", "--once", "--database-url", db.address, "--allow-networks", "127.0.0.0/8", "--log-level=debug")
	if status != 0 || len(rcv.all()) != 1 || !strings.Contains(errs, `"debug"`) {
		t.Errorf("exit status %d, %d requests: %s", status, len(rcv.all()), errs)
	}
}

func TestHelp_ListsEveryCommandAndSetting(t *testing.T) {
	t.Parallel()
	settings, errs, status := runProgram(t, nil, nil, "help", "environment")
	if status != 0 || errs != "" {
		t.Errorf("help environment: exit status %d: %s", status, errs)
	}
	for _, word := range []string{"help", "--help", "-h"} {
		out, errs, status := runProgram(t, nil, nil, word)
		if status != 0 || errs != "" || !strings.Contains(out, "webhooks help environment") {
			t.Errorf("%s: exit status %d: %s", word, status, errs)
		}
		out += settings
		for _, name := range []string{
			"run", "admin", "migrate", "check", "status", "show", "send-test", "render", "receive", "secrets", "demo", "version",
			"DATABASE_URL", "DATABASE_URL_FILE", "WEBHOOK_POLL_INTERVAL", "WEBHOOK_ALLOW_NETWORKS", "WEBHOOK_TIMEOUT",
			"WEBHOOK_LEASE", "WEBHOOK_ENVIRONMENT", "WEBHOOK_RETENTION", "WEBHOOK_LOG_LEVEL", "WEBHOOK_LOG_FORMAT", "exit status",
			"WEBHOOK_ADMIN_LISTEN", "WEBHOOK_ADMIN_PASSWORD_HASH", "WEBHOOK_ADMIN_PASSWORD_HASH_FILE", "WEBHOOK_ADMIN_TRUST_USER_HEADER", "WEBHOOK_ADMIN_TRUSTED_PROXIES",
			"WEBHOOK_ADMIN_HOSTS", "WEBHOOK_ADMIN_BASE_PATH", "WEBHOOK_ADMIN_READ_ONLY", "WEBHOOK_ADMIN_DATABASE_URL", "WEBHOOK_ADMIN_DATABASE_URL_FILE",
		} {
			if !regexp.MustCompile(`(?m)(^| )` + name + `\b`).MatchString(out) {
				t.Errorf("%s does not name %s", word, name)
			}
		}
	}
}

func TestHelp_OfEachCommand(t *testing.T) {
	t.Parallel()
	for command, flags := range map[string]string{
		"admin": "-listen -database-url -log-level -log-format", "admin hash-password": "-generate -output -replace",
		"run": "-migrate -once -admin -admin-listen -poll-interval -timeout -lease -retention -environment -log-level -log-format -allow-networks -database-url", "migrate": "-print -check -database-url",
		"status": "-database-url", "render": "-occurred-at -base-url", "receive": "-listen -status -delay -token -secret", "secrets": "", "secrets new": "-ed25519 -overlap", "secrets list": "", "secrets retire": "", "secrets jwks": "", "secrets encrypt": "", "demo": "", "version": "",
		"check": "", "show": "", "send-test": "",
	} {
		out, errs, status := runProgram(t, nil, nil, append(strings.Fields(command), "--help")...)
		if status != 0 || errs != "" || !strings.Contains(out, "usage: webhooks "+command) {
			t.Errorf("%s: exit status %d: %s %s", command, status, out, errs)
		}
		for _, f := range strings.Fields(flags) {
			if !strings.Contains(out, "  -"+f) {
				t.Errorf("%s --help does not name %s", command, f)
			}
		}
	}
}

// programVersion is what `webhooks version` prints.
func programVersion(t testing.TB) string {
	t.Helper()
	out, errs, status := runProgram(t, nil, nil, "version")
	version, ok := strings.CutPrefix(strings.TrimSuffix(out, "\n"), "webhooks ")
	if !ok || status != 0 || errs != "" || !regexp.MustCompile(`^[0-9A-Za-z.+-]+$`).MatchString(version) {
		t.Fatalf("exit status %d: %q %s", status, out, errs)
	}
	return version
}

func TestVersion_IsThatOfTheUserAgent(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.publish("contact.created", `{}`)
	if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--once"); status != 0 {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	if got, want := rcv.all()[0].header.Get("User-Agent"), "RecordEngine-Webhooks/"+programVersion(t); got != want {
		t.Errorf("User-Agent is %q, want %q", got, want)
	}
}

// A second signal ends a command that waits for a database which accepts
// connections and never answers: lib/pq does not notice the end of a context.
func TestMain_SecondSignalEndsACommandThatHangs(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"status", "migrate", "run"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			connected := make(chan struct{}, 100)
			address := talker(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1)) // the start of the session
				connected <- struct{}{}
				_, _ = io.Copy(io.Discard, c)
			})
			cmd := program(t, settings{"DATABASE_URL": "postgres://u:p@" + address + "/db?sslmode=disable"}, command)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			<-connected
			_ = cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(100 * time.Millisecond) // two signals that are pending together arrive in any order
			_ = cmd.Process.Signal(syscall.SIGINT)
			select {
			case <-ended:
				if status := cmd.ProcessState.ExitCode(); status != 1 && !(command == "run" && status == 0) {
					t.Errorf("exit status %d", status)
				}
			case <-time.After(5 * time.Second):
				_ = cmd.Process.Kill()
				t.Error("it has not ended five seconds after the second signal")
			}
		})
	}
}

func TestRenderCommand_PrintsTheBytesOrTheError(t *testing.T) {
	t.Parallel()
	cases, err := fixtures.Load("../envelope/testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if i%4 != 0 && !strings.HasPrefix(c.Name, "bare/") {
			continue // one process for each case: a quarter of them is enough here
		}
		out, errs, status := runProgram(t, nil, c.Data, "render", "--occurred-at", c.OccurredAt, "--base-url", c.DocumentBaseURL, c.Event)
		wantStatus, wantErrors := 0, ""
		if c.WantError != "" {
			wantStatus, wantErrors = 1, "webhooks: "+c.WantError+"\n"
		}
		if strings.Contains(c.WantError, "event: unknown event") {
			if status != 2 || out != "" || !strings.HasPrefix(errs, "webhooks: render: unknown event") {
				t.Errorf("%s: exit status %d\n got %s%s", c.Name, status, out, errs)
			}
			continue
		}
		if status != wantStatus || out != string(c.Want) || errs != wantErrors {
			t.Errorf("%s: exit status %d\n got %s%s\nwant %s%s", c.Name, status, out, errs, c.Want, wantErrors)
		}
	}
}

func TestReceive_AnswersAsProgrammed(t *testing.T) {
	t.Parallel()
	cmd := program(t, nil, "receive", "--listen", "127.0.0.1:0", "--status", "503x2,404,200", "--token", "tok_1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(stdout)
	next := func() string {
		if !lines.Scan() {
			t.Fatal("the command has ended")
		}
		return lines.Text()
	}
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(next())
	post := func(method, token string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, address+"/hook", strings.NewReader(`{"event":"contact.created"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("webhook-id", "abc-7")
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if line := next(); !strings.Contains(line, fmt.Sprint(answer.StatusCode)) || !strings.Contains(line, "/hook  abc-7") || !strings.Contains(line, "contact.created") {
			t.Errorf("it says %q", line)
		}
		return answer.StatusCode
	}
	var got []int
	for _, c := range []struct{ method, token string }{
		{"POST", "tok_1"}, {"POST", "wrong"}, {"GET", "tok_1"}, {"POST", "tok_1"}, {"POST", "tok_1"}, {"POST", "tok_1"}, {"POST", "tok_1"}, {"POST", "tok_1"},
	} {
		got = append(got, post(c.method, c.token))
	}
	if want := "[503 401 405 503 404 200 200 200]"; fmt.Sprint(got) != want {
		t.Errorf("it answered %v, want %s", got, want)
	}
}

func TestReceive_AddressInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, errs, status := runProgram(t, nil, nil, "receive", "--listen", l.Addr().String())
	if status != 1 || !strings.HasPrefix(errs, "webhooks: receive: --listen: ") ||
		!strings.Contains(errs, "address already in use; another process may use that address, port 0 picks a free one") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

func TestStatus_ShowsEachChannelAndItsProblem(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://user:geheim@hooks.example:8443/geheim")
	db.exec(`update webhook.channels set url = null where name = 'cases'`)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	db.document("42")
	out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "status")
	if status != 0 || strings.Contains(out, "geheim") {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
	for _, want := range []string{
		`(?m)^documents +unused +1 `, `(?m)^contacts +unused +0 `, `(?m)^cases +held +0 `, `(?m)^rules +off +0 `, `(?m)^documents: hooks\.example:8443$`,
		`(?m)^! cases is on, but cannot be called: it has no URL: webhooks set cases --url `,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("nothing matches %s in\n%s", want, out)
		}
	}
	db.exec(`update webhook.settings set offline_mode = true`)
	if out, _, _ := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "status"); !strings.Contains(out, "Offline Mode is on") {
		t.Errorf("Offline Mode is not mentioned:\n%s", out)
	}
}

func TestCheck_ExitStatus3NeedsAttention(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	if out, errs, status := runProgram(t, quick(db.address), nil, "check"); status != 0 || strings.Contains(out, "BAD") {
		t.Errorf("with a receiver that runs, exit status %d: %s %s", status, out, errs)
	}
	db.exec(`update webhook.channels set url = $1 where name = 'contacts'`, "http://"+closedPort(t)+"/geheim")
	db.exec(`update webhook.channels set url = null where name = 'cases'`)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	out, errs, status := runProgram(t, quick(db.address), nil, "check")
	if status != 3 || !strings.Contains(errs, "needs attention") || strings.Contains(out+errs, "geheim") {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
	for _, want := range []string{
		`(?m)^ok    database: PostgreSQL `, `(?m)^ok    schema: `, `(?m)^ok    privileges: `, `(?m)^ok    documents: `, `(?m)^ok    rules: off`,
		`(?m)^BAD   contacts: refused: nothing accepts connections at http://127\.0\.0\.1:\d+; nothing was sent`, `(?m)^BAD   cases: on, but cannot be called: `,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("nothing matches %s in\n%s", want, out)
		}
	}
}

func TestShow_ExplainsAnEventAndFailsForAnUnknownOne(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	id := db.publish("contact.created", `{}`)
	out, errs, status := runProgram(t, settings{"DATABASE_URL": db.address}, nil, "show", fmt.Sprint(id))
	if status != 0 || errs != "" || !strings.Contains(out, "contact.created") {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
	out, errs, status = runProgram(t, settings{"DATABASE_URL": db.address}, nil, "show", fmt.Sprint(id+1))
	if status != 1 || out != "" || !strings.Contains(errs, fmt.Sprintf("there is no event %d in webhook.outbox", id+1)) {
		t.Errorf("of an unknown event, exit status %d: %s %s", status, out, errs)
	}
}

func TestRunOnce_DeliversWhatIsDueNowAndExits(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.Contains(r.body, `"id":"rejected"`) {
			return 503
		}
		return 200
	})
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	db.exec(`insert into webhook.outbox (event, data) select 'contact.created', '{}' from generate_series(1, 300)`) // more than the lane holds
	rejected := db.document(`"rejected"`)
	skipped := db.publish("rule.executed", `{}`)
	var later int64
	if err := db.Get(&later, `insert into webhook.outbox (event, data, due_at) values ('contact.created', '{}', now() + interval '1 hour') returning id`); err != nil {
		t.Fatal(err)
	}
	out, errs, status := runProgram(t, quick(db.address), nil, "run", "--once")
	if status != 1 || out != "300 sent, 0 failed, 1 to be retried.\n" || !strings.HasSuffix(errs, "webhooks: run --once: of the events that were due 1 could not be delivered yet (webhooks list --status pending)\n") {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
	if n := db.count(`select count(*) from webhook.outbox where event = 'contact.created' and status = 'sent'`); n != 300 {
		t.Errorf("%d of 300 are sent", n)
	}
	if r := db.row(rejected); r.Status != "pending" || r.Attempts < 1 || r.LeasedUntil != nil {
		t.Errorf("the rejected document: %+v", r)
	}
	if db.status(skipped) != "skipped" || db.status(later) != "pending" || db.row(later).Attempts != 0 {
		t.Errorf("of the channel that is off: %s; what is due later: %s", db.status(skipped), db.status(later))
	}
	if n := db.count(`select count(*) from webhook.outbox where leased_until is not null`); n != 0 {
		t.Errorf("%d rows are still leased", n)
	}
	db.exec(`delete from webhook.outbox where status = 'pending'`)
	if out, errs, status := runProgram(t, quick(db.address), nil, "run", "--once"); status != 0 || out != "Nothing was due.\n" {
		t.Errorf("exit status %d: %s %s", status, out, errs)
	}
}

func TestRun_MigratesWithTheFlag(t *testing.T) {
	t.Parallel()
	db := open(t, emptyDatabase(t))
	for range 2 {
		if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--migrate", "--once"); status != 0 {
			t.Fatalf("exit status %d: %s", status, errs)
		}
	}
	db.publish("contact.created", `{}`)
}

func TestDemo_IsTrue(t *testing.T) {
	t.Parallel()
	out, errs, status := runProgram(t, nil, nil, "demo")
	if status != 0 {
		t.Fatalf("exit status %d: %s\n%s", status, errs, out)
	}
	for _, want := range []string{
		"contact.created", "folder.created", "case.created", "notification.created", "rule.executed", "audit.log", "document.exported",
		"503", "rolled back",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not show %q", want)
		}
	}
	if strings.Contains(out, "http://127.0.0.1:8098/") || !strings.HasSuffix(out, "\n  to see the page: ./webhooks demo --page\n") {
		t.Errorf("it names a page that ends with it, or not how to see one:\n%s", out)
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("it is coloured although the output is no terminal")
	}
}
