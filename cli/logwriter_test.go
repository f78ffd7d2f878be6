package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// The reader of a pipe stops. Logging goes on without it; when it is back it reads what waited, and how
// much was dropped.
func TestLogWriter_ReaderStopsAndReturns(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	log := newLogger(writer, "debug", "json")
	const lines = 20_000
	began := time.Now()
	for i := range lines {
		log.Debug(fmt.Sprint("line ", i), zap.String("padding", strings.Repeat("x", 200)))
	}
	_ = log.Sync()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("logging %d lines and Sync took %s", lines, took)
	}
	read := make(chan string, lines)
	go func() {
		for s := bufio.NewScanner(reader); s.Scan(); {
			read <- s.Text()
		}
	}()
	got, dropped := 0, 0
	for got+dropped < lines {
		select {
		case line := <-read:
			if strings.Contains(line, `"log lines dropped"`) {
				_, number, _ := strings.Cut(line, `"lines":`)
				if _, err := fmt.Sscan(strings.Trim(number, "}"), &dropped); err != nil {
					t.Fatal(err)
				}
			} else if got++; !strings.Contains(line, fmt.Sprintf(`"line %d"`, got-1)) {
				t.Fatalf("line %d is %s", got-1, line)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d lines were read and %d dropped, of %d", got, dropped, lines)
		}
	}
	if dropped == 0 || got < 1000 {
		t.Errorf("%d lines were read and %d dropped", got, dropped)
	}
	log.Info("afterwards")
	if line := <-read; !strings.Contains(line, "afterwards") {
		t.Errorf("then came %s", line)
	}
}

// What is logged while the report of dropped lines is being written is not dropped: everything that waited has
// been written by then.
func TestLogWriter_TakesLinesWhileItReports(t *testing.T) {
	written, release := make(chan string), make(chan struct{})
	var log *logWriter
	log = newLogWriter(writerFunc(func(line []byte) { written <- string(line); <-release }), func(int) error {
		_, _ = log.Write([]byte("meanwhile"))
		written <- "report"
		return nil
	})
	long := bytes.Repeat([]byte("x"), maxWaitingLog)
	_, _ = log.Write(long)
	_, _ = log.Write([]byte("dropped"))
	close(release)
	if first := <-written; first != string(long) {
		t.Fatalf("%d bytes were written first", len(first))
	}
	for _, want := range []string{"report", "meanwhile"} {
		if got := <-written; got != want {
			t.Errorf("%q was written, expected %q", got, want)
		}
	}
	if err := log.Sync(); err != nil || log.lost() != 1 {
		t.Errorf("%d lines were lost, expected 1: %v", log.lost(), err)
	}
}

// A writer that fails, such as a file on a full disk, and works again.
func TestLogWriter_CountsWhatCannotBeWritten(t *testing.T) {
	w := &failingWriter{failing: true}
	log, lines := newLoggerWithLines(w, "info", "json")
	for range 5 {
		log.Info("lost")
	}
	_ = log.Sync()
	w.set(false)
	log.Info("written")
	_ = log.Sync()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(w.String(), `"lines":5`); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log is %q", w.String())
		}
	}
	if n := lines.lost(); n != 5 {
		t.Errorf("%d are counted since the start", n)
	}
	if text := w.String(); strings.Contains(text, "lost") || strings.Count(text, "\n") != 2 {
		t.Errorf("the log is %q", text)
	}
}

func TestLogWriter_SyncWritesEverything(t *testing.T) {
	w := &failingWriter{}
	log := newLogger(w, "info", "json")
	for i := range 90 {
		log.Info(fmt.Sprint("line ", i))
	}
	_ = log.Sync()
	if n := strings.Count(w.String(), "\n"); n != 90 {
		t.Errorf("%d of 90 lines were written", n)
	}
}

type failingWriter struct {
	mu      sync.Mutex
	text    strings.Builder
	failing bool
}

func (w *failingWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing {
		return 0, io.ErrClosedPipe
	}
	return w.text.Write(b)
}

func (w *failingWriter) set(failing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing = failing
}

func (w *failingWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
