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

// TestMemory_SevenChannelsOfLargeEvents: 60 events of a megabyte on each channel, each answered after a
// second. Measured from outside, at its peak.
func TestMemory_SevenChannelsOfLargeEvents(t *testing.T) {
	t.Parallel()
	const megabytes = 256
	url := slowReceiver(t, time.Second)
	db := ready(t, url)
	db.exec(`insert into webhook.outbox (event, data)
		select c.event, ('{"id": ' || i || ', "status": "Export", "summary": "' || repeat('x', 500000) || '", "ai_summary": "' || repeat('y', 500000) || '"}')::json
		  from webhook.channels c, generate_series(1, 60) i`)
	w := startWorker(t, longAttempts(db.address))
	finished(t, db)
	allSent(t, db, 420)
	used := peak(t, w)
	t.Logf("the worker's largest size was %.0f MB", float64(used)/1e6)
	if used > megabytes*1_000_000 {
		t.Errorf("the worker used %.0f MB, at most %d were promised", float64(used)/1e6, megabytes)
	}
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
