package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/recordengine/webhooks/store"
)

// watching is a running `webhooks watch`.
type watching struct {
	*worker
	out *logBuffer
}

func startWatch(t *testing.T, address string, args ...string) watching {
	t.Helper()
	w := watching{&worker{cmd: program(t, settings{"DATABASE_URL": address}, append([]string{"watch"}, args...)...), log: &logBuffer{}, done: make(chan struct{})}, &logBuffer{}}
	w.cmd.Stdout, w.cmd.Stderr = w.out, w.log
	start(t, w.worker)
	eventually(t, "it has begun", func() bool { return w.said("waiting for deliveries") == 1 })
	return w
}

// TestWatch_SaysWhyNothingIsDelivered: who waits for a delivery would wait in vain.
func TestWatch_SaysWhyNothingIsDelivered(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.settings set offline_mode = true`)
	w := startWatch(t, db.address)
	want := "Offline Mode is on: nothing is delivered; to deliver again: webhooks offline off\n" +
		"no worker is running: nothing is delivered; to start one: webhooks run\nwaiting for deliveries; Ctrl-C ends it\n"
	if got := w.log.String(); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	db.exec(`update webhook.settings set offline_mode = false`)
	db.exec(`insert into webhook.workers (id, name, version, settings, started_at) values (gen_random_uuid(), 'host-1:1', '1.0.0', '{}', now())`)
	if got, want := startWatch(t, db.address).log.String(), "waiting for deliveries; Ctrl-C ends it\n"; got != want {
		t.Errorf("with a worker it says\n%s\nwant\n%s", got, want)
	}
}

// shows waits until the lines have this, as a regular expression.
func (w watching) shows(t *testing.T, pattern string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}  ` + pattern + `$`)
	eventually(t, "a line "+pattern, func() bool { return line.MatchString(w.out.String()) })
}

// TestWatch_PrintsWhatEndsAndSurvivesTheDatabase: an attempt that will be repeated, the success after it, what fails
// and what is skipped; nothing that ended before; during an outage it waits, and what ended then is not lost.
func TestWatch_PrintsWhatEndsAndSurvivesTheDatabase(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	status.Store(503)
	rcv := newReceiver(t, func(receipt) int { return int(status.Load()) })
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set enabled = false where name = 'rules'`)
	once := func() {
		t.Helper()
		if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--once"); status > 1 {
			t.Fatalf("exit status %d: %s", status, errs)
		}
	}
	db.publish("contact.created", `{}`) // 1 ended before
	db.document(`"INV-9"`)              // 2 as well, and will end again
	once()
	db.exec(`update webhook.outbox set due_at = now() + interval '1 hour' where id = 2`) // not before the outage
	p := newProxy(t, db.address)
	all, failed := startWatch(t, p.address), startWatch(t, db.address, "--channel", "contacts", "--status", "failed")

	db.publish("contact.created", `{}`)
	db.document(`"INV-7"`)
	db.publish("rule.executed", `{}`)
	once()
	all.shows(t, `503  contact\.created       3  failed: HTTP 503 Service Unavailable from http://.*`)
	all.shows(t, `503  document\.exported     4  pending, attempt 1  document INV-7: HTTP 503 Service Unavailable from http://.*`)
	all.shows(t, `  -  rule\.executed         5  skipped`)
	failed.shows(t, `503  contact\.created       3  failed: .*`)

	p.away()
	eventually(t, "it says that it waits", func() bool { return all.said("the database is unavailable, waiting for it") == 1 })
	status.Store(201)
	db.exec(`update webhook.outbox set due_at = now() where status = 'pending'`)
	once()
	p.heal()
	all.shows(t, `201  document\.exported     4  sent  document INV-7`)
	all.shows(t, `201  document\.exported     2  sent  document INV-9`)
	eventually(t, "it says that the database is back", func() bool { return all.said("the database is available again") == 1 })

	for _, w := range []watching{all, failed} {
		w.signal(t, syscall.SIGINT)
		if code := w.exit(t); code != 0 {
			t.Errorf("exit status %d: %s", code, w.log)
		}
	}
	lines := strings.Count(all.out.String(), "\n")
	if lines != 5 || strings.Contains(all.out.String(), "created       1 ") {
		t.Errorf("%d lines, five were expected, each once:\n%s", lines, all.out)
	}
	if got := failed.out.String(); strings.Count(got, "\n") != 1 {
		t.Errorf("with its filters it prints\n%s", got)
	}
}

// TestWatch_AsJSONEachIsOneLine: so that a script reads them as they come.
func TestWatch_AsJSONEachIsOneLine(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, func(r receipt) int { return map[bool]int{true: 503, false: 201}[strings.Contains(r.body, "INV-7")] }).URL)
	w := startWatch(t, db.address, "--json")
	db.publish("contact.created", `{}`)
	db.document(`"INV-7"`)
	if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--once"); status > 1 {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	eventually(t, "two lines", func() bool { return strings.Count(w.out.String(), "\n") == 2 })
	w.signal(t, syscall.SIGINT)
	if code := w.exit(t); code != 0 {
		t.Errorf("exit status %d: %s", code, w.log)
	}
	got := map[string]string{}
	for line := range strings.Lines(w.out.String()) {
		var one struct {
			ID         int64
			Event      string
			Status     string
			At         time.Time
			Attempts   int
			Document   *string `json:"document_id"`
			HTTPStatus *int    `json:"http_status"`
			Failure    *string
			Error      *string
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.At.IsZero() {
			t.Fatalf("%s: %v", line, err)
		}
		got[one.Event] = fmt.Sprint(one.ID, " ", one.Status, " ", one.Attempts, " ", value(one.Document), " ", *one.HTTPStatus, " ", value(one.Failure), " ", one.Error != nil)
	}
	for event, want := range map[string]string{
		"contact.created":   "1 sent 1  201  false",
		"document.exported": "2 pending 1 INV-7 503 server_error true",
	} {
		if got[event] != want {
			t.Errorf("%s: %q, expected %q", event, got[event], want)
		}
	}
}

