package cli

import "context"

// ids finds a sequence that is behind the ids that exist: logical replication and some copies of a database leave
// sequences out. A new event would get an id that is taken, or one below those of earlier events, by which an older
// export of its document supersedes it. A sequence that gives each session ids ahead (cache), or that counts down, does
// the same: ids are then not in the order in which they were written.
func (d *doctor) ids(ctx context.Context) {
	var state struct {
		Next   int64
		Newest int64
		Cache  int64
		Step   int64
	}
	err := d.db.GetContext(ctx, &state, `
		select s.last_value + s.is_called::int as next, coalesce((select max(o.id) from webhook.outbox o), 0) as newest, q.seqcache as cache, q.seqincrement as step
		  from webhook.outbox_id_seq s, pg_sequence q where q.seqrelid = 'webhook.outbox_id_seq'::regclass`)
	if err != nil {
		return // a role from before this privilege was granted
	}
	if state.Cache != 1 || state.Step < 1 {
		d.bad("ids", "the sequence webhook.outbox_id_seq has cache %d and increment %d, so ids are not in the order of the events: an older export may supersede a newer one", state.Cache, state.Step)
		d.fix("run: alter sequence webhook.outbox_id_seq increment 1 cache 1")
	}
	if state.Next > state.Newest {
		return
	}
	d.bad("ids", "the next event gets the id %d, and there are events up to %d: its insert fails, or an older export supersedes it", state.Next, state.Newest)
	d.fix("set all sequences of the database, this one by: select setval('webhook.outbox_id_seq', %d)", state.Newest)
}
