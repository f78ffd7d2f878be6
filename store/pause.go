package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// Pause is written once for many answers with Retry-After; the longest counts.
func (s *Store) Pause(ctx context.Context, channel string, d time.Duration) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			update webhook.pacing set paused_until = greatest(paused_until, clock_timestamp() + $2 * interval '1 millisecond')
			 where channel = $1`, channel, d.Milliseconds())
		return err
	})
	if err != nil {
		return s.failed("pause the channel", err)
	}
	return nil
}
