package main

import "github.com/recordengine/webhooks/store"

// sessions is what a worker expects of its connections.
var sessions = []feature{
	{"the settings of a worker's session", "the database's defaults change nothing: limits of time, read committed, search_path, durable commits", func(t *trial) {
		db, err := store.Open(t.url)
		if err != nil {
			t.fail(err)
			return
		}
		defer db.Close()
		if err := db.PingContext(t.ctx); err != nil {
			t.fail(err)
		}
	}},
	{"statement_timeout and lock_timeout end a statement", "a worker goes on when the database hangs", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`create table locked (id int primary key)`)
		a.do(`begin; lock table locked`)
		b.do(`set lock_timeout = '50ms'`)
		b.refused("55P03", `select from locked`)
		b.do(`set statement_timeout = '50ms'`)
		b.refused("57014", `select pg_sleep(60)`)
	}},
	{"advisory locks of a session and of a transaction", "one worker at a time cleans up, migrates, takes a rate; a claim whose reply was lost is looked up", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`select pg_advisory_lock(815)`)
		t.want("while another session has it", b.get(`select pg_try_advisory_xact_lock(815)`), "false")
		a.do(`begin; select pg_advisory_xact_lock(hashtext('webhook'), hashtext('rate'))`)
		t.want("while another transaction has it", b.get(`select pg_try_advisory_xact_lock(hashtext('webhook'), hashtext('rate'))`), "false")
		a.do(`rollback`)
		t.want("after that transaction", b.get(`select pg_try_advisory_xact_lock(hashtext('webhook'), hashtext('rate'))`), "true")
		t.want("a session's lock after its transaction", b.get(`select pg_try_advisory_xact_lock(815)`), "false")
	}},
	{"a session can be found by its advisory lock, and ended", "a claim whose connection is dead does not wait for hours", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`select pg_advisory_lock(8589934599)`) // 2 << 32 | 7
		t.want("who holds the lock", b.get(`
			select pid from pg_locks
			 where locktype = 'advisory' and objsubid = 1 and granted and (classid::bigint << 32) | objid::bigint = 8589934599`), a.pid)
		t.eventually("the session waits for its client, as pg_stat_activity has it", func() string {
			return b.get(`select wait_event_type = 'Client' and usename = session_user and datname = current_database() from pg_stat_activity where pid = $1::int`, a.pid)
		})
		t.want("pg_terminate_backend", b.get(`select pg_terminate_backend($1::int)`, a.pid), "true")
		t.eventually("its lock is free", func() string { return b.get(`select pg_try_advisory_xact_lock(8589934599)`) })
	}},
	{"a message in the log that changes no row", "leases expire only once the database has accepted writes for a whole lease", func(t *trial) {
		t.want("pg_logical_emit_message", t.session().get(`select pg_logical_emit_message(true, 'webhooks', 'check') is not null`), "true")
	}},
}
