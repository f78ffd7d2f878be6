package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// copyTree makes copies of the tracked and untracked files, uncommitted changes included
// and ignored files left out.
func copyTree(times int) (roots []string, err error) {
	list, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output() //nolint:noctx // it ends by itself
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	parent, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(parent, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return nil, err
	}
	for i := range max(times, 1) {
		root := filepath.Join(parent, fmt.Sprint(i))
		for _, name := range strings.Split(strings.Trim(string(list), "\x00"), "\x00") {
			if err := copyFile(name, filepath.Join(root, name)); err != nil {
				return nil, err
			}
		}
		roots = append(roots, root)
	}
	return roots, nil
}

func copyFile(from, to string) error {
	about, err := os.Stat(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // deleted, and not yet committed
	}
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
		return err
	}
	return os.WriteFile(to, text, about.Mode().Perm())
}

// goTest runs tests of one package. On a timeout the whole process group is ended, as a
// terminal does, so that the tests stop their PostgreSQL.
func goTest(ctx context.Context, root, dir, tests string, limit time.Duration) (out string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Minute) // with time to build
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", limit.String(), dir, "-run", "^("+tests+")$") //nolint:gosec // our own tests
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "WEBHOOK_TEST_PATIENCE=25s")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err := cmd.Run()
	return buf.String(), err == nil
}

// unbroken runs the named tests without a mutant, a package at a time.
func unbroken(ctx context.Context, root string, all []mutant) error {
	tests := map[string][]string{}
	for _, m := range all {
		if !slices.Contains(tests[m.dir], m.test) {
			tests[m.dir] = append(tests[m.dir], m.test)
		}
	}
	for dir, names := range tests {
		began := time.Now()
		if missing := missingTest(root, dir, names); missing != "" {
			return fmt.Errorf("%s has no test %s", dir, missing)
		}
		if out, ok := goTest(ctx, root, dir, strings.Join(names, "|"), 10*time.Minute); !ok {
			return fmt.Errorf("tests of %s fail without a mutant:\n%s", dir, out)
		}
		fmt.Printf("unbroken       %4.0fs  %d tests of %s\n", time.Since(began).Seconds(), len(names), dir)
	}
	return nil
}

// missingTest returns the name of a test that its package does not have.
func missingTest(root, dir string, names []string) string {
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		text.Write(source)
	}
	for _, name := range names {
		if !strings.Contains(text.String(), "\nfunc "+name+"(") {
			return name
		}
	}
	return ""
}
