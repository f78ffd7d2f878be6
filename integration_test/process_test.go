package integration_test

import (
	"bufio"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startPiped runs a worker whose stderr is a pipe, and returns the end to read.
func startPiped(t *testing.T, env settings, fill bool) (*worker, *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	if fill {
		_ = writer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = writer.WriteString(strings.Repeat("filler\n", 200_000)) // until the pipe is full
	}
	w := &worker{cmd: program(t, env, "run"), log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Stderr = writer
	start(t, w)
	writer.Close()
	return w, reader
}

// startShell runs a worker from a shell that prepares its limits or signals.
func startShell(t *testing.T, env settings, prepare string) *worker {
	t.Helper()
	own := program(t, env, "run")
	w := &worker{cmd: exec.Command("sh", "-c", prepare+`; exec "$0" run "$@"`, own.Path), log: &logBuffer{}, done: make(chan struct{})}
	w.cmd.Env, w.cmd.Stderr = own.Env, w.log
	start(t, w)
	return w
}

func start(t testing.TB, w *worker) {
	t.Helper()
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(w.kill)
}

// exitWithin is exit with a limit of its own.
func (w *worker) exitWithin(t *testing.T, limit time.Duration) int {
	t.Helper()
	select {
	case <-w.done:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("the worker has not ended within %s", limit)
		return -1
	}
}

// TestLog_BlockedReaderDelaysNothing: stderr is a full pipe that is not read. One-attempt events are
// recorded, documents retried, leases expired, SIGTERM ends the worker.
func TestLog_BlockedReaderDelaysNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { return 503 })
	db := ready(t, rcv.URL)
	orphan := db.publish("folder.created", `{"folder_id": 1}`)
	db.exec(`update webhook.outbox set status = 'sending', attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'dead:1',
		claimed_at = clock_timestamp(), leased_until = clock_timestamp() + interval '1 second'`)
	db.exec(`select webhook.publish('contact.created', '{"contact_id": 7}') from generate_series(1, 500)`)
	document := db.document("1")
	env := quick(db.address)
	env["WEBHOOK_LOG_LEVEL"] = "debug"
	w, _ := startPiped(t, env, true)
	eventually(t, "every contact is recorded", func() bool {
		return db.count(`select count(*) from webhook.outbox where event = 'contact.created' and status = 'failed' and http_status = 503`) == 500
	})
	eventually(t, "the document is retried", func() bool { return db.row(document).Attempts >= 2 })
	eventually(t, "the lease of a dead worker expires", func() bool { return db.status(orphan) == "failed" })
	w.terminate()
	if status := w.exitWithin(t, 15*time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := db.count(`select count(*) from webhook.outbox where leased_until is not null`); n != 0 {
		t.Errorf("%d events are still leased", n)
	}
}

// TestLog_ErrorLineDoesNotBlockTheExit: the last line of a program that fails goes to a full pipe.
func TestLog_ErrorLineDoesNotBlockTheExit(t *testing.T) {
	t.Parallel()
	w, _ := startPiped(t, settings{}, true)
	if status := w.exitWithin(t, 15*time.Second); status != 2 {
		t.Errorf("exit status %d", status)
	}
}

// TestLog_ReaderThatReturnsGetsWhatWaited: lines that were written meanwhile are not lost.
func TestLog_ReaderThatReturnsGetsWhatWaited(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { return 503 })
	db := ready(t, rcv.URL)
	id := db.publish("contact.created", `{"contact_id": 7}`)
	w, reader := startPiped(t, quick(db.address), true)
	eventually(t, "the contact is recorded", func() bool { return db.status(id) == "failed" })
	lines := bufio.NewScanner(reader)
	for found := false; !found && lines.Scan(); {
		found = strings.Contains(lines.Text(), `"channel failing"`)
	}
	w.terminate()
	if status := w.exitWithin(t, 15*time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
}

// TestSignal_ReaderOfTheLogExits: with ten requests in flight the pipe of stderr breaks. The worker
// goes on without a log.
func TestSignal_ReaderOfTheLogExits(t *testing.T) {
	t.Parallel()
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 5)
	env := patient(db.address)
	env["WEBHOOK_LOG_LEVEL"] = "debug"
	w, reader := startPiped(t, env, false)
	inFlight(t, rcv, 10)
	reader.Close()
	g.release()
	finished(t, db)
	late := db.publish("contact.created", `{"contact_id": 8}`)
	eventually(t, "an event that was written afterwards is sent", func() bool { return db.status(late) == "sent" })
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := db.count(`select count(*) from webhook.outbox where status = 'sent' and attempts = 1`); n != 11 {
		t.Errorf("%d of 11 events were sent at once", n)
	}
}

// TestSignal_HangupDrains: the terminal closes with ten requests in flight. The shell and the kernel
// each send SIGHUP: the second one is not a second request to stop.
func TestSignal_HangupDrains(t *testing.T) {
	t.Parallel()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // where the tests ignore it, the worker would, too
	rcv, g := blockedReceiver(t)
	db := ready(t, rcv.URL)
	publishBoth(db, 5)
	w := startWorker(t, patient(db.address))
	inFlight(t, rcv, 10)
	w.signal(t, syscall.SIGHUP)
	time.Sleep(300 * time.Millisecond)
	w.signal(t, syscall.SIGHUP)
	late := db.publish("contact.created", `{"contact_id": 8}`)
	time.Sleep(500 * time.Millisecond)
	g.release()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if n := db.count(`select count(*) from webhook.outbox where status = 'sent' and attempts = 1`); n != 10 {
		t.Errorf("%d of the 10 events in flight were recorded", n)
	}
	if db.row(late).Attempts != 0 {
		t.Errorf("an event was claimed after the signal")
	}
}

// TestSignal_IgnoredHangupStaysIgnored: nohup.
func TestSignal_IgnoredHangupStaysIgnored(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	w := startShell(t, quick(db.address), `trap "" HUP`)
	first := db.publish("contact.created", `{"contact_id": 7}`)
	eventually(t, "the worker works", func() bool { return db.status(first) == "sent" })
	w.signal(t, syscall.SIGHUP)
	time.Sleep(300 * time.Millisecond)
	second := db.publish("contact.created", `{"contact_id": 8}`)
	eventually(t, "it still works", func() bool { return db.status(second) == "sent" })
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
