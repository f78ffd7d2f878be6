package store

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
)

// resendFilter are the parameters $1 to $8 of the functions of a resend.
const resendFilter = `nullif($1, ''), nullif($2, ''), nullif($3, ''), nullif($4, ''), nullif($5, ''), $6::timestamptz, $7::timestamptz, $8`

func resendParameters(re admin.Resend) []any {
	f := re.Filter
	return []any{re.Channel, f.Status, f.Failure, f.Document, f.Error, orNull(f.Since), orNull(f.Until), re.IncludeReceived}
}

// firstResends is how many events a preview names.
const firstResends = 10

// PreviewResend implements admin.Store.
func (a *Admin) PreviewResend(ctx context.Context, re admin.Resend) (p admin.ResendPreview, err error) {
	err = a.searching(ctx, func(tx *sqlx.Tx) error {
		// What has finished since then is not in the snapshot of this transaction.
		if err := tx.GetContext(ctx, &p.At, `select statement_timestamp()`); err != nil {
			return err
		}
		var rows []struct {
			Channel                    string
			WouldSend                  int64 `db:"would_send"`
			Overtaken, Received, Tests int64
			Capped                     bool
			Off                        bool
		}
		if err := tx.SelectContext(ctx, &rows, `
			select p.*, not c.enabled as off
			  from webhook.preview_resend(`+resendFilter+`) p join webhook.channels c on c.name = p.channel
			 order by c.position`, resendParameters(re)...); err != nil {
			return err
		}
		for _, r := range rows {
			p.Channels = append(p.Channels, admin.ResendChannel{Channel: r.Channel, Send: r.WouldSend, Overtaken: r.Overtaken,
				Received: r.Received, Test: r.Tests, More: r.Capped, Off: r.Off})
		}
		p.First, err = a.firstResends(ctx, tx, re)
		return err
	})
	return p, err
}

func (a *Admin) firstResends(ctx context.Context, tx *sqlx.Tx, re admin.Resend) ([]admin.Delivery, error) {
	var ids pq.Int64Array
	if err := tx.GetContext(ctx, &ids, `
		select array(select webhook.first_resends(`+resendFilter+`, $9))`, append(resendParameters(re), firstResends)...); err != nil {
		return nil, err
	}
	var rows []deliveryRow
	err := tx.SelectContext(ctx, &rows, `
		select `+deliveryColumns+`
		  from unnest($1::bigint[]) as f (id) join webhook.outbox o on o.id = f.id
		 order by date_trunc('second', o.finished_at), f.id`, ids) // what ended at once is easier to find by its id
	return asDeliveries(rows), err
}

// StartResend implements admin.Store.
func (a *Admin) StartResend(ctx context.Context, actor string, re admin.Resend) (id int64, err error) {
	err = a.as(ctx, actor, func(tx *sqlx.Tx) error {
		return tx.GetContext(ctx, &id, `select webhook.start_resend(`+resendFilter+`)`, resendParameters(re)...)
	})
	return id, err
}
