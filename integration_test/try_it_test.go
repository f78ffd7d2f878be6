package integration_test

import (
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// terminal is one of the three in docs/receive.md, "Try it".
type terminal struct {
	t       *testing.T
	dir     string
	env     []string
	exports string // what it has exported, for its next commands
	running *exec.Cmd
	printed *logBuffer
}

// types runs commands to their end, and returns what they print.
func (w *terminal) types(commands string) string {
	w.t.Helper()
	w.starts(commands)
	err := w.running.Wait()
	w.running = nil
	if err != nil {
		w.t.Fatalf("%v\n%s\n%s", err, commands, w.printed.String())
	}
	return w.printed.String()
}

// starts runs commands, the last of which goes on.
func (w *terminal) starts(commands string) {
	w.t.Helper()
	w.printed = &logBuffer{}
	w.running = exec.Command("bash", "-e", "-c", w.exports+commands)
	w.running.Dir, w.running.Env = w.dir, w.env
	w.running.Stdout, w.running.Stderr = w.printed, w.printed
	w.running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.running.Start(); err != nil {
		w.t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^export .*\n`).FindAllString(commands, -1) {
		w.exports += line
	}
}

// interrupt is Ctrl-C.
func (w *terminal) interrupt() {
	if w.running != nil {
		_ = syscall.Kill(-w.running.Process.Pid, syscall.SIGINT)
		_ = w.running.Wait()
		w.running = nil
	}
}

func (w *terminal) shows(parts ...string) {
	w.t.Helper()
	for _, part := range parts {
		eventually(w.t, "the terminal shows "+part, func() bool { return strings.Contains(w.printed.String(), part) })
	}
}

// tryIt are the commands of "Try it" in docs/receive.md, in their order, each with the number of its terminal.
func tryIt(t *testing.T) (all []struct{ terminal, commands string }) {
	t.Helper()
	_, section, _ := strings.Cut(text(t, docs+"/receive.md"), "\n## Try it\n")
	section, _, found := strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("docs/receive.md has no section Try it")
	}
	name := regexp.MustCompile(`(?m)^\*\*Terminal ([123])\*\*`)
	at := 0
	for _, m := range fence.FindAllStringSubmatchIndex(section, -1) {
		if section[m[2]:m[3]] != "sh" {
			continue
		}
		names := name.FindAllStringSubmatch(section[at:m[0]], -1)
		if len(names) != 1 {
			t.Fatalf("in which terminal?\n%s", section[m[4]:m[5]])
		}
		all = append(all, struct{ terminal, commands string }{names[0][1], section[m[4] : m[5]+1]})
		at = m[1]
	}
	return all
}

// The commands of "Try it" work as they are written, except that the test has its own server, port, and
// built program.
func TestMarkdown_TryItWorksAsWritten(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "psql", "python3", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			give := t.Skipf
			if os.Getenv("WEBHOOK_TEST_SNIPPETS") == "all" {
				give = t.Fatalf
			}
			give("docs/receive.md, Try it, was not run: no %s", program)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	name, admin := randomName("try"), databaseURL("postgres")
	server, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	if may := open(t, admin).ask(`select rolsuper or rolcreaterole from pg_roles where rolname = current_user`); may != "true" {
		t.Skip("docs/receive.md, Try it, was not run: it creates a role, which the role of TEST_DATABASE_URL may not")
	}
	here := strings.NewReplacer("make build", "true", "sudo -u postgres psql", "psql '"+admin+"'", "webhooks_try", name, "@localhost/", "@"+server.Host+"/",
		"./webhooks receive", "./webhooks receive --listen "+address, ":8099", ":"+port)
	dir := folderOfTheRepository(t)
	terminals := map[string]*terminal{}
	for _, n := range []string{"1", "2", "3"} {
		terminals[n] = newTerminal(t, port, dir)
	}
	t.Cleanup(func() {
		for n, w := range terminals {
			w.interrupt()
			if t.Failed() {
				t.Logf("terminal %s:\n%s", n, w.printed.String())
			}
		}
		drop := exec.Command("psql", admin, "-c", "drop database if exists "+name+" with (force)", "-c", "drop role if exists "+name)
		if out, err := drop.CombinedOutput(); err != nil && t.Failed() {
			t.Logf("%v: %s", err, out)
		}
	})
	receiver, worker, events := terminals["1"], terminals["2"], terminals["3"]

	// What terminal 3 makes appear.
	seen := []func(printed string){
		func(string) {},
		func(printed string) {
			receiver.shows("200  contact.created", "Example Ltd", "Acme Supplies Ltd")
			if !strings.Contains(printed, "contacts") {
				t.Errorf("the status: %s", printed)
			}
		},
		func(string) {
			receiver.shows("503  document.exported", "200  document.exported")
			ids := regexp.MustCompile(`/documents  (\S+)`).FindAllStringSubmatch(receiver.printed.String(), -1)
			if len(ids) != 2 || ids[0][1] != ids[1][1] {
				t.Errorf("not twice with the same id: %s", receiver.printed.String())
			}
		},
		func(string) {},
		func(string) { receiver.shows("signature verifies") },
		func(printed string) {
			if !strings.Contains(printed, "the first time it is answered with 204\nthe second time it is answered with 204\n") {
				t.Errorf("send.sh says %s", printed)
			}
			eventually(t, "it works on both", func() bool { return strings.Count(receiver.printed.String(), "working on") == 2 })
		},
		func(string) {
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 2 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		},
	}
	for _, step := range tryIt(t) {
		commands := here.Replace(step.commands)
		switch step.terminal {
		case "1":
			receiver.interrupt()
			receiver.starts(commands)
			eventually(t, "the receiver listens", func() bool {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conn.Close()
				}
				return err == nil
			})
		case "2":
			worker.starts(commands)
			worker.shows("worker started")
		case "3":
			if len(seen) == 0 {
				t.Fatalf("what does this make appear?\n%s", commands)
			}
			if len(seen) == 1 {
				receiver.interrupt()
				worker.interrupt()
			}
			printed := events.types(commands)
			seen[0](printed)
			seen = seen[1:]
		}
	}
	if len(seen) > 0 {
		t.Errorf("%d commands of terminal 3 are missing", len(seen))
	}
}

// tryPublishing are the commands of "Try it" in docs/publish.md.
func tryPublishing(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t) {
		if filepath.Base(b.file) == "publish.md" && b.language == "sh" {
			return b.text
		}
	}
	t.Fatal("docs/publish.md has no shell commands")
	return ""
}

func TestMarkdown_TryPublishingWorksAsWritten(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("psql"); err != nil {
		t.Skip("docs/publish.md, Try it, was not run: no psql")
	}
	const given = "postgres://user:password@localhost/empty?sslmode=disable"
	commands := tryPublishing(t)
	if !strings.Contains(commands, given) {
		t.Fatalf("no database %s", given)
	}
	printed := newTerminal(t, "", folderOfTheRepository(t)).types(strings.Replace(commands, given, emptyDatabase(t), 1))
	for _, part := range []string{"document.exported | pending", "audit.log         | pending", `"doc_url":"https://yourinstance.recordengine.ai/api/document/42/view"`, `"total_amount":12500.00`} {
		if !strings.Contains(printed, part) {
			t.Errorf("it does not show %s:\n%s", part, printed)
		}
	}
}

// folderOfTheRepository has the built program and the documents.
func folderOfTheRepository(t *testing.T) (dir string) {
	t.Helper()
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Abs(docs)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := errors.Join(os.Symlink(built, filepath.Join(dir, "webhooks")), os.Symlink(documents, filepath.Join(dir, "docs"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newTerminal(t *testing.T, port, dir string) *terminal {
	t.Helper()
	return &terminal{t: t, dir: dir, env: append(os.Environ(), "PORT="+port, "PYTHONDONTWRITEBYTECODE=1"), printed: &logBuffer{}}
}

// Each shell command of the pages for developers and receivers is in "Try it", or a file that is tested.
func TestMarkdown_NoShellCommandIsUntested(t *testing.T) {
	t.Parallel()
	tested := []string{text(t, snippets+"/send.sh")}
	tested = append(tested, tryPublishing(t))
	for _, step := range tryIt(t) {
		tested = append(tested, step.commands)
	}
	for _, b := range blocks(t) {
		page := filepath.Base(b.file)
		if b.language == "sh" && (page == "receive.md" || page == "publish.md") && !slices.Contains(tested, b.text) {
			t.Errorf("%s: nothing runs this:\n%s", b, b.text)
		}
	}
}
