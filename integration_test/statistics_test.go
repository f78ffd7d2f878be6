package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// everyLane may claim all that fits.
func everyLane() (lanes []outbox.Capacity) {
	for _, c := range outbox.Channels() {
		lanes = append(lanes, outbox.Capacity{Channel: c.Name})
	}
	return lanes
}

// claimAndRecord runs each statement of a worker so many times, and returns how many events were claimed.
// As a dispatcher does, it goes on behind the fresh events that it has claimed: whether the server has
// removed the entries of those before depends on every other session.
func claimAndRecord(t *testing.T, s *store.Store, times int) (claimed int) {
	t.Helper()
	lanes := everyLane()
	for n := range times {
		id := uuid.NewString()
		events, err := s.Claim(t.Context(), id, lanes)
		if err != nil {
			t.Fatal(err)
		}
		claimed += len(events)
		var outcomes []outbox.Outcome
		for _, ev := range events {
			for i, l := range lanes {
				if l.Channel == ev.Channel && ev.Attempts == 1 && ev.ID > l.Fresh.ID {
					lanes[i].Fresh = outbox.Cursor{DueAt: ev.DueAt, ID: ev.ID} // all of them were written at one instant
				}
			}
			o := outbox.Outcome{EventID: ev.ID, ClaimID: id, Verdict: outbox.Sent, Result: outbox.Result{Received: outbox.ReceivedYes, Status: 200}}
			if ev.AtLeastOnce {
				o.Verdict, o.Result = outbox.Retry, outbox.Result{Failure: outbox.FailureServerError, Received: outbox.ReceivedNo, Status: 503, Error: "HTTP 503"}
			}
			outcomes = append(outcomes, o)
		}
		if _, err := s.Record(t.Context(), outcomes); err != nil {
			t.Fatal(err)
		}
		if n%10 == 0 {
			background(t, s)
		}
	}
	return claimed
}

func background(t *testing.T, s *store.Store) {
	t.Helper()
	for doing, do := range map[string]func(context.Context) error{
		"expire":  func(ctx context.Context) error { _, err := s.ExpireLeases(ctx, []string{uuid.NewString()}); return err },
		"skip":    func(ctx context.Context) error { _, err := s.Skip(ctx); return err },
		"claimed": func(ctx context.Context) error { _, _, err := s.LookUpClaim(ctx, uuid.NewString()); return err },
		"release": func(ctx context.Context) error {
			_, err := s.ReleaseClaims(ctx, []string{uuid.NewString()})
			return err
		},
	} {
		if err := do(t.Context()); err != nil {
			t.Fatalf("%s: %v", doing, err)
		}
	}
}

// Statistics that lag behind a burst: the table was analyzed when it was empty, or had five rows, or a
// million. The worker's statements may be planned before the burst or after it.
func TestPlans_DoNotDependOnStatistics(t *testing.T) {
	t.Parallel()
	for name, statistics := range map[string]string{
		"never analyzed":     ``,
		"empty":              `analyze webhook.outbox, webhook.attempts`,
		"five rows":          `insert into webhook.outbox (event, data) select event, example from webhook.channels limit 5; analyze webhook.outbox, webhook.attempts`,
		"a million rows":     `update pg_class set reltuples = 1e6, relpages = 50000 where relnamespace = 'webhook'::regnamespace and relname in ('outbox', 'attempts')`,
		"one row, all pages": `update pg_class set reltuples = 1, relpages = 5000 where relnamespace = 'webhook'::regnamespace and relname in ('outbox', 'attempts')`,
	} {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, planned early %t", name, early), func(t *testing.T) {
				t.Parallel()
				db := ready(t, "https://receiver.example")
				db.exec(`alter table webhook.outbox set (autovacuum_enabled = off); alter table webhook.attempts set (autovacuum_enabled = off)`)
				if statistics != "" {
					db.exec(statistics)
				}
				pool, err := store.Open(db.address)
				if err != nil {
					t.Fatal(err)
				}
				s := store.New(pool, time.Minute)
				if early {
					claimAndRecord(t, s, 7) // from the sixth time on a plan could be generic by itself
				}
				db.exec(`insert into webhook.outbox (event, data)
				         select case when n % 2 = 0 then 'contact.created' else 'document.exported' end, json_build_object('id', n, 'status', 'Export')
				           from generate_series(1, 20000) n`)
				claimed := claimAndRecord(t, s, 30)
				s.Close()
				pool.Close() // a session hands in its statistics at the latest when it ends
				if claimed < 5000 {
					t.Fatalf("%d events were claimed", claimed)
				}
				eventually(t, "the statistics have arrived", func() bool {
					return db.count(`select n_tup_upd from pg_stat_user_tables where relid = 'webhook.outbox'::regclass`) >= 2*claimed
				})
				var walked []string
				if err := db.Select(&walked, fmt.Sprintf(`
					select format('%%s: %%s entries', indexrelname, idx_tup_read) from pg_stat_user_indexes
					 where schemaname = 'webhook' and relname in ('outbox', 'attempts') and idx_tup_read > 8 * %d
					 union all
					select format('%%s: %%s sequential scans', relname, seq_scan) from pg_stat_user_tables
					 where schemaname = 'webhook' and relname in ('outbox', 'attempts') and seq_tup_read > 0`, claimed)); err != nil {
					t.Fatal(err)
				}
				if len(walked) > 0 {
					t.Errorf("for %d events the worker's statements read %s", claimed, strings.Join(walked, ", "))
				}
			})
		}
	}
}
