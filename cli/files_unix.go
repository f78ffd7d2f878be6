//go:build unix

package cli

import "syscall"

// openFiles is this process's limit of open files; 0: unknown. Go has raised the soft limit to the hard
// one when the process started.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // its type differs between systems
}
