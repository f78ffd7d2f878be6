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

// sweepAbandoned deletes what processes left that were killed before they could stop their server. One that is younger
// than an hour is left alone: it may belong to a process of another container, which we cannot see.
func sweepAbandoned(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, "webhooks-pg-*-*"))
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "webhooks-pg-%d-", &pid); err != nil || alive(pid) {
			continue
		}
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir) // another user's cannot be deleted, and need not be
		}
	}
}

// alive tells whether a process runs, whoever owns it.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
