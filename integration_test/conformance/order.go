package main

// order is of what is written.
var order = []feature{
	{"identity columns: ids ascend over all sessions, in the order of the inserts", "exports of one document are sent in the order in which they were written", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`create table written (id bigint generated always as identity primary key, by text)`)
		for range 3 {
			a.do(`insert into written (by) values ('a')`)
			b.do(`insert into written (by) values ('b')`)
		}
		t.want("who wrote, in the order of the ids", a.get(`select string_agg(by, '' order by id) from written`), "ababab")
		a.refused("428C9", `insert into written (id, by) values (1000, 'c')`)
	}},
	{"sequences: another session sees a new value at once, and no rollback takes it back", "at most max_per_second POSTs begin in any one second; a poll sees that something was written", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`create table numbered (id bigint generated always as identity primary key)`)
		a.do(`create sequence rate`)
		const last = `select coalesce(pg_sequence_last_value($1::regclass), 0)`
		t.want("before its first value", b.get(last, "rate"), "0")
		a.do(`begin; insert into numbered default values; select setval('rate', 1000)`)
		for _, when := range []string{"in an open transaction", "after its rollback"} {
			t.want("the id's sequence "+when, b.get(`select pg_sequence_last_value(pg_get_serial_sequence('numbered', 'id')::regclass)`), "1")
			t.want("setval "+when, b.get(last, "rate"), "1000")
			a.do(`rollback`)
		}
	}},
	{"the clock of a statement and the clock of the wall", "what is due is decided by the database's clock", func(t *trial) {
		s := t.session()
		s.do(`begin; select pg_sleep(0.001)`)
		t.want("now() stays, clock_timestamp() goes on", s.get(`select now() < clock_timestamp() and now() = transaction_timestamp()`), "true")
	}},
}
