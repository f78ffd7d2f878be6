package temppg

import "syscall"

const tmpfs = 0x01021994 // TMPFS_MAGIC of linux/magic.h

// inMemory reports whether the files of a directory are in memory, with space for so many bytes more.
func inMemory(dir string, space uint64) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && s.Type == tmpfs && s.Bavail*uint64(s.Bsize) >= space //nolint:gosec // no size is negative
}
