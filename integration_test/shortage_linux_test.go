package integration_test

import (
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestShortage_FewOpenFiles: a worker that may open 60 files, and 500 contacts for a receiver that takes
// a second. None fails: they wait for their files.
func TestShortage_FewOpenFiles(t *testing.T) {
	t.Parallel()
	db := ready(t, slowReceiver(t, time.Second))
	db.exec(`select webhook.publish('contact.created', '{"contact_id": 7}') from generate_series(1, 500)`)
	w := startShell(t, longAttempts(db.address), `ulimit -n 60`)
	finished(t, db)
	allSent(t, db, 500)
	with(t, "the log", w.log.String(), `"posts":`)
	w.terminate()
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestShortage_OnceWaitsForIt: `run --once` delivers what is due, also what it had to release.
func TestShortage_OnceWaitsForIt(t *testing.T) {
	t.Parallel()
	db := ready(t, slowReceiver(t, time.Second))
	db.exec(`select webhook.publish('contact.created', '{"contact_id": 7}') from generate_series(1, 60)`)
	w := startShell(t, longAttempts(db.address), `ulimit -n 60; set -- --once`)
	if status := w.exit(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	allSent(t, db, 60)
}

// TestShortage_PausesTheChannel: the limit of open files falls while the worker runs. Nothing fails, no
// attempt is recorded, the log says what to raise; afterwards everything is sent.
func TestShortage_PausesTheChannel(t *testing.T) {
	t.Parallel()
	db := ready(t, slowReceiver(t, time.Second))
	w := startWorker(t, longAttempts(db.address))
	first := db.publish("contact.created", `{"contact_id": 7}`)
	eventually(t, "the worker has its connections", func() bool { return db.status(first) == "sent" })
	limitFiles(t, w, 16)
	db.exec(`select webhook.publish('contact.created', '{"contact_id": 7}') from generate_series(1, 99)`)
	db.exec(`select webhook.publish('document.exported', json_build_object('id', i, 'status', 'Export')) from generate_series(1, 100) i`)
	eventually(t, "the channels pause", func() bool { return strings.Count(w.log.String(), "local shortage, channel paused") >= 2 })
	limitFiles(t, w, 4096)
	finished(t, db)
	allSent(t, db, 200)
	with(t, "the log", w.log.String(), "ulimit -n")
	if n := db.count(`select count(*) from webhook.attempts`); n != 0 {
		t.Errorf("%d runs of attempts were recorded", n)
	}
}

// limitFiles sets a worker's limit of open files.
func limitFiles(t *testing.T, w *worker, files uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: files, Max: 4096}
	if _, _, err := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(w.cmd.Process.Pid), syscall.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0); err != 0 { // the call takes a pointer
		t.Fatal(err)
	}
}
