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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestPage_NeedsTheRolesOfAnAdministratorOnly(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	role := pageRole(t, db)
	p := startPage(t, settings{"DATABASE_URL": role.address})
	if !pageAddress.MatchString(p.line) {
		t.Errorf("the first line is %q", p.line)
	}
	if status, to := p.get("/"); status != 303 || to != "/settings/integrations/webhooks" {
		t.Errorf("status %d to %q", status, to)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if status, text := p.get(path); status != 200 || text != "ok\n" {
			t.Errorf("%s: status %d: %s", path, status, text)
		}
	}
	role.mayNot(`update webhook.outbox set status = 'pending'`, `insert into webhook.workers (id, name, version) values (gen_random_uuid(), 'x', 'x')`,
		`delete from webhook.outbox`, `update webhook.maintenance set pruned_at = now()`, `insert into webhook.attempts default values`)
	p.terminate()
	if status := p.exitWithin(t, 10*time.Second); status != 0 {
		t.Errorf("exit status %d: %s", status, p.log)
	}
}

// A privilege that is lost while the page runs, or that a new version needs, is no fault of the program.
func TestPage_ALackingPrivilegeIsSaid(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	page := newDeliveriesPage(t, &database{DB: db.DB, address: pageRole(t, db).address, t: t})
	db.exec(`revoke execute on function webhook.send_test(text) from webhook_admin`)
	status, text := page.post(settingsPath+"/test", url.Values{"channel": {"contacts"}})
	if status != http.StatusInternalServerError || !strings.Contains(text, "lacks a privilege") || strings.Contains(text, "fault of the program") {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestPage_AnotherRoleIsNamedTheGrant(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	for _, granted := range [][]string{nil, {"webhook_producer"}, {"webhook_reader"}, {"webhook_worker"}, {"webhook_worker", "webhook_reader"}} {
		role := loginRole(t, db, granted...)
		for _, command := range [][]string{{"admin", "--listen", "127.0.0.1:0"}, {"run", "--admin", "--admin-listen", "127.0.0.1:0"}} {
			env := settings{"DATABASE_URL": role.address}
			if command[0] == "run" { // the worker's own role is right
				env = settings{"DATABASE_URL": db.address, "WEBHOOK_ADMIN_DATABASE_URL": role.address}
			}
			out, errs, status := runProgram(t, env, nil, command...)
			if status != 1 || out != "" || !strings.Contains(errs, "grant webhook_reader, webhook_admin to "+role.name) || strings.Contains(errs, "grant webhook_worker") {
				t.Errorf("%v, %v: exit status %d: %s%s", granted, command, status, out, errs)
			}
		}
	}
}

func TestPage_DatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	role := pageRole(t, db)
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(role.address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  settings
		args []string
	}{
		"a variable":             {settings{"DATABASE_URL": nowhere, "WEBHOOK_ADMIN_DATABASE_URL": role.address}, nil},
		"a file":                 {settings{"DATABASE_URL": nowhere, "WEBHOOK_ADMIN_DATABASE_URL_FILE": file}, nil},
		"not the worker's file":  {settings{"DATABASE_URL_FILE": "/nowhere", "WEBHOOK_ADMIN_DATABASE_URL": role.address}, nil},
		"the flag overrides it":  {settings{"WEBHOOK_ADMIN_DATABASE_URL": nowhere}, []string{"admin", "--listen", "127.0.0.1:0", "--database-url", role.address}},
		"beside another worker":  {settings{"DATABASE_URL": db.address, "WEBHOOK_ADMIN_DATABASE_URL": role.address}, []string{"run", "--admin", "--admin-listen", "127.0.0.1:0"}},
		"beside a worker's flag": {settings{"WEBHOOK_ADMIN_DATABASE_URL": role.address}, []string{"run", "--admin", "--admin-listen", "127.0.0.1:0", "--database-url", db.address}},
	} {
		p := startPage(t, c.env, c.args...)
		if status, text := p.get("/readyz"); status != 200 {
			t.Errorf("%s: status %d: %s", name, status, text)
		}
	}
	for _, bad := range []settings{{"WEBHOOK_ADMIN_DATABASE_URL": "postgres://u:geheim@h:port/db"}, {"WEBHOOK_ADMIN_DATABASE_URL_FILE": "/nowhere/url"}, {"WEBHOOK_ADMIN_DATABASE_URL_FILE": "/dev/null"}} {
		if _, errs, status := runProgram(t, bad, nil, "admin"); status != 2 || !strings.Contains(errs, "WEBHOOK_ADMIN_DATABASE_URL") || strings.Contains(errs, "geheim") {
			t.Errorf("%v: exit status %d: %s", bad, status, errs)
		}
	}
}

// Whatever else is wrong: no page is served where others reach it and no one has to log in.
func TestPage_RefusesAnAddressThatOthersReach(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:8098", "example.com:8098", "127.0.0.1.example.com:80"} {
		for _, args := range [][]string{{"admin", "--listen", listen}, {"run", "--admin", "--admin-listen", listen}} {
			out, errs, status := runProgram(t, settings{"DATABASE_URL": nowhere}, nil, args...)
			if status != 2 || out != "" || !strings.Contains(errs, "WEBHOOK_ADMIN_PASSWORD_HASH") || !strings.Contains(errs, "WEBHOOK_ADMIN_TRUST_USER_HEADER") || !strings.Contains(errs, "hash-password") {
				t.Errorf("%v: exit status %d: %s%s", args, status, out, errs)
			}
		}
		if _, errs, status := runProgram(t, settings{"DATABASE_URL": nowhere, "WEBHOOK_ADMIN_LISTEN": listen}, nil, "admin"); status != 2 || !strings.Contains(errs, "reached from other machines") {
			t.Errorf("WEBHOOK_ADMIN_LISTEN=%s: exit status %d: %s", listen, status, errs)
		}
	}
}

