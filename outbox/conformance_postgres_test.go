package outbox_test

import (
	"context"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// TestModel_Conforms plays on the model and on the PostgreSQL at WEBHOOK_TEST_MODEL, a database that
// has the schema and that is changed; integration_test makes one. Without it the other side is the
// model too, which tests the suite alone.
//
//	SEQUENCES, SEED   how many sequences, and the seed that they are drawn from (200, 1)
func TestModel_Conforms(t *testing.T) {
	n, err := strconv.Atoi(env("SEQUENCES", "200"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(n), "rapid.seed": env("SEED", "1"), "rapid.nofailfile": "true", "rapid.shrinktime": "20s",
	} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	other := outbox.Model()
	if address := os.Getenv("WEBHOOK_TEST_MODEL"); address != "" {
		other = openPostgres(t, address)
	}
	outbox.Conform(t, other, n)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// postgres is the real side. What fails in it, except a statement of the store, is a panic.
type postgres struct {
	*store.Store
	db       *sqlx.DB
	switches *sqlx.Tx // an open change of a switch
	locks    *sqlx.Tx // holds locked rows
	now      time.Duration
	from     time.Duration // the database's clock before the step
	was      map[int64]outbox.RowTimes
}

func openPostgres(t *testing.T, address string) *postgres {
	pool := must(store.Open(address))
	p := &postgres{Store: store.New(pool, outbox.ConformanceLease), db: must(sqlx.Open("postgres", address))}
	t.Cleanup(func() {
		p.rollBack()
		p.Store.Close()
		_ = pool.Close()
		_ = p.db.Close()
	})
	return p
}

// Reset makes webhook.at_least_once return what the sequence wants, so that a statement that decides
// by anything else is found.
func (p *postgres) Reset(channels []outbox.ConformingChannel) {
	p.rollBack()
	p.was = map[int64]outbox.RowTimes{}
	must(p.db.Exec(`truncate webhook.outbox, webhook.attempts restart identity`))
	must(p.db.Exec(`update webhook.settings set offline_mode = false, document_base_url = 'https://re.example'`))
	var names, retried []string
	var enabled []bool
	var most []int64
	for _, c := range channels {
		names, enabled, most = append(names, c.Name), append(enabled, c.Enabled), append(most, int64(c.MaxInFlight))
		if c.AtLeastOnce {
			retried = append(retried, pq.QuoteLiteral(c.Event))
		}
	}
	must(p.db.Exec(`
		create or replace function webhook.at_least_once(event text) returns boolean language sql immutable
		as $fn$ select $1 in (` + strings.Join(retried, ", ") + `) $fn$`))
	must(p.db.Exec(`
		update webhook.channels c
		   set event = event, enabled = d.enabled, max_in_flight = d.most, url = 'https://re.example'
		  from unnest($1::text[], $2::boolean[], $3::int[]) as d (name, enabled, most)
		 where c.name = d.name`, pq.Array(names), pq.Array(enabled), pq.Array(most)))
}

func (p *postgres) rollBack() {
	for _, tx := range []*sqlx.Tx{p.switches, p.locks} {
		if tx != nil {
			_ = tx.Rollback()
		}
	}
	p.switches, p.locks = nil, nil
}

func (p *postgres) Insert(events []outbox.ConformingEvent) {
	tx := p.db.MustBegin()
	for _, ev := range events {
		tx.MustExec(`insert into webhook.outbox (event, data, is_test) values ($1, $2, $3)`, ev.Event, ev.Data, ev.IsTest)
	}
	if err := tx.Commit(); err != nil {
		panic(err)
	}
}

func (p *postgres) Cancel(id int64) { must(p.db.Exec(`select webhook.cancel($1)`, id)) }

func (p *postgres) ChangeSwitch(channel string, on bool) {
	p.switches = p.db.MustBegin()
	if channel == "" {
		p.switches.MustExec(`update webhook.settings set offline_mode = $1`, on)
	} else {
		p.switches.MustExec(`update webhook.channels set enabled = $1 where name = $2`, on, channel)
	}
}

func (p *postgres) CommitSwitch() {
	if err := p.switches.Commit(); err != nil {
		panic(err)
	}
	p.switches = nil
}

func (p *postgres) LockRow(id int64) {
	if p.locks == nil {
		p.locks = p.db.MustBegin()
	}
	p.locks.MustExec(`select from webhook.outbox where id = $1 for update`, id)
}

func (p *postgres) UnlockRows() {
	if p.locks != nil {
		_ = p.locks.Rollback()
		p.locks = nil
	}
}

// An instant of the model lies in the year 2000 if it has come and in 2100 if it has not.
const (
	past   = 946684800 * time.Second
	future = 4102444800 * time.Second
)

func (p *postgres) place(at time.Duration) time.Duration {
	switch {
	case at == 0:
		return 0
	case at <= p.now:
		return past + at
	}
	return future + at
}

// SetTimes is part of outbox.Real.
func (p *postgres) SetTimes(now time.Duration, rows []outbox.RowTimes) {
	p.now = now
	var ids, due, leases []int64
	for _, r := range rows {
		r.Due, r.Lease = p.place(r.Due), p.place(r.Lease)
		if p.was[r.ID] != r {
			ids, due, leases = append(ids, r.ID), append(due, r.Due.Microseconds()), append(leases, r.Lease.Microseconds())
			p.was[r.ID] = r
		}
	}
	if len(ids) == 0 {
		return
	}
	must(p.db.Exec(`
		update webhook.outbox o
		   set due_at = 'epoch'::timestamptz + t.due * interval '1 microsecond',
		       leased_until = 'epoch'::timestamptz + nullif(t.lease, 0) * interval '1 microsecond'
		  from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t (id, due, lease)
		 where o.id = t.id`, pq.Array(ids), pq.Array(due), pq.Array(leases)))
}

func (p *postgres) Cursor(row outbox.RowTimes) outbox.Cursor {
	at := time.UnixMicro(p.place(row.Due).Microseconds()).UTC()
	return outbox.Cursor{DueAt: at.Format("2006-01-02 15:04:05.999999+00"), ID: row.ID}
}

const rowsSQL = `
	select id, status, attempts, coalesce(claim_id::text, '') as claimid, finished_at is not null as finished,
	       synced_at is not null as synced, coalesce(http_status, 0) as httpstatus,
	       coalesce(failure, '') as failure, coalesce(received, '') as received, error is not null as haserror,
	       (extract(epoch from due_at) * 1000000)::bigint as due_at,
	       coalesce(extract(epoch from leased_until) * 1000000, 0)::bigint as leased_until,
	       (extract(epoch from clock_timestamp()) * 1000000)::bigint as clock
	  from webhook.outbox
	 order by id`

func (p *postgres) Rows() (rows []outbox.ConformingRow) {
	var read []struct {
		outbox.ConformingRow
		DueAt       int64 `db:"due_at"`
		LeasedUntil int64 `db:"leased_until"`
		Clock       int64
	}
	if err := p.db.SelectContext(context.Background(), &read, rowsSQL); err != nil {
		panic(err)
	}
	for _, r := range read {
		is := outbox.RowTimes{ID: r.ID, Due: microseconds(r.DueAt), Lease: microseconds(r.LeasedUntil)}
		r.Due = outbox.Moved(p.was[r.ID].Due, is.Due, p.from, microseconds(r.Clock))
		r.Lease = outbox.Moved(p.was[r.ID].Lease, is.Lease, p.from, microseconds(r.Clock))
		p.was[r.ID] = is
		rows = append(rows, r.ConformingRow)
	}
	if len(read) > 0 {
		p.from = microseconds(read[len(read)-1].Clock)
	}
	return rows
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
