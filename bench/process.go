package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that the bench runs and measures.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer     // a role of the bench ends with it
	stdout *bufio.Reader // what a role reports
	done   chan struct{} // closed once it has ended
	err    error         // how, once it has
	log    string
	ending sync.Once
}

// startProcess runs a program until it ends; stderr goes to a log file. It ends
// with the bench, however the bench ends: Linux sends Pdeathsig when the thread
// that started a process ends, hence the thread of its own.
func startProcess(log string, env []string, program string, args ...string) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...) //nolint:noctx // ended by stop, or with the bench
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, done: make(chan struct{}), log: log}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, p.stdout = write, bufio.NewReader(read)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer output.Close()
		err := cmd.Start()
		_ = write.Close()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	return p, nil
}

// startRole runs this same binary in one of its roles and returns the first line
// it prints: it is ready then.
func startRole(log string, env []string, role string, args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, err := startProcess(log, env, self, append([]string{role}, args...)...)
	if err != nil {
		return nil, "", err
	}
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_ = p.stop(time.Second)
		return nil, "", fmt.Errorf("%s ended before it was ready: %w\n%s", role, err, p.logTail())
	}
	return p, strings.TrimSpace(line), nil
}

// stop asks the process to end, kills it after a while, and says how it ended.
func (p *process) stop(within time.Duration) error {
	p.terminate()
	select {
	case <-p.done:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("pid %d did not end within %s", p.cmd.Process.Pid, within)
	}
	if p.err != nil {
		return fmt.Errorf("%w\n%s", p.err, p.logTail())
	}
	return nil
}

// terminate asks the process to end and does not wait for it. It asks once: a
// second signal means at once.
func (p *process) terminate() {
	p.ending.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.stdin.Close()
	})
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// cpu is what the process has used so far, in user and kernel mode.
func (p *process) cpu() time.Duration { return cpuOf(p.pid(), false) }

// peak is the most memory that the process has had resident so far, in bytes.
// Not rusage's figure: after a vfork that begins with the parent's memory.
func (p *process) peak() int64 { return memoryOf(p.pid(), "status", "VmHWM:") }

func (p *process) logTail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-2000):])
}

// tick is the unit of /proc/<pid>/stat: USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// cpuOf reads the CPU time of a process, with that of its ended children or without.
func cpuOf(pid int, children bool) time.Duration {
	fields := statOf(pid)
	if fields == nil {
		return 0
	}
	last := 13 // utime and stime; cutime and cstime follow
	if children {
		last = 15
	}
	var ticks int64
	for _, field := range fields[11:last] {
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// statOf is /proc/<pid>/stat from the state on: the name before it may hold spaces.
func statOf(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return nil
	}
	return fields
}

// memoryOf reads one line of a file in /proc/<pid>, in bytes.
func memoryOf(pid int, file, line string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(text), "\n"+line)
	if !found {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kilobytes << 10
}
