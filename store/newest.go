package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// newestSQL waits until ids have been assigned. A sequence is outside of transactions: the one
// statement, with its one snapshot, sees what others have drawn since it began, committed or not. The
// waiting is the server's: a round trip for each comparison would cost more than all of them do here.
// The first comparison is made at once. The snapshot is as old as the statement: short, so that it
// does not hold back what vacuum may remove.
const newestSQL = `
-- $1 the newest id that is known, $2 seconds between two comparisons, $3 comparisons
select coalesce(pg_sequence_last_value('webhook.outbox_id_seq'), 0)
  from generate_series(1, $3::int) as n
 where case when pg_sleep(case when n > 1 then $2::double precision else 0 end) is not null
            then coalesce(pg_sequence_last_value('webhook.outbox_id_seq'), 0) <> $1::bigint end
 limit 1`

// Newest implements outbox.Store. It runs on a connection of its own, and when ctx ends it ends that one alone.
func (s *Store) Newest(ctx context.Context, known int64, every time.Duration, times int) (newest int64, err error) {
	p := &s.newestConn
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := s.prepareNewest(ctx); err != nil {
		p.drop()
		if errors.Is(err, outbox.ErrDenied) {
			return known, err
		}
		return known, s.failed("probe for new events", err)
	}
	defer p.endWith(ctx)()
	// lib/pq would cancel the statement on a further connection.
	err = p.prepared[newestSQL].GetContext(context.WithoutCancel(ctx), &newest, known, every.Seconds(), times)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return known, nil
	case err != nil:
		p.drop()
		return known, s.failed("probe for new events", err)
	}
	return newest, nil
}

// prepareNewest prepares the statement. Since version 18 the server returns null where the role may not
// read the sequence, as it does before the first id: so a new connection asks for the privilege.
func (s *Store) prepareNewest(ctx context.Context) error {
	defer s.network.endWith(ctx)()
	p := &s.newestConn
	before := p.conn
	if _, err := p.prepare(ctx, s.db, newestSQL); err != nil || p.conn == before { //nolint:sqlclosecheck // kept for the next probe; closed with its connection
		return err
	}
	var may bool
	if err := p.conn.GetContext(ctx, &may, `select has_sequence_privilege('webhook.outbox_id_seq', 'select')`); err != nil {
		return err
	}
	if !may {
		role := QuoteIdentifier(cmp.Or(s.self.Role, "webhook_worker"))
		return fmt.Errorf("probe for new events: %w; run webhooks migrate --roles, or grant select on sequence webhook.outbox_id_seq to %s", outbox.ErrDenied, role)
	}
	return nil
}
