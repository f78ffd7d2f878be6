package main

import "os"

// values is what is stored, computed and refused.
var values = []feature{
	{"json keeps every byte", "the receiver gets 12500.00 as 12500.00; the bytes of an event never differ", func(t *trial) {
		s := t.session()
		const data = `{"b": 12500.00,  "a":"\u0000<", "b":1e2}`
		s.do(`create table data (data json)`)
		s.do(`insert into data values ($1)`, data)
		t.want("what was written", s.get(`select data::text from data`), data)
	}},
	{"generated columns from PL/pgSQL, computed only when their columns are written", "what is wrong with a URL is computed once, when it is set", func(t *trial) {
		s := t.session()
		s.do(`create function document(data json) returns text language plpgsql immutable as $$
			begin
			  if current_setting('conformance.refuse', true) = 'on' then
			    raise exception 'it was computed again';
			  end if;
			  begin
			    return data ->> 'id';
			  exception when others then
			    return 'bad escape';
			  end;
			end $$`)
		s.do(`create table events_of (id int primary key, data json, status text, document text generated always as (document(data)) stored)`)
		s.do(`insert into events_of (id, data) values (1, '{"id": 42}'), (2, '{"id": 43, "x": "\u0000"}')`)
		t.want("what was computed, an exception caught", s.get(`select string_agg(document, ',' order by id) from events_of`), "42,bad escape")
		s.do(`set conformance.refuse = 'on'`)
		s.do(`update events_of set status = 'sent'`)
		s.refused("P0001", `update events_of set data = '{"id": 44}'`)
	}},
	{"a CHECK that calls a function, whose error names its constraint", "the life cycle cannot be wrong, nor a signing secret; the error says why", func(t *trial) {
		s := t.session()
		s.do(`create function possible(status text) returns boolean language plpgsql immutable as $$
			begin
			  if status = 'sent' then
			    raise exception 'refused' using errcode = 'check_violation', constraint = 'sent_has_an_answer', hint = 'why';
			  end if;
			  return true;
			end $$`)
		s.do(`create table ruled (status text, constraint possible check (possible(status)))`)
		s.do(`insert into ruled values ('pending')`)
		refused := s.refused("23514", `update ruled set status = 'sent'`)
		t.want("the constraint that the error names", refused.constraint, "sent_has_an_answer")
		t.want("its hint", refused.hint, "why")
	}},
	{"the search_path that a function pins", "no object that another role plants is ever called", func(t *trial) {
		s := t.session()
		s.do(`create schema planted`)
		s.do(`create function planted.lower(text) returns text language sql as $$ select 'planted' $$`)
		s.do(`create function pinned(name text) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$ begin return lower(name); end $$`)
		s.do(`set search_path = planted, pg_catalog, public`)
		t.want("without it", s.get(`select lower('A')`), "planted")
		t.want("with it", s.get(`select public.pinned('A')`), "a")
	}},
	{"regular expressions that look ahead and behind", "the document's id, the traceparent, the checks of URLs", func(t *trial) {
		s := t.session()
		t.want("behind", s.get(`select regexp_replace('a1 b1', '(?<!a)1', '2', 'g')`), "a1 b2")
		t.want("ahead", s.get(`select '00-0' ~ '^00-(?!0)'`), "false")
	}},
}

// schema is all of it.
var schema = []feature{
	{"schema.sql, and an event in it", "everything", func(t *trial) {
		text, err := os.ReadFile(t.schema)
		if err != nil {
			t.fail(err)
			return
		}
		s := t.session()
		s.do(string(text))
		t.want("webhook.publish", s.get(`select webhook.publish('document.exported', '{"id": 42}')`), "1")
		t.want("the row", s.get(`select concat_ws(' ', status, document_id, at_least_once) from webhook.outbox`), "pending 42 t")
		t.want("webhook.status", s.get(`select pending from webhook.status where channel = 'documents'`), "1")
		s.refused("23514", `select webhook.publish('no.such.event', '{}')`)
	}},
}
