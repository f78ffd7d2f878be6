package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
)

// Deliveries implements admin.Store.
func (a *Admin) Deliveries(ctx context.Context, f admin.DeliveryFilter, place admin.DeliveryPlace, most int) (found admin.DeliveryList, err error) {
	err = a.searching(ctx, func(tx *sqlx.Tx) error {
		found, err = a.newSearch(tx, f, place, most).run(ctx)
		return err
	})
	return found, err
}

// NewDeliveries implements admin.Store.
func (a *Admin) NewDeliveries(ctx context.Context, f admin.DeliveryFilter, after int64, most int) (n int, err error) {
	err = a.searching(ctx, func(tx *sqlx.Tx) error {
		s := a.newSearch(tx, f, admin.DeliveryPlace{}, most)
		return tx.GetContext(ctx, &n, `
			-- $12 ids above this, $13 rows examined at most, the newest; $14 counted at most
			select count(*)
			  from (select o.id
			          from (select * from webhook.outbox o where o.id > $12 order by o.id desc limit $13) o
			         where `+deliveryMatches+`
			         limit $14) o`, append(s.args, after, a.examined, most)...)
	})
	return n, err
}

// DeliveryChannels implements admin.Store.
func (a *Admin) DeliveryChannels(ctx context.Context) (all []admin.DeliveryChannel, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = a.db.SelectContext(ctx, &all, `select name, event from webhook.channels order by position`)
	return all, a.failed(err)
}

// searchTime bounds each statement of a search.
const searchTime = 2 * time.Second

// searching runs the statements of a search under one snapshot, each bounded in time. The planner is set
// up as for the worker: every range is read by its index, in its order.
func (a *Admin) searching(ctx context.Context, do func(*sqlx.Tx) error) error {
	leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	tx, err := a.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return a.failed(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, plannerSettings(true)); err != nil {
		return a.failed(err)
	}
	if err = limitTime(ctx, tx, searchTime); err == nil {
		err = do(tx)
	}
	if tookTooLong(ctx, err) {
		return fmt.Errorf("%w: %w", admin.ErrSearchTooLong, err)
	}
	return a.failed(err)
}

// limitTime bounds each statement of a transaction from now on.
func limitTime(ctx context.Context, tx *sqlx.Tx, most time.Duration) error {
	_, err := tx.ExecContext(ctx, `select set_config('statement_timeout', $1, true)`, fmt.Sprint(most.Milliseconds()))
	return err
}

// tookTooLong reports whether err is the end of such a bound.
func tookTooLong(ctx context.Context, err error) bool {
	return cancelled(err) && ctx.Err() == nil
}

// deliveryMatches is the filter as a condition on a row o. Of a row that is not finished, since and until
// are compared with when it happened; from and to with when it is due, the order of its index.
const deliveryMatches = `
	-- $1 ids below this, $2 events, $3 statuses, $4 leased rows only, $5 failure, $6 document, $7 part of the error
	-- (each '' for any), $8 since, $9 until, $10 from, $11 to (each null for any)
	    o.id < $1::bigint and o.event = any ($2::text[]) and o.status = any ($3::text[])
	and (not $4::boolean or o.leased_until is not null)
	and ($5::text = '' or o.failure = $5)
	and ($6::text = '' or o.document_id = $6)
	and ($7::text = '' or strpos(lower(o.error), lower($7)) > 0)
	and ($8::timestamptz is null or coalesce(o.finished_at, o.occurred_at) >= $8)
	and ($9::timestamptz is null or coalesce(o.finished_at, o.occurred_at) < $9)
	and ($10::timestamptz is null or coalesce(o.finished_at, o.due_at) >= $10)
	and ($11::timestamptz is null or coalesce(o.finished_at, o.due_at) < $11)`

// deliveryColumns are what a row of the list shows. Its times are null where Go cannot hold them; the
// text of an error may be long.
const deliveryColumns = `
	o.id, o.event, o.status, o.is_test, o.attempts, o.leased_until is not null as leased, o.claim_id is not null as claimed,
	coalesce(o.document_id, '') as document_id, coalesce(o.http_status, 0) as http_status, coalesce(o.failure, '') as failure,
	coalesce(o.received, '') as received, coalesce(left(o.error, 1000), '') as error,
	coalesce(webhook.hint(o.failure, o.http_status, o.received), '') as hint,
	coalesce(o.finished_at, o.occurred_at)::text as at_text,
	case when coalesce(o.finished_at, o.occurred_at) between '0001-01-01 00:00Z' and '9999-12-31 23:59Z' then coalesce(o.finished_at, o.occurred_at) end as at,
	case when o.due_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z' then o.due_at end as due_at`

// deliveryRow is a row with these columns.
type deliveryRow struct {
	ID         int64
	Event      string
	Status     string
	IsTest     bool `db:"is_test"`
	Attempts   int
	Leased     bool
	Claimed    bool
	DocumentID string `db:"document_id"`
	HTTPStatus int    `db:"http_status"`
	Failure    string
	Received   string
	Error      string
	Hint       string
	AtText     string `db:"at_text"`
	At         *time.Time
	DueAt      *time.Time `db:"due_at"`
}

func asDeliveries(rows []deliveryRow) []admin.Delivery {
	all := make([]admin.Delivery, len(rows))
	for i, r := range rows {
		all[i] = admin.Delivery{
			ID: r.ID, Event: r.Event, Status: r.Status, IsTest: r.IsTest, Attempts: r.Attempts, Leased: r.Leased, Claimed: r.Claimed,
			Document: r.DocumentID, HTTPStatus: r.HTTPStatus, Failure: r.Failure, Received: r.Received, Error: r.Error, Hint: r.Hint,
			At: admin.Instant{Text: r.AtText, Time: r.At}, Due: r.DueAt,
		}
	}
	return all
}

// orNull is a time as a parameter.
func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// deliveryRanges are ranges of the indexes, as parameters.
type deliveryRanges struct {
	events, statuses pq.StringArray
	priorities       pq.Int64Array // of outbox_pending; -1: a range of outbox_finished
}

func (r *deliveryRanges) add(event, status string, priority int64) {
	r.events, r.statuses, r.priorities = append(r.events, event), append(r.statuses, status), append(r.priorities, priority)
}

// rangesOf are the ranges in which rows can match a filter, except those of leased rows. What was sent or
// skipped has neither a failure nor an error; nor has what was never claimed.
func rangesOf(f admin.DeliveryFilter) (r deliveryRanges) {
	failed := f.Failure != "" || f.Error != ""
	for _, event := range f.Events {
		for _, status := range f.Statuses() {
			switch {
			case status == "sending" || f.OnlyLeased():
			case status == "pending":
				r.add(event, status, 0)
				r.add(event, status, 1)
				if !failed {
					r.add(event, status, 2)
				}
			case failed && (status == "sent" || status == "skipped"):
			default:
				r.add(event, status, -1)
			}
		}
	}
	return r
}
