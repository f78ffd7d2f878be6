package cli

import "context"

// ids finds a sequence that is behind the ids that exist: logical replication and some copies of a database leave
// sequences out. A new event would get an id that is taken, or one below those of earlier events, by which an older
// export of its document supersedes it.
func (d *doctor) ids(ctx context.Context) {
	var state struct {
		Next   int64
		Newest int64
	}
	err := d.db.GetContext(ctx, &state, `
		select s.last_value + s.is_called::int as next, coalesce((select max(o.id) from webhook.outbox o), 0) as newest
		  from webhook.outbox_id_seq s`)
	if err != nil {
		return // a role from before this privilege was granted
	}
	if state.Next > state.Newest {
		return
	}
	d.bad("ids", "the next event gets the id %d, and there are events up to %d: its insert fails, or an older export supersedes it", state.Next, state.Newest)
	d.fix("set all sequences of the database, this one by: select setval('webhook.outbox_id_seq', %d)", state.Newest)
}
