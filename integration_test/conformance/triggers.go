package main

import (
	"errors"

	"github.com/lib/pq"
)

// triggers is how the rules of the outbox are kept.
var triggers = []feature{
	{"a trigger before insert: it computes columns, and refuses a row", "what is written is an event; document_id and the guarantee are its own, whatever the insert says", func(t *trial) {
		s := t.session()
		s.do(`create table accepted (id int primary key, data json, document text)`)
		s.do(`create function accept() returns trigger language plpgsql as $$
			begin
			  new.document := new.data ->> 'id';
			  if new.document is null then
			    raise exception 'refused' using errcode = 'check_violation';
			  end if;
			  return new;
			end $$`)
		s.do(`create trigger accepted before insert on accepted for each row execute function accept()`)
		s.do(`insert into accepted values (1, '{"id": 42}', '43')`)
		t.want("the column that is computed", s.get(`select document from accepted`), "42")
		s.refused("23514", `insert into accepted values (2, '{}', '43')`)
		t.want("rows", s.get(`select count(*) from accepted`), "1")
	}},
	{"a trigger after update, on a condition that compares the old row with the new one", "finished rows never change; the rules cost an update that keeps them no call", func(t *trial) {
		s := t.session()
		s.do(`create table lives (id int primary key, status text, finished_at timestamptz)`)
		s.do(refuse)
		s.do(`create function changed(before text, after text) returns boolean language plpgsql immutable as $$ begin return before <> after; end $$`)
		s.do(`create trigger finished after update on lives for each row when (old.finished_at is not null and changed(old.status, new.status)) execute function refuse()`)
		s.do(`insert into lives values (1, 'pending')`)
		s.do(`update lives set status = 'sent', finished_at = now()`)
		s.do(`update lives set finished_at = now()`)
		s.refused("23001", `update lives set status = 'pending'`)
		t.want("what is left", s.get(`select status from lives`), "sent")
	}},
	{"enable always: a trigger fires in a session that replicates, and others do not", "no session is exempt from the rules of the outbox; a subscription may write finished rows", func(t *trial) {
		s := t.session()
		s.do(`create table ruled_always (id int primary key)`)
		s.do(refuse)
		s.do(`create trigger ruled before insert on ruled_always for each row execute function refuse()`)
		s.do(`alter table ruled_always enable always trigger ruled`)
		s.do(`create table ruled_else (id int primary key)`)
		s.do(`create trigger ruled before insert on ruled_else for each row execute function refuse()`)
		t.want("when each fires, as pg_trigger has it", s.get(`
			select string_agg(tgenabled::text, '' order by tgenabled) from pg_trigger
			 where tgrelid in ('ruled_always'::regclass, 'ruled_else'::regclass)`), "AO")
		if !s.replicates() {
			return
		}
		s.refused("23001", `insert into ruled_always values (1)`)
		s.do(`insert into ruled_else values (1)`)
	}},
}

// refuse creates a function that refuses each row.
const refuse = `create or replace function refuse() returns trigger language plpgsql as $$
	begin
	  raise exception 'refused' using errcode = 'restrict_violation';
	end $$`

// replicates makes the session one that replicates, and returns whether its role may do that: a managed server
// keeps it to its own roles.
func (s *session) replicates() bool {
	if s.t.err != nil {
		return false
	}
	_, err := s.query(`set session_replication_role = replica`)
	var refused *pq.Error
	if errors.As(err, &refused) && refused.Code == "42501" {
		return false
	}
	if err != nil {
		s.t.fail(err)
	}
	return err == nil
}
