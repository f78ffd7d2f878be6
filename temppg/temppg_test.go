package temppg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestServer_KeepsCommittedDataThroughACrash(t *testing.T) {
	s := start(t)
	keepsCommittedData(t, s, s.Crash)
	keepsCommittedData(t, s, s.Shutdown)
}

func TestServer_StopLeavesNothingBehind(t *testing.T) {
	s := start(t)
	dir := s.engine.(*binaries).dir
	for range 2 { // the second does nothing
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if err := ping(s); err == nil {
		t.Error("the server still answers")
	}
}

func TestServer_HasItsOwnPassword(t *testing.T) {
	one, other := start(t), start(t)
	one.password = other.password
	if err := ping(one); err == nil {
		t.Error("a wrong password was accepted")
	}
}

func TestServer_StartErrorQuotesItsLog(t *testing.T) {
	s := start(t)
	if err := s.Shutdown(); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(s.engine.(*binaries).data(), "postgresql.conf")
	if err := os.WriteFile(broken, []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := s.Restart(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("the error does not quote the server's log: %v", err)
	}
}

// The parent is this test binary once more, which the environment makes start a server and wait for its end.
func TestServer_DoesNotOutliveItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tie a child to its parent")
	}
	needBinaries(t)
	outlived(t, "binaries")
}

func TestContainer_KeepsCommittedDataThroughACrash(t *testing.T) {
	s, err := StartDocker(t.Context(), Options{Image: localImage(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	keepsCommittedData(t, s, s.Crash)
	keepsCommittedData(t, s, s.Shutdown)
}

func TestContainer_DoesNotOutliveItsParent(t *testing.T) {
	localImage(t)
	outlived(t, "docker")
}

func TestRemoveAbandoned_OldDirectoriesOfDeadProcesses(t *testing.T) {
	parent := t.TempDir()
	const dead = 1 << 30 // beyond every system's highest process id
	kept := []string{
		makeDir(t, parent, dirPattern(dead), time.Minute),
		makeDir(t, parent, dirPattern(os.Getpid()), 2*time.Hour),
		makeDir(t, parent, "another-program-1-*", 2*time.Hour),
	}
	removed := makeDir(t, parent, dirPattern(dead), 2*time.Hour)

	removeAbandoned(parent)
	for _, dir := range kept {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("removed although young or in use: %v", err)
		}
	}
	if _, err := os.Stat(removed); err == nil {
		t.Errorf("%s was not removed", removed)
	}
}

func TestFindBinaries_NoneIsAClearError(t *testing.T) {
	if found := installations(t.Context(), []string{t.TempDir(), "/no/such/place"}); len(found) != 0 {
		t.Errorf("found %v in empty places", found)
	}
	for _, hint := range []string{"initdb", "/usr/lib/postgresql/*/bin"} {
		if !strings.Contains(ErrNoBinaries.Error(), hint) {
			t.Errorf("the error does not mention %q: %v", hint, ErrNoBinaries)
		}
	}
}

func TestFindBinaries_NewestFirst(t *testing.T) {
	dirs := []string{fakeInstallation(t, "9"), fakeInstallation(t, "15"), fakeInstallation(t, "13")}
	found := installations(t.Context(), dirs)
	if len(found) != 3 || found[0].major != 15 || found[1].major != 13 || found[2].major != 9 {
		t.Errorf("found %v", found)
	}
}

// keepsCommittedData writes a row, stops the server in the given way, and reads the row afterwards.
func keepsCommittedData(t *testing.T, s *Server, goDown func() error) {
	t.Helper()
	execute(t, s, `create table if not exists kept (n int)`)
	execute(t, s, `insert into kept values (42)`)
	if err := goDown(); err != nil {
		t.Fatal(err)
	}
	if err := ping(s); err == nil {
		t.Fatal("the server answers although it is down")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, s, `do $$ begin assert 42 = any (select n from kept), 'the row is gone'; end $$`)
}

// outlived kills the parent of a server, which gets no chance to stop it, and fails if the server goes on.
func outlived(t *testing.T, how string) {
	t.Helper()
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestActAsParent$")
	parent.Env = append(os.Environ(), "TEMPPG_TEST_PARENT="+how)
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var dsn, dir, name string
	if _, err := fmt.Fscan(output, &dsn, &dir, &name); err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	t.Cleanup(func() { // what a later Start or StartDocker would remove
		_ = os.RemoveAll(dir)
		if how == "docker" {
			_, _ = docker(context.Background(), "rm", "--force", "--volumes", name)
		}
	})

	for deadline := time.Now().Add(10 * time.Second); pingDSN(dsn) == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server still runs ten seconds after its parent was killed")
		}
	}
}

func TestActAsParent(t *testing.T) {
	switch os.Getenv("TEMPPG_TEST_PARENT") { // unset: the other tests run this one
	case "binaries":
		s, err := Start(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(s.DSN("postgres"), s.engine.(*binaries).dir, "-")
		time.Sleep(time.Minute)
	case "docker":
		s, err := StartDocker(t.Context(), Options{Image: localImage(t)})
		if err != nil {
			t.Fatal(err)
		}
		e := s.engine.(*container)
		fmt.Println(s.DSN("postgres"), e.dir, e.name)
		time.Sleep(time.Minute)
	}
}

func start(t *testing.T) *Server {
	t.Helper()
	needBinaries(t)
	s, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// needBinaries skips on a machine that has a container for its tests instead; CI forces the rung once, so that these
// tests run there.
func needBinaries(t *testing.T) {
	t.Helper()
	_, err := findBinaries(t.Context(), "")
	if errors.Is(err, ErrNoBinaries) && os.Getenv("WEBHOOK_TEST_RUNG") != "binaries" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// localImage is an image that needs no pull, whichever is there.
func localImage(t *testing.T) string {
	t.Helper()
	for _, image := range []string{"webhooks-test-postgres:15", "webhooks-test-postgres:17", "webhooks-test-postgres:13", DefaultImage} {
		if _, err := docker(t.Context(), "image", "inspect", image); err == nil {
			return image
		}
	}
	if os.Getenv("WEBHOOK_TEST_RUNG") == "dockertest" {
		t.Fatal("no PostgreSQL image here: make images")
	}
	t.Skip("no PostgreSQL image here: make images, or docker pull " + DefaultImage)
	return ""
}

func execute(t *testing.T, s *Server, statement string) {
	t.Helper()
	db, err := sql.Open("postgres", s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func ping(s *Server) error { return pingDSN(s.DSN("postgres")) }

func pingDSN(dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// fakeInstallation is a directory whose postgres knows its version and nothing else.
func fakeInstallation(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + ".4'\n"
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// makeDir makes a directory that was last modified so long ago.
func makeDir(t *testing.T, parent, pattern string, age time.Duration) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(dir, then, then); err != nil {
		t.Fatal(err)
	}
	return dir
}
