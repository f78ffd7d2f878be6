package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaryDir holds the built program while the tests run.
var binaryDir string

// binary builds ./webhooks once a test run.
var binary = sync.OnceValues(func() (path string, err error) {
	if binaryDir, err = os.MkdirTemp("", "webhooks-test-"); err != nil {
		return "", err
	}
	path = filepath.Join(binaryDir, "webhooks")
	build := exec.Command("go", "build", "-o", path, "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// settings are environment variables for the program.
type settings map[string]string

// quick are the settings of most tests: short leases, loopback allowed.
func quick(address string) settings {
	return settings{
		"DATABASE_URL":           address,
		"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
		"WEBHOOK_TIMEOUT":        "2s",
		"WEBHOOK_LEASE":          "5s",
		"WEBHOOK_LOG_FORMAT":     "json",
	}
}

// worker is a running `webhooks run`.
type worker struct {
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed when it has ended
}

// startWorker runs the built binary until the test ends.
func startWorker(t testing.TB, env settings, args ...string) *worker {
	t.Helper()
	w := &worker{cmd: program(t, env, append([]string{"run"}, args...)...), log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Stderr = w.log
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(func() {
		w.kill()
		if t.Failed() {
			said := w.log.String()
			t.Logf("worker %d said at last:\n%s", w.cmd.Process.Pid, said[max(0, len(said)-2000):])
		}
	})
	return w
}

// program is the built binary with an environment of its own.
func program(t testing.TB, env settings, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// programLimit is far above what a command takes: one that does not end, such as a page that starts where it should
// refuse, fails its test instead of holding up all of them.
const programLimit = 3 * time.Minute

// runProgram runs a command to its end and returns what it printed and its exit status.
func runProgram(t testing.TB, env settings, stdin []byte, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := program(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(programLimit, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !limit.Stop() {
		t.Fatalf("webhooks %v did not end within %s: %s%s", args, programLimit, out.String(), errs.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// kill is kill -9.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	<-w.done
}

// terminate sends SIGTERM.
func (w *worker) terminate() { _ = w.cmd.Process.Signal(syscall.SIGTERM) }

// exit waits for the worker's own end and returns its exit status.
func (w *worker) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-w.done:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("the worker has not ended within %s", patience)
		return -1
	}
}

// logBuffer collects what a process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// patience is how long a test waits for what must happen. It is far above what
// any of it takes: it ends a test that has already failed.
// WEBHOOK_TEST_PATIENCE shortens it where tests are meant to fail.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("WEBHOOK_TEST_PATIENCE")); err == nil {
		return d
	}
	return 2 * time.Minute
}()

// eventually waits until a condition holds. What takes seconds is polled less often: a query every 5 ms
// was a quarter of the cost of a test that waits for a ten-second mark.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for began := time.Now(); !holds(); {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s (%s)", patience, what, caller())
		case <-time.After(min(max(time.Since(began)/40, 5*time.Millisecond), 50*time.Millisecond)):
		}
	}
}

func caller() string {
	_, file, line, _ := runtime.Caller(2)
	return fmt.Sprintf("%s:%d", filepath.Base(file), line)
}
