package temppg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// dirPattern names our temporary directories by the process that they belong to.
func dirPattern(pid int) string {
	return fmt.Sprintf("webhooks-pg-%d-*", pid)
}

// removeAbandoned deletes the directories of processes that were killed before they could stop their server. One that is
// younger than an hour stays: it may belong to a process of another container, which is not visible here.
func removeAbandoned(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, "webhooks-pg-*-*"))
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "webhooks-pg-%d-", &pid); err != nil || alive(pid) {
			continue
		}
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir) // another user's cannot be deleted, which is no error
		}
	}
}

// alive reports whether a process runs, also another user's.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
