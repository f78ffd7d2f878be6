package outbox_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

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
	var changed []string
	for _, r := range rows {
		r.Due, r.Lease = p.place(r.Due), p.place(r.Lease)
		if p.was[r.ID] != r {
			p.was[r.ID] = r
			changed = append(changed, fmt.Sprintf("(%d, %d, %d)", r.ID, r.Due.Microseconds(), r.Lease.Microseconds()))
		}
	}
	if len(changed) > 0 {
		p.db.MustExec(`
			update webhook.outbox o
			   set due_at = 'epoch'::timestamptz + t.due * interval '1 microsecond',
			       leased_until = 'epoch'::timestamptz + nullif(t.lease, 0) * interval '1 microsecond'
			  from (values ` + strings.Join(changed, ", ") + `) as t (id, due, lease)
			 where o.id = t.id`)
	}
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
