package integration_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What the page is served with: the two roles that its documentation names, and nothing of the worker.
var pageRoles = []string{"webhook_admin", "webhook_reader"}

const settingsPath = "/settings/integrations/webhooks"

// servePage runs `webhooks admin` on a free port until the test ends, and returns the page's address. The
// database must have the roles.
func servePage(t testing.TB, db *database, env settings) string {
	t.Helper()
	own := pageSettings(t, db)
	for name, value := range env {
		own[name] = value
	}
	return strings.TrimSuffix(startSaying(t, own, "admin").line(), "/")
}

// pageSettings are the least that the page needs: a role, and a free port.
func pageSettings(t testing.TB, db *database) settings {
	t.Helper()
	return settings{"DATABASE_URL": loginRole(t, db, pageRoles...).address, "WEBHOOK_LOG_FORMAT": "json", "WEBHOOK_ADMIN_LISTEN": "127.0.0.1:0"}
}

// saying is a running program whose lines on standard output are read.
type saying struct {
	*worker
	t     testing.TB
	lines *bufio.Reader
}

// startSaying runs a program until the test ends.
func startSaying(t testing.TB, env settings, args ...string) *saying {
	t.Helper()
	return startCommand(t, program(t, env, args...))
}

// startCommand is startSaying for a command that is there already.
func startCommand(t testing.TB, cmd *exec.Cmd) *saying {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{cmd: cmd, log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Stdout, w.cmd.Stderr = writer, w.log
	start(t, w)
	writer.Close()
	t.Cleanup(func() {
		reader.Close()
		if t.Failed() {
			said := w.log.String()
			t.Logf("webhooks %s said at last:\n%s", cmd.Args[1], said[max(0, len(said)-2000):])
		}
	})
	return &saying{worker: w, t: t, lines: bufio.NewReader(reader)}
}

// line is the next line that it prints.
func (s *saying) line() string {
	s.t.Helper()
	line, err := s.lines.ReadString('\n')
	if err != nil {
		s.t.Fatalf("it prints no more lines: %v\n%s", err, s.log)
	}
	return strings.TrimSpace(line)
}

// pagePassword is the password of the tests that need one.
const pagePassword = "correct horse battery"

// passwordHash makes its hash, as an operator does.
func passwordHash(t testing.TB) string {
	t.Helper()
	hash, stderr, status := runProgram(t, nil, []byte(pagePassword+"\n"), "admin", "hash-password")
	if status != 0 {
		t.Fatalf("hash-password: exit status %d: %s", status, stderr)
	}
	return strings.TrimSpace(hash)
}

// logIn enters a name and the password.
func (p *tab) logIn(name string) {
	p.t.Helper()
	p.fill("Your name", name)
	p.fill("Password", pagePassword)
	p.press("Log in")
}