func TestPage_MalformedSettingIsNamed(t *testing.T) {
	t.Parallel()
	hash := hashOf(t, "correct horse")
	file := filepath.Join(t.TempDir(), "hash")
	if err := os.WriteFile(file, []byte("correct horse"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  settings
		says string
	}{
		{settings{"WEBHOOK_ADMIN_LISTEN": "8098"}, "WEBHOOK_ADMIN_LISTEN"},
		{settings{"WEBHOOK_ADMIN_LISTEN": "127.0.0.1"}, "WEBHOOK_ADMIN_LISTEN"},
		{settings{"WEBHOOK_ADMIN_PASSWORD_HASH": "correct horse"}, "WEBHOOK_ADMIN_PASSWORD_HASH: it is no argon2id hash"},
		{settings{"WEBHOOK_ADMIN_PASSWORD_HASH": hash[:strings.LastIndexByte(hash, '$')+1]}, "WEBHOOK_ADMIN_PASSWORD_HASH: it is no argon2id hash, or not a whole one"},
		{settings{"WEBHOOK_ADMIN_PASSWORD_HASH_FILE": file}, "WEBHOOK_ADMIN_PASSWORD_HASH_FILE: it is no argon2id hash"},
		{settings{"WEBHOOK_ADMIN_PASSWORD_HASH_FILE": "/dev/null"}, "WEBHOOK_ADMIN_PASSWORD_HASH_FILE"},
		{settings{"WEBHOOK_ADMIN_PASSWORD_HASH_FILE": "/nowhere/hash"}, "WEBHOOK_ADMIN_PASSWORD_HASH_FILE"},
		{settings{"WEBHOOK_ADMIN_PASSWORD_HASH": hash, "WEBHOOK_ADMIN_PASSWORD_HASH_FILE": file}, "WEBHOOK_ADMIN_PASSWORD_HASH_FILE"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "X-Forwarded-User"}, "WEBHOOK_ADMIN_TRUSTED_PROXIES"},
		{settings{"WEBHOOK_ADMIN_TRUSTED_PROXIES": "10.0.0.0/8"}, "WEBHOOK_ADMIN_TRUST_USER_HEADER"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "X User", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "10.0.0.0/8"}, "WEBHOOK_ADMIN_TRUST_USER_HEADER"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "authorization", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "10.0.0.0/8"}, "WEBHOOK_ADMIN_TRUST_USER_HEADER"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "X-User", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "proxy"}, "WEBHOOK_ADMIN_TRUSTED_PROXIES"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "X-User", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "10.0.0.0/33"}, "WEBHOOK_ADMIN_TRUSTED_PROXIES"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "X-User", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "10.0.0.1, 0.0.0.0/0"}, "every address"},
		{settings{"WEBHOOK_ADMIN_TRUST_USER_HEADER": "X-User", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "10.0.0.1", "WEBHOOK_ADMIN_PASSWORD_HASH": hash}, "two ways to log in"},
		{settings{"WEBHOOK_ADMIN_HOSTS": "https://webhooks.example.com"}, "WEBHOOK_ADMIN_HOSTS"},
		{settings{"WEBHOOK_ADMIN_HOSTS": "webhooks.example.com,*.example.com"}, "WEBHOOK_ADMIN_HOSTS"},
		{settings{"WEBHOOK_ADMIN_BASE_PATH": "webhooks"}, "WEBHOOK_ADMIN_BASE_PATH"},
		{settings{"WEBHOOK_ADMIN_BASE_PATH": "/a/../b"}, "WEBHOOK_ADMIN_BASE_PATH"},
		{settings{"WEBHOOK_ADMIN_BASE_PATH": "//evil.example"}, "WEBHOOK_ADMIN_BASE_PATH"},
		{settings{"WEBHOOK_ADMIN_READ_ONLY": "perhaps"}, "WEBHOOK_ADMIN_READ_ONLY"},
	} {
		c.env["DATABASE_URL"] = nowhere
		for _, args := range [][]string{{"admin"}, {"run", "--admin"}} {
			_, errs, status := runProgram(t, c.env, nil, args...)
			if status != 2 || !strings.Contains(errs, c.says) || strings.Contains(errs, "correct horse") || strings.Contains(errs, hash) {
				t.Errorf("%v, %v: exit status %d: %s", args, c.env, status, errs)
			}
		}
	}
	for args, says := range map[string]string{"admin now": `unknown word "now", expected hash-password`, "admin --fast": "-fast", "run --once --admin": "--once", "admin hash-password secret": "unexpected argument"} {
		if _, errs, status := runProgram(t, settings{"DATABASE_URL": nowhere}, nil, strings.Fields(args)...); status != 2 || !strings.Contains(errs, says) {
			t.Errorf("webhooks %s: exit status %d: %s", args, status, errs)
		}
	}
}

