-- RecordEngine webhooks: the schema of a new database, version 1.
--
-- `webhooks migrate` applies this file to a new database, and the numbered files of upgrades/ to an
-- older one. By hand it is one transaction, too:
--
--     psql -1 -v ON_ERROR_STOP=1 -f schema.sql
--
-- PostgreSQL 13 or newer, a database in UTF8. An application needs one line of all this, in the
-- transaction that changes its own data:
--
--     select webhook.publish('contact.created', '{"contact_id": 7, "name": "Acme Supplies Ltd"}');
--
-- In this order: the guard; the versions; the outbox; channels, endpoints and settings; attempts,
-- interventions, secrets, tally and operations; what reads (views, hint, explain); what acts (publish, retry,
-- cancel, ...; operations); the roles.
--
-- search_path is pinned here and in each function that does not qualify every name, so that CHECKs,
-- indexes, views and calls bind to pg_catalog and never to an object that another role has planted. Those
-- that are called for every row of an insert or a claim qualify each name and operator: a SET clause costs
-- as much as the call. Functions that an insert or the worker calls are in PL/pgSQL, which keeps its plans
-- for the session, or in SQL where such a plan can contain them; a function in SQL that cannot be inlined is
-- planned again in each statement.

set local search_path = pg_catalog, pg_temp;
set local standard_conforming_strings = on;

-- Refuses, before anything changes, where this schema cannot be.
do $guard$
declare
  existing record;
  relation text;
begin
  if current_setting('search_path') <> 'pg_catalog, pg_temp' then
    raise exception 'schema.sql must run in one transaction'
      using errcode = 'no_active_sql_transaction', hint = 'Run: webhooks migrate, or: psql -1 -v ON_ERROR_STOP=1 -f schema.sql';
  end if;
  if current_setting('server_version_num')::int < 130000 then
    raise exception 'PostgreSQL % is too old: 13 or newer is needed', current_setting('server_version') using errcode = 'feature_not_supported';
  end if;
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception 'the database % has the encoding %: UTF8 is needed', current_database(), current_setting('server_encoding')
      using errcode = 'feature_not_supported', hint = 'create database ... encoding ''UTF8'' template template0';
  end if;
  perform pg_advisory_xact_lock(hashtext('webhook.schema')); -- the lock of webhooks migrate
  select n.oid, pg_get_userbyid(n.nspowner) as owner into existing from pg_namespace n where n.nspname = 'webhook';
  if not found then
    create schema webhook;
    return;
  end if;
  select min(c.relname) into relation from pg_class c where c.relnamespace = existing.oid and c.relkind in ('r', 'p', 'v', 'm', 'f');
  if exists (select from pg_class c join pg_attribute a on a.attrelid = c.oid
              where c.relnamespace = existing.oid and c.relname = 'schema_versions' and a.attname = 'min_worker') then
    raise exception 'this database has the webhook schema already, version %', (select max(v.version) from webhook.schema_versions v)
      using errcode = 'duplicate_schema', hint = 'To upgrade it: webhooks migrate';
  end if;
  -- An empty schema that was made for the role that runs this is as good as none.
  if relation is not null or existing.owner <> current_user or exists (select from pg_proc p where p.pronamespace = existing.oid) then
    raise exception 'the schema "webhook" of this database is not the one of this program: it belongs to the role % and %',
        existing.owner, coalesce('has the table ' || relation, 'has no table')
      using errcode = 'duplicate_schema', hint = 'Use another database, or rename that schema: alter schema webhook rename to ...';
  end if;
end
$guard$;

revoke all on schema webhook from public;
comment on schema webhook is
  'The webhook outbox of RecordEngine: applications insert events, the webhooks worker delivers them. Start with: select * from webhook.status';


------------------------------------------------------------------------------------------------
-- The versions of the schema. This file stands for all versions up to its own.

create table webhook.schema_versions (
  version    int primary key,
  min_worker int not null,
  checksum   text,
  applied_at timestamptz not null default now(),
  applied_by text not null default current_user
);
comment on table  webhook.schema_versions            is 'The versions of the schema that this database has.';
comment on column webhook.schema_versions.version    is 'The number of the upgrade file; 1 is the first release.';
comment on column webhook.schema_versions.min_worker is 'The oldest worker, by the version of its schema, that works with this version.';
comment on column webhook.schema_versions.checksum   is 'SHA-256 of the upgrade file. Null for version 1, and where schema.sql was applied by hand.';
comment on column webhook.schema_versions.applied_at is 'When this version was applied.';
comment on column webhook.schema_versions.applied_by is 'The role that applied it.';

insert into webhook.schema_versions (version, min_worker) values
  (1, 1);


------------------------------------------------------------------------------------------------
-- The outbox.

-- The one definition of the guarantee. Every rule of the outbox, the claim, the record, the expiry of leases and
-- the skip follow the columns webhook.outbox.at_least_once and webhook.channels.at_least_once, which
-- are computed by it. It is also the list of the events: any other is null, which the rule
-- outbox_event_is_known refuses. An event may be added; the answer for an existing one must not
-- change, since it is stored in every row. In SQL, so that the plans of the triggers below contain it: PL/pgSQL keeps
-- them for the session, while each call of a function in PL/pgSQL costs a transaction 1 us.
create function webhook.at_least_once(event text) returns boolean
  language sql immutable parallel safe
  as $fn$
  select case
    when $1 operator(pg_catalog.=) 'document.exported' then true
    when $1 operator(pg_catalog.=) any (array['contact.created', 'folder.created', 'case.created', 'notification.created',
                                              'rule.executed', 'audit.log']) then false
  end
$fn$;
comment on function webhook.at_least_once(text) is
  'The guarantee of an event: true is at least once, false at most once, null an unknown event.';

-- The id of a document, as text, or null where the data holds none. It never raises, since an
-- application's insert must not fail on it, while -> parses the whole object and raises on \u0000 or
-- a lone surrogate anywhere in it.
create function webhook.document_id(data json) returns text
  language plpgsql immutable parallel safe
  as $fn$
declare -- with their schema: the path is the caller's, who may have types of their own
  id    pg_catalog.json;
  found pg_catalog.text;
