package integration_test

import (
	"testing"
	"time"

	"github.com/recordengine/webhooks/metrics"
	"github.com/recordengine/webhooks/store"
)

// TestPageSettings_PlansReadFewRows: with many finished events, many that wait and many interventions the settings
// pages and the metrics read the few rows that they show, and what is counted up to its limit.
func TestPageSettings_PlansReadFewRows(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	millions(db)
	db.exec(`insert into webhook.outbox (event, data, due_at) select 'folder.created', '{}', now() - interval '1 hour' from generate_series(1, 30000)`)
	db.exec(`insert into webhook.interventions (outbox_id, action, was_status) select n, 'retry', 'failed' from generate_series(1, 100000) n`)
	db.exec(`vacuum analyze webhook.outbox, webhook.interventions`)
	db.Close() // a session hands in its statistics at the latest when it ends
	db = open(t, db.address)
	db.SetMaxOpenConns(1)
	alone := func() bool {
		return db.count(`select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`) == 0
	}
	eventually(t, "the sessions have ended", alone)
	for _, c := range []struct {
		page  string
		reads func(*store.Admin, *store.Store) error
		most  int64
	}{
		{"the facts", func(a *store.Admin, _ *store.Store) error { _, err := a.ChannelFacts(t.Context()); return err }, 0},
		{"the newest changes", func(a *store.Admin, _ *store.Store) error { _, err := a.RecentChanges(t.Context(), 10); return err }, 200},
		{"what waits", func(a *store.Admin, _ *store.Store) error { _, err := a.Waiting(t.Context(), false); return err }, 10100},
		{"the metrics", func(_ *store.Admin, s *store.Store) error {
			state, err := s.State().State(t.Context())
			if w := state.Channels[2].Waiting; w == nil || w.Pending != metrics.MaxCounted || w.Overdue != metrics.MaxCounted {
				t.Errorf("the metrics count %+v of %s", w, state.Channels[2].Name)
			}
			return err
		}, 10300},
		{"what waits for its channel", func(a *store.Admin, _ *store.Store) error { _, err := a.Waiting(t.Context(), true); return err }, 0},
	} {
		pool, err := store.Open(db.address)
		if err != nil {
			t.Fatal(err)
		}
		handedIn := func() (rows int64) {
			if err := db.Get(&rows, `select sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::bigint from pg_stat_user_tables
				where relid in ('webhook.outbox'::regclass, 'webhook.interventions'::regclass)`); err != nil {
				t.Fatal(err)
			}
			return rows
		}
		// Before version 15 a process of its own gathers what sessions hand in, within half a second or so.
		read := func() (rows int64) {
			eventually(t, "the statistics have arrived", func() bool {
				before := rows
				rows = handedIn()
				if shared.version >= 150000 {
					return true
				}
				time.Sleep(1500 * time.Millisecond)
				return rows == before
			})
			return rows
		}
		a := store.NewAdmin(pool, store.Schema{})
		before, began := read(), time.Now()
		if err := c.reads(a, store.New(pool, time.Minute)); err != nil {
			t.Fatalf("%s: %v", c.page, err)
		}
		t.Logf("%s: %s", c.page, time.Since(began).Round(time.Millisecond))
		pool.Close()
		eventually(t, "the session has ended", alone)
		after := read()
		if after-before > c.most {
			t.Errorf("%s: %d rows were read, at most %d were expected", c.page, after-before, c.most)
		}
	}
}