// TestWatch_OutcomeThatCommitsLateIsReturned: finished_at is written before the commit.
func TestWatch_OutcomeThatCommitsLateIsReturned(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	a := store.NewAdmin(pool, store.Schema{})
	wanted := store.Watched{Events: []string{"contact.created"}, Statuses: []string{"sent"}}
	began := time.Now()
	watch := func(from time.Time) ([]store.Seen, time.Time, bool) {
		t.Helper()
		seen, next, behind, err := a.Watch(t.Context(), wanted, from)
		if err != nil {
			t.Fatal(err)
		}
		return seen, next, behind
	}
	if seen, next, behind := watch(time.Time{}); len(seen) != 0 || behind || next.Before(began.Add(-time.Minute)) {
		t.Errorf("at first: %v, %s, behind %t", seen, next, behind)
	}
	ends := func(at time.Time) {
		db.exec(`insert into webhook.outbox (event, data, status, finished_at, http_status, received, attempts, claim_id)
			values ('contact.created', '{}', 'sent', $1, 200, 'yes', 1, gen_random_uuid())`, at)
	}
	// Of an hour ago it reads a span at a time, and leaves none out.
	hour := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range 20 {
		ends(hour.Add(time.Duration(i) * time.Second))
	}
	n, from := 0, hour
	for range 5 {
		seen, next, behind := watch(from)
		if !behind || !next.After(from) || len(seen) > 6 {
			t.Fatalf("from %s to %s, behind %t, %d events", from, next, behind, len(seen))
		}
		n, from = n+len(seen), next
	}
	if n != 20 {
		t.Errorf("of 20 events %d were returned", n)
	}
	// Up to now: what commits now, and ended a moment before what was read last, is read by the next look.
	next := time.Now().Add(-4 * time.Second)
	for behind := true; behind; {
		_, next, behind = watch(next)
	}
	after := query[time.Time](t, db.address, `select clock_timestamp()`)
	if next.After(after.Add(-2 * time.Second)) {
		t.Errorf("the next look begins at %s, although what ended two seconds before this one may not have committed; it is %s", next, after)
	}
	ends(next.Add(time.Millisecond))
	if seen, _, _ := watch(next); len(seen) != 1 {
		t.Errorf("an outcome that has committed late: %d were returned", len(seen))
	}
}

// TestWatch_ReadsOnlyWhatIsNew: with many finished and waiting events a look that finds nothing reads none of them.
func TestWatch_ReadsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, status, http_status, received, attempts, finished_at)
		select 'contact.created', '{}', 'sent', 200, 'yes', 1, now() - n * interval '1 second' from generate_series(100, 20000) n`)
	db.exec(`insert into webhook.outbox (event, data, attempts, due_at, failure, received, claim_id)
		select 'document.exported', json_build_object('id', n), 1, now() - interval '1 minute', 'refused', 'no', gen_random_uuid() from generate_series(1, 5000) n`)
	db.exec(`vacuum analyze webhook.outbox`)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	a := store.NewAdmin(pool, store.Schema{})
	totals := func() (is touched) {
		if err := db.Get(&is, `select seq_scan, coalesce(idx_tup_fetch, 0) + seq_tup_read as rows from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`); err != nil {
			t.Fatal(err)
		}
		return is
	}
	before := totals()
	wanted := store.Watched{Events: []string{"contact.created", "document.exported"}, Statuses: []string{"pending", "sent", "failed", "skipped"}}
	for range 10 {
		if _, _, _, err := a.Watch(t.Context(), wanted, time.Now().Add(-2*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	const marker = 3
	if _, err := pool.Exec(`select data from webhook.outbox where id in (1, 2, 3)`); err != nil {
		t.Fatal(err)
	}
	pool.Close() // a session hands in its statistics at the latest when it ends
	var after touched
	eventually(t, "the statistics have arrived", func() bool { after = totals(); return after.Rows >= before.Rows+marker })
	if after.SeqScans != before.SeqScans || after.Rows > before.Rows+marker {
		t.Errorf("%d sequential scans, %d rows", after.SeqScans-before.SeqScans, after.Rows-before.Rows-marker)
	}
}

// TestWatchAndShow_SayThatTheyCouldNotWrite: a script must not take half an event for all of it, and a watch that
// nothing can read must not ask the database forever.
func TestWatchAndShow_SayThatTheyCouldNotWrite(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("NOT TESTED, this system has no /dev/full")
	}
	defer full.Close()
	db := open(t, newDatabase(t))
	event := db.publish("contact.created", `{}`)
	begin := func(args ...string) *worker {
		w := &worker{cmd: program(t, settings{"DATABASE_URL": db.address}, args...), log: &logBuffer{}, done: make(chan struct{})}
		w.cmd.Stdout, w.cmd.Stderr = full, w.log
		start(t, w)
		return w
	}
	show, watch := begin("show", fmt.Sprint(event)), begin("watch")
	eventually(t, "the watch has begun", func() bool { return watch.said("waiting for deliveries") == 1 })
	db.exec(`select webhook.cancel($1)`, event)
	for _, w := range []*worker{show, watch} {
		if code := w.exit(t); code != 1 || w.said("no space left on device") != 1 {
			t.Errorf("exit status %d: %s", code, w.log)
		}
	}
}
