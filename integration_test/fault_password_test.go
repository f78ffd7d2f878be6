package integration_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/store"
)

// role makes a role of the test's own that may be the worker, and returns the database's URL for it.
func workerRole(t *testing.T, db *database, password string) (name, address string) {
	t.Helper()
	name = randomName("role")
	db.exec(`create role ` + name + ` login superuser password '` + password + `'`)
	t.Cleanup(func() { _, _ = shared.admin.Exec(`drop role if exists ` + name) })
	return name, withUser(t, db.address, name, password)
}

func withUser(t *testing.T, address, name, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return u.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPassword_RotatedInItsFileTakesEffectWithoutARestart: the role's password changes, its sessions are
// ended, and later the file has the new one. Meanwhile the log says why no connection is made.
func TestPassword_RotatedInItsFileTakesEffectWithoutARestart(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	name, address := workerRole(t, db, "first")
	if !asksForPasswords(t, withUser(t, db.address, name, "another")) {
		t.Skip("not tested: the server accepts every password")
	}
	path := filepath.Join(t.TempDir(), "url")
	write(t, path, address+"\n")
	env := quick("")
	delete(env, "DATABASE_URL")
	env["DATABASE_URL_FILE"] = path
	w := startWorker(t, env)
	publishBoth(db, 1)
	finished(t, db)

	db.exec(`alter role ` + name + ` password 'second'`)
	db.exec(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, name)
	publishBoth(db, 1)
	eventually(t, "the log says why no connection is made", func() bool {
		return strings.Contains(w.log.String(), "password authentication failed")
	})
	write(t, path, withUser(t, db.address, name, "second"))
	finished(t, db)
	checkEachSentOnce(t, db, rcv)
	if said := w.log.String(); strings.Contains(said, "second") || strings.Contains(said, "first") {
		t.Errorf("the log shows a password:\n%s", said)
	}
}

// TestPassword_StoppingWhileItIsWrongIsImmediate: nothing is in flight, and the database cannot be
// reached any more.
func TestPassword_StoppingWhileItIsWrongIsImmediate(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	name, address := workerRole(t, db, "first")
	if !asksForPasswords(t, withUser(t, db.address, name, "another")) {
		t.Skip("not tested: the server accepts every password")
	}
	w := startWorker(t, quick(address))
	eventually(t, "the worker has started", func() bool { return w.said("worker started") == 1 })
	time.Sleep(500 * time.Millisecond)
	db.exec(`alter role ` + name + ` password 'second'`)
	db.exec(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, name)
	eventually(t, "the worker notices", func() bool { return w.said("password authentication failed") > 0 })
	began := time.Now()
	w.terminate()
	status := w.exit(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it ended after %s", took)
	}
	if said := w.log.String(); status != 0 && !strings.Contains(said, "unknown whether the newest claim") {
		t.Errorf("exit status %d:\n%s", status, said)
	}
}

// TestDatabaseURL_WhatCannotPassByItselfIsNotWaitedFor: the error names the remedy, at once.
func TestDatabaseURL_WhatCannotPassByItselfIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	for _, c := range []struct {
		name, address string
		status        int
		says          []string
	}{
		{"a parameter that the server does not know", withParameter(t, db.address, "not_a_setting", "1"), 2, []string{"not_a_setting", "remove it"}},
		{"Prisma's schema", withParameter(t, db.address, "schema", "public"), 2, []string{"schema", "remove it"}},
		{"JDBC", "jdbc:" + db.address, 2, []string{"JDBC", "postgres://"}},
		{"no TLS at the server", withParameter(t, db.address, "sslmode", "require"), 1, []string{"SSL is not enabled", "sslmode=disable"}},
		{"a certificate that is not there", withParameter(t, withParameter(t, db.address, "sslmode", "verify-full"), "sslrootcert", "/nowhere.crt"), 1, []string{"/nowhere.crt"}},
	} {
		if c.name == "no TLS at the server" && db.count(`select count(*) from pg_settings where name = 'ssl' and setting = 'on'`) == 1 {
			continue
		}
		began := time.Now()
		_, errs, status := runProgram(t, quick(c.address), nil, "run")
		for _, text := range c.says {
			if status != c.status || !strings.Contains(errs, text) {
				t.Errorf("%s: exit status %d: %s", c.name, status, errs)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: it ended after %s", c.name, took)
		}
	}
}

// TestDatabaseURL_Works: what psql accepts.
func TestDatabaseURL_Works(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	u, err := url.Parse(db.address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Del("sslmode")
	plain := *u
	plain.RawQuery = query.Encode()
	two := strings.Replace(db.address, u.Host, closedPort(t)+","+u.Host, 1)
	for name, address := range map[string]string{
		"no sslmode, whether the server has TLS or not": plain.String(),
		"quotes":                       `"` + db.address + `"`,
		"what need not be honoured":    withParameter(t, withParameter(t, db.address, "keepalives", "1"), "gssencmode", "prefer"),
		"two hosts, the first is down": two,
	} {
		if out, errs, status := runProgram(t, quick(address), nil, "migrate", "--check"); status != 0 {
			t.Errorf("%s: exit status %d: %s %s", name, status, out, errs)
		}
	}
}

// TestDatabaseURL_PasswordWithAnyCharacter works as psql has it, or encoded.
func TestDatabaseURL_PasswordWithAnyCharacter(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	_, address := workerRole(t, db, "p#q@r?s%t")
	for _, a := range []string{address, strings.Replace(address, "p%23q%40r%3Fs%25t", "p#q%40r?s%25t", 1)} {
		if out, errs, status := runProgram(t, quick(a), nil, "migrate", "--check"); status != 0 {
			t.Errorf("exit status %d: %s %s", status, out, errs)
		}
	}
}

// TestSession_StringsAndArraysAreStandardWhateverTheDatabasePresets: in sessions of the application and of the
// worker backslashes would otherwise be escapes.
func TestSession_StringsAndArraysAreStandardWhateverTheDatabasePresets(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.HasSuffix(r.path, "/folders") {
			return 404
		}
		return 200
	})
	db := ready(t, rcv.URL)
	name := db.address[strings.LastIndexByte(db.address, '/')+1:]
	name, _, _ = strings.Cut(name, "?")
	db.exec(`alter database ` + name + ` set standard_conforming_strings = off`)
	db.exec(`alter database ` + name + ` set backslash_quote = off`)
	db.exec(`alter database ` + name + ` set array_nulls = off`) // null in the arrays of a claim would be a text
	application := open(t, db.address)
	if got := query[string](t, db.address, `show standard_conforming_strings`); got != "off" {
		t.Fatalf("standard_conforming_strings is %s", got)
	}
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var got string
	if err := pool.Get(&got, `show standard_conforming_strings`); err != nil || got != "on" {
		t.Errorf("in a session of the worker it is %q, %v", got, err)
	}
	if err := pool.Get(&got, `show array_nulls`); err != nil || got != "on" {
		t.Errorf("in a session of the worker array_nulls is %q, %v", got, err)
	}
	publishBoth(application, 2)
	failed := application.publish("folder.created", `{"id": 7}`)
	application.exec(fmt.Sprintf(`insert into webhook.outbox (event, data) values ('contact.created', '{"name": "a%sb"}')`, "é"))
	w := startWorker(t, quick(db.address))
	finished(t, application)
	if got := application.row(failed); got.Status != "failed" {
		t.Errorf("the folder: %s", asText(application, failed))
	}
	for _, statement := range []string{
		`select webhook.explain(1)`, `select count(*) from webhook.status`, `select count(*) from webhook.problems`, `select count(*) from webhook.volume`,
		`select webhook.retry(` + fmt.Sprint(failed) + `)`, `select webhook.retry_failed(dry_run => true)`, `select webhook.send_test('contacts')`, `select webhook.document_id('{"id": 1}')`,
		`select webhook.prune('1 hour', 10)`, `select webhook.discard(dry_run => true)`,
	} {
		if _, err := application.Exec(statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	for _, command := range []string{"status", "show 1", "migrate --check"} {
		if out, errs, status := runProgram(t, quick(db.address), nil, strings.Fields(command)...); status != 0 {
			t.Errorf("%s: exit status %d: %s %s", command, status, out, errs)
		}
	}
	if out, _, _ := runProgram(t, quick(db.address), nil, "check"); !strings.Contains(out, "ok    documents") {
		t.Errorf("check: %s", out)
	}
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestDatabaseURLFile_EmptyIsNamed: it is not DATABASE_URL that is missing.
func TestDatabaseURLFile_EmptyIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "url")
	write(t, path, "\n")
	env := quick("")
	delete(env, "DATABASE_URL")
	env["DATABASE_URL_FILE"] = path
	_, errs, status := runProgram(t, env, nil, "run")
	with(t, fmt.Sprint("exit status ", status), errs, "DATABASE_URL_FILE: "+path+" is empty")
	if status != 2 {
		t.Errorf("exit status %d", status)
	}
}

// TestSession_IsNotEndedWhileItIsIdle: the pinned connections of a quiet outbox are idle for hours.
func TestSession_IsNotEndedWhileItIsIdle(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	if db.count(`select current_setting('server_version_num')::int`) < 140000 {
		t.Skip("not tested: the server has no idle_session_timeout")
	}
	name, _, _ := strings.Cut(db.address[strings.LastIndexByte(db.address, '/')+1:], "?")
	db.exec(`alter database ` + name + ` set idle_session_timeout = '300ms'`)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var got string
	if err := pool.Get(&got, `show idle_session_timeout`); err != nil || got != "0" {
		t.Errorf("in a session of the worker it is %q, %v", got, err)
	}
}
