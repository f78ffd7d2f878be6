package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
)

// operationRow is a row of webhook.operations.
type operationRow struct {
	ID              int64
	Kind, Actor     string
	Channel         *string
	Status          *string
	Failure         *string
	Document        *string
	ErrorText       *string `db:"error_text"`
	Since, Until    *time.Time
	IncludeReceived bool           `db:"include_received"`
	DiscardChannels pq.StringArray `db:"discard_channels"`
	CreatedAt       time.Time      `db:"created_at"`
	Expected        int64
	ExpectedMore    bool `db:"expected_more"`
	Done            int64
	LeftOut         int64      `db:"left_out"`
	FinishedAt      *time.Time `db:"finished_at"`
	StoppedAt       *time.Time `db:"stopped_at"`
	StoppedBy       *string    `db:"stopped_by"`
	Problem         *string
}

// Operation implements admin.Store.
func (a *Admin) Operation(ctx context.Context, id int64) (admin.Operation, error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return admin.Operation{}, err
	}
	defer leave()
	var o operationRow
	err = a.db.GetContext(ctx, &o, `
		select id, kind, actor, channel, status, failure, document, error_text, since, until, include_received, discard_channels,
		       created_at, expected, expected_more, done, left_out, finished_at, stopped_at, stopped_by, problem
		  from webhook.operations where id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return admin.Operation{}, admin.ErrNoOperation
	}
	if err != nil {
		return admin.Operation{}, a.failed(err)
	}
	return admin.Operation{
		ID: o.ID, Kind: o.Kind, Actor: o.Actor, Resend: o.resend(), Channels: o.DiscardChannels, Created: o.CreatedAt,
		Expected: o.Expected, ExpectedMore: o.ExpectedMore, Done: o.Done, LeftOut: o.LeftOut,
		Finished: o.FinishedAt, Stopped: o.StoppedAt, StoppedBy: orEmpty(o.StoppedBy), Problem: orEmpty(o.Problem),
	}, nil
}

// resend is which events a resend sends.
func (o operationRow) resend() admin.Resend {
	return admin.Resend{Channel: orEmpty(o.Channel), IncludeReceived: o.IncludeReceived, Filter: admin.DeliveryFilter{Status: orEmpty(o.Status),
		Failure: orEmpty(o.Failure), Document: orEmpty(o.Document), Error: orEmpty(o.ErrorText), Since: orZero(o.Since), Until: orZero(o.Until)}}
}

// UnfinishedOperations implements admin.Store.
func (a *Admin) UnfinishedOperations(ctx context.Context) (ids []int64, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = a.db.SelectContext(ctx, &ids, `
		select id from webhook.operations where finished_at is null and stopped_at is null order by id`)
	return ids, a.failed(err)
}

// AdvanceOperation implements admin.Store.
func (a *Admin) AdvanceOperation(ctx context.Context, id int64) (more bool, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	err = a.db.GetContext(ctx, &more, `select webhook.advance_operation($1)`, id)
	return more, a.failed(err)
}

// stepTime is how long a stop waits for the step that runs now: a step ends by its statement_timeout.
const stepTime = 5 * time.Second

// StopOperation implements admin.Store. A step holds the row of its operation.
func (a *Admin) StopOperation(ctx context.Context, actor string, id int64) error {
	err := a.as(ctx, actor, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`set local lock_timeout = %d`, stepTime.Milliseconds())); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `select webhook.stop_operation($1)`, id)
		return err
	})
	if lockMissed(err) {
		return fmt.Errorf("%w: %w", admin.ErrStepTooLong, err)
	}
	return err
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
