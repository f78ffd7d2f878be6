package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/metrics"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// stateOf is the state of one channel in words.
func stateOf(state metrics.State, channel string) string {
	for _, c := range state.Channels {
		if c.Name != channel {
			continue
		}
		text := fmt.Sprintf("on=%v bad=%v", c.Enabled, c.Misconfigured)
		if w := c.Waiting; w != nil {
			text += fmt.Sprintf(" pending=%d overdue=%d oldest=%s", w.Pending, w.Overdue, w.Oldest.Truncate(time.Hour))
		}
		if c.FailingSince != nil {
			text += " failing=" + c.FailingSince.UTC().Format(time.TimeOnly)
		}
		if c.CertificateEnds != nil {
			text += " certificate=" + c.CertificateEnds.UTC().Format(time.DateOnly)
		}
		return text
	}
	return "no such channel"
}

// TestMetricsState_IsThatOfTheDatabase: each value, as the role of a worker reads it. An event is overdue
// only where its channel may deliver.
func TestMetricsState_IsThatOfTheDatabase(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, occurred_at, due_at) values
		('contact.created', '{}', now() - interval '3 hours', now() - interval '11 seconds'),
		('contact.created', '{}', '-infinity',               now() - interval '2 hours'),
		('contact.created', '{}', now(),                     now() + interval '1 hour'),
		('contact.created', '{}', now() - interval '5 hours', now() - interval '2 seconds')`)
	db.inState("sent", "contact.created", `{}`)
	db.exec(`insert into webhook.outbox (event, data) values ('folder.created', '{}')`)
	db.exec(`update webhook.outbox set status = 'sending', ` + held + ` where event = 'folder.created'`)
	db.exec(`update webhook.endpoints set failing_since = '2026-03-22 08:30:00Z', failed_at = '2026-03-22 09:00:00Z', certificate_ends = '2026-12-24 00:00Z' where channel = 'contacts'`)
	reader := workersStore(t, loginRole(t, db, "webhook_worker").address).State()
	for _, c := range []struct {
		name, setting, want string
	}{
		{"all is well", ``, "on=true bad=false pending=4 overdue=2 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"off", `update webhook.channels set enabled = false where name = 'contacts'`, "on=false bad=false pending=4 overdue=0 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"a test event while it is off", `insert into webhook.outbox (event, data, is_test, due_at) values ('contact.created', '{}', true, now() - interval '1 minute')`,
			"on=false bad=false pending=5 overdue=1 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"Offline Mode", `update webhook.channels set enabled = true; update webhook.settings set offline_mode = true`, "on=true bad=false pending=5 overdue=0 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"a token is missing", `update webhook.settings set offline_mode = false, bearer_token = null`, "on=true bad=true pending=5 overdue=0 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"paused", `update webhook.settings set auth = 'none'; update webhook.pacing set paused_until = now() + interval '1 hour'`, "on=true bad=false pending=5 overdue=0 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"the pause is over", `update webhook.pacing set paused_until = now() - interval '1 hour'`, "on=true bad=false pending=5 overdue=3 oldest=0s failing=08:30:00 certificate=2026-12-24"},
		{"the oldest of those due first", `delete from webhook.outbox where occurred_at = '-infinity' or is_test`, "on=true bad=false pending=3 overdue=1 oldest=3h0m0s failing=08:30:00 certificate=2026-12-24"},
		{"another URL", `update webhook.channels set url = 'https://other.example' where name = 'contacts'`, "on=true bad=false pending=3 overdue=1 oldest=3h0m0s"},
		{"a retry", `update webhook.outbox set attempts = 1 where occurred_at < now() - interval '4 hours'`, "on=true bad=false pending=3 overdue=1 oldest=5h0m0s"},
	} {
		if c.setting != "" {
			db.exec(c.setting)
		}
		state, err := reader.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := stateOf(state, "contacts"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := stateOf(state, "folders"); !strings.Contains(got, "pending=0 overdue=0 oldest=0s") {
			t.Errorf("%s: what is leased counts: %s", c.name, got)
		}
		if offline := strings.Contains(c.name, "Offline"); state.OfflineMode != offline {
			t.Errorf("%s: Offline Mode is %v", c.name, state.OfflineMode)
		}
		if len(state.Channels) != len(outbox.Channels()) {
			t.Errorf("%s: %d channels", c.name, len(state.Channels))
		}
	}
}

// TestMetricsState_WithoutWhatTakesTooLongToCount: the rest is read all the same, the count is not tried
// again at once, and one from just before is kept.
func TestMetricsState_WithoutWhatTakesTooLongToCount(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	before, first := workersStore(t, db.address).State(), workersStore(t, db.address).State()
	counted := func(reader *store.StateReader) bool {
		state, err := reader.State(t.Context())
		if err != nil || len(state.Channels) != len(outbox.Channels()) || !state.Channels[0].Enabled {
			t.Fatalf("%v: %+v", err, state)
		}
		return state.Channels[0].Waiting != nil
	}
	if !counted(before) {
		t.Error("nothing is counted")
	}
	tx := db.MustBegin()
	defer tx.Rollback()
	if _, err := tx.Exec(`lock table webhook.outbox in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	if counted(first) {
		t.Error("what is locked is counted")
	}
	if !counted(before) {
		t.Error("what was counted just before is forgotten")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if counted(first) {
		t.Error("it is tried again at once")
	}
}

