package main

import "strconv"

// requirements come first: without one of them nothing else can be tried.
var requirements = []feature{
	{"PostgreSQL 13 or newer", "everything", func(t *trial) {
		s := t.session()
		if version, _ := strconv.Atoi(s.get(`select current_setting('server_version_num')`)); version < 130000 {
			t.fail(difference("server_version_num is " + s.get(`select current_setting('server_version_num')`)))
		}
	}},
	{"the server accepts writes", "everything: a hot standby cannot hold the outbox", func(t *trial) {
		t.want("transaction_read_only", t.session().get(`select current_setting('transaction_read_only')`), "off")
	}},
	// The order of the questions is none that a pooler's rotation of two or three sessions repeats.
	{"each connection has a session of its own", "a claim and a record never mix with another client's (a pooler must be in session mode)", func(t *trial) {
		a, b := t.session(), t.session()
		if t.err == nil && a.pid == b.pid {
			t.fail(difference("two connections that are open at once have the same server process"))
		}
		for _, s := range []*session{a, a, b, a, b, b, a} {
			t.want("the server process of a connection", s.get(`select pg_backend_pid()`), s.pid)
		}
	}},
}

var ownDatabase = feature{name: "a database of its own can be created, encoding UTF8", promise: "nothing but this test: it needs a role that may create databases"}

// features are tried in the database that was created.
var features = concat(locks, order, sessions, values, triggers, plans, schema)

func concat(groups ...[]feature) (all []feature) {
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}
