package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Watched is what a watch waits for.
type Watched struct {
	Events   []string // of these channels
	Statuses []string // pending: failed attempts that left their event pending; the others: how it finished
}

// Seen is an attempt or an event that has finished.
type Seen struct {
	ID         int64
	Event      string
	Status     string // pending: it is attempted again
	Attempts   int
	DocumentID string `db:"document_id"`
	HTTPStatus int    `db:"http_status"` // 0: no answer
	Failure    string
	Error      string
	At         time.Time
}

// watchAtOnce is the longest span of time that one look reads: a watch that was suspended for an hour does not read
// all of it at once.
const watchAtOnce = 5 * time.Second

// settledAfter is how much later than its finished_at an outcome commits at most, as for the tally.
const settledAfter = 2 * time.Second

// Watch returns what has ended since an instant, the oldest first, and the instant with which the next call goes on.
// From then on some may be returned a second time, since an outcome commits later than its finished_at. The zero
// instant is now: nothing is returned. behind: there is more already.
//
// What it reads does not grow with the history, nor with what waits: of what has finished, a range of outbox_finished.
// A failed attempt is in no index by its time, but it has moved due_at ahead: it is among what is due from then on, or
// held by a worker again. Of an event that was attempted twice since the last call the newest attempt is returned.
func (a *Admin) Watch(ctx context.Context, w Watched, from time.Time) (seen []Seen, next time.Time, behind bool, err error) {
	err = a.searching(ctx, func(tx *sqlx.Tx) error {
		var now time.Time
		if err := tx.GetContext(ctx, &now, `select clock_timestamp()`); err != nil || from.IsZero() {
			next = now
			return err
		}
		until := from.Add(watchAtOnce)
		if behind = until.Before(now); !behind {
			until = now
		}
		if next = now.Add(-settledAfter); until.Before(next) {
			next = until
		}
		if next.Before(from) {
			next = from
		}
		return tx.SelectContext(ctx, &seen, watchSQL, pq.Array(w.Events), pq.Array(w.Statuses), from, until)
	})
	slices.SortFunc(seen, func(a, b Seen) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return seen, next, behind, err
}

const watchSQL = `
-- $1 events, $2 statuses, $3 since, $4 until
select x.id, x.event, x.status, x.attempts, coalesce(x.document_id, '') as document_id, coalesce(x.http_status, 0) as http_status,
       coalesce(x.failure, '') as failure, coalesce(left(x.error, 1000), '') as error, x.at
  from (select f.id, f.event, f.status, f.attempts, f.document_id, f.http_status, f.failure, f.error, f.finished_at as at
          from unnest($1::text[]) as e (event)
         cross join unnest($2::text[]) as s (status)
         cross join lateral (
               select * from webhook.outbox o
                where o.event = e.event and o.status = s.status and o.finished_at is not null and o.finished_at >= $3 and o.finished_at < $4
                order by o.finished_at, o.id) f
         union all
        select r.id, r.event, 'pending', r.attempts, r.document_id, r.http_status, r.failure, r.error, a.last_at
          from (select d.id, d.event, d.attempts, d.document_id, d.http_status, d.failure, d.error
                  from unnest($1::text[]) as e (event)
                 cross join lateral (
                       select * from webhook.outbox o
                        where o.event = e.event and o.status = 'pending' and o.leased_until is null
                          and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.due_at >= $3
                        order by o.due_at, o.id limit 20000) d
                 union all
                select h.id, h.event, h.attempts - 1, h.document_id, h.http_status, h.failure, h.error
                  from (select * from webhook.outbox o
                         where o.leased_until is not null and o.claim_id is not null
                         order by o.claim_id limit 20000) h
                 where h.event = any ($1) and h.attempts > 1) r
         cross join lateral (select a.last_at from webhook.attempts a where a.outbox_id = r.id order by a.run desc limit 1) a
         where 'pending' = any ($2) and a.last_at >= $3 and a.last_at < $4) x`
