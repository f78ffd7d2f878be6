package store

import (
	"context"
	"math/rand/v2"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/outbox"
)

// LookUpClaim returns what is leased under a claim. Its reply was lost, and so, perhaps, were all the
// pooled connections: a fresh one is made. The columns are those of claimSQL.
//
// The session that executes a claim holds an advisory lock. Once that can be taken the session has
// ended, and what it has committed is visible to the next statement: the claim is over. A session that
// hangs in its commit is left alone. One that waits for its client, which is this worker, is ended: it
// may wait for hours on a dead connection, with the claim still on its way to it.
//
// What is found is not on a standby for certain: where an administrator, or the server's own shutdown, has
// ended the wait of the claim's commit, it is committed on this server alone, and a failover loses it. So
// the look-up is acknowledged like a write, by a commit that follows that of the claim.
func (s *Store) LookUpClaim(ctx context.Context, claimID string) (events []outbox.Event, over bool, err error) {
	lock := s.lockOf(claimID)
	s.dropIdle()
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &over, `select pg_try_advisory_xact_lock($1)`, lock); err != nil {
			return err
		}
		rows, err := tx.QueryxContext(ctx, `
			-- $1 claim id
			select o.id, o.event, c.name, o.data, o.occurred_at::text, o.due_at::text,
			       date_part('epoch', clock_timestamp()) - date_part('epoch', o.due_at), o.attempts, o.is_test, o.at_least_once, false,
			       case when c.send_traceparent then coalesce(webhook.sent_traceparent(o.traceparent), '') else '' end,
			       coalesce(c.url, ''), case s.auth when 'bearer' then coalesce(btrim(s.bearer_token), '') else '' end,
			       (select coalesce(string_agg(k.id || ':' || k.secret, ' ' order by k.id desc), '') from webhook.secrets k where k.ends_at is null or k.ends_at > now()),
			       c.accept_status, c.max_in_flight, coalesce(c.max_per_second, 0), coalesce(s.document_base_url, ''), s.instance_id
			  from webhook.outbox o
			  join webhook.channels c on c.event = o.event
			 cross join webhook.settings s
			 where o.claim_id = $1 and o.leased_until is not null`, claimID)
		if err != nil {
			return err
		}
		events, err = s.scanEvents(rows, claimID)
		if err != nil || len(events) == 0 {
			return err
		}
		return s.checkWrite(ctx, tx)
	})
	if err != nil && (!denied(err) || len(events) == 0) { // a role that may not write a message cannot know more
		return nil, false, s.failed("look up a claim", err)
	}
	if len(events) == 0 && !over {
		s.endIdleSession(ctx, lock)
	}
	return events, over, nil
}

// lockOf returns the lock of the session that executes a claim, and drops that connection. For any claim
// but the newest it returns a random lock, which is free: a claim is followed by the next only when its
// outcome is known.
func (s *Store) lockOf(claimID string) int64 {
	s.claimConn.mu.Lock()
	defer s.claimConn.mu.Unlock()
	if s.newest.claimID == claimID {
		s.claimConn.drop() // a claim that is looked up has lost its connection
		return s.newest.lock
	}
	return rand.Int64() //nolint:gosec // the number of a lock is no secret
}

// endIdleSession ends the session that holds a lock and waits for its client. A role may end its own
// sessions; where it may not end this one, the session ends when the server notices the dead connection.
func (s *Store) endIdleSession(ctx context.Context, lock int64) {
	defer s.network.endWith(ctx)()
	_, _ = s.db.ExecContext(ctx, `
		-- $1 the lock
		select pg_terminate_backend(a.pid)
		  from pg_stat_activity a
		 where a.wait_event_type = 'Client' and a.usename = session_user and a.datname = current_database()
		   and a.pid in (select l.pid from pg_locks l
		                  where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
		                    and (l.classid::bigint << 32) | l.objid::bigint = $1)`, lock)
}
