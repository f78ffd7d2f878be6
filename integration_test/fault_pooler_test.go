package integration_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/store"
)

// pooler is a pgbouncer before the server of a database's URL; it returns the URL through it. Where the
// program is missing the test says so and ends; with WEBHOOK_TEST_SNIPPETS=all it fails.
func pooler(t *testing.T, database, mode string, settings ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !exists(program) {
			if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
				t.Fatal("pgbouncer is missing; Debian's package is called pgbouncer")
			}
			t.Skip("not tested: pgbouncer is missing; Debian's package is called pgbouncer")
		}
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name, password := strings.TrimPrefix(u.Path, "/"), ""
	password, _ = u.User.Password()
	address := closedPort(t)
	host, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	config := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%s dbname=%[1]s user=%[4]s password='%[5]s'\n"+
		"[pgbouncer]\nlisten_addr = %[6]s\nlisten_port = %[7]s\nunix_socket_dir =\nauth_type = any\npool_mode = %[8]s\n",
		name, u.Hostname(), u.Port(), u.User.Username(), password, host, port, mode) + strings.Join(settings, "\n") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil { // another user reads it
		t.Fatal(err)
	}
	args := []string{config}
	if os.Geteuid() == 0 { // which pgbouncer refuses
		args = []string{"-u", "nobody", config}
	}
	cmd := exec.Command(program, args...)
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pgbouncer said:\n%s", log.String())
		}
	})
	query := u.Query()
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = address, query.Encode()
	through := u.String()
	eventually(t, "pgbouncer answers", func() bool { return open(t, through).Ping() == nil })
	return through
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestPooler_SharedSessionsAreRefusedBeforeAnythingIsSet: run, check, migrate and the rest end at once,
// and the application's sessions keep their settings.
func TestPooler_SharedSessionsAreRefusedBeforeAnythingIsSet(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"transaction", "statement"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "http://receiver.example")
			through := pooler(t, db.address, mode)
			application := open(t, through)
			application.SetMaxOpenConns(1)
			settingsOf := func() (text string) {
				err := application.Get(&text, `select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name <> 'application_name'`)
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			before := settingsOf()
			for command, want := range map[string]int{"run": 1, "run --once": 1, "migrate": 1, "migrate --check": 1, "status": 1, "check": 3} {
				out, errs, status := runProgram(t, quick(through), nil, strings.Fields(command)...)
				if status != want || !strings.Contains(out+errs, "pooler in transaction or statement mode") || !strings.Contains(out+errs, "server's own port") {
					t.Errorf("%s: exit status %d: %s %s", command, status, out, errs)
				}
			}
			if after := settingsOf(); after != before {
				t.Errorf("the application's session had\n%s\nand has\n%s", before, after)
			}
		})
	}
}

// TestPooler_InSessionModeWorks: each connection has a server process of its own.
func TestPooler_InSessionModeWorks(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	through := pooler(t, db.address, "session")
	w := startWorker(t, quick(through))
	publishBoth(db, 5)
	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestPooler_TooFewSessionsAreNamed: one is left, so the worker's second connection waits. That is named, and
// after one time limit, not three.
func TestPooler_TooFewSessionsAreNamed(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	through := pooler(t, db.address, "session", "default_pool_size = 2") // this test's connection has the other one
	pool, err := store.OpenFor(9*time.Second, func() (string, error) { return through, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	began := time.Now()
	if err = pool.Ping(); err == nil || !strings.Contains(err.Error(), "pool of 7 sessions") || !store.Transient(err) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5500*time.Millisecond {
		t.Errorf("it took %s, one limit is two seconds", took)
	}
}
