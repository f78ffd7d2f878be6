package cli

import (
	"math"
	"runtime/debug"
)

// defaultMemory is the default of GOMEMLIMIT. With stacks, buffers and what the collector does not reach
// in time, a worker stays below 256 MB.
const defaultMemory = 176 << 20

// limitMemory sets the garbage collector. The heap of an ordinary worker, a few megabytes, may grow
// further between two collections: by default it spends a sixth of its time on them. Above the limit it
// collects as often as necessary. GOGC and GOMEMLIMIT of the environment override both numbers.
func limitMemory(f *flags) {
	if f.env("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if f.env("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(defaultMemory)
	}
}

// memoryBudget is how many bytes the events in flight may hold: a third of GOMEMLIMIT. The rest is for
// what was dropped and is not yet collected, such as the database driver's copies.
func memoryBudget() int64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 { // off
		limit = defaultMemory
	}
	return limit / 3
}

// filesBeside is how many files the worker has open beside its POSTs: the log, the poller's, up to seven
// connections to the database, those of name lookups, and configuration files.
const filesBeside = 24

// postsFor is how many POSTs at once fit into a limit of open files, of which the page beside the worker
// may need some; 0: as many as there are.
func postsFor(files, page uint64) int {
	switch {
	case files == 0 || files > 1<<20:
		return 0
	case files < filesBeside+page+8:
		return 8
	}
	return int(files - filesBeside - page)
}
