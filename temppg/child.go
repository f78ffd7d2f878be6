package temppg

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// child is a process of ours that writes its output to a file.
type child struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed once the process has ended
}

// startChild runs a command until it ends, from a thread of its own: Linux sends Pdeathsig when the thread that
// started a process ends, and Go ends idle threads.
func startChild(cmd *exec.Cmd, log string) (*child, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	cmd.Stdout, cmd.Stderr = output, output
	c := &child{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer output.Close()
		defer close(c.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in the log
		}
	}()
	return c, <-started
}

// signal does nothing to a process that has ended.
func (c *child) signal(s os.Signal) {
	_ = c.cmd.Process.Signal(s)
}

// kill ends the process and waits for that.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// wait returns an error if the process has not ended in time.
func (c *child) wait(limit time.Duration) error {
	select {
	case <-c.done:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("PostgreSQL did not end within %s; its log:\n%s", limit, c.logTail())
	}
}

// logTail is the end of the output, at most 4 KiB.
func (c *child) logTail() string {
	const most = 4 << 10
	f, err := os.Open(c.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	return strings.TrimSpace(string(text))
}
