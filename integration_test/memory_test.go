package integration_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// slowReceiver answers 200 after a while and keeps nothing of what it receives.
func slowReceiver(t *testing.T, after time.Duration) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(after)
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// publishMegabytes writes events of a megabyte on the channels like a name. All of it is sent. PostgreSQL
// does not compress them, which would take it 30 ms each.
func (db *database) publishMegabytes(channels string, each int) {
	db.t.Helper()
	db.exec(`alter table webhook.outbox alter data set storage external`)
	db.exec(`with text as (select string_agg(md5(i::text), '') as long from generate_series(1, 31250) i)
		insert into webhook.outbox (event, data)
		select c.event, ('{"id": ' || i || ', "status": "Export", "' || f.field || '": "' || text.long || '"}')::json
		  from text, generate_series(1, $2) i, webhook.channels c
		  join (values ('documents', 'ai_summary'), ('contacts', 'description'), ('folders', 'description'), ('cases', 'description'),
		               ('notifications', 'message'), ('rules', 'error_message'), ('audit_log', 'details')) as f (channel, field) on f.channel = c.name
		 where c.name like $1`, channels, each)
}

// TestMemory_SevenChannelsOfLargeEvents: 60 events of a megabyte on each channel, each answered after a
// second. Measured from outside, at its peak.
func TestMemory_SevenChannelsOfLargeEvents(t *testing.T) {
	t.Parallel()
	const megabytes = 256
	url := slowReceiver(t, time.Second)
	db := ready(t, url)
	db.publishMegabytes("%", 60)
	w := startWorker(t, longAttempts(db.address))
	finished(t, db)
	allSent(t, db, 420)
	used := peak(t, w)
	t.Logf("the worker's largest size was %.0f MB", float64(used)/1e6)
	if used > megabytes*1_000_000 {
		t.Errorf("the worker used %.0f MB, at most %d were promised", float64(used)/1e6, megabytes)
	}
}

// TestMemory_HangingReceiverLeavesTheOthersTheirShare: events of a megabyte wait for the receiver of one
// channel. Those of another one are delivered beside them.
func TestMemory_HangingReceiverLeavesTheOthersTheirShare(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	rcv := newReceiver(t, func(r receipt) int {
		if r.path == "/documents" {
			<-g.open
		}
		return http.StatusOK
	})
	db := ready(t, rcv.URL)
	db.publishMegabytes("documents", 50)
	startWorker(t, longAttempts(db.address))
	eventually(t, "the budget is used", func() bool { return len(rcv.all()) >= 20 })
	db.publishMegabytes("contacts", 40)
	eventually(t, "the contacts are sent", func() bool {
		return db.count(`select count(*) from webhook.outbox where event = 'contact.created' and status = 'sent'`) == 40
	})
	if n := db.count(`select count(*) from webhook.outbox where event = 'document.exported' and attempts = 0`); n == 0 {
		t.Error("every document was claimed: the budget was not used")
	}
	g.release()
	finished(t, db)
}

// TestMemory_LargerEventPassesAlone: an event that is larger than the whole budget is delivered.
func TestMemory_LargerEventPassesAlone(t *testing.T) {
	t.Parallel()
	db := ready(t, slowReceiver(t, 0))
	db.exec(`insert into webhook.outbox (event, data)
		select 'document.exported', ('{"id": ' || i || ', "status": "Export", "ai_summary": "' || repeat('x', 20000000) || '"}')::json
		  from generate_series(1, 3) i`)
	env := longAttempts(db.address)
	env["GOMEMLIMIT"] = "32MiB"
	startWorker(t, env)
	finished(t, db)
	allSent(t, db, 3)
}

func allSent(t *testing.T, db *database, all int) {
	t.Helper()
	if n := db.count(`select count(*) from webhook.outbox where status = 'sent'`); n != all {
		t.Errorf("%d of %d were sent; %d failed, such as %q", n, all, db.count(`select count(*) from webhook.outbox where status = 'failed'`),
			query[string](t, db.address, `select coalesce(max(error), '') from webhook.outbox where status <> 'sent'`))
	}
}
