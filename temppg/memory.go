package temppg

import "os"

// Where Linux has files in memory, and how much must be free there. The integration tests write about a gigabyte of
// WAL and half as much data. A container usually has 64 MB.
const (
	sharedMemory = "/dev/shm"
	memoryRoom   = 4 << 30
)

// parentDir is where the directory of a server is made.
func parentDir(preferMemory bool) string {
	if preferMemory && inMemory(sharedMemory, memoryRoom) {
		return sharedMemory
	}
	return os.TempDir()
}