begin
  begin
    id := $1 operator(pg_catalog.->) 'id';
  exception when others then
    return webhook.document_id_beside_bad_escapes($1);
  end;
  if pg_catalog.json_typeof(id) operator(pg_catalog.=) any (array['number', 'string']) then
    found := id operator(pg_catalog.#>>) array[]::pg_catalog.text[];
  end if;
  return case when pg_catalog.length(found) operator(pg_catalog.>) 0 and pg_catalog.length(found) operator(pg_catalog.<=) 200 then found end;
end
$fn$;
comment on function webhook.document_id(json) is
  'The document''s id in the data of document.exported (a number or a string, of at most 200 characters) as text, else null. Never raises.';

-- The escapes of the data are hidden (\\ as \\s, \u as \\u) and restored in the id alone, where \u0000
-- and lone surrogates are read as \ufffd. All of it in linear time, whatever an application writes; the
-- regular expression sees the id only.
create function webhook.document_id_beside_bad_escapes(data json) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  found text;
begin
  data := replace(replace(replace(replace(data::text, '\\', '\\s'), '\u', '\\u'), '\\u0069', 'i'), '\\u0064', 'd')::json;
  if json_typeof(data -> 'id') in ('number', 'string') and length((data -> 'id')::text) <= 5000 then
    found := regexp_replace(replace(replace((data -> 'id')::text, '\\s', '\u005c'), '\\u', '\u'),
               '\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F]..)|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..', '\\ufffd', 'g');
    found := json_build_object('id', found::json) ->> 'id';
  end if;
  return case when length(found) between 1 and 200 then found end;
exception when others then
  return null;
end
$fn$;
comment on function webhook.document_id_beside_bad_escapes(json) is
  'webhook.document_id of data with escapes that PostgreSQL cannot read as text. Never raises. Internal.';

-- The functions refuse_... raise an error in words where a constraint would print the data of the event,
-- to the application and into the server's log. The first reads webhook.channels, which an application
-- may not, hence with the rights of its owner. They are declared immutable, which they are not, so that a
-- function in SQL that calls them can be inlined.
create function webhook.refuse_event(event text) returns boolean
  language plpgsql immutable security definer set search_path = pg_catalog, pg_temp
  as $fn$
begin
  raise exception 'webhook.outbox: unknown event "%"', left(event, 100) -- a client may not read a message of any length
    using errcode = 'check_violation', schema = 'webhook', table = 'outbox', constraint = 'outbox_event_is_known',
          hint = 'One of ' || (select string_agg(c.event, ', ' order by c.position) from webhook.channels c) || '.';
end
$fn$;
comment on function webhook.refuse_event(text) is 'Raises the error of an unknown event. Internal.';

create function webhook.refuse_data(data json) returns text
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $fn$
begin
  raise exception 'webhook.outbox: data is a JSON %, an object was expected', json_typeof(data)
    using errcode = 'check_violation', schema = 'webhook', table = 'outbox', constraint = 'outbox_data_is_an_object',
          hint = 'Pass the data of the event as one JSON object, for example row_to_json(contacts).';
end
$fn$;
comment on function webhook.refuse_data(json) is 'Raises the error of data that is no JSON object. Internal.';

create function webhook.refuse_null(event text, data json, occurred_at timestamptz) returns text
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $fn$
declare
  missing text := case when $1 is null then 'event' when $2 is null then 'data' else 'occurred_at' end;
begin
  raise exception 'webhook.outbox: % is null', missing
    using errcode = 'not_null_violation', schema = 'webhook', table = 'outbox', column = missing,
          hint = case missing when 'data' then 'Did the query that makes the data find no row? ' else '' end
                 || 'For example: select webhook.publish(''contact.created'', ''{"contact_id": 7}'')';
end
$fn$;
comment on function webhook.refuse_null(text, json, timestamptz) is 'Raises the error of an event without name, data or time. Internal.';

-- https://www.w3.org/TR/trace-context/, version 00. The all-zero ids are invalid there.
create function webhook.sent_traceparent(traceparent text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$
begin
  return case when length($1) = 55 and $1 ~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' then $1 end;
end
$fn$;
comment on function webhook.sent_traceparent(text) is 'The header traceparent that is sent for this value: the value itself, or null where it is none of version 00 of W3C Trace Context.';

-- The document_id of a row, and the checks of what an application writes. In SQL as at_least_once is.
create function webhook.accepted_document_id(event text, data json, occurred_at timestamptz, is_test boolean) returns text
  language sql immutable parallel safe
  as $fn$
  select case
    when $1 is null or $2 is null or $3 is null then webhook.refuse_null($1, $2, $3)
    when pg_catalog.json_typeof($2) operator(pg_catalog.<>) 'object' then webhook.refuse_data($2)
    when $1 operator(pg_catalog.=) 'document.exported' and not $4 then webhook.document_id($2)
  end
$fn$;
comment on function webhook.accepted_document_id(text, json, timestamptz, boolean) is
  'Refuses an event without name, data or time, and data that is no JSON object; returns the id of a document that is no test. Internal.';

create function webhook.refuse_state(rule text, status text) returns boolean
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $fn$
begin
  raise exception 'webhook.outbox: a row with the status % is refused by %: %', left($2, 100), $1, case $1
      when 'outbox_status_is_known'             then 'it is none of pending, sending, sent, failed, skipped, superseded, cancelled'
      when 'outbox_attempts_is_a_count'         then 'attempts are counted from 0'
      when 'outbox_failure_is_known'            then 'its failure is none of the known classes'
      when 'outbox_received_is_known'           then 'received is no, maybe or yes'
      when 'outbox_at_least_once_stays_pending' then 'what is delivered at least once stays pending until it is sent, superseded or cancelled'
      when 'outbox_sending_is_leased'           then 'while the one attempt runs, a worker holds the row: leased_until is set'
      when 'outbox_lease_is_of_a_claim'         then 'a leased row is sending, or pending and delivered at least once, and names its claim and its worker'
      when 'outbox_finished_at_is_set_when_finished' then 'finished_at is set exactly for sent, failed, skipped, superseded and cancelled'
      when 'outbox_sent_has_an_answer'          then 'what is sent has the HTTP status of its answer (or no claim), received yes, and neither failure nor error'
      when 'outbox_failed_has_a_failure'        then 'what has failed has the class of its failure, and whether the receiver may have it'
      when 'outbox_only_a_document_is_superseded' then 'only an export can be followed by a later export of the same document'
      when 'outbox_synced_at_is_set_when_a_document_is_sent' then 'synced_at is set exactly for documents that were sent' end
    using errcode = 'check_violation', schema = 'webhook', table = 'outbox', constraint = $1,
          hint = 'See webhook.state_is_possible for the rules of a row. To act on an event: webhook.retry, cancel, mark_delivered.';
end
$fn$;
comment on function webhook.refuse_state(text, text) is 'Raises the error of a row that breaks this rule. Internal.';

-- The rules of a row: the two guarantees, whose life cycles outbox/doc.go draws, and what belongs
-- together. The triggers below the outbox check them in each insert and each update.
create function webhook.state_is_possible(
    status text, at_least_once boolean, event text, document_id text, attempts int, claim_id uuid, claimed_by text, claimed_at timestamptz,
    leased_until timestamptz, finished_at timestamptz, synced_at timestamptz, http_status int, failure text, received text, error text) returns boolean
  language plpgsql immutable parallel safe
  as $fn$
declare
  broken pg_catalog.text;
begin
  broken := case
    when at_least_once is null then 'outbox_event_is_known'
    when status operator(pg_catalog.<>) all (array['pending', 'sending', 'sent', 'failed', 'skipped', 'superseded', 'cancelled'])
      then 'outbox_status_is_known'
    when attempts operator(pg_catalog.<) 0 then 'outbox_attempts_is_a_count'
    when failure operator(pg_catalog.<>) all (array[
           'config', 'render', 'blocked_address', 'dns', 'proxy', 'refused', 'unreachable', 'tls', 'timeout', 'connection_lost',
           'bad_answer', 'redirect', 'not_counted', 'rejected', 'rate_limited', 'server_error', 'interrupted'])
      then 'outbox_failure_is_known'
    when received operator(pg_catalog.<>) all (array['no', 'maybe', 'yes']) then 'outbox_received_is_known'

    when at_least_once and status operator(pg_catalog.=) any (array['sending', 'failed', 'skipped'])
      then 'outbox_at_least_once_stays_pending'
    when leased_until is null and status operator(pg_catalog.=) 'sending'
      then 'outbox_sending_is_leased'
    when leased_until is not null and not (
           (status operator(pg_catalog.=) 'sending' or (status operator(pg_catalog.=) 'pending' and at_least_once))
           and attempts operator(pg_catalog.>) 0 and claim_id is not null and claimed_by is not null and claimed_at is not null)
      then 'outbox_lease_is_of_a_claim'
    when (finished_at is null) operator(pg_catalog.=) (status operator(pg_catalog.=) any (array['sent', 'failed', 'skipped', 'superseded', 'cancelled']))
      then 'outbox_finished_at_is_set_when_finished'
    when status operator(pg_catalog.=) 'sent' and not (
           (http_status is not null or claim_id is null) and failure is null
           and received is not null and received operator(pg_catalog.=) 'yes' and error is null)
      then 'outbox_sent_has_an_answer'
    when status operator(pg_catalog.=) 'failed' and (failure is null or received is null)
      then 'outbox_failed_has_a_failure'
    -- Of documents, whatever their guarantee.
    when status operator(pg_catalog.=) 'superseded' and document_id is null
      then 'outbox_only_a_document_is_superseded'
    when (synced_at is null) operator(pg_catalog.=) (status operator(pg_catalog.=) 'sent' and event operator(pg_catalog.=) 'document.exported')
      then 'outbox_synced_at_is_set_when_a_document_is_sent'
  end;
  return case
    when broken is null then true
    when at_least_once is null then webhook.refuse_event(event)
    else webhook.refuse_state(broken, status)
  end;
end
$fn$;
comment on function webhook.state_is_possible(text, boolean, text, text, int, uuid, text, timestamptz, timestamptz, timestamptz, timestamptz, int, text, text, text) is
  'True for a row of webhook.outbox that keeps all rules; else raises an error, whose constraint is the name of the broken rule. Internal.';

create table webhook.outbox (
  id            bigint generated always as identity primary key,
  -- None of these three is null: the triggers below refuse it in words, while NOT NULL prints the data.
  event         text,
  data          json,
  occurred_at   timestamptz default now(),
  status        text not null default 'pending',
  due_at        timestamptz not null default now(),
  attempts      int not null default 0,
  claim_id      uuid,
  claimed_by    text,
  claimed_at    timestamptz,
  leased_until  timestamptz,
  finished_at   timestamptz,
  synced_at     timestamptz,
  http_status   int,
  failure       text,
  received      text,
  error         text,
  response      text,
  document_id   text,    -- computed by the triggers below,
  is_test       boolean not null default false,
  at_least_once boolean, -- as this is
  traceparent   text     -- of any form: an application's insert must not fail on it
)
-- Each row is updated twice within seconds of its insert, by a claim and by its outcome. Space in its
-- page keeps both new versions beside the old one; vacuum must run often, since claims read the index
-- entries that it removes.
with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
      autovacuum_vacuum_cost_delay = 1, autovacuum_analyze_scale_factor = 0.02);

comment on table  webhook.outbox               is 'One row per event. An application inserts event and data in the transaction of its own change; the worker does the rest. Finished rows never change, except when a person resends them or marks them as delivered.';
comment on column webhook.outbox.id            is 'The order in which events were written; part of the webhook-id header, see webhook.webhook_id.';
comment on column webhook.outbox.event         is 'One of webhook.channels.event.';
comment on column webhook.outbox.data          is 'The application''s data, one JSON object. A whole table row may be passed: only the fields of the specification are sent. json, not jsonb: 12500.00 must stay 12500.00.';
comment on column webhook.outbox.occurred_at   is 'When it happened: the timestamp of the payload, truncated to seconds, in UTC.';
comment on column webhook.outbox.status        is 'pending: not delivered yet; what is delivered at least once stays so until a success, leased or not. sending: the one attempt has begun. Finished: sent, failed, skipped (the channel was off), superseded (a later export of the same document exists), cancelled (by a person).';
comment on column webhook.outbox.due_at        is 'Not attempted before this instant of the database''s clock. After a failure that is retried: the next multiple of ten seconds.';
comment on column webhook.outbox.attempts      is 'Claims committed. Each may have started one POST.';
comment on column webhook.outbox.claim_id      is 'The newest claim, a UUID that the worker chose. The rows of one batch share it. An outcome is recorded only under it.';
comment on column webhook.outbox.claimed_by    is 'Host and process of the worker that holds the row or held it last.';
comment on column webhook.outbox.claimed_at    is 'When the newest claim was made, on the database''s clock.';
comment on column webhook.outbox.leased_until  is 'Set exactly while a worker holds the row. When it has passed, the lease expires: the row is due again if at_least_once, else it becomes failed.';
comment on column webhook.outbox.finished_at   is 'When the row became sent, failed, skipped, superseded or cancelled.';
comment on column webhook.outbox.synced_at     is 'Documents only: when a success was recorded. Null as long as the document is not synced.';
comment on column webhook.outbox.http_status   is 'HTTP status of the newest attempt; null if no answer arrived, and after webhook.mark_delivered.';
comment on column webhook.outbox.failure       is 'Class of the newest attempt''s failure, null after a success: config, render, blocked_address, dns, proxy, refused, unreachable, tls, timeout, connection_lost, bad_answer, redirect, not_counted (another 2xx), rejected (4xx), rate_limited (429), server_error (5xx), interrupted. What it means: webhook.hint.';
comment on column webhook.outbox.received      is 'Whether the receiver has the event, as far as the newest attempt can tell: no, maybe (written and not answered), yes (a 2xx).';
comment on column webhook.outbox.error         is 'The failure in words, for people. No program reads it.';
comment on column webhook.outbox.response      is 'First 2 KiB of the newest answer''s body, secrets masked.';
comment on column webhook.outbox.document_id   is 'The document''s id as text, from data; null for test events and other events. Is document 42 synced? select status, synced_at from webhook.outbox where document_id = ''42'' order by id desc limit 1';
comment on column webhook.outbox.is_test       is 'A test event: attempted once whatever the channel''s switch says, counted in no volume.';
comment on column webhook.outbox.at_least_once is 'The guarantee of this row: retried until a success, or attempted once. See webhook.at_least_once.';
comment on column webhook.outbox.traceparent   is 'The trace of the application''s transaction, as W3C Trace Context writes it: sent as the header traceparent on channels with send_traceparent. What webhook.sent_traceparent does not accept is not sent.';

-- What a claim reads, channel by channel: pending rows without a lease, so that finished rows never
-- slow it down. The second column is the priority: 0 a test event, 1 what was claimed before (retries
-- and resends), 2 what is fresh.
create index outbox_pending on webhook.outbox
  (event, (case when is_test then 0 when attempts > 0 then 1 else 2 end), due_at, id)
  where status = 'pending' and leased_until is null;
comment on index webhook.outbox_pending is 'Pending rows without a lease, by event, priority (0 tests, 1 claimed before, 2 fresh) and due time: what a claim reads.';

-- "claim_id is not null", which every leased row fulfils, keeps this index from serving the question
-- whether a document is held: the whole of it would be read where statistics say that it is empty.
create index outbox_held on webhook.outbox (claim_id)
  where leased_until is not null and claim_id is not null;
comment on index webhook.outbox_held is 'Leased rows, a few hundred at most: the expiry of leases, and the look-up of a claim whose reply was lost.';

-- Two claims that both saw no leased export of the document meet here.
create unique index outbox_one_attempt_per_document on webhook.outbox (document_id)
  where leased_until is not null and document_id is not null;
comment on index webhook.outbox_one_attempt_per_document is 'Refuses a second lease of a document while one is held.';

create index outbox_document on webhook.outbox (document_id, id)
  where document_id is not null;
comment on index webhook.outbox_document is 'The exports of one document in the order they were written.';

-- The id makes the order total: what goes on behind a row needs it, where very many have finished at the
-- same instant.
create index outbox_finished on webhook.outbox (event, status, finished_at, id) include (is_test)
  where finished_at is not null;
comment on index webhook.outbox_finished is 'Finished rows by event, status and time: the views, the clean-up, the tally and resends.';

-- What an insert costs is kept small by a trigger. PostgreSQL reads and compiles the text of each CHECK
-- and each generated column anew in every statement that writes a row, while PL/pgSQL keeps what it has
-- compiled for the session (docs/performance.md has both). "enable always" lets the trigger fire whatever
-- session_replication_role says: as with a constraint, only the table's owner can do without it.
create function webhook.accept_event() returns trigger
  language plpgsql
  as $fn$
begin
  -- "a > b" is "a and not b", except that it stays null for an unknown event, also in a test.
  new.at_least_once := webhook.at_least_once(new.event) operator(pg_catalog.>) new.is_test;
  new.document_id := webhook.accepted_document_id(new.event, new.data, new.occurred_at, new.is_test);
  -- A fresh row can break none of the rules.
  if not (new.at_least_once is not null and new.status operator(pg_catalog.=) 'pending' and new.attempts operator(pg_catalog.>=) 0
          and pg_catalog.num_nonnulls(new.leased_until, new.finished_at, new.synced_at, new.failure, new.received) operator(pg_catalog.=) 0) then
    -- "if": the context of an error has the whole text of a "perform", and of what is no simple expression.
    if new.at_least_once is null and webhook.refuse_event(new.event) is not true or webhook.state_is_possible(
         new.status, new.at_least_once, new.event, new.document_id, new.attempts, new.claim_id, new.claimed_by, new.claimed_at,
         new.leased_until, new.finished_at, new.synced_at, new.http_status, new.failure, new.received, new.error) is not true then
      raise exception 'webhook.outbox: the row breaks a rule of webhook.state_is_possible' using errcode := 'check_violation', schema := 'webhook', table := 'outbox';
    end if;
  end if;
  return new;
end
$fn$;
comment on function webhook.accept_event() is
  'Refuses what no event is, computes document_id and at_least_once, and checks the rules of a row that is inserted. Internal.';
create trigger what_is_written_is_an_event before insert on webhook.outbox for each row execute function webhook.accept_event();
alter table webhook.outbox enable always trigger what_is_written_is_an_event;
comment on trigger what_is_written_is_an_event on webhook.outbox is 'An insert is refused unless it is an event that keeps the rules; document_id and at_least_once are computed, whatever it says.';

-- In an update the rules are checked by a condition, which costs what a CHECK costs: it is compiled once
-- for all rows of a claim. All triggers of an update are "after": one before it would lock each row
-- once more.
create function webhook.refuse_impossible() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
begin
  raise exception 'webhook.outbox: row % breaks a rule of webhook.state_is_possible', new.id using errcode = 'check_violation', schema = 'webhook', table = 'outbox';
end
$fn$;
comment on function webhook.refuse_impossible() is 'Refuses a row for which webhook.state_is_possible neither returns true nor raises an error. Internal.';
create trigger each_row_keeps_the_rules after update on webhook.outbox
  for each row when (webhook.state_is_possible(
    new.status, new.at_least_once, new.event, new.document_id, new.attempts, new.claim_id, new.claimed_by, new.claimed_at,
    new.leased_until, new.finished_at, new.synced_at, new.http_status, new.failure, new.received, new.error) is not true)
  execute function webhook.refuse_impossible();
alter table webhook.outbox enable always trigger each_row_keeps_the_rules;
comment on trigger each_row_keeps_the_rules on webhook.outbox is 'The rules of the two life cycles and of what belongs together; see webhook.state_is_possible, which raises the error.';

-- The data of an event that waits may be corrected. The update of this trigger fires it once more, and then
-- there is nothing to change.
create function webhook.compute_again() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  document constant text    := webhook.accepted_document_id(new.event, new.data, new.occurred_at, new.is_test);
  retried  constant boolean := webhook.at_least_once(new.event) > new.is_test;
begin
  update webhook.outbox o set document_id = document, at_least_once = retried
   where o.id = new.id and (o.document_id, o.at_least_once) is distinct from (document, retried);
  return null;
end
$fn$;
comment on function webhook.compute_again() is 'Refuses what no event is, and computes document_id and at_least_once of an event that is changed. Internal.';
create trigger computed_columns_follow after update of event, data, occurred_at, is_test, document_id, at_least_once on webhook.outbox
  for each row execute function webhook.compute_again();
alter table webhook.outbox enable always trigger computed_columns_follow;
comment on trigger computed_columns_follow on webhook.outbox is 'document_id and at_least_once follow event, data and is_test, whatever an update says.';

-- The two triggers below are not "enable always": a session that replicates repeats what the triggers of the
-- origin have allowed. There the variable of a resend was set, which is not replicated, and a claim may have
-- been checked before a later export committed, which is replicated before it.
create function webhook.refuse_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
declare
  rest webhook.outbox := new;
begin
  -- What computed_columns_follow writes, when the statement that finished the row has changed its event as well.
  rest.document_id := old.document_id;
  rest.at_least_once := old.at_least_once;
  if rest *= old and (new.document_id, new.at_least_once) is distinct from (old.document_id, old.at_least_once) then
    return new;
  end if;
  -- Any session can set a variable. The functions that set it also run with the rights of the table's owner.
  if current_setting('webhook.resending', true) = 'on'
     and pg_has_role(current_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'member') then
    return new;
  end if;
  raise exception 'webhook.outbox: row % is finished (%) and does not change', old.id, old.status
    using errcode = 'restrict_violation', hint = format('To send it again: select webhook.retry(%s)', old.id);
end
$fn$;
comment on function webhook.refuse_change() is 'Refuses a change of a finished row. Internal.';
create trigger finished_rows_never_change after update on webhook.outbox
  for each row when (old.finished_at is not null) execute function webhook.refuse_change();
comment on trigger finished_rows_never_change on webhook.outbox is 'A finished row changes only by webhook.retry, webhook.retry_failed and webhook.mark_delivered.';

-- A claim decides by what had committed when it began. Its process may be suspended then, between the
-- lock of an export and its lease, while a later export is written, claimed, sent and recorded by
-- other workers. Here the lease is in the index outbox_one_attempt_per_document already, so no other export
-- of the document can be leased from now on; and one that was is seen, since a statement in a trigger
-- has a snapshot of its own. The pairs are compared as rows: "later.id > new.id" could be read from the
-- primary key, all of what was written since. Called for each document of a claim, hence without a path
-- of its own.
create function webhook.refuse_overtaken() returns trigger
  language plpgsql
  as $fn$
begin
  if exists (select from webhook.outbox later
              where later.document_id is not null and later.status operator(pg_catalog.<>) 'cancelled'
                and (later.document_id, later.id) operator(pg_catalog.>) (new.document_id, new.id)
                and (later.document_id, later.id) operator(pg_catalog.<) (new.document_id, 9223372036854775807)) then
    raise exception 'webhook.outbox: row % was claimed, but a later export of document % was written meanwhile', new.id, new.document_id
      using errcode := 'serialization_failure', hint := 'Repeat the claim.';
  end if;
  return null;
end
$fn$;
comment on function webhook.refuse_overtaken() is 'Refuses the lease of an export that a later one has followed. Internal.';
create trigger never_an_older_export_after_a_newer after update on webhook.outbox
  for each row when (new.leased_until is not null and old.leased_until is null and new.document_id is not null)
  execute function webhook.refuse_overtaken();
comment on trigger never_an_older_export_after_a_newer on webhook.outbox is 'A claim that began before a later export of the same document was written is refused, and repeated.';


------------------------------------------------------------------------------------------------
-- Channels and settings.

create function webhook.touch() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$ begin new.updated_at := clock_timestamp(); return new; end $fn$;
comment on function webhook.touch() is 'Sets updated_at of channels and settings. Internal.';

-- Without its row a channel delivers nothing, and without the row of the settings no channel does.
create function webhook.refuse_removal() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
begin
  raise exception 'webhook.%: its rows cannot be removed, events would wait for them without end', tg_table_name
    using errcode = 'restrict_violation', hint = case tg_table_name
      when 'channels' then 'To stop a channel: update webhook.channels set enabled = false where name = ''...''.'
      else 'To change a setting: update webhook.settings set ...; to stop all delivery: set offline_mode = true.' end;
end
$fn$;
comment on function webhook.refuse_removal() is 'Refuses the removal of rows of channels and settings. Internal.';

-- A NOT NULL or a CHECK that fails prints the whole row, to the client and into the server's log: here
-- the URL, or the token. Therefore each of them is tried before, by a trigger, and refused in words that
-- quote no text. The constraints are the last word; a test goes through all of them.
create function webhook.refuse_channel() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
declare
  wrong text[] := case -- the column, its CHECK, what it is, what was expected
    when new.name is null          then array['name', null, 'null', 'a name']
    when new.event is null         then array['event', null, 'null', 'the name of an event']
    when new.position is null      then array['position', null, 'null', 'a number']
    when new.enabled is null       then array['enabled', null, 'null', 'true or false']
    when new.accept_status is null then array['accept_status', null, 'null', 'a list of HTTP statuses, such as {200,201,204}']
    when new.max_in_flight is null then array['max_in_flight', null, 'null', 'a number from 1 to 1000']
    when new.send_traceparent is null then array['send_traceparent', null, 'null', 'true or false']
    when new.example is null       then array['example', null, 'null', 'a JSON object']
    when new.updated_at is null and tg_op = 'INSERT' -- trigger "touch" sets it in an update
                                   then array['updated_at', null, 'null', 'a time']
    when webhook.at_least_once(new.event) is null
      then array['event', null, 'unknown', 'an event that webhook.at_least_once knows']
    when webhook.trimmed(new.url) <> '' and webhook.trimmed(new.url) !~* '^https?://'
      then array['url', 'channels_url_is_http_or_https', 'no URL of HTTP', 'https://... or http://...']
    when (cardinality(new.accept_status) > 0 and array_ndims(new.accept_status) = 1
          and array_position(new.accept_status, null) is null
          and 200 <= all (array_remove(new.accept_status, 409)) and 299 >= all (array_remove(new.accept_status, 409))) is not true
      then array['accept_status', 'channels_accept_status_lists_2xx_or_409', left(new.accept_status::text, 100), 'a list of HTTP statuses from 200 to 299, or 409, such as {200,201,204}']
    when new.max_in_flight not between 1 and 1000
      then array['max_in_flight', 'channels_max_in_flight_is_1_to_1000', new.max_in_flight::text, 'a number from 1 to 1000']
    when new.max_per_second not between 1 and 10000
      then array['max_per_second', 'channels_max_per_second_is_1_to_10000', new.max_per_second::text, 'a number from 1 to 10000, or null for no limit,']
    when json_typeof(new.example) <> 'object'
      then array['example', 'channels_example_is_an_object', 'a JSON ' || json_typeof(new.example), 'a JSON object']
  end;
begin
  if wrong is null then
    if tg_op = 'UPDATE' and (new.name, new.event) is distinct from (old.name, old.event) then
      raise exception 'webhook.channels: the name and the event of a channel cannot be changed, its events would not be delivered any more'
        using errcode = 'restrict_violation', schema = 'webhook', table = 'channels',
              hint = 'To stop a channel: update webhook.channels set enabled = false where name = ''...''. To deliver elsewhere: set url = ''...''.';
    end if;
    new.url := webhook.trimmed(new.url);
    return new;
  end if;
  raise exception 'webhook.channels: % is %, % was expected', wrong[1], wrong[3], wrong[4]
    using errcode = case when wrong[2] is null then 'not_null_violation' else 'check_violation' end,
          schema = 'webhook', table = 'channels', column = wrong[1], constraint = coalesce(wrong[2], ''),
          hint = case when wrong[1] in ('max_in_flight', 'max_per_second') then 'To stop a channel: update webhook.channels set enabled = false where name = ''...''.' else 'Nothing was changed.' end;
end
$fn$;
comment on function webhook.refuse_channel() is 'Trims the URL of a channel, and refuses another name or event, and values that its constraints do not allow, without quoting the URL. Internal.';

create function webhook.refuse_settings() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  token constant text := webhook.trimmed(new.bearer_token);
  base  constant text := webhook.trimmed(new.document_base_url);
  wrong text[] := case -- as above
    when new.only_row is null      then array['only_row', null, 'null', 'true: there is one row']
    when new.offline_mode is null  then array['offline_mode', null, 'null', 'true or false']
    when new.auth is null          then array['auth', null, 'null', 'none or bearer']
    when new.instance_id is null   then array['instance_id', null, 'null', 'a UUID']
    when new.min_retention is null then array['min_retention', null, 'null', 'an interval, such as 1 day']
    when new.updated_at is null and tg_op = 'INSERT'
                                   then array['updated_at', null, 'null', 'a time']
    when not new.only_row
      then array['only_row', 'settings_is_one_row', 'false', 'true: there is one row']
    when new.auth not in ('none', 'bearer')
      then array['auth', 'settings_auth_is_none_or_bearer', 'unknown', 'none or bearer']
    when token ~ '[\x01-\x1f\x7f]'
      then array['bearer_token', 'settings_bearer_token_is_a_header_value',
                 'no value of a header: character ' || length(substring(token from '^[^\x01-\x1f\x7f]*')) + 1 || ' of ' || length(token) || ' is '
                 || case substring(token from '[\x01-\x1f\x7f]') when chr(10) then 'a line break' when chr(13) then 'a line break' when chr(9) then 'a tab'
                      else 'a control character' end || ' (U+00' || lpad(upper(to_hex(ascii(substring(token from '[\x01-\x1f\x7f]')))), 2, '0') || ')',
                 'a token without control characters']
    when starts_with(token, 'enc1.') and token !~ '^enc1[.][0-9a-f]{8}[.][A-Za-z0-9_-]{39,}$'
      then array['bearer_token', 'settings_bearer_token_is_plain_or_encrypted', 'cut off, or not encrypted by this program',
                 'a token, or one that webhooks secrets encrypt has encrypted,']
    when base <> '' and base !~* '^https?://[^/[:space:]]'
      then array['document_base_url', 'settings_document_base_url_is_http_or_https', 'no URL of HTTP with a host', 'https://yourinstance.recordengine.ai or the like']
    when new.environment !~ '^[[:graph:]]{1,100}$'
      then array['environment', 'settings_environment_is_a_name', 'no name', 'one word of at most 100 characters, such as production, or null']
    when new.min_retention < interval '0'
      then array['min_retention', 'settings_min_retention_is_from_0', new.min_retention::text, 'an interval from 0']
  end;
begin
  if wrong is null then
    new.bearer_token := token;
    new.document_base_url := base;
    return new;
  end if;
  raise exception 'webhook.settings: % is %, % was expected', wrong[1], wrong[3], wrong[4]
    using errcode = case when wrong[2] is null then 'not_null_violation' else 'check_violation' end,
          schema = 'webhook', table = 'settings', column = wrong[1], constraint = coalesce(wrong[2], ''),
          hint = 'Nothing was changed.';
end
$fn$;
comment on function webhook.refuse_settings() is 'Refuses values of the settings that their constraints do not allow, without quoting the token. Internal.';

-- A setting without what cannot be seen at its ends: white space and format characters that a copied
-- text brings along. The worker reads URLs, token and base URL in the same way (sender/text.go).
create function webhook.trimmed(text text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  unseen constant text := '[ \t\r\n\v\f\u0080-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+';
begin
  if $1 ~ '^[!-~]*$' then -- as it should be; a claim cannot afford the long class
    return $1;
  end if;
  return regexp_replace($1, '^' || unseen || '|' || unseen || '$', '', 'g');
end
$fn$;
comment on function webhook.trimmed(text) is 'The text without white space and invisible characters at its ends.';

-- Names the first character within a setting that cannot be seen, without quoting anything around it.
create function webhook.unseen(text text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  c      constant text := case when $1 !~ '^[ -~]*$' then substring($1 from '[\u0001-\u001f\u007f\u0080-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]') end;
  number constant text := 'U+' || upper(case when ascii(c) < 65536 then substring(to_hex(65536 + ascii(c)) from 2) else to_hex(ascii(c)) end);
begin
  return case
    when c is null               then null
    when c in (chr(10), chr(13)) then 'a control character (' || number || ', a line break)'
    when ascii(c) < 128          then 'a control character (' || number || ')'
    else 'the invisible character ' || number
  end;
end
$fn$;
comment on function webhook.unseen(text) is 'The first control or invisible character of a text, by its number, or null.';

-- What the worker's HTTP client can call. Strict, so that nothing is claimed for a URL that cannot be
-- called. Never quotes the URL.
create function webhook.url_problem(url text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  called text := webhook.trimmed($1);
  host   text;
begin
  -- A host in another script is called by its name in punycode: here its letters count as letters.
  if called !~ '^[ -~]*$' and webhook.unseen(called) is null then
    host := substring(called from '^[^/]*//(?:[^/?#]*@)?([^/?#@]*)');
    called := substring(called from '^[^/]*//(?:[^/?#]*@)?') || regexp_replace(host, '[^ -~]', 'x', 'g')
              || substring(called from '^[^/]*//[^/?#]*(.*)$');
  end if;
  return case
    when coalesce(called, '') = ''
      then 'it has no URL'
    when called !~* '^https?://'
      then 'its URL does not begin with http:// or https://'
    when webhook.unseen(called) is not null
      then 'its URL does not parse: it contains ' || webhook.unseen(called)
    when strpos(called, ' ') > 0
      then 'its URL does not parse: it contains a space (U+0020)'
    when substring(called from '^[^/]*//[^/?#]*') ~ ':0*(6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[1-9][0-9]{5,})?$'
         and substring(called from '^[^/]*//[^/?#]*') !~ ':$'
      then 'its URL does not parse: the port is not between 1 and 65535'
    -- userinfo, then a name or an IPv6 address (eight groups, or fewer around one ::), then a port
    when called !~* ('^https?://(([a-z0-9._~!$&''()*+,;=:@-]|%[0-9a-f]{2})*@)?([a-z0-9._-]+'
                 '|\[([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\]'
                 '|\[(?!([^]:]*:){8})(([0-9a-f]{1,4}:)*[0-9a-f]{1,4})?::(([0-9a-f]{1,4}:)*[0-9a-f]{1,4})?\])'
                 '(:[0-9]*)?([/?#]|$)')
      then 'its URL does not parse: the host is missing or malformed'
    when regexp_replace(called, '^([^?#]*)\?[^#]*', '\1') ~* '%($|.$|[^0-9a-f]|.[^0-9a-f])'
      then 'its URL does not parse: a % is not followed by two hexadecimal digits'
  end;
end
$fn$;
comment on function webhook.url_problem(text) is 'Why this URL cannot be called, or null. Never quotes the URL.';

create table webhook.channels (
  name          text primary key,
  event         text not null unique,
  position      int  not null unique,
  at_least_once boolean not null generated always as (webhook.at_least_once(event)) stored,
  url           text
                constraint channels_url_is_http_or_https check (url is null or url = '' or url ~* '^https?://'),
  url_problem   text generated always as (webhook.url_problem(url)) stored, -- each poll needs it
  enabled       boolean not null default false,
  accept_status int[] not null default '{200,201,204}'
                constraint channels_accept_status_lists_2xx_or_409 check (
                  cardinality(accept_status) > 0 and array_ndims(accept_status) = 1
                  and array_position(accept_status, null) is null
                  and 200 <= all (array_remove(accept_status, 409)) and 299 >= all (array_remove(accept_status, 409))),
  max_in_flight int not null default 128
                constraint channels_max_in_flight_is_1_to_1000 check (max_in_flight between 1 and 1000),
  max_per_second int
                constraint channels_max_per_second_is_1_to_10000 check (max_per_second between 1 and 10000),
  send_traceparent boolean not null default false,
  updated_at    timestamptz not null default now(),
  example       json not null
                constraint channels_example_is_an_object check (json_typeof(example) = 'object')
);
comment on table  webhook.channels               is 'One row per channel, with its URL and its switch. A change takes effect at once, without a restart.';
comment on column webhook.channels.name          is 'The channel''s name.';
comment on column webhook.channels.event         is 'The event that this channel delivers.';
comment on column webhook.channels.position      is 'The order in which channels are listed.';
comment on column webhook.channels.at_least_once is 'The guarantee: retried until a success, or attempted once. See webhook.at_least_once.';
comment on column webhook.channels.url           is 'The endpoint, http or https. It may contain a key: readers see its host only.';
comment on column webhook.channels.url_problem   is 'Why the URL cannot be called, or null.';
comment on column webhook.channels.enabled       is 'The switch, off until a person turns it on. Off: events that are delivered at least once stay pending, others become skipped.';
comment on column webhook.channels.accept_status is 'The HTTP statuses that count as delivered, of 200 to 299; and 409, for a receiver that answers a repetition with it.';
comment on column webhook.channels.max_in_flight is 'How many POSTs one worker process makes at once to this endpoint, 1 to 1000.';
comment on column webhook.channels.max_per_second is 'How many POSTs all workers together begin in any one second, 1 to 10000; null: as many as there are slots.';
comment on column webhook.channels.send_traceparent is 'Send webhook.outbox.traceparent as the header traceparent (W3C Trace Context), where the application has set it.';
comment on column webhook.channels.updated_at    is 'When this row was last changed.';
comment on column webhook.channels.example       is 'The data of the specification''s example, which webhook.send_test sends.';
comment on constraint channels_url_is_http_or_https       on webhook.channels is 'A URL begins with http:// or https://.';
comment on constraint channels_accept_status_lists_2xx_or_409 on webhook.channels is 'The statuses that count as delivered: at least one, each of 200 to 299, or 409.';
comment on constraint channels_max_in_flight_is_1_to_1000 on webhook.channels is '1 to 1000. To stop a channel, turn it off.';
comment on constraint channels_max_per_second_is_1_to_10000 on webhook.channels is '1 to 10000, or null for no limit. To stop a channel, turn it off.';
comment on constraint channels_example_is_an_object       on webhook.channels is 'The example is one JSON object, as every event''s data.';
create trigger in_words before insert or update on webhook.channels for each row execute function webhook.refuse_channel();
comment on trigger in_words on webhook.channels is 'Refuses another name or event, and in words what a constraint refuses with the whole row. By its name the first of the triggers.';
create trigger touch before update on webhook.channels for each row execute function webhook.touch();
comment on trigger touch on webhook.channels is 'Sets updated_at.';
create trigger rows_stay before delete or truncate on webhook.channels for each statement execute function webhook.refuse_removal();
comment on trigger rows_stay on webhook.channels is 'Channels are never removed.';

-- The pace of the channels. What a receiver asks for with Retry-After is a row here, not of
-- webhook.channels, which each claim locks in share mode. The rate is kept in a sequence per channel: a
-- row that is updated thirty times a second would, under an old snapshot, make each claim slower than
-- the one before. Its value is the instant, in microseconds, from which the next POST may begin.
create table webhook.pacing (
  channel      text primary key,
  paused_until timestamptz
);
comment on table  webhook.pacing              is 'One row per channel: the pause that its receiver asked for.';
comment on column webhook.pacing.channel      is 'The channel, webhook.channels.name.';
comment on column webhook.pacing.paused_until is 'The receiver answered 429 or 503 with Retry-After: nothing is sent before this instant. To end the pause now: update webhook.pacing set paused_until = now() where channel = ''...''.';

create function webhook.add_pacing() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
begin
  insert into webhook.pacing (channel) values (new.name);
  execute format('create sequence webhook.%I minvalue 0', 'rate_' || new.name);
  execute format('comment on sequence webhook.%I is %L', 'rate_' || new.name,
                 'When the next POST of this channel may begin, in microseconds since 1970, if the channel has max_per_second. Internal.');
  return null;
end
$fn$;
comment on function webhook.add_pacing() is 'Adds the row of webhook.pacing and the sequence of a channel. Internal.';
create trigger every_channel_has_a_pace after insert on webhook.channels for each row execute function webhook.add_pacing();
comment on trigger every_channel_has_a_pace on webhook.channels is 'A channel that an upgrade adds gets its row of webhook.pacing and its sequence.';

create function webhook.end_pause() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
begin
  update webhook.pacing set paused_until = now() where channel = new.name and paused_until > now();
  return null;
end
$fn$;
comment on function webhook.end_pause() is 'Ends the pause of a channel. Internal.';
create trigger another_url_ends_the_pause after update on webhook.channels
  for each row when (old.url is distinct from new.url) execute function webhook.end_pause();
comment on trigger another_url_ends_the_pause on webhook.channels is 'A receiver asks for a pause on its own behalf, not for the one that follows it.';

-- What workers know about the endpoints. Not in webhook.channels, which each claim locks in share mode.
create table webhook.endpoints (
  channel             text primary key,
  url_set_at          timestamptz not null default clock_timestamp(),
  succeeded_at        timestamptz,
  failed_at           timestamptz,
  failing_since       timestamptz,
  looking_until       timestamptz,
  looked_at           timestamptz,
  looked_by           text,
  look_problem        text,
  look_failure        text
                      constraint endpoints_look_failure_is_known check (
                        look_failure in ('config', 'blocked_address', 'dns', 'proxy', 'refused', 'unreachable', 'tls', 'timeout', 'connection_lost', 'bad_answer', 'interrupted')),
  address             text,
  tls_version         text,
  certificate_subject text,
  certificate_issuer  text,
  certificate_ends    timestamptz,
  constraint endpoints_look_failure_has_a_problem check ((look_failure is null) = (look_problem is null)),
  constraint endpoints_look_has_a_worker check ((looked_at is null) = (looked_by is null))
)
-- A worker updates each row in every cycle in which its channel delivered something.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table  webhook.endpoints                     is 'One row per channel: what workers know about the endpoint that its URL leads to. Another URL begins anew.';
comment on column webhook.endpoints.channel             is 'The channel, webhook.channels.name.';
comment on column webhook.endpoints.url_set_at          is 'When the URL was last changed. What was attempted before is not counted below.';
comment on column webhook.endpoints.succeeded_at        is 'When the newest success that a worker has seen in its ten-second cycle was recorded.';
comment on column webhook.endpoints.failed_at           is 'Likewise the newest failure of the endpoint: any but config, render and interrupted, which are of the configuration, the event and the worker.';
comment on column webhook.endpoints.failing_since       is 'When the first failure after the newest success was recorded, if the newest failure is newer than any success; else null.';
comment on column webhook.endpoints.looking_until       is 'A worker looks at the endpoint now; when this has passed, another may. Null: none does.';
comment on column webhook.endpoints.looked_at           is 'When a worker last looked: name, connection and, for https, certificate, without a request. Once a day, and each hour after a failure; not in Offline Mode. Null: not since the URL was set.';
comment on column webhook.endpoints.looked_by           is 'Host and process of that worker.';
comment on column webhook.endpoints.look_problem        is 'What it found wrong, in words, or null.';
comment on column webhook.endpoints.look_failure        is 'The class of that, as in webhook.outbox, or null.';
comment on column webhook.endpoints.address             is 'The IP address and port that accepted the connection. Null behind an egress proxy.';
comment on column webhook.endpoints.tls_version         is 'The version of TLS that was agreed on, such as TLS 1.3.';
comment on column webhook.endpoints.certificate_subject is 'Whom the certificate is for: its common name, else its first DNS name. Also of one that was refused.';
comment on column webhook.endpoints.certificate_issuer  is 'Who issued it.';
comment on column webhook.endpoints.certificate_ends    is 'When it expires, or has expired.';
comment on constraint endpoints_look_failure_is_known      on webhook.endpoints is 'The class of a failure that can occur before a request.';
comment on constraint endpoints_look_failure_has_a_problem on webhook.endpoints is 'A failure has its class and its words.';
comment on constraint endpoints_look_has_a_worker          on webhook.endpoints is 'A look was made by a worker.';

create function webhook.add_endpoint() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
begin
  insert into webhook.endpoints (channel) values (new.name);
  return null;
end
$fn$;
comment on function webhook.add_endpoint() is 'Adds the row of webhook.endpoints of a channel. Internal.';
create trigger every_channel_has_an_endpoint after insert on webhook.channels for each row execute function webhook.add_endpoint();
comment on trigger every_channel_has_an_endpoint on webhook.channels is 'A channel that an upgrade adds gets its row of webhook.endpoints.';

-- An administrator changes the URL, and may not change what workers know. The update of the channel has
-- waited for each claim with the old URL, so that none was made after url_set_at.
create function webhook.forget_endpoint() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $fn$
begin
  update webhook.endpoints
     set url_set_at = clock_timestamp(), succeeded_at = null, failed_at = null, failing_since = null,
         looking_until = null, looked_at = null, looked_by = null, look_problem = null, look_failure = null,
         address = null, tls_version = null, certificate_subject = null, certificate_issuer = null, certificate_ends = null
   where channel = new.name;
  return null;
end
$fn$;
comment on function webhook.forget_endpoint() is 'Empties the row of webhook.endpoints of a channel. Internal.';
create trigger another_url_is_another_endpoint after update on webhook.channels
  for each row when (old.url is distinct from new.url) execute function webhook.forget_endpoint();
comment on trigger another_url_is_another_endpoint on webhook.channels is 'What workers know about an endpoint is not true of the one that follows it.';

insert into webhook.channels (position, name, event, example) values
  (1, 'documents', 'document.exported', '{
    "id": 42, "filename": "invoice_march.pdf", "status": "Export", "doc_type": "Standard Supplier Invoice",
    "vendor_name": "Acme Supplies Ltd", "invoice_number": "INV-2026-0042", "total_amount": 12500.00, "currency": "CNY",
    "doc_date": "2026-03-15", "due_date": "2026-04-15", "contact_id": 7, "folder_id": 3,
    "ai_summary": "Supplier invoice from Acme for office equipment.", "notes": "",
    "custom_01": "PO-2026-099", "custom_02": "Finance Manager",
    "extraction_profile": {"id": 12, "name": "Standard Supplier Invoice", "field_count": 18,
                           "labels": {"custom_01": "PO Number", "custom_02": "Approved By"}},
    "external_refs": {"salesforce": {"record_id": "001Dn000003XyZA", "record_type": "Account", "record_url": "https://..."}},
    "line_items": [{"line_number": 1, "description": "Office Chair", "quantity": 4, "unit_price": 2500.00, "amount": 10000.00,
                    "account_code": "5100", "tax_rate": 13.0, "tax_amount": 1300.00}]}'),
  (2, 'contacts', 'contact.created', '{
    "contact_id": 7, "name": "Acme Supplies Ltd", "contact_type": "company", "email": "ap@acme.com", "phone": "+86 21 5555 1234",
    "first_name": null, "last_name": null, "description": "Primary office supplier", "created_by": "jean",
    "created_at": "2026-03-22T08:29:00Z"}'),
  (3, 'folders', 'folder.created', '{
    "folder_id": 12, "contact_id": 7, "name": "Q1 2026 Invoices", "description": "", "is_root": false, "created_by": "jean",
    "created_at": "2026-03-22T08:29:00Z"}'),
  (4, 'cases', 'case.created', '{
    "case_id": 5, "title": "Missing tax ID on fapiao batch", "status": "open", "priority": "high", "assigned_to": "jean",
    "contact_id": 7, "contact_name": "Acme Supplies Ltd", "document_id": 42, "due_date": "2026-03-28",
    "description": "Three fapiaos in the Q1 batch are missing the buyer tax ID.", "created_by": "jean",
    "created_at": "2026-03-22T08:30:00Z", "updated_at": "2026-03-22T08:30:00Z"}'),
  (5, 'notifications', 'notification.created', '{
    "notification_id": 88, "type": "document_ready", "title": "Document requires review",
    "message": "invoice_march.pdf confidence score is below threshold.", "is_read": false, "document_id": 42, "contact_id": 7,
    "created_at": "2026-03-22T08:30:00Z"}'),
  (6, 'rules', 'rule.executed', '{
    "rule_id": 3, "rule_name": "Auto-approve low-value invoices", "trigger_type": "event", "action_type": "set_status",
    "action_taken": "Set status to Approved", "condition_matched": "total_amount < 1000", "success": true,
    "error_message": null, "document_id": 42, "document_filename": "invoice_march.pdf"}'),
  (7, 'audit_log', 'audit.log', '{
    "audit_id": 1024, "action": "document_status_changed", "entity_type": "document", "entity_id": 42, "user": "jean",
    "details": "Status changed from Approved to Export", "ip_address": "192.168.1.10", "logged_at": "2026-03-22T08:30:00Z"}');

-- POSTs are spaced by 1.1 seconds divided by max_per_second, and one may come 25 ms too early: a poll
-- comes every 20 ms, and grants what became free since the one before. So no second has more than
-- max_per_second of them, even where one POST takes up to 75 ms longer than another from its claim to
-- the receiver. An instant that lies further ahead than any grant can be is from before the database's
-- clock was set back.
create function webhook.rate_left(channel text, max_per_second int) returns int
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  at      bigint := extract(epoch from clock_timestamp()) * 1000000;
  spacing bigint := 1100000 / $2 + 1;
  next_at bigint := coalesce(pg_sequence_last_value(format('webhook.%I', 'rate_' || $1)::regclass), 0);
begin
  if next_at < at or next_at > at + 3000000 then
    next_at := at;
  end if;
  return case when at + 25000 < next_at then 0 else (at + 25000 - next_at) / spacing + 1 end;
end
$fn$;
comment on function webhook.rate_left(text, int) is 'How many POSTs a channel may begin now, at this rate. Internal.';

-- One claim at a time: another one that finds the lock taken grants nothing. A grant stays taken if its
-- claim is rolled back.
create function webhook.take_rate(channel text, max_per_second int, wanted int) returns int
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  name    regclass := format('webhook.%I', 'rate_' || $1)::regclass;
  granted int;
  at      bigint;
  next_at bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('webhook.rate'), hashtext($1)) then
    return 0;
  end if;
  granted := least(webhook.rate_left($1, $2), $3);
  if granted > 0 then
    at := extract(epoch from clock_timestamp()) * 1000000;
    next_at := coalesce(pg_sequence_last_value(name), 0);
    perform setval(name, case when next_at < at or next_at > at + 3000000 then at else next_at end + granted * (1100000 / $2 + 1)::bigint);
  end if;
  return granted;
end
$fn$;
comment on function webhook.take_rate(text, int, int) is 'Takes up to so many POSTs of a channel at this rate, and returns how many were granted. Internal.';

create table webhook.settings (
  only_row          boolean primary key default true
                    constraint settings_is_one_row check (only_row),
  offline_mode      boolean not null default false,
  auth              text not null default 'none'
                    constraint settings_auth_is_none_or_bearer check (auth in ('none', 'bearer')),
  bearer_token      text
                    constraint settings_bearer_token_is_a_header_value check (bearer_token !~ '[\x01-\x1f\x7f]')
                    constraint settings_bearer_token_is_plain_or_encrypted check (
                      not starts_with(bearer_token, 'enc1.') or bearer_token ~ '^enc1[.][0-9a-f]{8}[.][A-Za-z0-9_-]{39,}$'),
  document_base_url text
                    constraint settings_document_base_url_is_http_or_https check (
                      document_base_url is null or document_base_url = '' or document_base_url ~* '^https?://[^/[:space:]]'),
  instance_id       uuid not null default gen_random_uuid(),
  environment       text
                    constraint settings_environment_is_a_name check (environment ~ '^[[:graph:]]{1,100}$'),
  min_retention     interval not null default '1 day'
                    constraint settings_min_retention_is_from_0 check (min_retention >= interval '0'),
  updated_at        timestamptz not null default now(),
  token_encrypted_under text generated always as (case when starts_with(bearer_token, 'enc1.') then substr(bearer_token, 6, 8) end) stored
);
comment on table  webhook.settings                   is 'One row: the settings of all channels. A change takes effect at once, without a restart.';
comment on column webhook.settings.only_row          is 'Always true: there is one row.';
comment on column webhook.settings.offline_mode      is 'On: nothing is delivered and every row stays pending, whatever the channels say.';
comment on column webhook.settings.auth              is 'none, or bearer: send bearer_token with every request.';
comment on column webhook.settings.bearer_token      is 'The token of "Authorization: Bearer ..." for all channels; required where auth is bearer; or that encrypted (enc1.). Secret.';
comment on column webhook.settings.document_base_url is 'The address of RecordEngine itself, for doc_url: https://yourinstance.recordengine.ai';
comment on column webhook.settings.instance_id       is 'The beginning of the webhook-id header, so that two installations never share one.';
comment on column webhook.settings.environment       is 'The name of this environment, such as production. A worker delivers nothing unless its WEBHOOK_ENVIRONMENT is the same (both unset, too), so that a copy of the database that is started elsewhere calls no receiver.';
comment on column webhook.settings.min_retention     is 'What finished less than this ago can be pruned by administrators and the owner only, not by the role of a worker.';
comment on column webhook.settings.updated_at        is 'When this row was last changed.';
comment on column webhook.settings.token_encrypted_under is 'The key of WEBHOOK_SECRET_KEY that bearer_token is encrypted under, by the first eight digits of its SHA-256; null: it is in plain text.';
comment on constraint settings_is_one_row                         on webhook.settings is 'There is one row of settings.';
comment on constraint settings_auth_is_none_or_bearer             on webhook.settings is 'none or bearer.';
comment on constraint settings_bearer_token_is_a_header_value     on webhook.settings is 'A token contains no control character, which no HTTP header may.';
comment on constraint settings_bearer_token_is_plain_or_encrypted on webhook.settings is 'What begins as an encrypted token (enc1.) has the form of one.';
comment on constraint settings_environment_is_a_name              on webhook.settings is 'One word of at most 100 characters, or null.';
comment on constraint settings_document_base_url_is_http_or_https on webhook.settings is 'The address begins with http:// or https:// and has a host.';
comment on constraint settings_min_retention_is_from_0             on webhook.settings is 'An interval from 0.';
create trigger in_words before insert or update on webhook.settings for each row execute function webhook.refuse_settings();
comment on trigger in_words on webhook.settings is 'Refuses in words what a constraint refuses with the whole row. By its name the first of the triggers.';
create trigger touch before update on webhook.settings for each row execute function webhook.touch();
comment on trigger touch on webhook.settings is 'Sets updated_at.';
create trigger rows_stay before delete or truncate on webhook.settings for each statement execute function webhook.refuse_removal();
comment on trigger rows_stay on webhook.settings is 'The settings are never removed.';

insert into webhook.settings default values;


------------------------------------------------------------------------------------------------
-- What is kept beside the outbox.

create table webhook.attempts (
  outbox_id   bigint not null,
  run         int    not null,
  attempts    int    not null default 1,
  http_status int,
  failure     text   not null,
  received    text   not null,
  error       text,
  first_at    timestamptz not null,
  last_at     timestamptz not null,
  primary key (outbox_id, run)
);
comment on table  webhook.attempts             is 'Attempts that failed and left their event pending. Consecutive ones with the same failure, http_status and error are one row, a run. The first run of an event and its newest 100 are kept. The last outcome is in webhook.outbox.';
comment on column webhook.attempts.outbox_id   is 'The event, webhook.outbox.id.';
comment on column webhook.attempts.run         is '1 for the first run, and so on.';
comment on column webhook.attempts.attempts    is 'How many attempts the run has.';
comment on column webhook.attempts.http_status is 'Their HTTP status; null if no answer arrived.';
comment on column webhook.attempts.failure     is 'The class of their failure, as in webhook.outbox.';
comment on column webhook.attempts.received    is 'Whether the receiver has the event, as far as the newest of them can tell: no, maybe, yes.';
comment on column webhook.attempts.error       is 'The failure in words.';
comment on column webhook.attempts.first_at    is 'When the first of them ended.';
comment on column webhook.attempts.last_at     is 'When the last of them ended.';

-- The page has one database role and many users. It sets their names for a transaction:
-- set_config('webhook.actor', 'Jane', true). The role cannot be set that way: hence both columns.
create function webhook.actor() returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  named constant text := regexp_replace(current_setting('webhook.actor', true),
    '[\u0001-\u0020\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]+', ' ', 'g');
begin
  return coalesce(nullif(rtrim(left(ltrim(named), 200)), ''), session_user);
end
$fn$;
comment on function webhook.actor() is
  'Who acts: the person that the setting webhook.actor names, at most 200 characters without control and invisible ones, else the database role that is logged in.';

create table webhook.interventions (
  id              bigint generated always as identity primary key,
  outbox_id       bigint,
  action          text not null
                  constraint interventions_action_is_known check (action in ('retry', 'cancel', 'discard', 'mark_delivered', 'settings')),
  at              timestamptz not null default clock_timestamp(),
  actor           text not null default webhook.actor(),
  role            text not null default session_user,
  channel         text,
  was_status      text,
  was_finished_at timestamptz,
  was_http_status int,
  was_failure     text,
  was_received    text,
  was_error       text,
  note            text,
  constraint interventions_is_of_an_event_or_of_the_settings check (
    (outbox_id is null) = (action = 'settings') and (was_status is null) = (action = 'settings') and (channel is null or action = 'settings')),
  constraint interventions_note_says_what_or_why check ((action in ('mark_delivered', 'settings')) = (note is not null))
);
create index interventions_outbox on webhook.interventions (outbox_id);
create index interventions_settings on webhook.interventions (channel, id) where action = 'settings';
comment on index  webhook.interventions_outbox          is 'The interventions of one event.';
comment on index  webhook.interventions_settings        is 'The changes of one channel, and of the settings of all of them (channel is null), in their order.';
comment on table  webhook.interventions                 is 'What people did to events, channels and settings: who, when, and what the event was before.';
comment on column webhook.interventions.id              is 'The order in which it was done.';
comment on column webhook.interventions.outbox_id       is 'The event, webhook.outbox.id; null for settings.';
comment on column webhook.interventions.action          is 'retry, cancel, discard, mark_delivered, or settings: a change of webhook.channels or webhook.settings.';
comment on column webhook.interventions.at              is 'When it was done.';
comment on column webhook.interventions.actor           is 'Who: the user of the page, see webhook.actor, else the database role.';
comment on column webhook.interventions.role            is 'The database role that was logged in.';
comment on column webhook.interventions.channel         is 'The channel whose settings were changed; null for those of all channels, and for events.';
comment on column webhook.interventions.was_status      is 'The event''s status before.';
comment on column webhook.interventions.was_finished_at is 'Its finished_at before.';
comment on column webhook.interventions.was_http_status is 'Its http_status before.';
comment on column webhook.interventions.was_failure     is 'Its failure before.';
comment on column webhook.interventions.was_received    is 'Its received before.';
comment on column webhook.interventions.was_error       is 'Its error before.';
comment on column webhook.interventions.note            is 'Of mark_delivered: how it is known that the receiver has the event. Of settings: what was changed. Never a token, and of a URL its host only.';
comment on constraint interventions_action_is_known                   on webhook.interventions is 'retry, cancel, discard, mark_delivered or settings.';
comment on constraint interventions_is_of_an_event_or_of_the_settings on webhook.interventions is 'An event has its id and its status before; a change of the settings has neither, and may name a channel.';
comment on constraint interventions_note_says_what_or_why             on webhook.interventions is 'Who marks an event as delivered says how that is known; a change of the settings says what was changed.';

-- In words that readers may see: hosts only, and no token.
create function webhook.url_change(what text, was text, is_now text) returns text
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $fn$
declare
  unknown  constant text := 'a URL that cannot be called';
  was_host constant text := coalesce(webhook.url_host($2), unknown);
  new_host constant text := coalesce(webhook.url_host($3), unknown);
  was_scheme constant text := lower(substring($2 from '^[A-Za-z]+'));
  new_scheme constant text := lower(substring($3 from '^[A-Za-z]+'));
begin
  return case
    when coalesce($2, '') = coalesce($3, '') then null
    when coalesce($2, '') = ''               then format('%s set (%s)', $1, new_host)
    when coalesce($3, '') = ''               then format('%s removed (was %s)', $1, was_host)
    when lower(was_host) <> lower(new_host)  then format('%s changed (%s → %s)', $1, was_host, new_host)
    when was_scheme <> new_scheme            then format('%s changed, same host (%s → %s)', $1, was_scheme, new_scheme)
    when was_host = unknown                  then $1 || ' changed'
    else $1 || ' changed, same host'
  end;
end
$fn$;
comment on function webhook.url_change(text, text, text) is 'The change of a URL in words, with its hosts only; null if it did not change. Internal.';

-- With the rights of the owner: who changes a setting may not write into webhook.interventions.
create function webhook.record_channel_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  changes constant text[] := array[
    webhook.url_change('URL', old.url, new.url),
    case when new.enabled is distinct from old.enabled then case when new.enabled then 'turned on' else 'turned off' end end,
    case when new.accept_status is distinct from old.accept_status then format('accept_status %s → %s', old.accept_status, new.accept_status) end,
    case when new.max_in_flight is distinct from old.max_in_flight then format('max_in_flight %s → %s', old.max_in_flight, new.max_in_flight) end,
    case when new.max_per_second is distinct from old.max_per_second
         then format('max_per_second %s → %s', coalesce(old.max_per_second::text, 'no limit'), coalesce(new.max_per_second::text, 'no limit')) end,
    case when new.send_traceparent is distinct from old.send_traceparent then 'send_traceparent ' || case when new.send_traceparent then 'turned on' else 'turned off' end end,
    case when new.example::text is distinct from old.example::text then 'example changed' end];
begin
  if array_to_string(changes, '') <> '' then
    insert into webhook.interventions (action, channel, note) values ('settings', new.name, new.name || ': ' || array_to_string(changes, '; '));
  end if;
  return null;
end
$fn$;
comment on function webhook.record_channel_change() is 'Leaves a row in webhook.interventions for a change of a channel. Internal.';
create trigger who_changed_it after update on webhook.channels for each row
  when (row(old.url, old.enabled, old.accept_status, old.max_in_flight, old.max_per_second, old.send_traceparent, old.example::text)
        is distinct from row(new.url, new.enabled, new.accept_status, new.max_in_flight, new.max_per_second, new.send_traceparent, new.example::text))
  execute function webhook.record_channel_change();
comment on trigger who_changed_it on webhook.channels is 'Each change by a person leaves a row in webhook.interventions; the workers'' locks change updated_at only.';

create function webhook.record_settings_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  changes constant text[] := array[
    case when new.offline_mode is distinct from old.offline_mode then 'Offline Mode turned ' || case when new.offline_mode then 'on' else 'off' end end,
    case when new.auth is distinct from old.auth then format('auth %s → %s', old.auth, new.auth) end,
    case when coalesce(new.bearer_token, '') <> coalesce(old.bearer_token, '')
         then 'bearer token ' || case when coalesce(old.bearer_token, '') = '' then 'set' when coalesce(new.bearer_token, '') = '' then 'removed'
                                       when new.token_encrypted_under is distinct from old.token_encrypted_under and new.token_encrypted_under is not null
                                       then 'changed or encrypted' else 'changed' end end,
    webhook.url_change('document_base_url', old.document_base_url, new.document_base_url),
    case when new.environment is distinct from old.environment
         then format('environment %s → %s', coalesce(old.environment, 'none'), coalesce(new.environment, 'none')) end,
    case when new.min_retention is distinct from old.min_retention then format('min_retention %s → %s', old.min_retention, new.min_retention) end,
    case when new.instance_id is distinct from old.instance_id then 'instance_id changed' end];
begin
  if array_to_string(changes, '') <> '' then
    insert into webhook.interventions (action, note) values ('settings', array_to_string(changes, '; '));
  end if;
  return null;
end
$fn$;
comment on function webhook.record_settings_change() is 'Leaves a row in webhook.interventions for a change of the settings. Internal.';
create trigger who_changed_it after update on webhook.settings for each row execute function webhook.record_settings_change();
comment on trigger who_changed_it on webhook.settings is 'Each change by a person leaves a row in webhook.interventions.';

-- What is wrong with a signing secret, by the specification of Standard Webhooks 1.0.0: what it is, and
-- what was expected. Quotes nothing of it. Of an encrypted one only its form can be judged here.
create function webhook.secret_problem(kind text, secret text) returns text[]
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  prefix   constant text := case $1 when 'hmac' then 'whsec_' else 'whsk_' end;
  expected constant text := case $1 when 'hmac' then 'whsec_ and 24 to 64 bytes in base64' else 'whsk_ and 32 or 64 bytes (seed, or seed and public key) in base64' end;
  encoded  constant text := substr($2, length(prefix) + 1);
  bytes    int;
begin
  if starts_with($2, 'enc1.') then
    return case when $2 !~ '^enc1[.][0-9a-f]{8}[.][A-Za-z0-9_-]{39,}$' then array['cut off, or not encrypted by this program', expected] end;
  end if;
  if webhook.unseen($2) is not null or strpos($2, ' ') > 0 then
    return array['a text with ' || coalesce(webhook.unseen($2), 'a space (U+0020)') || ' in it', expected];
  end if;
  if not starts_with($2, prefix) then
    return array[case when $2 ~ '^(whsec|whsk)_' then 'a secret of the other kind' when starts_with($2, 'whpk_') then 'a public key' else 'a text without its prefix' end, expected];
  end if;
  if encoded !~ '^[A-Za-z0-9+/]+={0,2}$' or length(encoded) % 4 <> 0 then
    return array['not base64 behind its prefix', expected];
  end if;
  bytes := octet_length(decode(encoded, 'base64'));
  return case when $1 = 'hmac' and bytes not between 24 and 64 or $1 <> 'hmac' and bytes not in (32, 64) then array[bytes || ' bytes long', expected] end;
end
$fn$;
comment on function webhook.secret_problem(text, text) is 'What is wrong with a signing secret of this kind, and what was expected, or null. Quotes nothing of it.';

create function webhook.refuse_secret() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $fn$
declare
  trimmed constant text := webhook.trimmed(new.secret);
  wrong text[] := case -- as in refuse_channel
    when new.id is null         then array['id', null, 'null', 'a number, or no value']
    when new.kind is null       then array['kind', null, 'null', 'hmac or ed25519']
    when new.secret is null     then array['secret', null, 'null', 'a secret, as webhooks secrets new makes it,']
    when new.created_at is null then array['created_at', null, 'null', 'a time']
    when new.actor is null      then array['actor', null, 'null', 'a name']
    when new.kind not in ('hmac', 'ed25519')
      then array['kind', 'secrets_kind_is_known', 'unknown', 'hmac or ed25519']
    when webhook.secret_problem(new.kind, trimmed) is not null
      then array['secret', 'secrets_secret_is_one_of_its_kind'] || webhook.secret_problem(new.kind, trimmed)
  end;
begin
  if wrong is null then
    new.secret := trimmed;
    return new;
  end if;
  raise exception 'webhook.secrets: % is %, % was expected', wrong[1], wrong[3], wrong[4]
    using errcode = case when wrong[2] is null then 'not_null_violation' else 'check_violation' end,
          schema = 'webhook', table = 'secrets', column = wrong[1], constraint = coalesce(wrong[2], ''),
          hint = 'Nothing was changed. To make one: webhooks secrets new.';
end
$fn$;
comment on function webhook.refuse_secret() is 'Trims a signing secret, and refuses values that its constraints do not allow, without quoting it. Internal.';

create table webhook.secrets (
  id              bigint generated by default as identity primary key,
  kind            text not null
                  constraint secrets_kind_is_known check (kind in ('hmac', 'ed25519')),
  secret          text not null
                  constraint secrets_secret_is_one_of_its_kind check (webhook.secret_problem(kind, secret) is null),
  encrypted_under text generated always as (case when starts_with(secret, 'enc1.') then substr(secret, 6, 8) end) stored,
  created_at      timestamptz not null default clock_timestamp(),
  actor           text not null default webhook.actor(),
  ends_at         timestamptz
);
comment on table  webhook.secrets                 is 'The secrets that requests are signed with, by the specification of Standard Webhooks 1.0.0: each that has not ended. None: requests are not signed. Make them with webhooks secrets new.';
comment on column webhook.secrets.id              is 'Names the secret for people; the newest has the highest.';
comment on column webhook.secrets.kind            is 'hmac: HMAC-SHA256, signature v1. ed25519: signature v1a, which receivers verify with the public key (webhooks secrets jwks).';
comment on column webhook.secrets.secret          is 'whsec_ or whsk_ and base64, or that encrypted (enc1.). Secret.';
comment on column webhook.secrets.encrypted_under is 'The key of WEBHOOK_SECRET_KEY that it is encrypted under, by the first eight digits of its SHA-256; null: it is in plain text.';
comment on column webhook.secrets.created_at      is 'When it was made.';
comment on column webhook.secrets.actor           is 'Who made it, see webhook.actor.';
comment on column webhook.secrets.ends_at         is 'From this instant on it signs nothing. Null: no end.';
comment on constraint secrets_kind_is_known             on webhook.secrets is 'hmac or ed25519.';
comment on constraint secrets_secret_is_one_of_its_kind on webhook.secrets is 'A secret as the specification has it, or an encrypted one.';
create trigger in_words before insert or update on webhook.secrets for each row execute function webhook.refuse_secret();
comment on trigger in_words on webhook.secrets is 'Refuses in words what a constraint refuses with the whole row.';

create function webhook.record_secret_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  changes constant text[] := array[
    case when tg_op = 'INSERT' then 'added' when new.secret = old.secret then null
         when new.encrypted_under is distinct from old.encrypted_under and new.encrypted_under is not null then 'changed or encrypted' else 'changed' end,
    case when tg_op = 'UPDATE' and new.ends_at is distinct from old.ends_at or tg_op = 'INSERT' and new.ends_at is not null
         then case when new.ends_at <= now() then 'ended' else 'ends ' || coalesce(webhook.utc(new.ends_at), 'never') end end];
begin
  if array_to_string(changes, '') <> '' then
    insert into webhook.interventions (action, note) values ('settings', format('signing secret %s (%s): %s', new.id, new.kind, array_to_string(changes, '; ')));
  end if;
  return null;
end
$fn$;
comment on function webhook.record_secret_change() is 'Leaves a row in webhook.interventions for a change of a signing secret. Internal.';
create trigger who_changed_it after insert or update on webhook.secrets for each row execute function webhook.record_secret_change();
comment on trigger who_changed_it on webhook.secrets is 'Each change by a person leaves a row in webhook.interventions.';

create table webhook.workers (
  id          uuid primary key,
  name        text not null,
  version     text not null,
  environment text,
  settings    jsonb not null,
  role        text not null default current_user,
  started_at  timestamptz not null default clock_timestamp(),
  seen_at     timestamptz not null default clock_timestamp()
)
-- Each worker updates its row every ten seconds.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table  webhook.workers             is 'One row per running worker, which it refreshes every ten seconds and removes when it stops. Rows that were not refreshed for a day are removed by another worker.';
comment on column webhook.workers.id          is 'A UUID that the process chose when it started.';
comment on column webhook.workers.name        is 'Host and process, as in webhook.outbox.claimed_by.';
comment on column webhook.workers.version     is 'The version of its binary.';
comment on column webhook.workers.environment is 'Its WEBHOOK_ENVIRONMENT. It delivers nothing where webhook.settings.environment differs.';
comment on column webhook.workers.settings    is 'Its other settings, without secrets.';
comment on column webhook.workers.role        is 'The database role that it runs as.';
comment on column webhook.workers.started_at  is 'When it started.';
comment on column webhook.workers.seen_at     is 'When it last refreshed this row. After a minute it is treated as absent.';

create table webhook.maintenance (
  only_row   boolean primary key default true
             constraint maintenance_is_one_row check (only_row),
  pruned_at  timestamptz,
  pruning_by uuid,
  tallied_until timestamptz not null default now()
);
comment on table  webhook.maintenance            is 'One row: when the workers'' clean-up ran, which runs once a day, on one worker; and up to when webhook.tally has counted.';
comment on column webhook.maintenance.only_row   is 'Always true: there is one row.';
comment on column webhook.maintenance.pruned_at  is 'When a clean-up last deleted all that it could.';
comment on column webhook.maintenance.pruning_by is 'The worker that runs one now, webhook.workers.id. Once that worker is absent another may begin.';
comment on column webhook.maintenance.tallied_until is 'What finished before this instant is counted in webhook.tally.';
comment on constraint maintenance_is_one_row on webhook.maintenance is 'There is one row.';
insert into webhook.maintenance default values;

-- Four buckets for each factor of two, from 1 ms to a day: 1 to 106.
create function webhook.latency_bucket(latency interval) returns smallint
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$
declare
  ms constant double precision := extract(epoch from $1) * 1000;
begin
  return case
    when $1 is null     then 0
    when ms < 1         then 1
    when ms >= 86400000 then 106
    else floor(4 * ln(ms) / ln(2::double precision)) + 1
  end;
end
$fn$;
comment on function webhook.latency_bucket(interval) is 'The number under which webhook.tally counts a latency: 1 to 106, four for each factor of two from 1 ms to a day; 0 for null.';

create function webhook.latency_of(bucket smallint) returns interval
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$
begin
  return case when $1 > 0 then power(2::double precision, ($1 - 0.5) / 4) * interval '1 millisecond' end;
end
$fn$;
comment on function webhook.latency_of(smallint) is 'The middle of a bucket of webhook.latency_bucket, off by 9 % at most; null for 0.';

create table webhook.tally (
  channel text        not null,
  hour    timestamptz not null,
  status  text        not null
          constraint tally_status_is_finished check (status in ('sent', 'failed', 'skipped', 'superseded', 'cancelled')),
  latency smallint    not null
          constraint tally_latency_is_of_a_delivery check (latency between 0 and case status when 'sent' then 106 else 0 end),
  events  bigint      not null
          constraint tally_events_is_a_count check (events > 0),
  primary key (channel, hour, status, latency)
)
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table  webhook.tally         is 'What finished in each hour of the last eight days, counted by workers about every ten seconds. It does not grow with the history, and shows what happened: a later resend does not change it. Test events are not counted, nor is an outcome that committed more than two seconds after its finished_at. See webhook.hourly.';
comment on column webhook.tally.channel is 'The channel.';
comment on column webhook.tally.hour    is 'The beginning of the hour, of UTC.';
comment on column webhook.tally.status  is 'sent, failed, skipped, superseded or cancelled.';
comment on column webhook.tally.latency is 'webhook.latency_bucket of the time from due_at, when the transaction that wrote the event began, to the recorded answer. Of events that were sent by their first attempt; else 0.';
comment on column webhook.tally.events  is 'How many.';
comment on constraint tally_status_is_finished       on webhook.tally is 'One of the five in which an event is finished.';
comment on constraint tally_latency_is_of_a_delivery on webhook.tally is 'Only what was sent has a latency, 0 to 106.';
comment on constraint tally_events_is_a_count        on webhook.tally is 'There is a row only for what was counted.';

create table webhook.operations (
  id               bigint generated always as identity primary key,
  kind             text not null
                   constraint operations_kind_is_known check (kind in ('resend', 'release')),
  actor            text not null default webhook.actor(),
  role             text not null default session_user,
  channel          text,
  status           text
                   constraint operations_status_is_finished check (status in ('sent', 'failed', 'skipped', 'superseded', 'cancelled')),
  failure          text,
  document         text,
  error_text       text,
  since            timestamptz,
  until            timestamptz,
  include_received boolean not null default false,
  discard_channels text[] not null default '{}',
  created_at       timestamptz not null default clock_timestamp(),
  before           timestamptz not null default clock_timestamp(),
  newest_id        bigint not null default 0,
  expected         bigint not null default 0,
  expected_more    boolean not null default false,
  done             bigint not null default 0,
  left_out         bigint not null default 0,
  after_finished   timestamptz not null default '-infinity',
  after_id         bigint not null default 0,
  advanced_at      timestamptz,
  finished_at      timestamptz,
  stopped_at       timestamptz,
  stopped_by       text,
  problem          text,
  constraint operations_counts_are_from_0 check (expected >= 0 and done >= 0 and left_out >= 0),
  constraint operations_filter_is_of_a_resend check (
    kind = 'resend' or (channel is null and status is null and failure is null and document is null and error_text is null
                        and since is null and until is null and not include_received)),
  constraint operations_discards_in_a_release check (kind = 'release' or discard_channels = '{}'),
  constraint operations_ends_once check (finished_at is null or stopped_at is null),
  constraint operations_stopped_by_a_person check ((stopped_at is null) = (stopped_by is null))
);
create index operations_running on webhook.operations (id) where finished_at is null and stopped_at is null;
comment on index  webhook.operations_running          is 'What has not ended: webhook.advance_operation goes on with it.';
comment on table  webhook.operations                  is 'What a person does to many events at once from the page, with its progress: started by webhook.start_resend or webhook.start_release, done in steps by webhook.advance_operation, ended early by webhook.stop_operation.';
comment on column webhook.operations.id               is 'The order in which they were started.';
comment on column webhook.operations.kind             is 'resend: finished events are sent again. release: Offline Mode ends, and what waits on some channels is cancelled before.';
comment on column webhook.operations.actor            is 'Who started it, as in webhook.interventions.';
comment on column webhook.operations.role             is 'The database role that was logged in.';
comment on column webhook.operations.channel          is 'Of a resend, as all up to include_received: only events of this channel. Null: of all.';
comment on column webhook.operations.status           is 'Only events with this status: sent, failed, skipped, superseded, cancelled. Null: with any of them.';
comment on column webhook.operations.failure          is 'Only events with this class of failure.';
comment on column webhook.operations.document         is 'Only exports of this document.';
comment on column webhook.operations.error_text       is 'Only events whose error contains this text, in upper or lower case.';
comment on column webhook.operations.since            is 'Only events that finished at this instant or later.';
comment on column webhook.operations.until            is 'Only events that finished before this instant.';
comment on column webhook.operations.include_received is 'Also events that the receiver has or may have: sent, and those with received = yes or maybe.';
comment on column webhook.operations.discard_channels is 'Of a release: the channels whose waiting events are cancelled.';
comment on column webhook.operations.created_at       is 'When it was started.';
comment on column webhook.operations.before           is 'Only what finished before this instant is sent again, so that nothing is sent twice by one operation.';
comment on column webhook.operations.newest_id        is 'Of a release: only events up to this id are cancelled, the newest when it was started.';
comment on column webhook.operations.expected         is 'How many events it was going to change when it was started, counted up to 10000.';
comment on column webhook.operations.expected_more    is 'There were more than were counted.';
comment on column webhook.operations.done             is 'How many it has changed.';
comment on column webhook.operations.left_out         is 'How many that match it has left out: tests, overtaken exports, what the receiver may have, and what another session had locked or changed.';
comment on column webhook.operations.after_finished   is 'How far it has come: all events that finished before this instant were examined, and those of this instant up to after_id.';
comment on column webhook.operations.after_id         is 'See after_finished; of one document: all of its exports up to this id were examined.';
comment on column webhook.operations.advanced_at      is 'When its last step was done.';
comment on column webhook.operations.finished_at      is 'When all was done.';
comment on column webhook.operations.stopped_at       is 'When a person stopped it. The rest is not done.';
comment on column webhook.operations.stopped_by       is 'Who stopped it.';
comment on column webhook.operations.problem          is 'Why it ended before all was done, in words.';
comment on constraint operations_kind_is_known         on webhook.operations is 'resend or release.';
comment on constraint operations_status_is_finished    on webhook.operations is 'Only finished events are sent again.';
comment on constraint operations_counts_are_from_0     on webhook.operations is 'Events are counted from 0.';
comment on constraint operations_filter_is_of_a_resend on webhook.operations is 'A release has no filter.';
comment on constraint operations_discards_in_a_release on webhook.operations is 'A resend discards nothing.';
comment on constraint operations_ends_once             on webhook.operations is 'It is finished or was stopped.';
comment on constraint operations_stopped_by_a_person   on webhook.operations is 'Who stopped it is recorded with the time.';

-- Also what was announced: a channel whose newest alert says that it fails is not announced again.
create table webhook.alerts (
  id           bigint generated always as identity primary key,
  kind         text not null
               constraint alerts_kind_is_known check (
                 kind in ('channel_failing', 'channel_recovered', 'events_lost', 'worker_missing', 'no_worker', 'worker_back')),
  channel      text,
  created_at   timestamptz not null default clock_timestamp(),
  since        timestamptz not null,
  until        timestamptz not null,
  events       bigint not null default 0
               constraint alerts_events_is_a_count check (events >= 0),
  event_id     bigint,
  failure      text,
  http_status  int,
  received     text,
  worker       text,
  workers      int,
  attempts     int not null default 0,
  due_at       timestamptz not null default clock_timestamp(),
  leased_until timestamptz,
  error        text,
  sent_at      timestamptz,
  given_up_at  timestamptz,
  constraint alerts_channel_is_of_a_channel check ((channel is not null) = (kind in ('channel_failing', 'channel_recovered', 'events_lost'))),
  constraint alerts_ends_once check (sent_at is null or given_up_at is null)
);
create index alerts_newest on webhook.alerts (kind, channel, id);
create index alerts_unsent on webhook.alerts (id) where sent_at is null and given_up_at is null;
comment on index  webhook.alerts_newest       is 'The newest alert of each kind and channel.';
comment on index  webhook.alerts_unsent       is 'What waits to be sent, in its order.';
comment on table  webhook.alerts              is 'What was, or is to be, posted to WEBHOOK_ALERT_URL. Written and sent by any worker that has this setting, and by the page. Kept for 30 days, the newest of each kind and channel for longer.';
comment on column webhook.alerts.id           is 'The order in which they are sent; part of their webhook-id header.';
comment on column webhook.alerts.kind         is 'channel_failing, channel_recovered, events_lost (one-attempt events that failed), worker_missing (another one was not seen for a minute), no_worker, worker_back (after no_worker).';
comment on column webhook.alerts.channel      is 'The channel; null for workers.';
comment on column webhook.alerts.created_at   is 'When it was noticed.';
comment on column webhook.alerts.since        is 'When it began.';
comment on column webhook.alerts.until        is 'What happened up to this instant is part of it. Of channel_recovered: the success.';
comment on column webhook.alerts.events       is 'How many events were lost, or failed or wait; of worker_missing, how many workers. Counted to 10001.';
comment on column webhook.alerts.event_id     is 'One of these events, webhook.outbox.id.';
comment on column webhook.alerts.failure      is 'The class of its failure.';
comment on column webhook.alerts.http_status  is 'The HTTP status of its answer.';
comment on column webhook.alerts.received     is 'Whether the receiver has it: no, maybe, yes.';
comment on column webhook.alerts.worker       is 'The missing worker, or the one that was seen last.';
comment on column webhook.alerts.workers      is 'How many workers were seen in the last minute.';
comment on column webhook.alerts.attempts     is 'How often it was posted, or begun to be.';
comment on column webhook.alerts.due_at       is 'Not posted before this instant.';
comment on column webhook.alerts.leased_until is 'A process posts it now. When this has passed, another may.';
comment on column webhook.alerts.error        is 'Why the newest attempt failed, in words, with the host of the URL only.';
comment on column webhook.alerts.sent_at      is 'When a 2xx was recorded.';
comment on column webhook.alerts.given_up_at  is 'When it had waited for a day: it is not posted any more.';
comment on constraint alerts_kind_is_known           on webhook.alerts is 'One of the six.';
comment on constraint alerts_events_is_a_count       on webhook.alerts is 'Events are counted from 0.';
comment on constraint alerts_channel_is_of_a_channel on webhook.alerts is 'An alert about a channel names it; one about workers names none.';
comment on constraint alerts_ends_once               on webhook.alerts is 'It was sent or given up.';


------------------------------------------------------------------------------------------------
-- What reads.

-- All that logs, errors and readers see of a URL. Of one that does not parse it is not known where the
-- host ends and a password begins.
create function webhook.url_host(url text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$
begin
  return case when webhook.url_problem($1) is null then substring(webhook.trimmed($1) from '^[A-Za-z]+://(?:[^/?#]*@)?([^/?#@]+)') end;
end
$fn$;
comment on function webhook.url_host(text) is 'Host and port of a URL, without userinfo, path or query. Null if the URL has none or cannot be called.';

create function webhook.channel_problem(channel webhook.channels, settings webhook.settings) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  token  constant text    := webhook.trimmed(settings.bearer_token);
  base   constant text    := webhook.trimmed(settings.document_base_url);
  links  constant boolean := channel.event = 'document.exported';
begin
  return case
    when channel.url_problem is not null
      then channel.url_problem || ': update webhook.channels set url = ''https://...'' where name = ''' || channel.name || ''''
    when settings.auth = 'bearer' and webhook.unseen(token) is not null
      then 'the bearer token contains ' || webhook.unseen(token) || ': update webhook.settings set bearer_token = ''...'''
    when settings.auth = 'bearer' and lower(token) = 'bearer'
      then 'the bearer token is missing, it is only the word Bearer: update webhook.settings set bearer_token = ''...'''
    when settings.auth = 'bearer' and coalesce(token, '') = ''
      then 'auth is bearer and there is no token: update webhook.settings set bearer_token = ''...'', or, to send none: update webhook.settings set auth = ''none'''
    when links and coalesce(base, '') = ''
      then 'webhook.settings has no document_base_url, which doc_url needs: update webhook.settings set document_base_url = ''https://...'''
    when links and (webhook.unseen(base) is not null or base ~ '[ ?#]')
      then 'document_base_url contains ' || coalesce(webhook.unseen(base), replace(substring(base from '[ ?#]'), ' ', 'a space (U+0020)'))
           || ', and doc_url begins with it: update webhook.settings set document_base_url = ''https://...'''
    when links and base ~ '^[^/]*//[^/]*@'
      then 'document_base_url contains credentials, which every doc_url would show: update webhook.settings set document_base_url = ''https://...'''
  end;
end
$fn$;
comment on function webhook.channel_problem(webhook.channels, webhook.settings) is
  'Why this channel cannot be called as configured, with the SQL that fixes it, or null. Its rows wait meanwhile.';

-- As the worker sends it. The suffix is of what the row contains: where a restored backup or a failover
-- assigns ids again, the id alone would stand for two bodies.
create function webhook.webhook_id(event webhook.outbox) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
  as $fn$
begin
  return (select s.instance_id from webhook.settings s) || '-' || event.id || '-' ||
    left(encode(sha256(convert_to(event.event || e'\n' || event.occurred_at || e'\n' || event.data, 'UTF8')), 'hex'), 16);
end
$fn$;
comment on function webhook.webhook_id(webhook.outbox) is
  'The webhook-id header of an event, to find it in a receiver''s log: select webhook.webhook_id(o) from webhook.outbox o where id = 1001';

-- The specification's Troubleshooting, and what its list leaves out.
create function webhook.hint(failure text, http_status int default null, received text default null) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$
begin
  return case $1
    when 'config'
      then 'The channel cannot be called as configured. Fix its URL or the bearer token in the settings; pending events wait meanwhile.'
    when 'render'
      then 'The payload cannot be built from this row. Fix the field that the error names: in the application for future events, and for a pending document by exporting it again, or in its row (update webhook.outbox set data = ''...'' where id = N).'
    when 'blocked_address'
      then 'The URL leads to an internal address. If that is intended, add the network to WEBHOOK_ALLOW_NETWORKS and restart the worker.'
    when 'dns'
      then 'The host name does not resolve. Check the URL for a typing error, and DNS on the worker''s machine.'
    when 'proxy'
      then 'The egress proxy of the worker made no connection; nothing was sent, and the event waits. Check that the proxy runs, WEBHOOK_PROXY, and whether the proxy allows this host and port.'
    when 'refused'
      then 'No server listens at that address. Check host and port of the URL, and that the receiving server runs.'
    when 'unreachable'
      then 'That address cannot be reached. Check the network and the firewall between the worker and the receiver.'
    when 'tls'
      then 'TLS with the receiver failed. Check the host name in the URL against the certificate, and the receiver''s TLS settings.'
    when 'timeout' then case when $3 = 'maybe'
      then 'The receiver did not answer within the time limit (30 seconds by default) after the request was sent, so it may have the event. It should answer at once and work afterwards.'
      else 'No connection within the time limit; nothing was sent. Check the network and the firewall, and whether the receiver is overloaded.' end
    when 'connection_lost' then case when $3 = 'maybe'
      then 'The connection ended before the receiver answered, so it may have the event. Check its log; a proxy in front of it may have restarted.'
      else 'The connection ended before the request was sent. Check the receiver''s log; a proxy in front of it may have restarted.' end
    when 'bad_answer'
      then 'The answer is not valid HTTP. Check scheme, host and port of the URL.'
    when 'redirect'
      then 'The receiver redirects, and redirects are never followed. Set the channel''s URL to the address it redirects to.'
    when 'not_counted'
      then 'The receiver answered with a success status that does not count. If it should, add the status to accept_status of the channel.'
    when 'rate_limited'
      then 'The receiver is called too often. Set max_per_second of the channel to the rate that it allows, or upgrade the plan of the receiving tool.'
    when 'server_error'
      then 'The receiving server is temporarily down or overloaded. Documents are retried automatically, other events are not.'
    when 'interrupted' then case when $3 = 'maybe'
      then 'The worker ended during the attempt, so it is unknown whether the receiver has the event. Documents are retried automatically; before you send another event again, check the receiver.'
      else 'The worker ended before anything was sent. It is safe to send the event again.' end
    when 'rejected' then case $2
      when 400 then 'The receiver does not accept the payload. Check what it expects; it may want another format than schema 2.0.'
      when 401 then 'The endpoint requires authentication: add a bearer token in the settings (update webhook.settings set auth = ''bearer'', bearer_token = ''...'').'
      when 403 then 'The token is incorrect, or the worker''s IP address is blocked.'
      when 404 then 'The path of the URL is wrong: regenerate the webhook URL in the receiving tool.'
      when 405 then 'The URL exists but does not accept POST. Check that it is the URL of the webhook.'
      when 408 then 'The receiver waited too long for the request. It may be overloaded. Documents are retried automatically, other events are not.'
      when 409 then 'The receiver reports a conflict. If it answers so to an event that it has already, let 409 count (update webhook.channels set accept_status = accept_status || 409 where name = ''...''), or mark the event: select webhook.mark_delivered(id, note).'
      when 410 then 'The webhook was deleted in the receiving tool. Create a new one there and set its URL, or turn the channel off.'
      when 413 then 'The payload is too large for the receiver. Raise its limit (for nginx: client_max_body_size).'
      when 415 then 'The receiver does not accept application/json. Check that the URL is that of a JSON webhook.'
      when 422 then 'The receiver understood the payload but rejects its content. Its answer, in response, may say which field.'
      else 'The receiver rejects the request. Its answer, in response, may say why.' end
  end;
end
$fn$;
comment on function webhook.hint(text, int, text) is 'What a failure means and what to do: webhook.hint(failure, http_status, received). Null for no failure, and for a class that does not exist.';

create view webhook.status as
  select c.name                                        as channel,
         c.enabled,
         s.offline_mode,
         webhook.url_host(c.url)                       as host,
         case when c.enabled then webhook.channel_problem(c, s) end as problem,
         p.pending,
         p.oldest_pending,
         h.in_flight,
         (select max(o.finished_at) from webhook.outbox o
           where o.event = c.event and o.status = 'sent' and o.finished_at is not null and o.http_status is not null) as last_success,
         e.failure                                     as last_failure,
         e.error                                       as last_error,
         e.at                                          as last_error_at,
         w.workers,
         case when g.paused_until > now() then g.paused_until end as paused_until,
         n.failing_since
    from webhook.channels c
   cross join webhook.settings s
   cross join (select count(*) as workers from webhook.workers w where w.seen_at > clock_timestamp() - interval '1 minute') w
    left join webhook.pacing g on g.channel = c.name
    left join webhook.endpoints n on n.channel = c.name
   cross join lateral (
         -- An application may write 'infinity', which would hide all others and which few programs can read.
         select count(*) as pending,
                min(o.occurred_at) filter (where o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z') as oldest_pending
           from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null) p
   cross join lateral (
         select count(*) as in_flight
           from webhook.outbox o
          where o.event = c.event and o.leased_until is not null and o.claim_id is not null) h
    left join lateral (
         select x.failure, x.error, x.at
           from ((select o.failure, o.error, o.finished_at as at from webhook.outbox o
                   where o.event = c.event and o.status = 'failed' and o.finished_at is not null
                   order by o.finished_at desc limit 1)
                 union all
                 (select o.failure, o.error, o.claimed_at from webhook.outbox o
                   where o.event = c.event and o.status = 'pending' and o.leased_until is null
                     and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.failure is not null
                   order by o.due_at desc limit 1)) x
          order by x.at desc limit 1) e on true
   order by c.position;
comment on view   webhook.status                is 'One row per channel: its switch, what waits, what is in flight, its last success and last error. The first thing to read.';
comment on column webhook.status.channel        is 'The channel.';
comment on column webhook.status.enabled        is 'Its switch.';
comment on column webhook.status.offline_mode   is 'Offline Mode: while on, nothing is delivered on any channel.';
comment on column webhook.status.host           is 'The host of its URL.';
comment on column webhook.status.problem        is 'Why the channel is on but cannot be called as configured, with the SQL that fixes it. Its rows wait.';
comment on column webhook.status.pending        is 'Pending rows without a lease.';
comment on column webhook.status.oldest_pending is 'When the oldest of them happened.';
comment on column webhook.status.in_flight      is 'Leased rows.';
comment on column webhook.status.last_success   is 'When the newest success was recorded: an answer of the endpoint. What a person has marked as delivered does not count.';
comment on column webhook.status.last_failure   is 'The class of the newest failure: of a failed event, or of one that waits for its next attempt.';
comment on column webhook.status.last_error     is 'That failure in words.';
comment on column webhook.status.last_error_at  is 'When it happened.';
comment on column webhook.status.workers        is 'How many workers were seen in the last minute, see webhook.workers. 0: nothing is delivered.';
comment on column webhook.status.paused_until   is 'Nothing is sent before this instant: the receiver answered with Retry-After. Null: no pause.';
comment on column webhook.status.failing_since  is 'Since when each attempt has failed, see webhook.endpoints. Null: the newest succeeded, or there was none.';

create function webhook.utc(at timestamptz) returns text
  language sql stable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$ select case when isfinite($1) then to_char($1 at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') else $1::text end $fn$;
comment on function webhook.utc(timestamptz) is 'An instant as the texts of this schema write it. Internal.';

create function webhook.worker_problem(worker webhook.workers, settings webhook.settings) returns text
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp
  as $fn$
declare
  keys constant jsonb := coalesce(worker.settings -> 'secret_keys', '[]');
  key  text;
  what text := 'the bearer token';
  newest webhook.schema_versions;
begin
  select v.* into newest from webhook.schema_versions v order by v.min_worker desc, v.version limit 1;
  if settings.auth = 'bearer' and not keys ? settings.token_encrypted_under then
    key := settings.token_encrypted_under;
  else
    select k.encrypted_under, 'signing secret ' || k.id into key, what
      from webhook.secrets k
     where (k.ends_at is null or k.ends_at > now()) and not keys ? k.encrypted_under
     order by k.id limit 1;
  end if;
  return case
    when worker.seen_at <= clock_timestamp() - interval '1 minute'
      then format('the worker %s was not seen since %s: it was killed, hangs, or cannot reach the database', worker.name, webhook.utc(worker.seen_at))
    when newest.min_worker > (worker.settings ->> 'schema_version')::int and (worker.settings ->> 'schema_version')::int > 0
      then format('the worker %s delivers nothing: this database has version %s, which needs a worker of schema version %s or newer, and it has %s: start a newer binary in its place',
                  worker.name, newest.version, newest.min_worker, worker.settings ->> 'schema_version')
    when worker.environment is distinct from settings.environment
      then format('the worker %s delivers nothing: its WEBHOOK_ENVIRONMENT is %s, webhook.settings.environment is %s: %s, or update webhook.settings set environment = %L',
                  worker.name, coalesce(worker.environment, 'not set'), coalesce(settings.environment, 'null'),
                  coalesce('start it with WEBHOOK_ENVIRONMENT=' || settings.environment, 'start it without WEBHOOK_ENVIRONMENT'), worker.environment)
    when key is not null
      then format('the worker %s delivers nothing: %s is encrypted under the key %s, %s: add that key to its WEBHOOK_SECRET_KEY or WEBHOOK_SECRET_KEY_FILE and start it again',
                  worker.name, what, key,
                  case when jsonb_array_length(keys) = 0 then 'and its WEBHOOK_SECRET_KEY is not set'
                       else 'and its WEBHOOK_SECRET_KEY has ' || (select string_agg(each, ', ') from jsonb_array_elements_text(keys) each) end)
  end;
end
$fn$;
comment on function webhook.worker_problem(webhook.workers, webhook.settings) is
  'Why this worker delivers nothing, with what to do, or null.';

-- Ten thousand of each kind and channel show what is wrong, and keep this fast when very many fail.
create view webhook.problems as
  select 'channel'::text as kind, c.name as channel, null::bigint as id, null::timestamptz as since, null::text as failure, null::text as received,
         webhook.channel_problem(c, s) as problem, 'Its events wait until this is fixed.'::text as hint
    from webhook.channels c
   cross join webhook.settings s
   where c.enabled and webhook.channel_problem(c, s) is not null
  union all
  select 'worker', null, null, w.seen_at, null, null, webhook.worker_problem(w, s),
         case when w.seen_at <= clock_timestamp() - interval '1 minute' then 'Read its log. This line goes an hour after it was last seen.'
              when w.environment is distinct from s.environment then 'A copy of another database must not call its receivers: leave it so, or change the URLs first.'
              else 'Nothing is lost: its events wait until the key is there. Where the key is lost, set the token again and make other signing secrets.' end
    from webhook.workers w
   cross join webhook.settings s
   where w.seen_at > clock_timestamp() - interval '1 hour' and webhook.worker_problem(w, s) is not null
  union all
  select 'worker', null, null, (select max(w.seen_at) from webhook.workers w), null, null,
         'no worker is running' || coalesce(': none was seen since ' || (select webhook.utc(max(w.seen_at)) from webhook.workers w), '') || ', and events wait',
         'Start one: webhooks run.'
   where not exists (select from webhook.workers w where w.seen_at > clock_timestamp() - interval '1 minute')
     and exists (select from webhook.channels c
                  cross join lateral (select from webhook.outbox o
                                       where o.event = c.event and o.status = 'pending' and o.leased_until is null limit 1) waiting)
  union all
  select 'event', c.name, f.id, f.finished_at, f.failure, f.received, coalesce(f.error, f.failure), webhook.hint(f.failure, f.http_status, f.received)
    from webhook.channels c
   cross join lateral (
         select o.id, o.finished_at, o.failure, o.received, o.error, o.http_status from webhook.outbox o
          where o.event = c.event and o.status = 'failed' and o.finished_at is not null
            and o.finished_at > now() - interval '7 days' and not o.is_test
          order by o.finished_at desc limit 10000) f
  union all
  select 'event', c.name, d.id, d.occurred_at, d.failure, d.received, coalesce(d.error, d.failure), webhook.hint(d.failure, d.http_status, d.received)
    from webhook.channels c
   cross join lateral (
         select o.id, o.occurred_at, o.failure, o.received, o.error, o.http_status from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null
            and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.failure is not null
          order by o.due_at desc, o.id desc limit 10000) d
  union all
  select 'more', c.name, null, f.finished_at, null, null, 'more than 10000 events failed in the last seven days: the newest 10000 are listed',
         'For all of them see webhook.volume, by hour. To send them again: webhook.retry_failed.'
    from webhook.channels c
   cross join lateral (
         select o.finished_at from webhook.outbox o
          where o.event = c.event and o.status = 'failed' and o.finished_at is not null
            and o.finished_at > now() - interval '7 days' and not o.is_test
          order by o.finished_at desc offset 10000 limit 1) f
  union all
  select 'more', c.name, null, d.occurred_at, null, null, 'more than 10000 events wait with an error: 10000 are listed',
         'webhook.status counts all that wait.'
    from webhook.channels c
   cross join lateral (
         select o.occurred_at from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null
            and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.failure is not null
          order by o.due_at desc, o.id desc offset 10000 limit 1) d;
comment on view   webhook.problems          is 'Channels, workers and events that need attention, each with what to do: channels that are on but cannot be called, workers that are absent or may not deliver here, events that failed in the last seven days, and events that wait after a failure. At most 10000 events of a channel in each of the two; a row of the kind more says that there are others.';
comment on column webhook.problems.kind     is 'channel, worker, event, or more: there are more events than are listed.';
comment on column webhook.problems.channel  is 'The channel; null for a worker.';
comment on column webhook.problems.id       is 'The event, webhook.outbox.id; null unless the kind is event.';
comment on column webhook.problems.since    is 'When the event failed; for one that waits, when it happened; for a worker, when it was last seen. Null for a channel.';
comment on column webhook.problems.failure  is 'The class of the failure.';
comment on column webhook.problems.received is 'Whether the receiver has the event: no, maybe, yes.';
comment on column webhook.problems.problem  is 'What is wrong.';
comment on column webhook.problems.hint     is 'What it means and what to do.';

-- Counted hour by hour, each a range of the index outbox_finished: half the time of one pass that
-- truncates each row's time to its hour (ten million events within the seven days: 1.5 s).
create view webhook.volume as
  select c.name as channel, v.hour, v.status, sum(v.events)::bigint as events
    from webhook.channels c
   cross join lateral (
         select h.hour, s.status, n.events
           from (values ('sent'), ('failed'), ('skipped'), ('superseded'), ('cancelled')) as s (status)
          cross join generate_series(-7 * 24, 1) as ago (hours)
          cross join lateral (select date_trunc('hour', now()) + ago.hours * interval '1 hour' as hour) h
          cross join lateral (
                select count(*) as events from webhook.outbox o
                 where o.event = c.event and o.status = s.status and o.finished_at is not null and not o.is_test
                   and o.finished_at >= h.hour and o.finished_at < h.hour + interval '1 hour') n
          where n.events > 0
          union all
         select date_trunc('hour', o.due_at), o.status, count(*)
           from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null
            and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) > 0
            and o.due_at > date_trunc('hour', now()) - interval '7 days'
          group by 1, 2
          union all
         select date_trunc('hour', o.due_at), o.status, count(*)
           from webhook.outbox o
          where o.event = c.event and o.leased_until is not null and o.claim_id is not null and not o.is_test
          group by 1, 2) v
   group by c.name, c.position, v.hour, v.status
   order by c.position, v.hour, v.status;
comment on view   webhook.volume         is 'How many events each channel had in each hour of the last seven days, by status: by when they were finished, or else by when they are due. Test events are not counted. Read it before you turn on a channel that is paid by the call.';
comment on column webhook.volume.channel is 'The channel.';
comment on column webhook.volume.hour    is 'The beginning of the hour.';
comment on column webhook.volume.status  is 'Their status.';
comment on column webhook.volume.events  is 'How many.';

create view webhook.hourly as
  select t.channel, t.hour,
         coalesce(sum(t.events) filter (where t.status = 'sent'), 0)::bigint    as delivered,
         coalesce(sum(t.events) filter (where t.status = 'failed'), 0)::bigint  as failed,
         coalesce(sum(t.events) filter (where t.status = 'skipped'), 0)::bigint as skipped,
         webhook.latency_of(min(t.latency) filter (where t.latency > 0 and t.upto >= t.timed * 0.5))  as p50,
         webhook.latency_of(min(t.latency) filter (where t.latency > 0 and t.upto >= t.timed * 0.99)) as p99
    from (select y.channel, y.hour, y.status, y.latency, y.events,
                 sum(y.events) filter (where y.latency > 0) over (partition by y.channel, y.hour order by y.latency) as upto,
                 sum(y.events) filter (where y.latency > 0) over (partition by y.channel, y.hour) as timed
            from webhook.tally y) t
   group by t.channel, t.hour;
comment on view   webhook.hourly           is 'What finished on each channel in each hour of the last eight days, from webhook.tally: what the page draws.';
comment on column webhook.hourly.channel   is 'The channel.';
comment on column webhook.hourly.hour      is 'The beginning of the hour, of UTC.';
comment on column webhook.hourly.delivered is 'How many events were delivered.';
comment on column webhook.hourly.failed    is 'How many failed.';
comment on column webhook.hourly.skipped   is 'How many were skipped, since the channel was off.';
comment on column webhook.hourly.p50       is 'Half of those that were delivered by their first attempt took at most this long from their transaction to the recorded answer, within 9 %. Null: there were none.';
comment on column webhook.hourly.p99       is 'Likewise, of 99 in 100.';

create function webhook.followed_by(event webhook.outbox) returns bigint
  language sql stable set search_path = pg_catalog, pg_temp
  as $fn$
  select later.id from webhook.outbox later
   where later.document_id is not null and later.status <> 'cancelled'
     and (later.document_id, later.id) > (($1).document_id, ($1).id)
     and (later.document_id, later.id) < (($1).document_id, 9223372036854775807)
   order by later.document_id, later.id limit 1
$fn$;
comment on function webhook.followed_by(webhook.outbox) is 'The next later export of the same document that was not cancelled, or null.';

create function webhook.waits_for(e webhook.outbox, c webhook.channels, s webhook.settings) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $fn$
declare
  later bigint := webhook.followed_by(e);
  other webhook.outbox;
  in_flight bigint;
  paused timestamptz;
begin
  select g.paused_until into paused from webhook.pacing g where g.channel = c.name and g.paused_until > clock_timestamp();
  select * into other from webhook.outbox o where o.document_id = e.document_id and o.leased_until is not null;
  select count(*) into in_flight from webhook.outbox o where o.event = e.event and o.leased_until is not null and o.claim_id is not null;
  return case
    when later is not null
      then format(' will not be sent: event %s is a later export of the same document. It becomes superseded within ten seconds if a worker is running.', later)
    when not exists (select from webhook.workers w where webhook.worker_problem(w, s) is null)
         and exists (select from webhook.workers w where w.seen_at > clock_timestamp() - interval '1 minute')
      then (select format(' waits because %s.', webhook.worker_problem(w, s)) from webhook.workers w order by w.seen_at desc limit 1)
    when s.offline_mode
      then ' waits because Offline Mode is on: nothing is delivered until it is turned off (update webhook.settings set offline_mode = false).'
    when webhook.channel_problem(c, s) is not null and (c.enabled or e.is_test)
      then format(' waits because the channel %s cannot be called: %s.', c.name, webhook.channel_problem(c, s))
    when not c.enabled and e.at_least_once
      then format(' waits because the channel %s is off (update webhook.channels set enabled = true where name = %L).', c.name, c.name)
    when not c.enabled and not e.is_test
      then format(' is pending, but the channel %s is off: it becomes skipped within ten seconds if a worker is running. To have it sent: update webhook.channels set enabled = true where name = %L.', c.name, c.name)
    when paused is not null
      then format(' waits because the channel %s is paused until %s: its receiver asked for that with Retry-After. If it is called too often, set max_per_second of the channel.', c.name, webhook.utc(paused))
    when other.id is not null
      then format(' waits for the attempt of event %s of the same document, which worker %s started at %s: exports of a document are sent one at a time.',
                  other.id, other.claimed_by, webhook.utc(other.claimed_at))
    when e.due_at > clock_timestamp() and e.attempts > 0
      then format(' was not delivered yet, after %s; the next attempt is due at %s.',
                  case e.attempts when 1 then 'one attempt' else e.attempts || ' attempts' end, webhook.utc(e.due_at))
    when e.due_at > clock_timestamp()
      then format(' was not attempted yet; it is due at %s.', webhook.utc(e.due_at))
    when c.max_per_second is not null and (in_flight > 0 or e.due_at > clock_timestamp() - interval '30 seconds')
      then format(' is due since %s and waits until it may be sent: all workers together begin at most %s POSTs a second on the channel (max_per_second).', webhook.utc(e.due_at), c.max_per_second)
    when in_flight > 0
      then format(' is due since %s and waits for a free slot: %s in flight on the channel, and a worker makes at most %s at once (max_in_flight).',
                  webhook.utc(e.due_at), case in_flight when 1 then 'one attempt is' else in_flight || ' attempts are' end, c.max_in_flight)
    when e.due_at > clock_timestamp() - interval '30 seconds'
      then format(' is due since %s and waits for a worker. If this does not change, check that one is running (webhooks run).', webhook.utc(e.due_at))
    else format(' is due since %s, and no worker claims it: none seems to be running. Start one (webhooks run), or read its log.', webhook.utc(e.due_at))
  end;
end
$fn$;
comment on function webhook.waits_for(webhook.outbox, webhook.channels, webhook.settings) is
  'What a pending event waits for: a part of webhook.explain. Internal.';

create function webhook.explain(id bigint) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
  as $fn$
declare
  e  webhook.outbox;
  c  webhook.channels;
  s  webhook.settings;
  i  webhook.interventions;
  what text;
  runs text;
  later bigint;
begin
  select * into e from webhook.outbox o where o.id = $1;
  if not found then
    return format('There is no event %s. It may never have been committed, or it was pruned after its retention time.', coalesce($1::text, 'null'));
  end if;
  select * into c from webhook.channels where event = e.event;
  select * into s from webhook.settings;
  later := webhook.followed_by(e);

  -- Where it is.
  what := format('%s %s (%s%s, of %s)', case when e.is_test then 'Test event' else 'Event' end, e.id, e.event,
                 ' of document ' || e.document_id, webhook.utc(e.occurred_at));
  what := what || case
    when e.status = 'sent' and e.http_status is null
      then format(' was marked as delivered by a person at %s.', webhook.utc(e.finished_at))
    when e.status = 'sent'
      then format(' was delivered at %s%s: the receiver answered with HTTP %s.%s', webhook.utc(e.finished_at),
                  case when e.attempts > 1 then format(' after %s attempts', e.attempts) end, e.http_status,
                  coalesce(' The channel ' || c.name || ' leads to ' || webhook.url_host(c.url) || ' now.', ''))
    when e.status = 'failed'
      then format(' failed at %s and will not be sent again automatically.', webhook.utc(e.finished_at))
    when e.status = 'skipped'
      then format(' was skipped at %s because the channel %s was off. It will not be sent automatically.', webhook.utc(e.finished_at), c.name)
    when e.status = 'superseded'
      then format(' was superseded at %s: %s is a later export of the same document. %s.', webhook.utc(e.finished_at), coalesce('event ' || later, 'there was one that'),
                  case e.attempts when 0 then 'This one was never sent' else 'An attempt of this one may have arrived' end)
    when e.status = 'cancelled'
      then format(' was cancelled by a person at %s and will not be sent.', webhook.utc(e.finished_at))
    when e.leased_until < clock_timestamp()
      then format(' was being sent by worker %s, whose lease ended at %s without an outcome. A running worker expires the lease within two minutes and %s.',
                  e.claimed_by, webhook.utc(e.leased_until),
                  case when e.at_least_once then 'sends the event again' else 'marks the event as failed, since the receiver may have it' end)
    when e.leased_until is not null
      then format(' is being sent now, by worker %s since %s.', e.claimed_by, webhook.utc(e.claimed_at))
    else webhook.waits_for(e, c, s)
  end;

  -- Why.
  if e.failure is not null and e.status in ('pending', 'sending', 'failed', 'cancelled') then
    what := what || format(' %s ended with: %s. %s', case when e.leased_until is null then 'Its newest attempt' else 'The attempt before this one' end,
                           rtrim(coalesce(e.error, 'HTTP ' || e.http_status, e.failure), '.'),
                           case when e.status <> 'cancelled' then webhook.hint(e.failure, e.http_status, e.received) end);
  end if;
  select format(' Its attempts so far%s: %s.', case when max(r.run) > 5 then ', the newest' end,
                string_agg(format('%s × %s (%s to %s)', r.attempts, rtrim(coalesce(r.error, 'HTTP ' || r.http_status, r.failure), '.'),
                                  webhook.utc(r.first_at), webhook.utc(r.last_at)), '; ' order by r.run))
    into runs
    from (select * from webhook.attempts a where a.outbox_id = e.id order by a.run desc limit 5) r
  having sum(r.attempts) > 1;
  what := what || coalesce(runs, '');

  if e.traceparent is not null and webhook.sent_traceparent(e.traceparent) is null then
    what := what || ' Its traceparent is malformed, so that header is not sent: version 00 of W3C Trace Context was expected, 00-<32 digits>-<16 digits>-<2 digits> in lower-case hexadecimal.';
  end if;

  -- What to do.
  if e.finished_at is not null then
    what := what || case
      when later is not null
        then format(' It cannot be sent again: event %s is a later export of the same document (select webhook.explain(%s)).', later, later)
      when e.status = 'failed' and e.failure = 'render'
        then ' Sent again as it is, it would fail in the same way: publish it again once the application is fixed.'
      when c.enabled or e.is_test
        then format(' To send it again: select webhook.retry(%s).', e.id)
      else format(' To send it again, turn the channel on (update webhook.channels set enabled = true where name = %L), then: select webhook.retry(%s).', c.name, e.id)
    end;
  end if;
  select * into i from webhook.interventions x where x.outbox_id = e.id order by x.id desc limit 1;
  if found then
    what := what || format(' (%s by %s at %s%s; before that it was %s%s.)',
      case i.action when 'retry' then 'Sent again' when 'cancel' then 'Cancelled' when 'discard' then 'Discarded' else 'Marked as delivered' end,
      i.actor, webhook.utc(i.at), ': ' || i.note, i.was_status,
      case when i.was_failure is not null and i.action in ('retry', 'mark_delivered') then ', with ' || rtrim(coalesce(i.was_error, 'HTTP ' || i.was_http_status, i.was_failure), '.') end);
  end if;
  return regexp_replace(what, '\s*[[:cntrl:]]\s*|\s{2,}', ' ', 'g'); -- one paragraph, whatever the document's id contains
end
$fn$;
comment on function webhook.explain(bigint) is
  'One paragraph for a ticket: where this event is, what happened, what it means and what to do.';


------------------------------------------------------------------------------------------------
-- What acts. An application publishes; people retry, cancel, discard and mark as delivered, each of which leaves a row in
-- webhook.interventions.

-- With the rights of its caller, who may insert as well: so it can qualify its names instead of setting
-- a search_path, which would cost an event 4 us of 39.
create function webhook.publish(event text, data json, occurred_at timestamptz default now(), traceparent text default null) returns bigint
  language plpgsql volatile
  as $fn$
declare
  written bigint;
begin
  insert into webhook.outbox (event, data, occurred_at, traceparent)
  values ($1, $2, case when $3 is null then pg_catalog.now() else $3 end, $4) returning id into written;
  return written;
end
$fn$;
comment on function webhook.publish(text, json, timestamptz, text) is
  'Writes an event into the outbox and returns its id. Call it in the transaction that changes your own data: what rolls back is never sent. Fails only for an unknown event, or data that is no JSON object. traceparent: see webhook.outbox.traceparent.';

-- Drivers and ORMs bind a text or a jsonb, for which there is no implicit cast to json. An untyped
-- literal or parameter is a text, too.
create function webhook.publish(event text, data text, occurred_at timestamptz default now(), traceparent text default null) returns bigint
  language plpgsql volatile
  as $fn$ begin return webhook.publish($1, $2::pg_catalog.json, $3, $4); end $fn$;
comment on function webhook.publish(text, text, timestamptz, text) is
  'webhook.publish for drivers that bind the data as text. Text that is no JSON is an error.';

create function webhook.publish(event text, data jsonb, occurred_at timestamptz default now(), traceparent text default null) returns bigint
  language plpgsql volatile
  as $fn$ begin return webhook.publish($1, $2::pg_catalog.json, $3, $4); end $fn$;
comment on function webhook.publish(text, jsonb, timestamptz, text) is
  'webhook.publish for jsonb. The order of its keys and the notation of its numbers are those of jsonb.';

create function webhook.outcome(id bigint)
  returns table (status text, attempts int, finished_at timestamptz, synced_at timestamptz, http_status int, failure text, received text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $fn$
begin
  return query
    select o.status, o.attempts, o.finished_at, o.synced_at, o.http_status, o.failure, o.received from webhook.outbox o where o.id = $1;
end
$fn$;
comment on function webhook.outcome(bigint) is
  'What became of an event, for the application that published it: neither data nor answers. No row for an event that does not exist, or was pruned.';

-- A null that was passed by mistake must not mean "all rows" or "not a dry run".
create function webhook.refuse_batch(max_rows int, dry_run boolean) returns void
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $fn$
begin
  if $1 is null or $1 < 0 then
    raise exception 'max_rows is %, a number from 0 was expected', coalesce($1::text, 'null') using errcode = 'invalid_parameter_value';
  end if;
  if $2 is null then
    raise exception 'dry_run is null, true or false was expected' using errcode = 'invalid_parameter_value';
  end if;
end
$fn$;
comment on function webhook.refuse_batch(int, boolean) is 'Raises an error for a max_rows or a dry_run that is invalid. Internal.';

create function webhook.event_of(channel text) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $fn$
declare
  event text;
begin
  select c.event into event from webhook.channels c where c.name = $1;
  if event is null then
    raise exception 'unknown channel "%"', left($1, 100)
      using errcode = 'invalid_parameter_value',
            hint = 'One of ' || (select string_agg(c.name, ', ' order by c.position) from webhook.channels c) || '.';
  end if;
  return event;
end
$fn$;
comment on function webhook.event_of(text) is 'The event of a channel; raises an error for an unknown name. Internal.';

create function webhook.locked_event(id bigint, doing text) returns webhook.outbox
  language plpgsql volatile set search_path = pg_catalog, pg_temp
  as $fn$
declare
  e webhook.outbox;
begin
  select * into e from webhook.outbox o where o.id = $1 for update;
  if not found then
    raise exception 'event % does not exist', coalesce($1::text, 'null') using errcode = 'no_data_found', hint = 'It may have been pruned.';
  end if;
  if e.leased_until is not null then
    raise exception 'event % cannot be %: worker % holds it until % at the latest', $1, $2, e.claimed_by, webhook.utc(e.leased_until)
      using errcode = 'object_in_use', hint = 'Try again when its attempt has ended.';
  end if;
  return e;
end
$fn$;
comment on function webhook.locked_event(bigint, text) is 'Locks an event and returns it; raises an error if it does not exist or a worker holds it. Internal.';

create function webhook.retry(id bigint) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  e webhook.outbox := webhook.locked_event($1, 'sent again');
  later bigint := webhook.followed_by(e);
begin
  if e.finished_at is null then
    raise exception 'event % is pending already, due at %', $1, webhook.utc(e.due_at)
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.explain(%s)', $1);
  end if;
  if later is not null then
    raise exception 'event % is not sent again: event % is a later export of document %', $1, later, e.document_id
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.retry(%s)', later);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_finished_at, was_http_status, was_failure, was_received, was_error)
  values ($1, 'retry', e.status, e.finished_at, e.http_status, e.failure, e.received, e.error);
  perform set_config('webhook.resending', 'on', true); -- not as a clause of the function, which only a superuser may write
  update webhook.outbox o
     set status = 'pending', due_at = clock_timestamp(), finished_at = null, synced_at = null,
         http_status = null, failure = null, received = null, error = null, response = null
   where o.id = $1;
  perform set_config('webhook.resending', 'off', true);
  return webhook.explain($1);
end
$fn$;
comment on function webhook.retry(bigint) is
  'Sends a finished event again, whatever its status. Refused while a worker holds it, and for an export that a later one has followed. The webhook-id header stays the same, so that a receiver which has the event can recognize it. Leaves a row in webhook.interventions. Returns webhook.explain of the event.';

create function webhook.cancel(id bigint) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  e webhook.outbox := webhook.locked_event($1, 'cancelled');
begin
  if e.finished_at is not null then
    raise exception 'event % cannot be cancelled: it is finished (%)', $1, e.status
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.explain(%s)', $1);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_http_status, was_failure, was_received, was_error)
  values ($1, 'cancel', e.status, e.http_status, e.failure, e.received, e.error);
  update webhook.outbox o set status = 'cancelled', finished_at = clock_timestamp() where o.id = $1;
  return webhook.explain($1);
end
$fn$;
comment on function webhook.cancel(bigint) is
  'Cancels a pending event that no worker holds; webhook.retry undoes it. Leaves a row in webhook.interventions. Returns webhook.explain of the event.';

create function webhook.mark_delivered(id bigint, note text) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  e webhook.outbox := webhook.locked_event($1, 'marked as delivered');
begin
  if coalesce($2, '') !~ '[^[:space:]]' then
    raise exception 'the note is empty' using errcode = 'invalid_parameter_value',
      hint = format('Say how it is known that the receiver has the event: select webhook.mark_delivered(%s, ''...'')', $1);
  end if;
  if e.status = 'sent' then
    raise exception 'event % is sent already', $1
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.explain(%s)', $1);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_finished_at, was_http_status, was_failure, was_received, was_error, note)
  values ($1, 'mark_delivered', e.status, e.finished_at, e.http_status, e.failure, e.received, e.error, $2);
  perform set_config('webhook.resending', 'on', true);
  -- Without a claim: that of an attempt says what it was answered with.
  update webhook.outbox o
     set status = 'sent', finished_at = clock_timestamp(), synced_at = case when o.event = 'document.exported' then clock_timestamp() end,
         claim_id = null, claimed_by = null, claimed_at = null,
         http_status = null, failure = null, received = 'yes', error = null, response = null
   where o.id = $1;
  perform set_config('webhook.resending', 'off', true);
  return webhook.explain($1);
end
$fn$;
comment on function webhook.mark_delivered(bigint, text) is
  'Makes an event sent that the receiver is known to have, without sending it: finished or pending, unless a worker holds it. The note says how that is known. Leaves a row in webhook.interventions. Returns webhook.explain of the event.';

create function webhook.retry_failed(
    channel text default null, since timestamptz default null, until timestamptz default null, http_status int default null,
    failure text default null, error_like text default null, include_unknown boolean default false,
    max_rows int default 10000, dry_run boolean default false)
  returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  only_event text := case when $1 is not null then webhook.event_of($1) end;
  ids bigint[];
  found text;
  off text;
begin
  perform webhook.refuse_batch($8, $9);
  if webhook.hint($5) is null and $5 is not null then
    raise exception 'unknown failure "%"', left($5, 100)
      using errcode = 'invalid_parameter_value', hint = (
        select col_description(a.attrelid, a.attnum) from pg_attribute a
         where a.attrelid = 'webhook.outbox'::regclass and a.attname = 'failure');
  end if;
  -- Planned anew for each set of filters. A dry run locks nothing, so that workers do not skip the rows.
  execute format($query$
    select array_agg(f.id), string_agg(distinct f.name, ', ') filter (where not f.enabled)
      from (select picked.id, c.name, c.enabled
              from webhook.channels c
             cross join lateral (
                   select o.id, o.finished_at from webhook.outbox o
                    where o.event = c.event and o.status = 'failed' and o.finished_at is not null and not o.is_test
                      and o.finished_at >= $1 and o.finished_at < $2
                      and ($3 is null or o.http_status = $3)
                      and ($4 is null or o.failure = $4)
                      and ($5 is null or o.error like $5)
                      and ($6 or o.received <> 'maybe')
                    order by o.finished_at limit $7 %s) picked
             where $8 is null or c.event = $8
             order by picked.finished_at limit $7) f $query$, case when not $9 then 'for update skip locked' end)
    into ids, off
    using coalesce($2, '-infinity'), coalesce($3, 'infinity'), $4, $5, $6, coalesce($7, false), $8, only_event;
  ids := coalesce(ids, '{}');
  if off is not null then
    raise warning 'webhook.retry_failed: some of these events are of channels that are off, and become skipped unless the channels are turned on first: %', off;
  end if;
  if $9 then
    select string_agg(format('%s of %s', n, name), ', ' order by position) into found
      from (select c.name, c.position, count(*) as n
              from webhook.outbox o join webhook.channels c on c.event = o.event
             where o.id = any (ids) group by c.name, c.position) counted;
    raise notice 'webhook.retry_failed would send % failed events again%', cardinality(ids),
      coalesce(': ' || found, '') || case when $7 then '' else '; events that the receiver may have (received = maybe) are left out without include_unknown => true' end;
    return cardinality(ids);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_finished_at, was_http_status, was_failure, was_received, was_error)
  select o.id, 'retry', o.status, o.finished_at, o.http_status, o.failure, o.received, o.error from webhook.outbox o where o.id = any (ids);
  perform set_config('webhook.resending', 'on', true);
  update webhook.outbox o
     set status = 'pending', due_at = clock_timestamp(), finished_at = null,
         http_status = null, failure = null, received = null, error = null, response = null
   where o.id = any (ids);
  perform set_config('webhook.resending', 'off', true);
  return cardinality(ids);
end
$fn$;
comment on function webhook.retry_failed(text, timestamptz, timestamptz, int, text, text, boolean, int, boolean) is
  'Sends failed events again, oldest first, at most max_rows per call, and returns how many. All filters are optional: channel, since and until (when they failed), http_status, failure (its class), error_like (a LIKE pattern). Events that the receiver may have (received = maybe) are left out unless include_unknown. Test events are left out. dry_run only counts. Each leaves a row in webhook.interventions.';

create function webhook.discard(
    channel text default null, before timestamptz default null, max_rows int default 10000, dry_run boolean default false)
  returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  only_event text := case when $1 is not null then webhook.event_of($1) end;
  ids bigint[];
  found text;
begin
  perform webhook.refuse_batch($3, $4);
  -- In the order of the index outbox_pending. A dry run locks nothing, so that workers do not skip the rows.
  execute format($query$
    select array_agg(picked.id)
      from (select o.id
              from webhook.channels c
             cross join lateral (
                   select o.id from webhook.outbox o
                    where o.event = c.event and o.status = 'pending' and o.leased_until is null
                      and ($1 is null or o.occurred_at < $1)
                    order by (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end), o.due_at, o.id
                    limit $2 %s) o
             where $3 is null or c.event = $3
             limit $2) picked $query$, case when not $4 then 'for update skip locked' end)
    into ids
    using $2, $3, only_event;
  ids := coalesce(ids, '{}');
  if $4 then
    select string_agg(format('%s of %s', n, name), ', ' order by position) into found
      from (select c.name, c.position, count(*) as n
              from webhook.outbox o join webhook.channels c on c.event = o.event
             where o.id = any (ids) group by c.name, c.position) counted;
    raise notice 'webhook.discard would cancel % pending events%', cardinality(ids), coalesce(': ' || found, '');
    return cardinality(ids);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_http_status, was_failure, was_received, was_error)
  select o.id, 'discard', o.status, o.http_status, o.failure, o.received, o.error from webhook.outbox o where o.id = any (ids);
  update webhook.outbox o set status = 'cancelled', finished_at = clock_timestamp() where o.id = any (ids);
  return cardinality(ids);
end
$fn$;
comment on function webhook.discard(text, timestamptz, int, boolean) is
  'Cancels pending events that no worker holds, at most max_rows per call, and returns how many. Optional: channel, before (when they happened). dry_run only counts. Each leaves a row in webhook.interventions; webhook.retry undoes it, event by event.';

create function webhook.send_test(channel text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  only_event text := webhook.event_of($1);
  new_id bigint;
begin
  if exists (select from webhook.channels c where c.name = $1 and coalesce(c.url, '') = '') then
    raise exception 'channel % has no URL to send a test event to', $1
      using errcode = 'object_not_in_prerequisite_state',
            hint = format('update webhook.channels set url = ''https://...'' where name = %L', $1);
  end if;
  -- Of a trace of its own, so that the header can be seen to arrive; not sampled (00), since no span of it exists.
  insert into webhook.outbox (event, is_test, data, traceparent)
  select c.event, true, c.example,
         case when c.send_traceparent
              then format('00-%s-%s-00', replace(gen_random_uuid()::text, '-', ''), left(replace(gen_random_uuid()::text, '-', ''), 16)) end
    from webhook.channels c where c.event = only_event
  returning id into new_id;
  return new_id;
end
$fn$;
comment on function webhook.send_test(text) is
  'Queues the specification''s example of a channel as a test event and returns its id. It is attempted once, also on a channel that is off; then see webhook.explain(id). An error if the channel has no URL.';

create function webhook.prune(older_than interval, max_rows int default 10000) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  before timestamptz;
  ids bigint[];
  locked bigint[];
begin
  perform webhook.refuse_batch($2, false);
  if $1 is null or now() - $1 > now() then
    raise exception 'older_than is %, an interval from 0 was expected', coalesce($1::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'select webhook.prune(interval ''30 days'')';
  end if;
  -- session_user: the current user is the owner here. Of a superuser each is true.
  if $1 < (select s.min_retention from webhook.settings s)
     and not pg_has_role(session_user, (select c.relowner from pg_class c where c.oid = 'webhook.outbox'::regclass), 'member')
     and not exists (select from pg_roles r where r.rolname = 'webhook_admin' and pg_has_role(session_user, r.oid, 'member')) then
    raise exception 'older_than is %, the role % may prune only what finished % ago or earlier', $1, session_user, (select s.min_retention from webhook.settings s)
      using errcode = 'insufficient_privilege',
            hint = 'Raise WEBHOOK_RETENTION; or, as an administrator: update webhook.settings set min_retention = ''...''';
  end if;
  before := now() - $1;
  -- The exports of a document are deleted from the oldest on: one that is still there must find those
  -- that followed it, be it pending or to be sent again by a person.
  ids := array(
    select picked.id
      from webhook.channels c
     cross join (values ('sent'), ('failed'), ('skipped'), ('superseded'), ('cancelled')) as s (status)
     cross join lateral (
           select o.id from webhook.outbox o
            where o.event = c.event and o.status = s.status and o.finished_at is not null
              and o.finished_at < before
              and not exists (select from webhook.outbox earlier
                               where earlier.document_id = o.document_id and earlier.id < o.id
                                 and (earlier.finished_at is null or earlier.finished_at >= before))
            order by o.finished_at limit $2 for update skip locked) picked
     limit $2);
  ids := array(
    select closed.id
      from (select unnest(ids) as id
             union
            select earlier.id
              from (select o.document_id, max(o.id) as id from webhook.outbox o
                     where o.id = any (ids) and o.document_id is not null group by o.document_id) newest
              join webhook.outbox earlier on earlier.document_id = newest.document_id and earlier.id < newest.id) closed
     order by closed.id limit $2);
  locked := array(select o.id from webhook.outbox o where o.id = any (ids) and o.finished_at < before for update skip locked);
  if cardinality(locked) < cardinality(ids) then -- another session has locked one: its document is for the next call
    locked := array(
      select o.id from webhook.outbox o
       where o.id = any (locked)
         and (o.document_id is null or o.document_id not in (
                select busy.document_id from webhook.outbox busy
                  join (select unnest(ids) as id except select unnest(locked)) as left_out on left_out.id = busy.id
                 where busy.document_id is not null)));
  end if;
  delete from webhook.attempts a where a.outbox_id = any (locked);
  delete from webhook.interventions i where i.outbox_id = any (locked);
  delete from webhook.outbox o where o.id = any (locked);
  return cardinality(locked);
end
$fn$;
comment on function webhook.prune(interval, int) is
  'Deletes finished events that are older than this, at most max_rows per call, and returns how many; call it until it returns 0. The worker does so once a day (WEBHOOK_RETENTION). What is not finished is never deleted; nor, by the role of a worker, what finished within webhook.settings.min_retention.';


-- Operations: what a person does to many events from the page. Each step is one short transaction, so
-- that neither a browser that is closed nor a page that is restarted ends it halfway.

-- A filter that matches everything because a name in it is wrong would resend everything.
create function webhook.resend_filter(
    channel text, status text, failure text, document text, error_text text, since timestamptz, until timestamptz, include_received boolean)
  returns webhook.operations
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $fn$
declare
  op webhook.operations;
begin
  if $1 is not null then
    perform webhook.event_of($1);
  end if;
  if $2 not in ('sent', 'failed', 'skipped', 'superseded', 'cancelled') then
    raise exception '%', case when $2 in ('pending', 'sending') then format('events that are %s are not sent again: they are not finished', $2) else format('unknown status "%s"', left($2, 100)) end
      using errcode = 'invalid_parameter_value', hint = 'One of sent, failed, skipped, superseded, cancelled.';
  end if;
  if webhook.hint($3) is null and $3 is not null then
    raise exception 'unknown failure "%"', left($3, 100)
      using errcode = 'invalid_parameter_value', hint = (
        select col_description(a.attrelid, a.attnum) from pg_attribute a
         where a.attrelid = 'webhook.outbox'::regclass and a.attname = 'failure');
  end if;
  if $6 >= $7 then
    raise exception 'since (%) is not before until (%)', webhook.utc($6), webhook.utc($7) using errcode = 'invalid_parameter_value';
  end if;
  if $8 is null then
    raise exception 'include_received is null, true or false was expected' using errcode = 'invalid_parameter_value';
  end if;
  op.kind := 'resend';
  op.channel := $1;
  op.status := $2;
  op.failure := $3;
  op.document := $4;
  op.error_text := $5;
  op.since := $6;
  op.until := $7;
  op.include_received := $8;
  op.before := clock_timestamp();
  op.after_finished := '-infinity';
  op.after_id := 0;
  return op;
end
$fn$;
comment on function webhook.resend_filter(text, text, text, text, text, timestamptz, timestamptz, boolean) is
  'A resend as it begins, from its filter; raises an error for a channel, status or failure that does not exist. Internal.';

-- The ranges of the index outbox_finished that a resend reads. The exports of one document are one range
-- of another index. What was sent has neither a failure nor an error.
create function webhook.resend_ranges(op webhook.operations)
  returns table (channel text, event text, status text)
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $fn$
begin
  return query
    select c.name, c.event, s.status
      from webhook.channels c
     cross join (values ('sent'), ('failed'), ('skipped'), ('superseded'), ('cancelled')) as s (status)
     where (op.channel is null or c.name = op.channel)
       and case when op.document is not null then c.event = 'document.exported' and s.status = coalesce(op.status, 'sent')
                when op.status is not null then s.status = op.status
                else s.status <> 'sent' or (op.failure is null and op.error_text is null) end
     order by c.position, s.status;
end
$fn$;
comment on function webhook.resend_ranges(webhook.operations) is 'What a resend reads: events with their statuses. Internal.';

-- The one condition of preview and resend. It reads max_rows of a range at most, whatever the filter:
-- what does not match is returned, too (verdict null), since the cursor goes on behind it. at is
-- finished_at; among the exports of one document, whose order is that of their ids, it says nothing. Where
-- the index says all, no row is fetched: what was sent has neither a failure nor an error, and the receiver has
-- it. The settings keep the planner to these two indexes: it knows neither max_rows nor the filter.
create function webhook.examine(op webhook.operations, event text, status text, max_rows int)
  returns table (id bigint, at timestamptz, verdict text)
  language plpgsql stable
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
  as $fn$
begin
  if op.document is not null then
    return query
      select o.id, '-infinity'::timestamptz,
             case
               when ((op.status is null or o.status = op.status)
                     and o.finished_at >= coalesce(op.since, '-infinity') and o.finished_at < least(op.before, op.until)
                     and (op.failure is null or o.failure = op.failure)
                     and (op.error_text is null or strpos(lower(o.error), lower(op.error_text)) > 0)) is not true
                 then null
               when o.received in ('maybe', 'yes') and not op.include_received
                 then 'received'
               when o.id < (select later.id from webhook.outbox later
                             where later.document_id = op.document and later.status <> 'cancelled'
                             order by later.document_id desc, later.id desc limit 1)
                 then 'overtaken'
               else 'send'
             end
        from webhook.outbox o
       where o.document_id = op.document and o.id > op.after_id
       order by o.document_id, o.id limit $4;
  elsif op.failure is null and op.error_text is null
        and ((op.include_received and $2 <> 'document.exported') or (not op.include_received and $3 = 'sent')) then
    return query
      select o.id, o.finished_at, case when o.is_test then 'test' when op.include_received then 'send' else 'received' end
        from webhook.outbox o
       where o.event = $2 and o.status = $3 and o.finished_at is not null
         and o.finished_at >= greatest(op.after_finished, op.since) and o.finished_at < least(op.before, op.until)
         and (o.finished_at, o.id) > (op.after_finished, op.after_id)
       order by o.finished_at, o.id limit $4;
  else
    return query
      select o.id, o.finished_at,
             case
               when ((op.failure is null or o.failure = op.failure)
                     and (op.error_text is null or strpos(lower(o.error), lower(op.error_text)) > 0)) is not true
                 then null
               when o.is_test
                 then 'test'
               when o.received in ('maybe', 'yes') and not op.include_received
                 then 'received'
               when o.document_id is not null and exists (
                      select from webhook.outbox later
                       where later.document_id is not null and later.status <> 'cancelled'
                         and (later.document_id, later.id) > (o.document_id, o.id)
                         and (later.document_id, later.id) < (o.document_id, 9223372036854775807))
                 then 'overtaken'
               else 'send'
             end
        from webhook.outbox o
       where o.event = $2 and o.status = $3 and o.finished_at is not null
         and o.finished_at >= greatest(op.after_finished, op.since) and o.finished_at < least(op.before, op.until)
         and (o.finished_at, o.id) > (op.after_finished, op.after_id)
       order by o.finished_at, o.id limit $4;
  end if;
end
$fn$;
comment on function webhook.examine(webhook.operations, text, text, int) is
  'The next events of a range, with what a resend would do: send, or leave it out as test, received (the receiver has it or may have it) or overtaken (a later export exists); null: it does not match. Internal.';

-- A type of its own, since a function cannot have a parameter and a column of one name.
create type webhook.resend_preview as (channel text, would_send bigint, overtaken bigint, received bigint, tests bigint, capped boolean);
comment on type webhook.resend_preview is 'One channel of webhook.preview_resend.';
comment on column webhook.resend_preview.channel    is 'The channel.';
comment on column webhook.resend_preview.would_send is 'How many events would be sent again.';
comment on column webhook.resend_preview.overtaken  is 'How many would be left out, since a later export of their document exists.';
comment on column webhook.resend_preview.received   is 'How many would be left out, since the receiver has them or may have them.';
comment on column webhook.resend_preview.tests      is 'How many would be left out, since they are tests.';
comment on column webhook.resend_preview.capped     is 'There are more than were counted.';

-- 12,000 events are examined at most, in turns, so that no range keeps the others from being counted. An
-- overtaken export counts as three: its later one was fetched, too. Where the events have to be read from disk, the
-- turns of the first quarter of a second have to do.
create function webhook.preview_resend(
    channel text default null, status text default null, failure text default null, document text default null, error_text text default null,
    since timestamptz default null, until timestamptz default null, include_received boolean default false)
  returns setof webhook.resend_preview
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off
  as $fn$
declare
  op       webhook.operations := webhook.resend_filter($1, $2, $3, $4, $5, $6, $7, $8);
  budget   int := 12000;
  names    text[];
  events   text[];
  statuses text[];
  ends_at  timestamptz[];
  ends_id  bigint[];
  counts   bigint[];
  more     boolean[];
  turn     int;
  wanted   int;
  n        bigint;
  found    bigint[];
begin
  select array_agg(r.channel), array_agg(r.event), array_agg(r.status), array_agg('-infinity'::timestamptz), array_agg(0::bigint),
         array_agg(array[0, 0, 0, 0]::bigint[]), array_agg(true)
    into names, events, statuses, ends_at, ends_id, counts, more
    from webhook.resend_ranges(op) r;
  while true = any (more) loop
    turn := least(2000, budget / cardinality(array_positions(more, true)));
    exit when turn < 1 or (budget < 12000 and clock_timestamp() > op.before + interval '250 ms');
    for i in 1 .. cardinality(names) loop
      continue when not more[i];
      op.after_finished := ends_at[i];
      op.after_id := ends_id[i];
      wanted := least(turn, 10001 - counts[i][1] - counts[i][2]);
      select count(*), array[count(*) filter (where x.verdict = 'send'), count(*) filter (where x.verdict = 'overtaken'),
                             count(*) filter (where x.verdict = 'received'), count(*) filter (where x.verdict = 'test')],
             (array_agg(x.at))[count(*)], (array_agg(x.id))[count(*)] -- the last: they are in order
        into n, found, op.after_finished, op.after_id
        from webhook.examine(op, events[i], statuses[i], wanted) x;
      ends_at[i] := op.after_finished;
      ends_id[i] := op.after_id;
      for k in 1 .. 4 loop
        counts[i][k] := counts[i][k] + found[k];
      end loop;
      more[i] := n = wanted and counts[i][1] + counts[i][2] <= 10000;
      budget := budget - n - case when op.document is null then 2 * found[2] else 0 end;
    end loop;
  end loop;
  return query
    select r.name, least(sum(counts[r.i][1]), 10001)::bigint, sum(counts[r.i][2])::bigint, sum(counts[r.i][3])::bigint, sum(counts[r.i][4])::bigint,
           bool_or(more[r.i] or counts[r.i][1] + counts[r.i][2] > 10000)
      from unnest(names) with ordinality r (name, i)
     group by r.name
    having bool_or(more[r.i]) or sum(counts[r.i][1] + counts[r.i][2] + counts[r.i][3] + counts[r.i][4]) > 0
     order by min(r.i);
end
$fn$;
comment on function webhook.preview_resend(text, text, text, text, text, timestamptz, timestamptz, boolean) is
  'What webhook.start_resend would do with the same filter, by channel: how many events it would send, and how many that match it would leave out: overtaken exports, events that the receiver has or may have, tests. capped: there are more, since it counts to 10001 and reads 12000 events at most.';

-- Most filters find theirs among the first of each range. No more of a range is examined than the preview
-- does in its first turn, and fewer documents: of the oldest most are overtaken.
create function webhook.first_resends(
    channel text default null, status text default null, failure text default null, document text default null, error_text text default null,
    since timestamptz default null, until timestamptz default null, include_received boolean default false, max_rows int default 10)
  returns setof bigint
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off
  as $fn$
declare
  op    constant webhook.operations := webhook.resend_filter($1, $2, $3, $4, $5, $6, $7, $8);
  turn  constant int := 12000 / greatest((select count(*) from webhook.resend_ranges(op)), 6);
begin
  perform webhook.refuse_batch($9, false);
  return query
    select f.id
      from (select r.event, r.status, case when r.event = 'document.exported' and op.document is null then turn / 3 else turn end as most,
                   least($9 * 5, turn / 3) as few
              from webhook.resend_ranges(op) r
             where r.status <> 'sent' or op.include_received or op.document is not null) r
     cross join lateral (select count(*) filter (where x.verdict = 'send') < $9 and count(*) = r.few as go_on from webhook.examine(op, r.event, r.status, r.few) x) began
     cross join lateral (
           select x.id, x.at from webhook.examine(op, r.event, r.status, case when began.go_on then r.most else r.few end) x
            where x.verdict = 'send' order by x.at, x.id limit $9) f
     order by f.at, f.id limit $9;
end
$fn$;
comment on function webhook.first_resends(text, text, text, text, text, timestamptz, timestamptz, boolean, int) is
  'The first events that webhook.start_resend would send with the same filter, in their order: at most max_rows of those that are found soon.';

create function webhook.start_resend(
    channel text default null, status text default null, failure text default null, document text default null, error_text text default null,
    since timestamptz default null, until timestamptz default null, include_received boolean default false)
  returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  op     webhook.operations := webhook.resend_filter($1, $2, $3, $4, $5, $6, $7, $8);
  new_id bigint;
begin
  insert into webhook.operations (kind, channel, status, failure, document, error_text, since, until, include_received, created_at, before, expected, expected_more)
  select 'resend', op.channel, op.status, op.failure, op.document, op.error_text, op.since, op.until, op.include_received, op.before, op.before,
         least(coalesce(sum(p.would_send), 0), 10000), coalesce(sum(p.would_send) > 10000 or bool_or(p.capped), false)
    from webhook.preview_resend($1, $2, $3, $4, $5, $6, $7, $8) p
  returning id into new_id;
  return new_id;
end
$fn$;
comment on function webhook.start_resend(text, text, text, text, text, timestamptz, timestamptz, boolean) is
  'Starts to send finished events again, whatever their status, and returns the id of the operation; call webhook.advance_operation until it returns false. All filters are optional: channel, status, failure (its class), document (its id), error_text (a part of the error), since and until (when they finished). Events that the receiver has or may have (sent; received = yes or maybe) are left out unless include_received; tests and overtaken exports always.';

create function webhook.start_release(discard_channels text[] default '{}') returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  names   constant text[] := coalesce($1, '{}');
  waiting bigint;
  new_id  bigint;
begin
  perform webhook.event_of(n.name) from unnest(names) n (name);
  if not (select s.offline_mode from webhook.settings s for share) then
    raise exception 'Offline Mode is off' using errcode = 'object_not_in_prerequisite_state', hint = 'To cancel waiting events: select webhook.discard(''...'')';
  end if;
  select o.id into new_id from webhook.operations o where o.kind = 'release' and o.finished_at is null and o.stopped_at is null;
  if found then
    raise exception 'Offline Mode is being turned off already, by operation %', new_id
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.stop_operation(%s)', new_id);
  end if;
  select count(*) into waiting
    from (select from webhook.channels c
           cross join lateral (select from webhook.outbox o
                                where o.event = c.event and o.status = 'pending' and o.leased_until is null limit 10001) o
           where c.name = any (names) limit 10001) counted;
  insert into webhook.operations (kind, discard_channels, newest_id, expected, expected_more)
  values ('release', names, coalesce((select max(o.id) from webhook.outbox o), 0), least(waiting, 10000), waiting > 10000)
  returning id into new_id;
  if waiting = 0 then
    perform webhook.advance_operation(new_id);
  end if;
  return new_id;
end
$fn$;
comment on function webhook.start_release(text[]) is
  'Turns Offline Mode off once the events that wait on these channels now are cancelled, and returns the id of the operation; call webhook.advance_operation until it returns false. Where none waits, or no channel is named, it is off at once.';

-- One step of a resend: the oldest events of all ranges, up to max_rows that are sent again. A range that
-- has more than was read ends the step for all of them, or a later event would come first.
create function webhook.advance_resend(op webhook.operations, max_rows int) returns webhook.operations
  language plpgsql volatile
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off
  as $fn$
declare
  wanted   int := $2;
  examined bigint := 0;
  ids      bigint[];
  locked   bigint[];
  left_out bigint;
  last_at  timestamptz;
  last_id  bigint;
  n        bigint;
  over     boolean;
begin
  loop
    with examined as materialized (
      select x.id, x.at, x.verdict, count(*) over (partition by r.event, r.status) as of_range,
             row_number() over (partition by r.event, r.status order by x.at desc, x.id desc) as from_end
        from webhook.resend_ranges(op) r
       cross join lateral webhook.examine(op, r.event, r.status, $2) x
    ), horizon as (
      select e.at, e.id from examined e where e.of_range = $2 and e.from_end = 1 order by e.at, e.id limit 1
    ), before_it as (
      select e.id, e.at, e.verdict, count(*) filter (where e.verdict = 'send') over (order by e.at, e.id) as to_send
        from examined e
       where (e.at, e.id) <= (select h.at, h.id from horizon h) or not exists (select from horizon)
    ), step as (
      select b.* from before_it b where b.to_send < wanted or (b.to_send = wanted and b.verdict = 'send')
    )
    select coalesce(array_agg(s.id) filter (where s.verdict = 'send'), '{}'), count(*) filter (where s.verdict <> 'send'),
           (array_agg(s.at order by s.at desc, s.id desc))[1], (array_agg(s.id order by s.at desc, s.id desc))[1],
           (select count(*) from examined), count(*) = (select count(*) from examined) and not exists (select from horizon)
      into ids, left_out, last_at, last_id, n, over
      from step s;
    -- What another person resends, or has finished since, is not for this operation.
    locked := array(select o.id from webhook.outbox o where o.id = any (ids) and o.finished_at < op.before for update skip locked);
    insert into webhook.interventions (outbox_id, action, actor, role, was_status, was_finished_at, was_http_status, was_failure, was_received, was_error)
    select o.id, 'retry', op.actor, op.role, o.status, o.finished_at, o.http_status, o.failure, o.received, o.error from webhook.outbox o where o.id = any (locked);
    perform set_config('webhook.resending', 'on', true);
    update webhook.outbox o
       set status = 'pending', due_at = clock_timestamp(), finished_at = null, synced_at = null,
           http_status = null, failure = null, received = null, error = null, response = null
     where o.id = any (locked);
    perform set_config('webhook.resending', 'off', true);
    op.done := op.done + cardinality(locked);
    op.left_out := op.left_out + left_out + cardinality(ids) - cardinality(locked);
    op.after_finished := coalesce(last_at, op.after_finished);
    op.after_id := coalesce(last_id, op.after_id);
    wanted := wanted - cardinality(ids);
    examined := examined + n;
    if over then
      op.finished_at := clock_timestamp();
    end if;
    exit when over or wanted <= 0 or examined >= 20000;
  end loop;
  return op;
end
$fn$;
comment on function webhook.advance_resend(webhook.operations, int) is 'One step of a resend. Internal.';

-- One step of a release: waiting events are cancelled, and when none is left, Offline Mode is turned off
-- in the same transaction.
create function webhook.advance_release(op webhook.operations, max_rows int) returns webhook.operations
  language plpgsql volatile
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
  as $fn$
declare
  ids   bigint[];
  actor constant text := coalesce(current_setting('webhook.actor', true), '');
begin
  if not (select s.offline_mode from webhook.settings s for share) then
    op.finished_at := clock_timestamp();
    op.problem := 'Offline Mode was turned off meanwhile: what still waited was not cancelled.';
    return op;
  end if;
  -- In the order of the index outbox_pending.
  ids := array(
    select picked.id
      from webhook.channels c
     cross join lateral (
           select o.id from webhook.outbox o
            where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.id <= op.newest_id
            order by (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end), o.due_at, o.id
            limit $2 for update skip locked) picked
     where c.name = any (op.discard_channels)
     limit $2);
  insert into webhook.interventions (outbox_id, action, actor, role, was_status, was_http_status, was_failure, was_received, was_error)
  select o.id, 'discard', op.actor, op.role, o.status, o.http_status, o.failure, o.received, o.error from webhook.outbox o where o.id = any (ids);
  update webhook.outbox o set status = 'cancelled', finished_at = clock_timestamp() where o.id = any (ids);
  op.done := op.done + cardinality(ids);
  -- One that another session has locked waits still.
  if cardinality(ids) < $2 and not exists (
       select from webhook.channels c
        cross join lateral (select from webhook.outbox o
                             where o.event = c.event and o.status = 'pending' and o.leased_until is null and o.id <= op.newest_id limit 1) waiting
        where c.name = any (op.discard_channels)) then
    perform set_config('webhook.actor', op.actor, true);
    update webhook.settings s set offline_mode = false where s.offline_mode;
    perform set_config('webhook.actor', actor, true);
    op.finished_at := clock_timestamp();
  end if;
  return op;
end
$fn$;
comment on function webhook.advance_release(webhook.operations, int) is 'One step of a release. Internal.';

create function webhook.advance_operation(id bigint, max_rows int default 500) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  op webhook.operations;
begin
  perform webhook.refuse_batch($2, false);
  if $2 not between 1 and 10000 then
    raise exception 'max_rows is %, a number from 1 to 10000 was expected', $2 using errcode = 'invalid_parameter_value';
  end if;
  select * into op from webhook.operations o where o.id = $1 for update skip locked;
  if not found then
    perform webhook.known_operation($1);
    return true; -- another session does a step of it now
  end if;
  if op.finished_at is not null or op.stopped_at is not null then
    return false;
  end if;
  op := case op.kind when 'resend' then webhook.advance_resend(op, $2) else webhook.advance_release(op, $2) end;
  update webhook.operations o
     set done = op.done, left_out = op.left_out, after_finished = op.after_finished, after_id = op.after_id,
         advanced_at = clock_timestamp(), finished_at = op.finished_at, problem = op.problem
   where o.id = $1;
  return op.finished_at is null;
end
$fn$;
comment on function webhook.advance_operation(bigint, int) is
  'Does one step of an operation, which changes at most max_rows events and examines some 20000, and returns whether there is more to do. Call it in a transaction of its own, as often as it returns true, by any number of sessions. What it changes leaves rows in webhook.interventions, with the actor of the operation.';

create function webhook.known_operation(id bigint) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $fn$
begin
  if not exists (select from webhook.operations o where o.id = $1) then
    raise exception 'operation % does not exist', coalesce($1::text, 'null') using errcode = 'no_data_found';
  end if;
end
$fn$;
comment on function webhook.known_operation(bigint) is 'Raises an error for an operation that does not exist. Internal.';

create function webhook.stop_operation(id bigint) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
begin
  perform webhook.known_operation($1);
  update webhook.operations o
     set stopped_at = clock_timestamp(), stopped_by = webhook.actor()
   where o.id = $1 and o.finished_at is null and o.stopped_at is null;
  return found;
end
$fn$;
comment on function webhook.stop_operation(bigint) is
  'Ends an operation after the step that runs now; what is not done stays as it is. Returns false if it had ended already.';


------------------------------------------------------------------------------------------------
-- The roles.

create function webhook.create_roles(only_print boolean default false) returns setof text
  language plpgsql volatile set search_path = pg_catalog, pg_temp
  as $fn$
declare
  statement text;
  role_name text;
begin
  perform pg_advisory_xact_lock(hashtext('webhook.schema')); -- two sessions that grant at once would fail
  foreach role_name in array array['webhook_producer', 'webhook_reader', 'webhook_worker', 'webhook_admin'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      statement := format('create role %I nologin', role_name);
      begin
        if not $1 then execute statement; end if;
      exception when duplicate_object or unique_violation then
        null; -- roles belong to the whole server: another database has just created it
      end;
      return next statement;
    end if;
  end loop;
  foreach statement in array array[
    'grant usage on schema webhook to webhook_producer, webhook_reader, webhook_worker, webhook_admin',
    -- An application: publish, or insert directly. The functions of the second grant are what an insert itself calls.
    'grant execute on function webhook.publish(text, json, timestamptz, text), webhook.publish(text, text, timestamptz, text), webhook.publish(text, jsonb, timestamptz, text), webhook.outcome(bigint) to webhook_producer',
    'grant execute on function webhook.at_least_once(text), webhook.accepted_document_id(text, json, timestamptz, boolean), webhook.document_id(json), webhook.document_id_beside_bad_escapes(json), webhook.state_is_possible(text, boolean, text, text, int, uuid, text, timestamptz, timestamptz, timestamptz, timestamptz, int, text, text, text), webhook.refuse_event(text), webhook.refuse_data(json), webhook.refuse_null(text, json, timestamptz), webhook.refuse_state(text, text) to webhook_producer, webhook_worker',
    'grant insert (event, data, occurred_at, traceparent), select (id) on webhook.outbox to webhook_producer',
    -- A reader: everything except tokens and URLs.
    'grant select on webhook.outbox, webhook.attempts, webhook.interventions, webhook.pacing, webhook.schema_versions, webhook.workers, webhook.maintenance, webhook.status, webhook.problems, webhook.volume to webhook_reader, webhook_admin',
    'grant select on sequence webhook.outbox_id_seq to webhook_reader, webhook_admin', -- webhooks check compares it
    'grant select on webhook.endpoints, webhook.tally, webhook.hourly, webhook.operations, webhook.alerts to webhook_reader, webhook_admin',
    'grant execute on function webhook.latency_of(smallint) to webhook_reader, webhook_admin',
    'grant select (name, event, position, at_least_once, enabled, accept_status, max_in_flight, max_per_second, send_traceparent, updated_at, example) on webhook.channels to webhook_reader',
    'grant select (only_row, offline_mode, auth, instance_id, environment, min_retention, updated_at, token_encrypted_under) on webhook.settings to webhook_reader',
    'grant select (id, kind, encrypted_under, created_at, actor, ends_at) on webhook.secrets to webhook_reader',
    'grant execute on function webhook.explain(bigint), webhook.outcome(bigint), webhook.webhook_id(webhook.outbox), webhook.utc(timestamptz), webhook.worker_problem(webhook.workers, webhook.settings), webhook.hint(text, int, text), webhook.url_host(text), webhook.url_problem(text), webhook.trimmed(text), webhook.unseen(text), webhook.channel_problem(webhook.channels, webhook.settings), webhook.at_least_once(text) to webhook_reader, webhook_admin',
    -- The worker: what its statements use, and not what an event is (event, data, occurred_at, traceparent, is_test). It locks the
    -- switches in share mode, which needs the privilege to update.
    'grant select, update (status, due_at, attempts, claim_id, claimed_by, claimed_at, leased_until, finished_at, synced_at, http_status, failure, received, error, response) on webhook.outbox to webhook_worker',
    'grant select on sequence webhook.outbox_id_seq to webhook_worker',
    'grant select, insert, update, delete on webhook.attempts to webhook_worker',
    'grant select, update (updated_at) on webhook.channels, webhook.settings to webhook_worker',
    'grant select on webhook.secrets to webhook_worker',
    'grant select, insert, update, delete on webhook.workers to webhook_worker',
    'grant select, update on webhook.maintenance, webhook.endpoints to webhook_worker',
    'grant select, insert, update, delete on webhook.tally to webhook_worker',
    'grant execute on function webhook.latency_bucket(interval) to webhook_worker',
    -- Alerts are sent by the page as well: where no worker is left, it alone can.
    'grant select, insert, update, delete on webhook.alerts to webhook_worker',
    'grant insert, update (attempts, due_at, leased_until, error, sent_at, given_up_at) on webhook.alerts to webhook_admin',
    'grant select on webhook.schema_versions, webhook.status, webhook.problems to webhook_worker',
    'grant select, update (paused_until) on webhook.pacing to webhook_worker, webhook_admin',
    'grant execute on function webhook.rate_left(text, int), webhook.take_rate(text, int, int) to webhook_worker',
    'grant execute on function webhook.channel_problem(webhook.channels, webhook.settings), webhook.url_problem(text), webhook.url_host(text), webhook.trimmed(text), webhook.unseen(text), webhook.webhook_id(webhook.outbox), webhook.sent_traceparent(text), webhook.utc(timestamptz), webhook.worker_problem(webhook.workers, webhook.settings), webhook.prune(interval, int), webhook.explain(bigint), webhook.hint(text, int, text) to webhook_worker',
    -- An administrator: the settings, and the functions that act on events.
    'grant select, update (url, enabled, accept_status, max_in_flight, max_per_second, send_traceparent) on webhook.channels to webhook_admin',
    'grant select, update (offline_mode, auth, bearer_token, document_base_url, environment, min_retention) on webhook.settings to webhook_admin',
    'grant select, insert (id, kind, secret, ends_at), update (secret, ends_at) on webhook.secrets to webhook_admin',
    'grant usage on sequence webhook.secrets_id_seq to webhook_admin',
    'grant execute on function webhook.secret_problem(text, text), webhook.actor(), webhook.trimmed(text), webhook.unseen(text) to webhook_admin',
    'grant execute on function webhook.retry(bigint), webhook.cancel(bigint), webhook.mark_delivered(bigint, text), webhook.retry_failed(text, timestamptz, timestamptz, int, text, text, boolean, int, boolean), webhook.discard(text, timestamptz, int, boolean), webhook.send_test(text), webhook.prune(interval, int) to webhook_admin',
    'grant execute on function webhook.preview_resend(text, text, text, text, text, timestamptz, timestamptz, boolean), webhook.first_resends(text, text, text, text, text, timestamptz, timestamptz, boolean, int), webhook.start_resend(text, text, text, text, text, timestamptz, timestamptz, boolean), webhook.start_release(text[]), webhook.advance_operation(bigint, int), webhook.stop_operation(bigint) to webhook_admin'
  ] loop
    if not $1 then execute statement; end if;
    return next statement;
  end loop;
end
$fn$;
comment on function webhook.create_roles(boolean) is
  'Creates the roles webhook_producer, webhook_reader, webhook_worker and webhook_admin where they do not exist, and grants each what it needs. Returns the statements; with only_print it runs none of them, for a DBA to run.';

-- Only create_roles grants: neither PUBLIC nor a role that the owner's default privileges, or the schema
-- as it was found, would let read the token or create in this schema.
do $revoke$
declare
  statement text;
begin
  for statement in
    select distinct format('revoke all on %s %s from %s cascade', o.kind, o.name, case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end)
      from (select 'schema' as kind, 'webhook' as name, n.nspowner as owner, n.nspacl as acl from pg_namespace n where n.nspname = 'webhook'
             union all
            select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text, c.relowner, c.relacl
              from pg_class c where c.relnamespace = 'webhook'::regnamespace and c.relkind in ('r', 'v', 'S')
             union all
            select 'function', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
              from pg_proc p where p.pronamespace = 'webhook'::regnamespace) o
     cross join lateral aclexplode(o.acl) a
     where a.grantee <> o.owner
  loop
    execute statement;
  end loop;
end
$revoke$;

-- Too few rows for autovacuum to analyze them. Without statistics the planner estimates hundreds, the
-- views seem expensive, and compiling them (jit) takes seconds.
analyze webhook.channels, webhook.settings, webhook.secrets, webhook.maintenance, webhook.pacing, webhook.endpoints;
