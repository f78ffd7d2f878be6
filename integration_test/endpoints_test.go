package integration_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// endpoint is what webhook.endpoints has of a channel.
func (db *database) endpoint(channel, columns string) string {
	db.t.Helper()
	return db.ask(`select concat_ws(' | ', `+columns+`) from webhook.endpoints where channel = $1`, channel)
}

// accepting counts the connections that a listener accepts, and answers none of them.
func accepting(t *testing.T) (address string, accepted *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted = &atomic.Int32{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return l.Addr().String(), accepted
}

func TestLooks_AWorkerSaysWhatItFindsWithoutARequest(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	t.Cleanup(secure.Close)
	hangs, accepted := accepting(t)
	db := open(t, newDatabase(t))
	db.exec(`update webhook.channels set url = $1 where name = 'contacts'`, rcv.URL) // off until it is turned on
	db.exec(`update webhook.channels set url = $1, enabled = true where name = 'cases'`, secure.URL)
	db.exec(`update webhook.channels set url = $1, enabled = true where name = 'rules'`, "https://"+hangs)
	db.exec(`update webhook.channels set url = 'https://not a url/' where name = 'folders'`)
	w := startWorker(t, quick(db.address))
	seen := `looked_at > now() - interval '1 minute', looked_by, look_failure, look_problem, address, tls_version, certificate_subject, certificate_ends`
	looked := func(channel string) func() bool {
		return func() bool { return db.endpoint(channel, `looked_at`) != "" }
	}
	eventually(t, "the one that is off was looked at", looked("contacts"))
	if got := db.endpoint("contacts", seen); !strings.HasSuffix(got, fmt.Sprintf(":%d | %s", w.cmd.Process.Pid, rcv.Listener.Addr())) || !strings.HasPrefix(got, "t | ") {
		t.Errorf("of contacts is known %q", got)
	}
	eventually(t, "the one with TLS", looked("cases"))
	with(t, "cases", db.endpoint("cases", `look_failure, look_problem, address, certificate_subject, certificate_issuer, certificate_ends at time zone 'UTC'`), "tls | tls: the certificate of ", "signed by an authority that is not trusted here",
		" | "+secure.Listener.Addr().String()+" | ", "Acme Co", secure.Certificate().NotAfter.UTC().Format("2006-01-02 15:04:05"))
	eventually(t, "the one that hangs", looked("rules"))
	with(t, "rules", db.endpoint("rules", `look_failure, look_problem, address`), "timeout | timed out: 2s ran out while in the TLS handshake", hangs)
	if got := db.endpoint("folders", `looked_at, looking_until`); got != "" {
		t.Errorf("one that cannot be called: %s", got)
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("the one that hangs was looked at %d times", n)
	}
	if got := rcv.all(); len(got) != 0 {
		t.Errorf("%d requests were sent", len(got))
	}

	// Another URL is another endpoint.
	db.exec(`update webhook.channels set url = $1 || '/other' where name = 'contacts'`, rcv.URL)
	if got := db.endpoint("contacts", `looked_at, looked_by, address, failing_since`); got != "" {
		t.Errorf("of another URL is known %q", got)
	}
	eventually(t, "it is looked at within a cycle", looked("contacts"))
}

func TestLooks_BeginWhenTheyAreDueAndOnOneWorker(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.channels set url = null where name not in ('cases', 'rules')`)
	a, b := newAttempter(t, db, time.Minute), newAttempter(t, db, time.Minute)
	due := func(a *attempter, lease time.Duration) (names []string) {
		t.Helper()
		looks, err := a.store.BeginLooks(t.Context(), lease)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range looks {
			names = append(names, l.Channel)
			if l.URL != "https://re.example/"+l.Channel {
				t.Errorf("the URL is %s", l.URL)
			}
		}
		return names
	}
	for _, held := range []string{`update webhook.settings set offline_mode = true`, `update webhook.settings set offline_mode = false, environment = 'elsewhere'`} {
		db.exec(held)
		if got := due(a, time.Minute); len(got) > 0 {
			t.Errorf("after %s: %v", held, got)
		}
	}
	db.exec(`update webhook.settings set environment = null`)
	if got := due(a, time.Minute); len(got) != 2 {
		t.Errorf("due are %v", got)
	}
	if got := due(b, time.Minute); len(got) != 0 {
		t.Errorf("another worker gets %v", got)
	}
	db.exec(`update webhook.endpoints set looking_until = now() - interval '1 second'`)
	if got := due(b, time.Minute); len(got) != 2 {
		t.Errorf("after the lease: %v", got)
	}
	for _, c := range []struct {
		looked, failure, until string
		want                   int
	}{
		{looked: "23 hours", want: 0},
		{looked: "25 hours", want: 2},
		{looked: "50 minutes", failure: "dns", want: 0},
		{looked: "70 minutes", failure: "dns", want: 2},
		{looked: "-1 hour", want: 2}, // by a clock that was set back
		{looked: "1 minute", until: "10 hours", want: 0},
		{until: "30 seconds", want: 0},
		{until: "10 hours", want: 2}, // likewise
	} {
		db.exec(`update webhook.endpoints
			set looked_at = now() - nullif($1, '')::interval, looked_by = case when $1 <> '' then 'host:7' end,
			    look_failure = nullif($2, ''), look_problem = nullif($2, ''), looking_until = now() + nullif($3, '')::interval`, c.looked, c.failure, c.until)
		if got := due(a, time.Minute); len(got) != c.want {
			t.Errorf("%+v: due are %v", c, got)
		}
	}
}

// A transaction that has locked the row for longer than lock_timeout costs the look nothing.
func TestLooks_AreRecordedWhenALockIsReleased(t *testing.T) {
	t.Parallel()
	hangs, accepted := accepting(t)
	db := open(t, newDatabase(t))
	db.exec(`update webhook.channels set url = $1 where name = 'contacts'`, "https://"+hangs)
	w := startWorker(t, quick(db.address))
	eventually(t, "it looks", func() bool { return accepted.Load() == 1 })
	release := db.locked(`select from webhook.endpoints where channel = 'contacts' for update`)
	eventually(t, "it cannot record what it saw", func() bool { return w.said("record a look at an endpoint") > 0 })
	release()
	eventually(t, "it has recorded it", func() bool { return db.endpoint("contacts", `looked_at`) != "" })
	if n := accepted.Load(); n != 1 {
		t.Errorf("it looked %d times", n)
	}
}

func TestLooks_AreNotRecordedForAnotherURL(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Minute)
	looks, err := a.store.BeginLooks(t.Context(), time.Minute)
	if err != nil || len(looks) != 7 {
		t.Fatalf("%v, %v", looks, err)
	}
	db.exec(`update webhook.channels set url = 'https://new.example' where name = 'cases'`)
	db.exec(`update webhook.channels set url = 'https://re.example/cases' where name = 'cases'`) // and back
	for _, l := range looks {
		if err := a.store.EndLook(t.Context(), l, store.Look{Address: "192.0.2.1:443", Ends: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if got := db.ask(`select string_agg(channel, ' ') from webhook.endpoints where looked_at is null and address is null and looking_until is null`); got != "cases" {
		t.Errorf("not recorded is %q", got)
	}
}

func TestEndpoints_FailSinceTheFirstFailureAfterTheNewestSuccess(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	a := newAttempter(t, db, time.Hour)
	note := func() (documents, contacts string) {
		t.Helper()
		if err := a.store.NoteEndpoints(t.Context()); err != nil {
			t.Fatal(err)
		}
		return db.endpoint("documents", `failing_since`), db.endpoint("contacts", `failing_since`)
	}
	ok := outbox.Result{Received: outbox.ReceivedYes, Status: 200}
	both := func() (int64, int64) {
		return db.document(fmt.Sprint(db.count(`select count(*) from webhook.outbox`))), db.publish("contact.created", `{}`)
	}

	both()
	if d, c := note(); d+c != "" {
		t.Errorf("nothing was attempted: %s, %s", d, c)
	}
	a.attempt(ok)
	if d, c := note(); d+c != "" {
		t.Errorf("all was sent: %s, %s", d, c)
	}
	document, contact := both()
	a.attempt(rejectedWith(503))
	firstDocument := db.ask(`select first_at from webhook.attempts where outbox_id = $1`, document)
	firstContact := db.ask(`select finished_at from webhook.outbox where id = $1`, contact)
	same := func(what string) {
		t.Helper()
		d, c := note()
		if db.count(`select count(*) from webhook.endpoints
			 where (channel = 'documents' and failing_since = $1::timestamptz) or (channel = 'contacts' and failing_since = $2::timestamptz)`, firstDocument, firstContact) != 2 {
			t.Errorf("%s: failing since %q and %q, expected %s and %s", what, d, c, firstDocument, firstContact)
		}
	}
	same("the first failure")
	both()
	a.attempt(rejectedWith(500))
	same("later failures")
	if got := db.ask(`select string_agg(channel, ' ' order by channel) from webhook.status where failing_since is not null`); got != "contacts documents" {
		t.Errorf("webhook.status says that %q fail", got)
	}
	db.exec(`select webhook.retry($1)`, contact)
	db.exec(`update webhook.outbox set status = 'cancelled', finished_at = now() where status = 'pending' and event = 'contact.created'`)
	same("a person has sent it again") // the failed row is gone
	db.exec(`select webhook.mark_delivered($1, 'seen')`, db.inState("failed", "contact.created", `{}`))
	same("what is marked as delivered was not answered")

	both()
	a.attempt(ok)
	if d, c := note(); d+c != "" {
		t.Errorf("a success is newer: %s, %s", d, c)
	}
	for _, own := range []outbox.Failure{outbox.FailureConfig, outbox.FailureRender, outbox.FailureInterrupted} {
		both()
		a.attempt(outbox.Result{Failure: own, Received: outbox.ReceivedNo, Error: "x"})
		if d, c := note(); d+c != "" {
			t.Errorf("%s is no failure of the endpoint: %s, %s", own, d, c)
		}
	}
	both()
	a.attempt(outbox.Result{Failure: outbox.FailureDNS, Received: outbox.ReceivedNo, Error: "dns"})
	if d, c := note(); d == "" || c == "" {
		t.Errorf("no failing_since: %s, %s", d, c)
	}
	db.exec(`update webhook.channels set url = url || '/new'`)
	if d, c := note(); d+c != "" {
		t.Errorf("of another URL: %s, %s", d, c)
	}
}
