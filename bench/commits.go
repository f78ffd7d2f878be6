package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// clients is how many connections the application has.
const clients = 8

// slice is how long each variant runs before the next one does: short, since the
// machine's other load varies.
const slice = 2 * time.Second

// variant is an application's transaction: what it does between begin and commit.
type variant struct {
	name       string
	statements []string // $1 is the data
}

// commitsSection is the application's side: what an event costs the transaction
// that writes it. No worker runs: what it costs the machine is another section's.
func commitsSection(ctx context.Context, s *stage, r *report) error {
	if err := s.exec(ctx, `create table contacts (id bigint generated always as identity primary key, data json not null, changed_at timestamptz not null default now())`); err != nil {
		return err
	}
	const domain = `insert into contacts (data) values ($1)`
	all := []variant{
		{"the bare domain transaction: begin, one insert of 1.4 KB, commit", []string{domain}},
		{"… and insert into webhook.outbox, contact.created", []string{domain, `insert into webhook.outbox (event, data) values ('contact.created', $1)`}},
		{"… and webhook.publish, contact.created", []string{domain, `select webhook.publish('contact.created', $1)`}},
		{"… and insert into webhook.outbox, document.exported", []string{domain, `insert into webhook.outbox (event, data) values ('document.exported', $1)`}},
		{"… and webhook.publish, document.exported", []string{domain, `select webhook.publish('document.exported', $1)`}},
		{"… and one more insert of 1.4 KB into a plain table, for comparison", []string{domain, domain}},
		{"… and insert into webhook.outbox, in one round trip (with … insert … returning)", []string{
			`with changed as (` + domain + ` returning data) insert into webhook.outbox (event, data) select 'contact.created', data from changed`}},
	}
	rates, waits := make([][]float64, len(all)), make([]int64, len(all))
	for range s.rounds * max(int(s.steady/slice/2), 1) {
		for i, v := range all {
			if err := s.exec(ctx, `truncate contacts, webhook.outbox`, `checkpoint`); err != nil {
				return err
			}
			rate, waiting, err := s.commitRate(ctx, v, slice)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			rates[i], waits[i] = append(rates[i], rate), max(waits[i], waiting)
		}
	}
	t := table{{fmt.Sprintf("%d clients", clients), "commits/s", "the bare transaction costs 1, this", "wanted", "sessions seen waiting for a lock of another"}}
	base := median(rates[0])
	for i, v := range all {
		wanted := ""
		if i > 0 && i < 5 {
			wanted = "≤ 1.40"
		}
		t = append(t, []string{v.name, number(median(rates[i])), ratio(base, median(rates[i])), wanted, fmt.Sprint(waits[i])})
	}
	r.table(t)
	r.notef("Each statement is prepared and a round trip of its own. A wait for a lock is looked for every 20 ms in pg_stat_activity (wait_event_type Lock); the lock under which a table grows by a page is left out, since every insert takes it for an instant.")
	return nil
}

// commitRate runs the transaction on all clients for a while.
func (s *stage) commitRate(ctx context.Context, v variant, during time.Duration) (perSecond float64, waiting int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	data := `{"id": 7, "contact_id": 7, "status": "Export", "description": "` + fillerText(payloadBytes-60) + `"}`
	var done atomic.Int64
	var all sync.WaitGroup
	until := time.Now().Add(during)
	for range clients {
		all.Go(func() {
			if err := s.commitUntil(ctx, v, data, until, &done); err != nil {
				cancel(err)
			}
		})
	}
	for time.Now().Before(until) && ctx.Err() == nil {
		n, err := s.count(ctx, `
			select count(*) from pg_stat_activity
			 where backend_type = 'client backend' and wait_event_type = 'Lock' and wait_event <> 'extend'`)
		if err != nil {
			cancel(err)
		}
		waiting = max(waiting, n)
		time.Sleep(20 * time.Millisecond)
	}
	all.Wait()
	return float64(done.Load()) / during.Seconds(), waiting, context.Cause(ctx)
}

func (s *stage) commitUntil(ctx context.Context, v variant, data string, until time.Time, done *atomic.Int64) error {
	conn, err := pgx.Connect(ctx, s.dsn())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is open
	for i, statement := range v.statements {
		if _, err := conn.Prepare(ctx, fmt.Sprintf("s%d", i), strings.ReplaceAll(statement, "$1", "$1::json")); err != nil {
			return err
		}
	}
	for time.Now().Before(until) {
		if _, err := conn.Exec(ctx, "begin"); err != nil {
			return err
		}
		for i := range v.statements {
			if _, err := conn.Exec(ctx, fmt.Sprintf("s%d", i), data); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, "commit"); err != nil {
			return err
		}
		done.Add(1)
	}
	return nil
}
