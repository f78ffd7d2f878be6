package main

import (
	"context"
	"fmt"
	"time"

	"github.com/recordengine/webhooks/store"
)

// kind is a channel with its event.
type kind struct{ channel, event string }

// drainedKinds are the two guarantees.
var drainedKinds = []kind{{"audit_log", "audit.log"}, {"documents", "document.exported"}}

// growth drains the same backlog from tables that hold much else. Every table
// is a database of its own, and all take turns.
func growth(ctx context.Context, s *stage, r *report) error {
	if err := s.finishedRows(ctx, r); err != nil {
		return err
	}
	if err := s.heldBack(ctx, r); err != nil {
		return err
	}
	if err := s.staleStatistics(ctx, r); err != nil {
		return err
	}
	return s.pruning(ctx, r)
}

// finishedRows compares tables of many finished rows with an empty one.
func (s *stage) finishedRows(ctx context.Context, r *report) error {
	var all []drainer
	for _, n := range s.finished {
		other, err := s.beside(ctx, fmt.Sprintf("finished_%d", n))
		if err != nil {
			return err
		}
		if err := other.finish(ctx, n, 0); err != nil {
			return err
		}
		for _, k := range drainedKinds {
			all = append(all, other.further(fmt.Sprintf("%s, %s finished rows", k.channel, number(n)), k))
		}
	}
	return s.compareTo(ctx, r, "a table with", all, 2, "≥ 0.90")
}

// heldBack drains while a transaction elsewhere holds xmin back, so that nothing
// that a claim has left behind can be cleared away.
func (s *stage) heldBack(ctx context.Context, r *report) error {
	var all []drainer
	for _, k := range drainedKinds {
		all = append(all, s.ours(k.channel+", nothing held back", k.channel, k.event, payloadBytes))
	}
	for _, k := range drainedKinds {
		d := s.ours(k.channel+", xmin held back by an open repeatable-read transaction", k.channel, k.event, payloadBytes)
		d.during = holdBack
		all = append(all, d)
	}
	return s.compareTo(ctx, r, "a drain with", all, 2, "≥ 0.85")
}

func holdBack(ctx context.Context, s *stage, end <-chan struct{}) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `begin isolation level repeatable read`); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `select from webhook.outbox limit 1`); err != nil {
		return err
	}
	<-end
	_, err = conn.ExecContext(context.WithoutCancel(ctx), `rollback`)
	return err
}

// staleStatistics drains a burst that statistics do not know yet: the last ANALYZE saw an empty table, as
// in a new installation, and autovacuum comes a minute later.
func (s *stage) staleStatistics(ctx context.Context, r *report) error {
	other, err := s.beside(ctx, "stale")
	if err != nil {
		return err
	}
	if err := other.exec(ctx, `alter table webhook.outbox set (autovacuum_enabled = off)`); err != nil {
		return err
	}
	var all []drainer
	for _, k := range drainedKinds {
		all = append(all, s.ours(k.channel+", analyzed", k.channel, k.event, payloadBytes))
	}
	for _, k := range drainedKinds {
		d := other.ours(k.channel+", last analyzed when the table was empty", k.channel, k.event, payloadBytes)
		d.fill = func(ctx context.Context, n int) error {
			if err := other.exec(ctx, `truncate webhook.outbox, webhook.attempts`, `analyze webhook.outbox, webhook.attempts`,
				fmt.Sprintf(`update webhook.channels set max_in_flight = %d`, s.slots)); err != nil {
				return err
			}
			if err := other.channel(ctx, k.channel, hook); err != nil {
				return err
			}
			if err := other.fill(ctx, k.event, n, payloadBytes); err != nil {
				return err
			}
			return other.exec(ctx, `checkpoint`)
		}
		all = append(all, d)
	}
	return s.compareTo(ctx, r, "a drain of a table", all, 2, "≥ 0.90")
}

