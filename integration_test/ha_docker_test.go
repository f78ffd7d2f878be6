//go:build ha

package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// What a run of `make ha` makes in Docker has a name of its own and this label, whose value is its owner.
const haLabel = "recordengine.webhooks.ha"

// haImage is built by integration_test/images/build.sh ha.
const haImage = "webhooks-test-postgres:ha"

// dockerCommand runs one command of Docker and returns what it printed.
func dockerCommand(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

func mustDocker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := dockerCommand(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// dockerOwner is this process, as no other one on this machine is: host, pid and the time of its start.
func dockerOwner() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), startOf(os.Getpid()))
}

// startOf is when a process was started, in ticks since the machine was; empty if there is none.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fields[19]
}

// removeAbandoned removes what runs of this machine left behind that did not end by themselves.
func removeAbandoned(t testing.TB) {
	t.Helper()
	host, _ := os.Hostname()
	labels := mustDocker(t, "ps", "--all", "--filter", "label="+haLabel, "--format", `{{.Label "`+haLabel+`"}}`) + "\n" +
		mustDocker(t, "network", "ls", "--filter", "label="+haLabel, "--format", `{{.Label "`+haLabel+`"}}`)
	seen := map[string]bool{"": true}
	for owner := range strings.SplitSeq(labels, "\n") {
		parts := strings.Split(owner, ":")
		if seen[owner] || len(parts) != 3 || parts[0] != host {
			continue
		}
		seen[owner] = true
		if pid, err := strconv.Atoi(parts[1]); err == nil && startOf(pid) != parts[2] {
			removeOwned(t, owner)
		}
	}
}

// removeOwned removes the containers of one owner, with their volumes, and its networks.
func removeOwned(t testing.TB, owner string) {
	t.Helper()
	filter := "label=" + haLabel + "=" + owner
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all", "--quiet"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls", "--quiet"}, []string{"network", "rm"}},
	} {
		ids, err := dockerCommand(append(kind.list, "--filter", filter)...)
		if err == nil && ids != "" {
			_, err = dockerCommand(append(kind.remove, strings.Fields(ids)...)...)
		}
		if err != nil {
			t.Errorf("clean up: %v", err)
		}
	}
}

// dockerNetwork makes a network that leads nowhere else, and returns the beginning of its addresses.
func dockerNetwork(t testing.TB, name string) (prefix string) {
	t.Helper()
	var all error
	for range 10 { // a range may be in use
		prefix := fmt.Sprintf("10.%d.%d.", 200+rand.IntN(50), rand.IntN(256))
		_, err := dockerCommand("network", "create", "--internal", "--subnet", prefix+"0/24", "--label", haLabel+"="+dockerOwner(), name)
		if err == nil {
			return prefix
		}
		all = errors.Join(all, err)
	}
	t.Fatal(all)
	return ""
}
