package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Act runs a statement of the command line that acts on one event, and returns what it says. An error is that of
// the database, with its hint.
func (a *Admin) Act(ctx context.Context, actor, statement string, parameters ...any) (said string, err error) {
	err = a.as(ctx, actor, func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &said, statement, parameters...) })
	return said, err
}

// Discard is which pending events are cancelled.
type Discard struct {
	Channel string    // "": all
	Before  time.Time // when they happened; zero: whenever
}

// DiscardBatch is how many events CountDiscard counts, and Discard cancels, at most.
const DiscardBatch = 10000

// CountDiscard returns how many events Discard would cancel. Without an end of theirs it is now, on the database's
// clock: what happens from now on was not counted.
func (a *Admin) CountDiscard(ctx context.Context, d *Discard) (n int64, err error) {
	if d.Before.IsZero() {
		err := a.as(ctx, "", func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &d.Before, `select clock_timestamp()`) })
		if err != nil {
			return 0, err
		}
	}
	return a.discard(ctx, "", *d, true)
}

// Discard cancels a batch, and returns how many it were.
func (a *Admin) Discard(ctx context.Context, actor string, d Discard) (n int64, err error) {
	return a.discard(ctx, actor, d, false)
}

func (a *Admin) discard(ctx context.Context, actor string, d Discard, dryRun bool) (n int64, err error) {
	err = a.as(ctx, actor, func(tx *sqlx.Tx) error {
		return tx.GetContext(ctx, &n, `select webhook.discard(nullif($1, ''), $2, $3, $4)`, d.Channel, orNull(d.Before), DiscardBatch, dryRun)
	})
	return n, err
}

// Prune deletes a batch of the events that have finished longer ago than this, and returns how many it were.
func (a *Admin) Prune(ctx context.Context, olderThan time.Duration) (n int64, err error) {
	err = a.as(ctx, "", func(tx *sqlx.Tx) error {
		return tx.GetContext(ctx, &n, `select webhook.prune($1::interval, 2000)`, fmt.Sprintf("%d microseconds", olderThan.Microseconds()))
	})
	return n, err
}