// TestMetricsState_TheOldestTransactionIsThatOfAnyRole: also of one whose beginning the worker's role may
// not see, counted from the first read that has seen it.
func TestMetricsState_TheOldestTransactionIsThatOfAnyRole(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	worker := loginRole(t, db, "webhook_worker")
	asWorker, asOwner := workersStore(t, worker.address).State(), workersStore(t, db.address).State()
	oldest := func(r *store.StateReader) time.Duration {
		state, err := r.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state.OldestTransaction
	}
	if got := max(oldest(asWorker), oldest(asOwner)); got > time.Second {
		t.Errorf("none is open: %s", got)
	}
	tx := db.MustBegin()
	defer tx.Rollback()
	if _, err := tx.Exec(`select count(*) from webhook.channels`); err != nil {
		t.Fatal(err)
	}
	oldest(asWorker)
	time.Sleep(1100 * time.Millisecond)
	for name, r := range map[string]*store.StateReader{"the worker": asWorker, "the owner": asOwner} {
		if got := oldest(r); got < time.Second || got > time.Minute {
			t.Errorf("as %s: %s", name, got)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := max(oldest(asWorker), oldest(asOwner)); got > time.Second {
		t.Errorf("it has ended: %s", got)
	}
}

// TestMetrics_TheClassesOfFailuresAreThoseOfTheSchema: else a class would not be counted.
func TestMetrics_TheClassesOfFailuresAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	check := db.ask(`select substring(prosrc from 'failure operator\(pg_catalog.<>\) all \(array\[(.*?)\]\)') from pg_proc where proname = 'state_is_possible'`)
	for _, f := range outbox.Failures() {
		if !strings.Contains(check, "'"+string(f)+"'") {
			t.Errorf("the schema does not know %s", f)
		}
	}
	if n := strings.Count(check, "'") / 2; n != len(outbox.Failures()) {
		t.Errorf("the schema knows %d classes, outbox.Failures %d: %s", n, len(outbox.Failures()), check)
	}
}

// TestClaim_SaysForHowLongAnEventWasDue: by the database's clock, in the claim and in its look-up, and also
// where that is forever.
func TestClaim_SaysForHowLongAnEventWasDue(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`insert into webhook.outbox (event, data, due_at) values
		('contact.created', '{}', '-infinity'), ('folder.created', '{}', now() - interval '1 hour'), ('case.created', '{}', now())`)
	s := workersStore(t, db.address)
	id := uuid.NewString()
	claimed, err := s.Claim(t.Context(), id, everyLane())
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := s.LookUpClaim(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for how, events := range map[string][]outbox.Event{"claim": claimed, "look-up": found} {
		due := map[string]time.Duration{}
		for _, ev := range events {
			due[ev.Channel] = ev.DueFor
		}
		if due["contacts"] < 99*365*24*time.Hour || due["folders"].Truncate(10*time.Minute) != time.Hour || due["cases"] < 0 || due["cases"] > 10*time.Minute || len(due) != 3 {
			t.Errorf("%s: due for %v", how, due)
		}
	}
}