// What is wrong with the page's settings does not concern a worker without it.
func TestPage_ItsSettingsStopNoOtherCommand(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, nil).URL)
	env := quick(db.address)
	env["WEBHOOK_ADMIN_PASSWORD_HASH_FILE"], env["WEBHOOK_ADMIN_HOSTS"], env["WEBHOOK_ADMIN_LISTEN"], env["WEBHOOK_ADMIN_DATABASE_URL"] = "/nowhere", "*", "0.0.0.0:1", nowhere
	if _, errs, status := runProgram(t, env, nil, "run", "--once"); status != 0 || strings.Contains(errs, "unknown settings") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

func TestPage_LogsIn(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	out, errs, status := runProgram(t, nil, []byte("correct horse\n"), "admin", "hash-password")
	if status != 0 || errs != "" || !strings.HasPrefix(out, "$argon2id$") || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit status %d: %s%s", status, out, errs)
	}
	file := filepath.Join(t.TempDir(), "hash")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPage(t, settings{"DATABASE_URL": pageRole(t, db).address, "WEBHOOK_ADMIN_PASSWORD_HASH_FILE": file, "WEBHOOK_LOG_LEVEL": "debug", "WEBHOOK_ADMIN_LISTEN": "0.0.0.0:0"}, "admin")
	if !pageAddress.MatchString(p.line) {
		t.Errorf("the first line is %q", p.line)
	}
	if status, to := p.get("/overview"); status != 303 || to != "/login?next=%2Foverview" {
		t.Errorf("status %d to %q", status, to)
	}
	if status, text := p.post("/login", url.Values{"password": {"wrong horse"}}); status != 422 || !strings.Contains(text, "The password is wrong.") {
		t.Errorf("status %d: %s", status, text)
	}
	if status, to := p.post("/login", url.Values{"password": {"correct horse"}, "name": {"Ada"}, "next": {"/logout"}}); status != 303 || to != "/" {
		t.Errorf("status %d to %q", status, to)
	}
	if status, text := p.get("/logout"); status != 200 || !strings.Contains(text, "Ada") {
		t.Errorf("status %d: %s", status, text)
	}
	// The hash is changed in its file: the session is over, the new password counts, without a restart.
	if err := os.WriteFile(file, []byte(hashOf(t, "another horse")), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, to := p.get("/"); status != 303 || !strings.HasPrefix(to, "/login") {
		t.Errorf("status %d to %q", status, to)
	}
	if status, _ := p.post("/login", url.Values{"password": {"another horse"}}); status != 303 {
		t.Errorf("the new password: status %d", status)
	}
	if status, text := p.post("/login", url.Values{"password": {strings.Repeat("x", 10<<20)}}); status != 413 || !strings.Contains(text, "too large") {
		t.Errorf("ten megabytes: status %d: %s", status, text)
	}
	for i := range 30 {
		status, _ := (&pageProcess{worker: p.worker, t: t, line: p.line, http: p.browser()}).post("/login", url.Values{"password": {fmt.Sprint("wrong ", i)}})
		if i > 5 && status != 429 {
			t.Errorf("wrong password %d: status %d", i, status)
		}
	}
	if status, _ := p.post("/login", url.Values{"password": {"another horse"}}); status != 303 {
		t.Errorf("meanwhile, in a browser that has logged in before: status %d", status)
	}
	p.terminate()
	if status := p.exitWithin(t, 10*time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for _, secret := range []string{"horse", "argon2id$", "Ada"} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, p.log)
		}
	}
	if p.said(`"page login"`) != 3 || p.said(`"page login failed"`) == 0 {
		t.Error(p.log)
	}
}

