package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
)

// deliveryDetail is a row of the outbox with what its page shows beside it.
type deliveryDetail struct {
	deliveryRow
	Channel         string
	Enabled         bool
	AtLeastOnce     bool `db:"at_least_once"`
	Offline         bool `db:"offline_mode"`
	Problem         string
	Host            string
	Auth            bool
	DocumentBaseURL string     `db:"document_base_url"`
	WebhookID       string     `db:"webhook_id"`
	OccurredText    string     `db:"occurred_text"`
	OccurredAt      *time.Time `db:"occurred_at"`
	FinishedAt      *time.Time `db:"finished_at"`
	ClaimedBy       string     `db:"claimed_by"`
	ClaimedAt       *time.Time `db:"claimed_at"`
	LeasedUntil     *time.Time `db:"leased_until"`
	WholeError      string     `db:"whole_error"`
	Response        string
	Explain         string
	Later           int64
}

// Delivery implements admin.Store.
func (a *Admin) Delivery(ctx context.Context, id int64) (found admin.DeliveryDetail, err error) {
	err = a.searching(ctx, func(tx *sqlx.Tx) error {
		found, err = readDelivery(ctx, tx, id)
		return err
	})
	return found, err
}

func readDelivery(ctx context.Context, tx *sqlx.Tx, id int64) (admin.DeliveryDetail, error) {
	var d deliveryDetail
	// The pair is compared as a row: no other index is usable.
	err := tx.GetContext(ctx, &d, `
		-- $1 id
		select `+deliveryColumns+`,
		       c.name as channel, c.enabled, o.at_least_once, s.offline_mode, coalesce(webhook.channel_problem(c, s), '') as problem,
		       coalesce(webhook.url_host(c.url), '') as host, s.auth = 'bearer' as auth, coalesce(s.document_base_url, '') as document_base_url,
		       webhook.webhook_id(o) as webhook_id, o.occurred_at::text as occurred_text,
		       case when o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z' then o.occurred_at end as occurred_at,
		       o.finished_at, coalesce(o.claimed_by, '') as claimed_by, o.claimed_at, o.leased_until,
		       coalesce(o.error, '') as whole_error, coalesce(o.response, '') as response, webhook.explain(o.id) as explain,
		       coalesce((select later.id from webhook.outbox later
		                  where later.document_id is not null and later.status <> 'cancelled'
		                    and (later.document_id, later.id) > (o.document_id, o.id)
		                    and (later.document_id, later.id) < (o.document_id, 9223372036854775807)
		                  order by later.document_id, later.id limit 1), 0) as later
		  from webhook.outbox o
		  join webhook.channels c on c.event = o.event
		 cross join webhook.settings s
		 where o.id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return admin.DeliveryDetail{}, admin.ErrNoDelivery
	}
	if err != nil {
		return admin.DeliveryDetail{}, err
	}
	detail := d.asDetail()
	if detail.Runs, err = readRuns(ctx, tx, id); err != nil {
		return detail, err
	}
	detail.Interventions, err = readInterventions(ctx, tx, id)
	return detail, err
}

func (d deliveryDetail) asDetail() admin.DeliveryDetail {
	detail := admin.DeliveryDetail{
		Delivery: asDeliveries([]deliveryRow{d.deliveryRow})[0],
		Channel:  d.Channel, ChannelOn: d.Enabled, AtLeastOnce: d.AtLeastOnce, Offline: d.Offline, Problem: d.Problem, Host: d.Host, Auth: d.Auth,
		DocumentBaseURL: d.DocumentBaseURL, WebhookID: d.WebhookID, Occurred: admin.Instant{Text: d.OccurredText, Time: d.OccurredAt},
		Finished: d.FinishedAt, ClaimedBy: d.ClaimedBy, ClaimedAt: d.ClaimedAt, LeasedUntil: d.LeasedUntil,
		Response: d.Response, Explain: d.Explain, Later: d.Later,
	}
	detail.Error = d.WholeError
	return detail
}

// readRuns are the runs of attempts that failed, the newest first: at most a hundred and one.
func readRuns(ctx context.Context, tx *sqlx.Tx, id int64) (runs []admin.AttemptRun, err error) {
	err = tx.SelectContext(ctx, &runs, `
		-- $1 id
		select attempts, coalesce(http_status, 0) as httpstatus, failure, received, coalesce(error, '') as error, first_at as firstat, last_at as lastat
		  from webhook.attempts where outbox_id = $1 order by run desc limit 200`, id)
	return runs, err
}

// readInterventions are what people did to an event, the newest first.
func readInterventions(ctx context.Context, tx *sqlx.Tx, id int64) (all []admin.Intervention, err error) {
	err = tx.SelectContext(ctx, &all, `
		-- $1 id
		select action, at, actor, was_status as wasstatus, was_finished_at as wasfinished, coalesce(was_http_status, 0) as washttpstatus,
		       coalesce(was_failure, '') as wasfailure, coalesce(was_received, '') as wasreceived, coalesce(was_error, '') as waserror, coalesce(note, '') as note
		  from webhook.interventions where outbox_id = $1 order by id desc limit 200`, id)
	return all, err
}

// DeliveryData implements admin.Store.
func (a *Admin) DeliveryData(ctx context.Context, id int64, most int) (data []byte, size int64, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	var row struct {
		Data []byte
		Size int64
	}
	err = a.db.GetContext(ctx, &row, `
		-- $1 id, $2 the largest data in bytes
		select d.size, case when d.size <= $2 then d.data::text else left(d.data::text, 65536) end as data
		  from (select o.data, octet_length(o.data::text) as size from webhook.outbox o where o.id = $1) d`, id, most)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, admin.ErrNoDelivery
	}
	return row.Data, row.Size, a.failed(err)
}

// Resend implements admin.Store.
func (a *Admin) Resend(ctx context.Context, actor string, id int64) error {
	return a.actOn(ctx, actor, `select webhook.retry($1)`, id)
}

// Cancel implements admin.Store.
func (a *Admin) Cancel(ctx context.Context, actor string, id int64) error {
	return a.actOn(ctx, actor, `select webhook.cancel($1)`, id)
}

// MarkDelivered implements admin.Store.
func (a *Admin) MarkDelivered(ctx context.Context, actor string, id int64, note string) error {
	return a.actOn(ctx, actor, `select webhook.mark_delivered($1, $2)`, id, note)
}

// actOn runs a function that acts on one event. It refuses in words, which are kept.
func (a *Admin) actOn(ctx context.Context, actor, call string, args ...any) error {
	err := a.as(ctx, actor, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, call, args...)
		return err
	})
	switch {
	case missing(err):
		return fmt.Errorf("%w: %w", admin.ErrNoDelivery, err)
	case refusedByState(err):
		return admin.RefusedError{Reason: sentence(pq.As(err).Message)}
	case lockTimedOut(err):
		return admin.RefusedError{Reason: "A worker or another person is changing it at this moment."}
	}
	return err
}

// sentence is a message of PostgreSQL as a sentence of a page.
func sentence(message string) string {
	first, size := utf8.DecodeRuneInString(message)
	return string(unicode.ToUpper(first)) + strings.TrimRight(message[size:], ".") + "."
}
