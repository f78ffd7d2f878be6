package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/alert"
)

// inAlerts runs statements that decide about webhook.alerts, one process at a time. The lock is taken by a
// statement of its own, so that those behind it see what its last holder has committed. Where another
// process has it, nothing is done.
func (s *Store) inAlerts(ctx context.Context, do func(*sqlx.Tx) error) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		var free bool
		if err := tx.GetContext(ctx, &free, `select pg_try_advisory_xact_lock(hashtext('webhook.alerts'), 0)`); err != nil || !free {
			return err
		}
		return do(tx)
	})
}

// NextAlert implements alert.Store. The oldest goes first: while it waits for its next attempt, so do those
// behind it, for which the same URL would fail.
func (s *Store) NextAlert(ctx context.Context, lease time.Duration) (a alert.Alert, found bool, err error) {
	err = s.inAlerts(ctx, func(tx *sqlx.Tx) error {
		err := tx.QueryRowxContext(ctx, `
			-- $1 lease in ms, $2 environment (null: none)
			update webhook.alerts a
			   set attempts = a.attempts + 1, leased_until = clock_timestamp() + $1 * interval '1 millisecond'
			  from webhook.settings s
			 where a.id = (select x.id from webhook.alerts x where x.sent_at is null and x.given_up_at is null order by x.id limit 1)
			   and a.due_at <= clock_timestamp() and (a.leased_until > clock_timestamp()) is not true and s.environment is not distinct from $2
			returning a.id, a.kind, coalesce(a.channel, ''), a.since, a.until, a.events, coalesce(a.event_id, 0),
			          coalesce(a.failure, ''), coalesce(a.http_status, 0), coalesce(webhook.hint(a.failure, a.http_status, a.received), ''),
			          coalesce((select webhook.url_host(c.url) from webhook.channels c where c.name = a.channel), ''),
			          coalesce(a.worker, ''), coalesce(a.workers, 0), a.attempts, s.instance_id, coalesce(s.environment, '')`,
			lease.Milliseconds(), s.self.Environment).Scan(
			&a.ID, &a.Kind, &a.Channel, &a.Since, &a.Until, &a.Events, &a.EventID, &a.Failure, &a.HTTPStatus, &a.Hint, &a.Host,
			&a.Worker, &a.Workers, &a.Attempts, &a.InstanceID, &a.Environment)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return alert.Alert{}, false, s.failed("lease an alert", err)
	}
	return a, a.ID != 0, nil
}

// AlertSent implements alert.Store. Where the lease was lost meanwhile, another process has it: it is sent all
// the same.
func (s *Store) AlertSent(ctx context.Context, a alert.Alert) error {
	_, err := s.execCounting(ctx, "mark an alert as sent", `
		-- $1 id
		with sent as (
		  update webhook.alerts set sent_at = clock_timestamp(), leased_until = null, error = null
		   where id = $1 and sent_at is null and given_up_at is null
		  returning id
		)
		select count(*) from sent`, a.ID)
	return err
}

// AlertNotSent implements alert.Store.
func (s *Store) AlertNotSent(ctx context.Context, a alert.Alert, problem string, again time.Duration) error {
	_, err := s.execCounting(ctx, "release an alert", `
		-- $1 id, $2 attempts, $3 error, $4 due again in ms
		with released as (
		  update webhook.alerts set leased_until = null, error = $3, due_at = clock_timestamp() + $4 * interval '1 millisecond'
		   where id = $1 and attempts = $2 and sent_at is null and given_up_at is null
		  returning id
		)
		select count(*) from released`, a.ID, a.Attempts, problem, again.Milliseconds())
	return err
}

// PruneAlerts deletes alerts of more than 30 days ago, except the newest of each kind and channel: what was announced.
func (s *Store) PruneAlerts(ctx context.Context) error {
	_, err := s.execCounting(ctx, "prune the alerts", `
		with pruned as (
		  delete from webhook.alerts a
		   where a.created_at < clock_timestamp() - interval '30 days' and (a.sent_at is not null or a.given_up_at is not null)
		     and exists (select from webhook.alerts b where b.kind = a.kind and b.channel is not distinct from a.channel and b.id > a.id)
		  returning a.id
		)
		select count(*) from pruned`)
	return err
}

// AlertState is what waits to be posted.
type AlertState struct {
	Waiting int
	Since   *time.Time // when the oldest of them was noticed
	Error   string     // of its newest attempt; "": none has failed
	GivenUp int        `db:"given_up"` // within a day
}

// ReadAlertState reads it for people.
func ReadAlertState(ctx context.Context, db *sqlx.DB) (a AlertState, err error) {
	err = db.GetContext(ctx, &a, `
		select count(*) filter (where sent_at is null and given_up_at is null) as waiting,
		       min(created_at) filter (where sent_at is null and given_up_at is null) as since,
		       coalesce((select x.error from webhook.alerts x where x.sent_at is null and x.given_up_at is null order by x.id limit 1), '') as error,
		       count(*) filter (where given_up_at > clock_timestamp() - interval '1 day') as given_up
		  from webhook.alerts`)
	return a, err
}