func TestHashPassword_RefusesWhatCannotBeTyped(t *testing.T) {
	t.Parallel()
	for input, says := range map[string]string{
		"": "is empty", "\n": "is empty", "1234567\n": "fewer than 8", "ééééééé": "fewer than 8", "correct\nhorse\n": "more than one line", "correct horse\n\n": "more than one line",
		"correct\x00horse": "control character", "correct horse\x1b[A": "control character", "correct \xff horse": "UTF-8", strings.Repeat("x", 1025): "more than 1024", strings.Repeat("x", 1<<20): "more than 1024",
	} {
		out, errs, status := runProgram(t, nil, []byte(input), "admin", "hash-password")
		if status != 1 || out != "" || !strings.Contains(errs, says) {
			t.Errorf("%.20q: exit status %d: %s%s", input, status, out, errs)
		}
	}
	for _, input := range []string{"éééééééé", " correct horse ", "correct horse\r\n", strings.Repeat("x", 1024) + "\n"} {
		if out, errs, status := runProgram(t, nil, []byte(input), "admin", "hash-password"); status != 0 || !strings.HasPrefix(out, "$argon2id$") {
			t.Errorf("%.20q: exit status %d: %s", input, status, errs)
		}
	}
}

func TestPage_BehindAProxy(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	p := startPage(t, settings{"DATABASE_URL": pageRole(t, db).address, "WEBHOOK_ADMIN_TRUST_USER_HEADER": "X-Forwarded-User", "WEBHOOK_ADMIN_TRUSTED_PROXIES": "127.0.0.2, 127.0.0.9/32",
		"WEBHOOK_ADMIN_HOSTS": "webhooks.example.com", "WEBHOOK_ADMIN_BASE_PATH": "/webhooks/"})
	if !pageAddress.MatchString(p.line) {
		t.Errorf("the first line is %q", p.line)
	}
	for _, c := range []struct {
		from, host, user string
		status           int
		says             string
	}{
		{"127.0.0.2", "webhooks.example.com", "ada@example.com", 404, "ada@example.com"},
		{"127.0.0.9", "webhooks.example.com:443", "ada@example.com", 404, "ada@example.com"},
		{"127.0.0.2", "webhooks.example.com", "", 403, "WEBHOOK_ADMIN_TRUST_USER_HEADER"},
		{"127.0.0.1", "webhooks.example.com", "ada@example.com", 403, "WEBHOOK_ADMIN_TRUSTED_PROXIES"},
		{"127.0.0.2", "evil.example", "ada@example.com", 421, "WEBHOOK_ADMIN_HOSTS"},
	} {
		transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}).DialContext}
		r, _ := http.NewRequest("GET", p.line+"webhooks/nowhere", nil)
		r.Host = c.host
		r.Header.Set("X-Forwarded-User", c.user)
		res, err := transport.RoundTrip(r)
		status, text := p.read(res, err)
		transport.CloseIdleConnections()
		if status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%v: status %d: %s", c, status, text)
		}
	}
}

// SIGTERM ends it within seconds, with connections that are idle, new or in the middle of a request.
func TestPage_EndsWithConnectionsOpen(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	for name, args := range map[string][]string{"admin": {"admin", "--listen", "127.0.0.1:0"}, "run": {"run", "--admin", "--admin-listen", "127.0.0.1:0"}} {
		p := startPage(t, quick(db.address), args...)
		p.get("/livez") // idle from now on
		for _, begun := range []string{"", "GET / HTT", "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\na="} {
			c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.line, "http://"), "/"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:gocritic // open until the program has ended
			if _, err := io.WriteString(c, begun); err != nil {
				t.Fatal(err)
			}
		}
		p.terminate()
		if status := p.exitWithin(t, 15*time.Second); status != 0 {
			t.Errorf("%s: exit status %d: %s", name, status, p.log)
		}
	}
}

