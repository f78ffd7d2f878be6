// Package deploy has what the program is installed by: container images, compose.yaml, the systemd unit, the
// Debian and RPM packages, the Helm chart, alert rules and a dashboard. Its tests build and start them, and
// compare them with what a release is made with: .goreleaser.yaml, Makefile and SECURITY.md.
package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// file is the text of a file of the repository.
func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// one returns what the group of an expression matches, which must be there once.
func one(t *testing.T, name, expression string) string {
	t.Helper()
	found := regexp.MustCompile(expression).FindAllStringSubmatch(file(t, name), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d of %s", name, len(found), expression)
	}
	return found[0][1]
}

// tool is the path of a program. Where `make packages` runs, a missing one is a failure.
func tool(t *testing.T, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err != nil && os.Getenv("WEBHOOK_TEST_PACKAGES") != "":
		t.Fatalf("%s is missing: %s", name, install)
	case err != nil:
		t.Skipf("NOT TESTED, %s is missing: %s", name, install)
	}
	return path
}

// engine skips a test that needs Docker and minutes, except where `make packages` asks for it.
func engine(t *testing.T) {
	t.Helper()
	if os.Getenv("WEBHOOK_TEST_PACKAGES") == "" {
		t.Skip("NOT TESTED: `make packages` builds and starts the images")
	}
	command(t, nil, "docker", "info")
}

// command runs a program at the root of the repository, and returns its output.
func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, err := attempt(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func attempt(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	return output(t.Context(), env, name, args...)
}

// afterwards runs a program where the context of the test has ended.
func afterwards(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	if out, err := output(context.WithoutCancel(t.Context()), env, name, args...); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
