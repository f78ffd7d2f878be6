package store

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/outbox"
)

// cursorArrays are the cursors of one priority, lane by lane.
type cursorArrays struct {
	due      []*string // null: what was due when the cursor was made
	ids, age []*int64  // age: null where the cursor counts whatever was switched since
}

func (a *cursorArrays) add(c outbox.Cursor) {
	due, id, age := c.DueAt, c.ID, c.Age.Milliseconds()
	a.ids = append(a.ids, &id)
	switch {
	case c.DueAt != "":
		a.due = append(a.due, &due)
	case c.Age > 0:
		a.due = append(a.due, nil)
	default:
		due = "-infinity"
		a.due = append(a.due, &due)
	}
	if c.Age > 0 {
		a.age = append(a.age, &age)
	} else {
		a.age = append(a.age, nil)
	}
}

func (a *cursorArrays) parameters() []any {
	return []any{pq.Array(a.due), pq.Array(a.ids), pq.Array(a.age)}
}

// Overlooked looks for the first due event before each cursor. It locks nothing, and under an old
// snapshot it reads everything that was ever claimed, so it runs beside the claims.
func (s *Store) Overlooked(ctx context.Context, capacity []outbox.Capacity) (found []outbox.Overlooked, err error) {
	var channels []string
	var priorities []int64
	var cursors cursorArrays
	for _, c := range capacity {
		channels, priorities = append(channels, c.Channel, c.Channel), append(priorities, 1, 2)
		cursors.add(c.Retries)
		cursors.add(c.Fresh)
	}
	rows := []struct {
		Channel string
		Retry   bool
		DueAt   string `db:"due_at"`
		ID      int64
	}{}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		return tx.SelectContext(ctx, &rows, `
			-- by scan: $1 channel, $2 priority, its cursor: $3 due_at (null: what was due then), $4 id, $5 age in ms
			select c.name as channel, scan.priority = 1 as retry, first.due_at::text, first.id
			  from unnest($1::text[], $2::int[], $3::timestamptz[], $4::bigint[], $5::bigint[]) as scan (channel, priority, due, id, age)
			  join webhook.channels c on c.name = scan.channel
			 cross join webhook.settings s
			 cross join lateral (
			       select o.due_at, o.id from webhook.outbox o
			        where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.due_at <= now()
			          and case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end = scan.priority
			          and (o.due_at, o.id) <= (coalesce(scan.due, now() - scan.age * interval '1 millisecond'), scan.id)
			        order by o.due_at, o.id limit 1) first
			 where c.enabled and not s.offline_mode and webhook.channel_problem(c, s) is null`,
			append([]any{pq.Array(channels), pq.Array(priorities)}, cursors.parameters()...)...)
	})
	if err != nil {
		return nil, s.failed("look for overlooked events", err)
	}
	for _, r := range rows {
		found = append(found, outbox.Overlooked{Channel: r.Channel, Retry: r.Retry, At: outbox.Cursor{DueAt: r.DueAt, ID: r.ID - 1}})
	}
	return found, nil
}