func TestPage_AddressInUse(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{{"admin", "--listen", l.Addr().String()}, {"run", "--admin", "--admin-listen", l.Addr().String()}} {
		_, errs, status := runProgram(t, quick(db.address), nil, args...)
		if status != 1 || !strings.Contains(errs, "WEBHOOK_ADMIN_LISTEN") || !strings.Contains(errs, "another process") || strings.Contains(errs, `"worker started"`) {
			t.Errorf("%v: exit status %d: %s", args, status, errs)
		}
	}
}

// The worker delivers, the page answers, and one signal ends both.
func TestPage_BesideTheWorker(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	p := startPage(t, quick(db.address), "run", "--admin", "--admin-listen", "127.0.0.1:0")
	id := db.publish("contact.created", `{"contact_id": 7}`)
	eventually(t, "the event is sent", func() bool { return db.status(id) == "sent" })
	if status, text := p.get("/readyz"); status != 200 {
		t.Errorf("status %d: %s", status, text)
	}
	p.terminate()
	if status := p.exitWithin(t, 15*time.Second); status != 0 || p.said(`"worker stopped, every outcome recorded"`) != 1 || p.said(`"page started"`) != 1 {
		t.Errorf("exit status %d: %s", status, p.log)
	}
}

func TestPage_WaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	p := newProxy(t, db.address)
	p.away()
	var healed sync.WaitGroup
	healed.Go(func() {
		eventually(t, "it tries again", func() bool { return p.turnedAway() >= 3 })
		p.heal()
	})
	page := startPage(t, settings{"DATABASE_URL": p.address})
	healed.Wait()
	if n := page.said("database unavailable at startup, retrying"); n != 1 {
		t.Errorf("it says %d times that it waits: %s", n, page.log)
	}
	// Later: a page in words, not ready, and all by itself again.
	p.away()
	eventually(t, "it says that it is not ready", func() bool { status, _ := page.get("/readyz"); return status == 503 })
	if status, _ := page.get("/livez"); status != 200 {
		t.Errorf("livez: status %d", status)
	}
	p.heal()
	eventually(t, "it is ready again", func() bool { status, _ := page.get("/readyz"); return status == 200 })
}

// While it waits, a signal ends it.
func TestPage_SignalEndsTheWait(t *testing.T) {
	t.Parallel()
	w := &worker{cmd: program(t, settings{"DATABASE_URL": nowhere}, "admin", "--listen", "127.0.0.1:0"), log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Stderr = w.log
	start(t, w)
	eventually(t, "it says that it waits", func() bool { return w.said("database unavailable at startup") == 1 })
	w.signal(t, syscall.SIGTERM)
	if status := w.exitWithin(t, 10*time.Second); status != 0 {
		t.Errorf("exit status %d: %s", status, w.log)
	}
}

// A server that accepts no writes is waited for, as the worker does: the log says what it is.
func TestPage_ReadOnlyDatabaseIsWaitedFor(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	w := &worker{cmd: program(t, settings{"DATABASE_URL": withParameter(t, db.address, "default_transaction_read_only", "on")}, "admin", "--listen", "127.0.0.1:0"), log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Stderr = w.log
	start(t, w)
	eventually(t, "it says why it waits", func() bool { return w.said("accepts no writes (a standby") > 0 })
	w.terminate()
	if status := w.exitWithin(t, 10*time.Second); status != 0 {
		t.Errorf("exit status %d: %s", status, w.log)
	}
}

// Slow clients hold a few of its connections for a few seconds, and none of the worker's.
func TestPage_ConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	p := startPage(t, settings{"DATABASE_URL": db.address})
	address := strings.TrimSuffix(strings.TrimPrefix(p.line, "http://"), "/")
	began := time.Now()
	for range 200 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:gocritic // open until the test ends
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err == nil && len(files) > 160 {
		t.Errorf("%d files are open", len(files))
	}
	if status, _ := p.get("/livez"); status != 200 || time.Since(began) > time.Minute {
		t.Errorf("status %d after %s", status, time.Since(began))
	}
	// Headers beyond a limit are answered, and the connection is closed.
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	}()
	if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, "431") {
		t.Errorf("a megabyte of headers: %q", line)
	}
}
