package integration_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/temppg"
)

// docs/operate.md: each command runs, or says that it does not run here; each line of webhooks check and of
// webhook.problems has a heading. That its SQL runs: markdown_test.go.
const operatePage = docs + "/operate.md"

// The shell's blocks run in their order, in one shell, as an operator's would.
func TestOperate_EveryCommandRuns(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"psql", "pg_dump", "pg_restore", "createdb", "openssl", "sha256sum", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "docs/operate.md was not run: no %s; to install it: apt install postgresql-client openssl", program)
		}
	}
	server, err := temppg.StartAny(t.Context(), temppg.Options{InMemory: true, Version: os.Getenv("WEBHOOK_TEST_POSTGRES")})
	if err != nil {
		t.Fatalf("this test needs a server of its own, since roles belong to the whole server: %v", err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	open(t, server.DSN("postgres")).exec(`create database recordengine`)
	env := settings{"DATABASE_URL": server.DSN("recordengine")}
	if out, errs, status := runProgram(t, env, nil, "migrate", "--roles"); status != 0 {
		t.Fatal(out, errs)
	}
	db := open(t, server.DSN("recordengine"))
	db.exec(`update webhook.channels set url = 'https://hook.example.com', enabled = true`)
	db.exec(`alter table webhook.outbox alter column id restart with 1001`)
	db.exec(`insert into webhook.workers (id, name, version, settings, started_at, seen_at) values (gen_random_uuid(), 'original:1', '1.0.0', '{}', now(), now() - interval '30 minutes')`)
	db.inState("failed", "contact.created", `{"contact_id": 7}`)
	db.inState("pending", "notification.created", `{"notification_id": 7}`)
	db.inState("pending", "document.exported", `{"id": 42, "status": "Export"}`)

	dir, script := operatorsDirectory(t), "set -e\n"
	for _, b := range blocks(t) {
		if b.language == "sh" && filepath.Base(b.file) == "operate.md" {
			script += fmt.Sprintf("echo '== %s'\n%s", b, b.text)
		}
	}
	if strings.Count(script, "\n== ")+strings.Count(script, "echo '== ") < 10 {
		t.Fatalf("few blocks of sh were found:\n%s", script)
	}
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "PGPASSFILE=/dev/null",
		"DATABASE_URL="+server.DSN("recordengine"), "RESTORED_URL="+server.DSN("restored"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	all := strings.Split(string(out), "\n== ")
	at := slices.IndexFunc(all, func(block string) bool {
		_, restored, _ := strings.Cut(block, "\nworker: ")
		return strings.Contains(restored, "2 pending events would be cancelled.")
	})
	if at < 0 {
		t.Errorf("the restored database does not have the events that waited:\n%s", out)
	} else if !strings.Contains(all[at], "\nworker: none was seen in the last hour\n") {
		t.Errorf("the restored database has workers of the original:\n%s", all[at])
	}
	super := open(t, server.DSN("recordengine"))
	if n := super.count(`select (select count(*) from pg_roles where rolname like 'webhook\_%') + (select count(*) from pg_namespace where nspname = 'webhook')`); n != 0 {
		t.Errorf("%d of schema and roles are left after the last block", n)
	}
}

// operatorsDirectory has the program, the archive of a release with its sums, and new secrets.
func operatorsDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary, err := os.ReadFile(program(t, nil, "version").Path)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	w := tar.NewWriter(z)
	err = w.WriteHeader(&tar.Header{Name: "webhooks", Mode: 0o755, Size: int64(len(binary))})
	if err == nil {
		_, err = w.Write(binary)
	}
	if err != nil || w.Close() != nil || z.Close() != nil {
		t.Fatal(err)
	}
	const name = "webhooks_1.2.3_linux_amd64.tar.gz"
	for file, content := range map[string][]byte{
		name: archive.Bytes(), "checksums.txt": fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(archive.Bytes()), name),
		"new-token": []byte("a new token\n"), "new-password": []byte("a long new password\n"), "webhooks": binary,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var elsewhere = regexp.MustCompile(`^(#|--) (on|in) `)

func TestOperate_EveryBlockRunsOrSaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	unit := text(t, "../deploy/systemd/webhooks.service")
	for _, b := range blocks(t) {
		if filepath.Base(b.file) == "operate.md" && b.language != "sql" && b.language != "sh" && b.text != unit && !elsewhere.MatchString(b.text) {
			t.Errorf("%s: nothing runs this block of %q, and its first line does not say where it belongs", b, b.language)
		}
	}
	if !strings.Contains(text(t, operatePage), unit) {
		t.Error("docs/operate.md does not show deploy/systemd/webhooks.service")
	}
}

var (
	doctorLine  = regexp.MustCompile(`d\.(?:bad|warn|unknown)\(([\w.]+|"[^"]+"), "((?:[^"\\]|\\.)*)"`)
	placeholder = regexp.MustCompile(`%[a-z]`)
	problemText = regexp.MustCompile(`(?:then|format\() ?'((?:its|it|the|auth|webhook\.|document_base_url)[^':;]*)`)
)

func TestOperate_EachProblemHasAHeading(t *testing.T) {
	t.Parallel()
	page := text(t, operatePage)
	_, page, _ = strings.Cut(page, "\n## Troubleshooting\n")
	page, _, _ = strings.Cut(page, "\n## ")
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(page, -1) {
		headings = append(headings, m[1])
	}
	files, err := filepath.Glob("../cli/*.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range files {
		for _, m := range doctorLine.FindAllStringSubmatch(text(t, file), -1) {
			line := strings.Trim(m[1], `"`) + ": " + placeholder.ReplaceAllString(m[2], "…")
			if !strings.HasPrefix(m[1], `"`) {
				line = "CHANNEL: " + placeholder.ReplaceAllString(m[2], "…")
			}
			if m[2] == "%v" || m[2] == "%s" { // an error in its own words
				continue
			}
			lines++
			if !slices.ContainsFunc(headings, func(h string) bool {
				h = strings.TrimSuffix(strings.TrimSuffix(h, " …"), ":")
				return len(h) > len("CHANNEL: it") && strings.HasPrefix(line, h)
			}) {
				t.Errorf("docs/operate.md, Troubleshooting, has no heading for %q", line)
			}
		}
	}
	if lines < 20 {
		t.Errorf("webhooks check has %d lines: has its code changed?", lines)
	}
	schema := text(t, "../schema.sql")
	found := 0
	for _, function := range []string{"url_problem", "channel_problem", "worker_problem"} {
		_, body, _ := strings.Cut(schema, "create function webhook."+function+"(")
		body, _, _ = strings.Cut(body, "$fn$;")
		for _, m := range problemText.FindAllStringSubmatch(body, -1) {
			found++
			if said := strings.TrimSpace(strings.ReplaceAll(m[1], "%s", "…")); !strings.Contains(strings.Join(strings.Fields(page), " "), said) {
				t.Errorf("docs/operate.md, Troubleshooting, does not name %q of webhook.%s", said, function)
			}
		}
	}
	if found < 10 {
		t.Errorf("the schema has %d texts of problems: has it changed?", found)
	}
}

// What the prose has the reader type exists, with its flags.
func TestOperate_CommandsAndFlagsExist(t *testing.T) {
	t.Parallel()
	prose := fence.ReplaceAllString(text(t, operatePage), "")
	typed := regexp.MustCompile("`webhooks ([a-z-]+(?: (?:new|list|retire|encrypt|hash-password))?)([^`]*)`").FindAllStringSubmatch(prose, -1)
	if len(typed) < 30 {
		t.Fatalf("only %d commands are named", len(typed))
	}
	help := map[string]string{}
	for _, m := range typed {
		command := m[1]
		if _, ok := help[command]; !ok {
			out, errs, status := runProgram(t, nil, nil, append(strings.Fields(command), "--help")...)
			if status != 0 {
				t.Errorf("webhooks %s: %s%s", command, out, errs)
			}
			help[command] = out
		}
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1) {
			if !strings.Contains(help[command], flag) {
				t.Errorf("webhooks %s has no flag %s", command, flag)
			}
		}
	}
}
