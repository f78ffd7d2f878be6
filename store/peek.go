package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// asleepConnections are those of a worker that does nothing but peek.
const asleepConnections = 1

// awakeConnections are those of a worker among many: three pinned ones (see Store), and what runs beside.
const awakeConnections = 5

// OpenInstance is OpenFor for one of the many databases of a process. Its pool has one connection (see
// SetAwake), which is kept, and its sessions have the settings of plannerSettings from the start.
func OpenInstance(lease time.Duration, read func() (dsn string, err error)) (*sqlx.DB, error) {
	db, err := open(&sessions{read: read, network: &network{limits: limitsOf(lease), instance: true}})
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(asleepConnections)
	db.SetMaxOpenConns(asleepConnections)
	db.SetConnMaxIdleTime(0) // the pauses between two peeks may be longer than a minute
	return db, nil
}

// SetAwake sizes the pool of a worker among many: for the turns of its dispatcher, or to peek. What is
// beyond one connection is closed as soon as its statement has ended.
func (s *Store) SetAwake(awake bool) {
	if awake {
		s.db.SetMaxOpenConns(awakeConnections)
		s.db.SetMaxIdleConns(awakeConnections)
		return
	}
	s.Close()
	s.db.SetMaxIdleConns(asleepConnections)
	s.db.SetMaxOpenConns(asleepConnections)
}

// Peeked is what there is to do in a database.
type Peeked struct {
	Due    bool // a claim would find an event
	Skip   bool // Skip would
	Leased bool // an event is leased: its lease may expire
}

// Peek reports what there is to do, without a lock or a write. Events that no claim returns (their channel
// is off, paused or cannot be called, Offline Mode is on, the environment or a key differs) are not due.
// The statement is prepared once for each connection, which is a seventh of its cost without.
func (s *Store) Peek(ctx context.Context) (p Peeked, err error) {
	defer s.network.endWith(ctx)()
	if s.peek == nil {
		if s.peek, err = s.db.PreparexContext(ctx, peekSQL); err != nil {
			return p, s.failed("peek", err)
		}
	}
	if err := s.peek.GetContext(ctx, &p, s.self.Environment, pq.Array(s.opener.keys.IDs())); err != nil {
		return p, s.failed("peek", err)
	}
	return p, nil
}

// peekSQL reads the first row of each priority of each channel. As in claimSQL each table is reached by an
// index, by the settings of the planner that OpenInstance gives its sessions.
const peekSQL = `
-- $1 environment (null: none), $2 the keys that this worker decrypts with
select coalesce(bool_or((c.enabled or p.priority = 0) and p.due
                        and (g.paused_until is null or g.paused_until <= now())
                        and webhook.channel_problem(c, s) is null
                        and (s.auth <> 'bearer' or s.token_encrypted_under is null or s.token_encrypted_under = any ($2))
                        and not exists (select from webhook.secrets k where (k.ends_at is null or k.ends_at > now())
                                           and k.encrypted_under is not null and k.encrypted_under <> all ($2))), false) as due,
       coalesce(bool_or(not c.enabled and not c.at_least_once and p.priority > 0), false) as skip,
       exists (select from webhook.outbox o where o.leased_until is not null and o.claim_id is not null) as leased
  from webhook.settings s
 cross join webhook.channels c
  join webhook.pacing g on g.channel = c.name
 cross join (values (0), (1), (2)) as priorities (priority)
 cross join lateral (
       select priorities.priority, o.due_at <= now() as due
         from webhook.outbox o
        where o.event = c.event and o.status = 'pending' and o.leased_until is null
          and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = priorities.priority
        order by o.due_at, o.id
        limit 1) p
 where not s.offline_mode and s.environment is not distinct from $1`
