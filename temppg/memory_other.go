//go:build !linux

package temppg

// inMemory is false: only Linux has a directory for files in memory.
func inMemory(string, uint64) bool { return false }