// pruning drains while finished rows are deleted, batch after batch, as in the
// nightly clean-up.
func (s *stage) pruning(ctx context.Context, r *report) error {
	other, err := s.beside(ctx, "pruned")
	if err != nil {
		return err
	}
	db, err := store.Open(other.dsn())
	if err != nil {
		return err
	}
	defer db.Close()
	worker := store.New(db, time.Minute)
	defer worker.Close()
	old := s.blocked
	if err := other.finish(ctx, old, 40); err != nil {
		return err
	}
	var pruned, seconds float64
	var all []drainer
	for _, k := range drainedKinds {
		all = append(all, other.further(k.channel+", no clean-up", k))
	}
	for _, k := range drainedKinds {
		d := other.further(k.channel+", webhook.prune(…, 2000) as the worker does, a fifth of the time", k)
		fill := d.fill
		d.fill = func(ctx context.Context, n int) error {
			left, err := other.count(ctx, `select count(*) from webhook.outbox where finished_at < now() - interval '30 days'`)
			if err != nil {
				return err
			}
			if err := other.finish(ctx, old-int(left), 40); err != nil {
				return err
			}
			return fill(ctx, n)
		}
		d.during = func(ctx context.Context, _ *stage, end <-chan struct{}) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() { <-end; cancel() }()
			began := time.Now()
			n, err := worker.Prune(ctx, 30*24*time.Hour)
			pruned, seconds = pruned+float64(n), seconds+time.Since(began).Seconds()
			if ctx.Err() != nil {
				return nil // the drain is over
			}
			return err
		}
		all = append(all, d)
	}
	if err := s.compareTo(ctx, r, "a drain with", all, 2, "≥ 0.85"); err != nil {
		return err
	}
	r.notef("Of %s old rows, %s a second were deleted meanwhile.", number(old), number(pruned/seconds))
	return nil
}

// compareTo drains by all in turn; each is printed beside the one of its kind
// among the first `kinds`.
func (s *stage) compareTo(ctx context.Context, r *report, heading string, all []drainer, kinds int, wanted string) error {
	results, err := s.compare(ctx, all, s.events)
	if err != nil {
		return err
	}
	t := table{{heading, "events/s", "beside the first of its kind", "wanted", "CPU per 1,000 events: worker", "PostgreSQL", "all, beside the first of its kind"}}
	for i, d := range all {
		m, first, want := medians(results[i]), medians(results[i%kinds]), wanted
		if i < kinds {
			want = ""
		}
		t = append(t, []string{d.name, number(m.perSecond), ratio(m.perSecond, first.perSecond), want,
			perThousand(m.worker, m.events), perThousand(m.postgres, m.events), ratio(m.all(), first.all())})
	}
	r.table(t)
	return nil
}

// finish adds rows that were finished some days ago, half documents, half of the
// audit log. They are small: what is to be shown is their number.
func (s *stage) finish(ctx context.Context, n, daysAgo int) error {
	const batch = 500_000
	for begin := 0; begin < n; begin += batch {
		err := s.exec(ctx, fmt.Sprintf(`
			insert into webhook.outbox (event, data, occurred_at, due_at, status, attempts, claim_id, claimed_by, claimed_at, finished_at, synced_at, http_status, received)
			select case when n %% 2 = 0 then 'document.exported' else 'audit.log' end,
			       json_build_object('id', 'old-' || n, 'status', 'Export', 'details', 'finished long ago'),
			       at, at, 'sent', 1, gen_random_uuid(), 'bench:1', at, at, case when n %% 2 = 0 then at end, 200, 'yes'
			  from generate_series(%d, %d) n, lateral (select now() - interval '%d days' - (n %% 86400) * interval '1 second' as at) t`,
			begin+1, min(begin+batch, n), daysAgo))
		if err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// further drains a backlog that stands behind what the table holds, and takes
// it away again before the next.
func (s *stage) further(name string, k kind) drainer {
	d := s.ours(name, k.channel, k.event, payloadBytes)
	base := int64(-1)
	d.fill = func(ctx context.Context, n int) (err error) {
		if base < 0 {
			if base, err = s.count(ctx, `select coalesce(max(id), 0) from webhook.outbox`); err != nil {
				return err
			}
		}
		_, err = s.db.ExecContext(ctx, `delete from webhook.outbox where id > $1 and claimed_by <> 'bench:1'`, base)
		if err != nil {
			return err
		}
		if err := s.exec(ctx, `truncate webhook.attempts`); err != nil {
			return err
		}
		if err := s.channel(ctx, k.channel, hook); err != nil {
			return err
		}
		if err := s.fill(ctx, k.event, n, payloadBytes); err != nil {
			return err
		}
		return s.settle(ctx)
	}
	return d
}
