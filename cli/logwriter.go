package cli

import (
	"io"
	"sync"
	"time"
)

const (
	// maxWaitingLog is how many bytes of lines wait for a reader that does not read.
	maxWaitingLog = 1 << 20

	// flushFor is how long the end of the program waits for that reader.
	flushFor = time.Second
)

// logWriter writes lines from a goroutine of its own, so that logging never waits for a pipe that
// is not read. When too much waits, lines are dropped until everything that waited is written; then
// their number is reported. Lines that cannot be written, as to a pipe without a reader or to a full
// disk, count as dropped, too.
type logWriter struct {
	w      io.Writer
	report func(dropped int) error // writes a line that says so to w

	mu      sync.Mutex
	changed sync.Cond // waiting or dropped
	waiting [][]byte
	bytes   int
	dropped int // since the newest report
	total   int64
	full    bool
	reports bool // a report is being written
}

// newLogWriter begins to write to w, for as long as the process lives.
func newLogWriter(w io.Writer, report func(dropped int) error) *logWriter {
	l := &logWriter{w: w, report: report}
	l.changed.L = &l.mu
	go l.run()
	return l
}

// Write takes a line over, or drops it. It never fails and never waits for w.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full = l.full || l.bytes > 0 && l.bytes+len(line) > maxWaitingLog; l.full { // one line may be longer
		l.drop()
	} else {
		l.waiting = append(l.waiting, append([]byte(nil), line...))
		l.bytes += len(line)
	}
	l.changed.Broadcast()
	return len(line), nil
}

func (l *logWriter) drop() {
	l.dropped++
	l.total++
}

// lost is how many lines were dropped since the start.
func (l *logWriter) lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Sync waits until everything is written, but not for long.
func (l *logWriter) Sync() error {
	over := false
	limit := time.AfterFunc(flushFor, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		over = true
		l.changed.Broadcast()
	})
	defer limit.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for (len(l.waiting) > 0 || l.full || l.reports) && !over {
		l.changed.Wait()
	}
	return nil
}

func (l *logWriter) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for failed := false; ; {
		switch {
		case len(l.waiting) > 0:
			line := l.waiting[0]
			failed = !l.unlocked(func() error { _, err := l.w.Write(line); return err })
			l.waiting[0], l.waiting = nil, l.waiting[1:]
			if l.bytes -= len(line); failed {
				l.drop()
			}
		case l.dropped > 0 && !failed:
			n := l.dropped
			l.full, l.reports = false, true // what is logged from now on comes behind the report
			if failed = !l.unlocked(func() error { return l.report(n) }); !failed {
				l.dropped -= n
			}
			l.reports = false
		default:
			l.full = false
			l.changed.Broadcast()
			l.changed.Wait()
		}
	}
}

// unlocked writes while others may log, and reports whether it succeeded.
func (l *logWriter) unlocked(write func() error) bool {
	l.mu.Unlock()
	defer l.mu.Lock()
	return write() == nil
}

// writeWithin writes the last words of the program, but not for longer than flushFor.
func writeWithin(w io.Writer, text string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.WriteString(w, text)
	}()
	select {
	case <-done:
	case <-time.After(flushFor):
	}
}
