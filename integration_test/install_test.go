package integration_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
)

// TestHashPassword_IsMadeOnce: a container may run it at each start; the password is shown once and is in no file.
func TestHashPassword_IsMadeOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hash")
	made := regexp.MustCompile(`^the page's password, shown only here: (\w{26})\n$`)
	read := func() string {
		hash, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(hash)
	}
	out, errs, status := runProgram(t, nil, nil, "admin", "hash-password", "--generate", "--output", file)
	if status != 0 || out != "" || !made.MatchString(errs) {
		t.Fatalf("exit status %d: %q %q", status, out, errs)
	}
	first := read()
	if about, err := os.Stat(file); err != nil || about.Mode().Perm() != 0o600 || !regexp.MustCompile(`^\$argon2id\$\S+\n$`).MatchString(first) {
		t.Errorf("the file is %v with %q (%v)", about, first, err)
	}
	out, errs, status = runProgram(t, nil, nil, "admin", "hash-password", "--generate", "--output", file)
	if with(t, "a file that exists", out, "the password is unchanged"); status != 0 || errs != "" || read() != first {
		t.Errorf("exit status %d: %s%s", status, out, errs)
	}
	if out, errs, status = runProgram(t, nil, nil, "admin", "hash-password", "--generate", "--replace", "--output", file); status != 0 || !made.MatchString(errs) || read() == first {
		t.Errorf("--replace: exit status %d: %s%s", status, out, errs)
	}
	if _, errs, status = runProgram(t, nil, nil, "admin", "hash-password", "--replace"); status != 2 {
		t.Errorf("--replace without --output: exit status %d: %s", status, errs)
	}
}

// TestHealth_AsksThePage where it is served alone, also where it listens on every address.
func TestHealth_AsksThePage(t *testing.T) {
	t.Parallel()
	var ready atomic.Int32
	ready.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("it asked %s", r.URL.Path)
		}
		w.WriteHeader(int(ready.Load()))
		_, _ = w.Write([]byte("the database does not answer"))
	}))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	env := settings{"WEBHOOK_ADMIN_LISTEN": ":" + port, "WEBHOOK_METRICS_LISTEN": ":1"}
	if out, errs, status := runProgram(t, env, nil, "health", "--page"); status != 0 {
		t.Errorf("exit status %d: %s%s", status, out, errs)
	}
	ready.Store(http.StatusServiceUnavailable)
	_, errs, status := runProgram(t, env, nil, "health", "--page")
	if with(t, "a page that is not ready", errs, "the database does not answer"); status != 1 {
		t.Errorf("exit status %d: %s", status, errs)
	}
}
