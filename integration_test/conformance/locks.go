package main

const (
	toTwoWorkers = "no event goes to two workers"
	afterSwitch  = "no claim commits after a switch has"
)

// locks is what keeps workers and operators apart.
var locks = []feature{
	{"read committed: a condition is evaluated again on the row that another transaction has changed", afterSwitch + "; an outcome is recorded once", func(t *trial) {
		a, b, watcher := t.session(), t.session(), t.session()
		a.do(`create table recheck (id int primary key, status text)`)
		a.do(`insert into recheck values (1, 'pending')`)
		a.do(`begin isolation level read committed; update recheck set status = 'sent' where id = 1`)
		b.do(`begin isolation level read committed`)
		waiting := b.waits(watcher, `update recheck set status = 'sending' where id = 1 and status = 'pending' returning id`)
		a.do(`commit`)
		got := <-waiting
		t.fail(got.err)
		t.want("rows that no longer match, and were changed all the same", got.text, "")
		b.do(`commit`)
	}},
	{"for update skip locked: a locked row is left out, without a wait", toTwoWorkers + "; no worker waits for another", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`create table queue (id int primary key)`)
		a.do(`insert into queue values (1), (2), (3)`)
		a.do(`begin`)
		t.want("the first one", a.get(`select id from queue order by id limit 1 for update skip locked`), "1")
		b.do(`set lock_timeout = '300ms'`)
		t.want("the first that is free", b.get(`select id from queue order by id limit 1 for update skip locked`), "2")
	}},
	{"for update skip locked in a lateral subquery below a union, with for share skip locked around it", "the claim: one statement for all channels", func(t *trial) {
		a, b := t.session(), t.session()
		a.do(`create table channels (name text primary key, enabled boolean)`)
		a.do(`create table events (id int primary key, channel text, fresh boolean)`)
		a.do(`insert into channels values ('a', true), ('b', true)`)
		a.do(`insert into events values (1, 'a', true), (2, 'a', true), (3, 'a', false), (4, 'b', true)`)
		a.do(`begin; select from events where id = 1 for update`)
		b.do(`set lock_timeout = '300ms'`)
		const claim = `
			with picked as (
			  select c.name, p.id
			    from channels c
			   cross join lateral (select * from (
			         select * from (select e.id from events e where e.channel = c.name and not e.fresh order by e.id for update skip locked) again
			          union all
			         select * from (select e.id from events e where e.channel = c.name and e.fresh order by e.id for update skip locked) fresh) due
			         limit 2) p
			   where c.enabled
			     for share of c skip locked)
			select id from picked order by id`
		t.want("all that is free, at most two of a channel", b.get(claim), "2 3 4")
		a.do(`rollback; begin; update channels set enabled = false where name = 'a'`)
		t.want("while a switch is being changed, the other channel's", b.get(claim), "4")
		a.do(`commit`)
		t.want("after the switch has committed", b.get(claim), "4")
	}},
	{"for share: it admits another one, and keeps a change waiting", afterSwitch, func(t *trial) {
		a, b, c := t.session(), t.session(), t.session()
		a.do(`create table switches (id int primary key, enabled boolean)`)
		a.do(`insert into switches values (1, true)`)
		for _, s := range []*session{a, b} {
			s.do(`set lock_timeout = '300ms'`)
			s.do(`begin`)
			t.want("the switch", s.get(`select id from switches where enabled for share skip locked`), "1")
		}
		c.do(`set lock_timeout = '300ms'`)
		c.refused("55P03", `update switches set enabled = false where id = 1`)
		a.do(`commit`)
		b.do(`commit`)
		c.do(`update switches set enabled = false where id = 1`)
	}},
	{"for share: the condition is evaluated on the version that was locked", afterSwitch, func(t *trial) {
		a, b, watcher := t.session(), t.session(), t.session()
		a.do(`create table settings (id int primary key, enabled boolean)`)
		a.do(`insert into settings values (1, true)`)
		a.do(`begin; update settings set enabled = false where id = 1`)
		b.do(`begin isolation level read committed`)
		waiting := b.waits(watcher, `select id from settings where enabled for share`)
		a.do(`commit`)
		got := <-waiting
		t.fail(got.err)
		t.want("a switch that is off by now", got.text, "")
	}},
	{"a partial unique index: of two transactions that write the same value, one waits and is refused", "exports of one document are sent one at a time", func(t *trial) {
		a, b, watcher := t.session(), t.session(), t.session()
		a.do(`create table leases (id int primary key, document text, leased boolean)`)
		a.do(`create unique index one_lease on leases (document) where leased`)
		a.do(`insert into leases values (1, '42', false), (2, '42', false), (3, '42', false)`)
		a.do(`begin; update leases set leased = true where id = 1`)
		waiting := b.waits(watcher, `update leases set leased = true where id = 2`)
		a.do(`commit`)
		got := <-waiting
		t.mustBe("23505", got.text, got.err)
		a.do(`update leases set leased = false where id = 1`)
		b.do(`update leases set leased = true where id = 2`)
	}},
	{"a trigger after update: its statements see what committed after the update began", "no older export is sent after a newer one", func(t *trial) {
		a, b, watcher := t.session(), t.session(), t.session()
		a.do(`create table exports (id int primary key, document text, leased boolean not null default false)`)
		a.do(`create function refuse_overtaken() returns trigger language plpgsql as $$
			begin
			  if exists (select from exports later where later.document = new.document and later.id > new.id) then
			    raise exception 'overtaken' using errcode = 'serialization_failure';
			  end if;
			  return null;
			end $$`)
		a.do(`create trigger overtaken after update on exports for each row when (new.leased and not old.leased) execute function refuse_overtaken()`)
		a.do(`insert into exports values (1, '42')`)
		a.do(`begin; select pg_advisory_xact_lock(4711)`)
		waiting := b.waits(watcher, `update exports set leased = true where id = 1 and pg_advisory_xact_lock(4711) is not null`)
		a.do(`insert into exports values (2, '42')`)
		a.do(`commit`)
		got := <-waiting
		t.mustBe("40001", got.text, got.err)
	}},
	{"a statement writes several tables, and returns what it wrote", "the outcome and its attempt are recorded together or not at all", func(t *trial) {
		s := t.session()
		s.do(`create table outcomes (id int primary key, status text)`)
		s.do(`create table attempts (id int primary key)`)
		s.do(`insert into outcomes select n, 'sending' from generate_series(1, 3) n`)
		const record = `
			with recorded as (
			  update outcomes o set status = r.status from unnest($1::int[], $2::text[]) as r (id, status)
			   where o.id = any (array[r.id]) and o.status = 'sending' returning o.id
			), written as (insert into attempts select id from recorded)
			select count(*) from recorded`
		t.want("the first time", s.get(record, "{1,2,9}", "{sent,failed,sent}"), "2")
		t.want("a second time", s.get(record, "{1,2,9}", "{sent,failed,sent}"), "0")
		t.want("the other table", s.get(`select string_agg(id::text, ' ' order by id) from attempts`), "1 2")
	}},
}
