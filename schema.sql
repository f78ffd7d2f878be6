-- RecordEngine webhooks: everything the database knows. Schema version 4.
--
-- Apply it with `webhooks migrate`, or with psql (`psql -v ON_ERROR_STOP=1 -f schema.sql`). It is safe to run
-- again on a live system: every step reads the version stamp first and returns at once where it has nothing to do,
-- so an up-to-date database gets no lock on the outbox. Each step is a transaction of its own, waits at most two
-- seconds for a lock and may then be repeated; `webhooks migrate` repeats it by itself.
--
-- An application needs one line of all this, in the transaction that changes its own data:
--
--     select webhook.publish('contact.created', '{"contact_id": 7, "name": "Acme Supplies Ltd"}');
--
-- PostgreSQL 13 or newer.


-- Step 0: the schema and its version stamp.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
-- Read from the table: after a wait for that lock, to_regprocedure may still answer from the session's old cache.
if exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
            where n.nspname = 'webhook' and p.proname = 'schema_version') then
  return;
end if;

create schema if not exists webhook;
comment on schema webhook is
  'The webhook outbox of RecordEngine: applications insert events, the webhooks worker delivers them. Start with: select * from webhook.status';

create table webhook.schema_versions (
  version    int primary key,
  applied_at timestamptz not null default now(),
  applied_by text not null default current_user
);
comment on table  webhook.schema_versions            is 'The versions of schema.sql that were applied to this database, and when.';
comment on column webhook.schema_versions.version    is 'The number in the first line of schema.sql.';
comment on column webhook.schema_versions.applied_at is 'When this version was complete.';
comment on column webhook.schema_versions.applied_by is 'The role that applied it.';

create function webhook.schema_version() returns int
  language sql stable
  as $fn$ select coalesce(max(version), 0) from webhook.schema_versions $fn$;
comment on function webhook.schema_version() is 'The version of schema.sql that this database has; 0 while the first one is being applied.';

revoke all on schema webhook from public;
end $step$;


-- Step 1: the tables.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
if to_regclass('webhook.outbox') is not null then return; end if;
perform set_config('lock_timeout', '2s', true);

-- The id of a document, as text, or null where the facts hold none that can be one. It never raises, since an
-- application's insert must not fail on it: ->> parses the whole object and raises on \u0000 or a lone surrogate
-- anywhere in it. Then every \u escape is taken literally, which leaves an id without a backslash as it is.
create function webhook.document_id(data json) returns text
  language plpgsql immutable parallel safe
  as $fn$
declare
  found text;
begin
  begin
    if json_typeof(data -> 'id') in ('number', 'string') then
      found := data ->> 'id';
    end if;
  exception when others then
    begin
      data := replace(replace(data::text, '\\', '\/'), '\u', '\\u')::json;
      if json_typeof(data -> 'id') in ('number', 'string') and strpos((data -> 'id')::text, '\') = 0 then
        found := data ->> 'id';
      end if;
    exception when others then
      return null;
    end;
  end;
  return case when length(found) between 1 and 200 then found end;
end $fn$;
comment on function webhook.document_id(json) is
  'The document''s id in the facts of document.exported (a number, or a string of at most 200 characters) as text, else null. Never raises.';

-- Called by a CHECK that has already failed, only to say why in words.
create function webhook.refuse_event(event text) returns boolean
  language plpgsql immutable
  as $fn$
begin
  raise exception 'webhook.outbox: unknown event "%"', event
    using errcode = 'check_violation', schema = 'webhook', table = 'outbox', constraint = 'outbox_event_is_known',
          hint = 'One of document.exported, contact.created, folder.created, case.created, notification.created, rule.executed, audit.log.';
end $fn$;
comment on function webhook.refuse_event(text) is 'Raises the error of an unknown event. Internal.';

create function webhook.refuse_data(data json) returns boolean
  language plpgsql immutable
  as $fn$
begin
  raise exception 'webhook.outbox: data is a JSON %, an object was expected', json_typeof(data)
    using errcode = 'check_violation', schema = 'webhook', table = 'outbox', constraint = 'outbox_data_is_an_object',
          hint = 'Pass the facts of the event as one JSON object, for example row_to_json(contacts).';
end $fn$;
comment on function webhook.refuse_data(json) is 'Raises the error of a body that is no JSON object. Internal.';

create function webhook.at_least_once(event text) returns boolean
  language sql immutable parallel safe
  as $fn$ select $1 operator(pg_catalog.=) 'document.exported' $fn$;
comment on function webhook.at_least_once(text) is 'Whether this event is delivered at least once.';

create table webhook.outbox (
  id           bigint generated always as identity primary key,
  event        text not null
               constraint outbox_event_is_known check (
                 event in ('document.exported', 'contact.created', 'folder.created', 'case.created',
                           'notification.created', 'rule.executed', 'audit.log')
                 or webhook.refuse_event(event)),
  data         json not null
               constraint outbox_data_is_an_object check (json_typeof(data) = 'object' or webhook.refuse_data(data)),
  occurred_at  timestamptz not null default now(),
  status       text not null default 'pending'
               constraint outbox_status_is_known check (
                 status in ('pending', 'sending', 'sent', 'failed', 'skipped', 'superseded', 'cancelled')),
  due_at       timestamptz not null default now(),
  attempts     int not null default 0 constraint outbox_attempts_is_a_count check (attempts >= 0),
  claim_id   uuid,
  claimed_by   text,
  claimed_at   timestamptz,
  leased_until timestamptz,
  finished_at  timestamptz,
  synced_at    timestamptz,
  http_status  int,
  failure      text,
  received     text,
  error        text,
  response     text,
  document_id  text generated always as (
                 case when event = 'document.exported' and not is_test then webhook.document_id(data) end) stored,
  is_test      boolean not null default false,
  at_least_once boolean generated always as (webhook.at_least_once(event) and not is_test) stored,

  -- The two life cycles (outbox/doc.go draws them). A document that may be sent again is never 'sending' or 'failed'.
  constraint outbox_document_stays_pending check (
    event <> 'document.exported' or is_test or status not in ('sending', 'failed', 'skipped')),
  constraint outbox_only_a_document_is_superseded check (
    status <> 'superseded' or (event = 'document.exported' and not is_test)),
  constraint outbox_sending_is_leased check (
    status <> 'sending' or leased_until is not null),
  constraint outbox_lease_is_of_a_claim check (
    leased_until is null
    or ((status = 'sending' or (status = 'pending' and event = 'document.exported' and not is_test))
        and attempts > 0 and claim_id is not null and claimed_by is not null and claimed_at is not null)),
  constraint outbox_finished_at_is_set_when_finished check (
    (finished_at is not null) = (status in ('sent', 'failed', 'skipped', 'superseded', 'cancelled'))),
  constraint outbox_synced_at_is_set_when_a_document_is_sent check (
    (synced_at is not null) = (status = 'sent' and event = 'document.exported')),
  constraint outbox_sent_has_an_answer check (
    status <> 'sent' or (http_status is not null and error is null))
)
-- Each row is updated twice within seconds of its insert, by a claim and by its outcome. Room in its page keeps both
-- new versions beside the old one; vacuum must come often, since claims walk over the index entries it removes.
with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
      autovacuum_vacuum_cost_delay = 1, autovacuum_analyze_scale_factor = 0.02);

-- What a claim reads, lane by lane: unheld pending rows only, so that finished rows never slow it down. The second
-- column is whose turn it is: 0 a test event, 1 what was claimed before (retries, and what a person resent), 2 what is fresh.
create index outbox_pending on webhook.outbox
  (event, (case when is_test then 0 when attempts > 0 then 1 else 2 end), due_at, id)
  where status = 'pending' and leased_until is null;
-- The rows that a worker holds: a few hundred at most. Serves the sweep, and the look-up of a claim whose reply was lost.
create index outbox_held on webhook.outbox (claim_id)
  where leased_until is not null;
-- Never two attempts of one document at once: two claims that raced past `not exists` meet here.
create unique index outbox_one_attempt_per_document on webhook.outbox (document_id)
  where leased_until is not null and document_id is not null;
-- Which export followed this one; and "is document 42 synced?".
create index outbox_document on webhook.outbox (document_id, id)
  where document_id is not null;
create index outbox_finished on webhook.outbox (event, status, finished_at) include (is_test)
  where finished_at is not null;

comment on table  webhook.outbox              is 'One row an event. Applications insert event and data in the transaction of their own change; the worker does the rest. Finished rows never change, except by a person''s resend.';
comment on column webhook.outbox.id           is 'The order in which events were written; part of the webhook-id header.';
comment on column webhook.outbox.event        is 'document.exported, contact.created, folder.created, case.created, notification.created, rule.executed or audit.log.';
comment on column webhook.outbox.data         is 'The facts, one JSON object. A whole table row may be passed: only the fields of the specification are sent. json, not jsonb: 12500.00 must stay 12500.00.';
comment on column webhook.outbox.occurred_at  is 'When it happened: the timestamp of the payload, cut to whole seconds, in UTC.';
comment on column webhook.outbox.status       is 'pending: not delivered yet (a document stays so until a success, leased or not). sending: the one attempt of the other six channels has begun. Finished: sent, failed, skipped (channel was off), superseded (a later export of the same document exists), cancelled (by a person).';
comment on column webhook.outbox.due_at       is 'Not attempted before this instant of the database''s clock. After a failure of a document: the next multiple of ten seconds.';
comment on column webhook.outbox.attempts     is 'Claims committed. Each may have begun one POST.';
comment on column webhook.outbox.claim_id   is 'The newest claim, named by a UUID that the worker chose. The rows of one batch share it. An outcome is recorded only under it.';
comment on column webhook.outbox.claimed_by   is 'Host and process of the worker that holds the row, or held it last.';
comment on column webhook.outbox.claimed_at   is 'When the newest claim was made, on the database''s clock.';
comment on column webhook.outbox.leased_until is 'Set exactly while a worker holds the row. Past it, the worker is taken for dead: a document is due again, a one-attempt event becomes failed.';
comment on column webhook.outbox.finished_at  is 'When the row became sent, failed, skipped, superseded or cancelled.';
comment on column webhook.outbox.synced_at    is 'Documents only: when a success was recorded. Null as long as the document is not synced.';
comment on column webhook.outbox.failure      is 'The class of the newest attempt''s failure.';
comment on column webhook.outbox.received     is 'no, maybe or yes.';
comment on column webhook.outbox.at_least_once is 'Whether it is delivered at least once.';
comment on column webhook.outbox.http_status  is 'The HTTP status of the newest attempt; null where no answer arrived.';
comment on column webhook.outbox.error        is 'What went wrong in the newest attempt; null after a success. "outcome unknown" in it means that the receiver may have the event.';
comment on column webhook.outbox.response     is 'The first 2 KiB of the newest answer''s body, the token masked.';
comment on column webhook.outbox.document_id  is 'The document''s id, from data: select status, synced_at from webhook.outbox where document_id = ''42'' order by id desc limit 1';
comment on column webhook.outbox.is_test      is 'A test event: attempted once whatever the channel''s switch says, counted in no volume.';
comment on index webhook.outbox_pending is 'Rows that wait, by channel, turn (0 tests, 1 claimed before, 2 fresh) and due time: what a claim reads.';
comment on index webhook.outbox_held is 'Rows that a worker holds.';
comment on index webhook.outbox_one_attempt_per_document is 'Refuses a second attempt of a document while one is under way.';
comment on index webhook.outbox_document is 'The exports of one document, in the order they were written.';
comment on index webhook.outbox_finished is 'Finished rows by channel, status and time: the views, and the clean-up.';

create table webhook.channels (
  name          text primary key,
  event         text not null unique,
  at_least_once boolean generated always as (webhook.at_least_once(event)) stored,
  position      int  not null unique,
  url           text
                constraint channels_url_is_http_or_https check (url is null or url = '' or url ~* '^https?://'),
  enabled       boolean not null default false,
  accept_status int[] not null default '{200,201,204}'
                constraint channels_accept_status_lists_2xx check (
                  cardinality(accept_status) > 0 and array_ndims(accept_status) = 1
                  and array_position(accept_status, null) is null
                  and 200 <= all (accept_status) and 299 >= all (accept_status)),
  max_in_flight int not null default 128
                constraint channels_max_in_flight_is_1_to_1000 check (max_in_flight between 1 and 1000),
  updated_at    timestamptz not null default now()
);
insert into webhook.channels (position, name, event) values
  (1, 'documents',     'document.exported'),
  (2, 'contacts',      'contact.created'),
  (3, 'folders',       'folder.created'),
  (4, 'cases',         'case.created'),
  (5, 'notifications', 'notification.created'),
  (6, 'rules',         'rule.executed'),
  (7, 'audit_log',     'audit.log');
comment on table  webhook.channels               is 'The seven channels, each with its URL and its switch. A change takes effect at once, without a restart.';
comment on column webhook.channels.name          is 'documents, contacts, folders, cases, notifications, rules or audit_log.';
comment on column webhook.channels.event         is 'The event that this channel carries.';
comment on column webhook.channels.at_least_once is 'Whether it is delivered at least once.';
comment on column webhook.channels.position      is 'The order in which the channels are listed.';
comment on column webhook.channels.url           is 'The endpoint: http or https. It may hold a key: readers are given its host only.';
comment on column webhook.channels.enabled       is 'The switch. Off: documents stay pending, events of the other six become skipped.';
comment on column webhook.channels.accept_status is 'The HTTP statuses that count as delivered, of 200 to 299.';
comment on column webhook.channels.max_in_flight is 'How many POSTs a worker process has under way to this endpoint at once, 1 to 1000.';
comment on column webhook.channels.updated_at    is 'When this row was last changed.';

create table webhook.settings (
  only_row          boolean primary key default true constraint settings_is_one_row check (only_row),
  offline_mode      boolean not null default false,
  auth              text not null default 'none' constraint settings_auth_is_none_or_bearer check (auth in ('none', 'bearer')),
  bearer_token      text constraint settings_bearer_token_is_a_header_value check (bearer_token !~ '[\x01-\x1f\x7f]'),
  document_base_url text
                    constraint settings_document_base_url_is_http_or_https check (
                      document_base_url is null or document_base_url = '' or document_base_url ~* '^https?://[^/[:space:]]'),
  instance_id       uuid not null default gen_random_uuid(),
  updated_at        timestamptz not null default now()
);
insert into webhook.settings default values;
comment on table  webhook.settings                   is 'One row: what holds for all channels. A change takes effect at once, without a restart.';
comment on column webhook.settings.only_row          is 'Always true: there is one row.';
comment on column webhook.settings.offline_mode      is 'On: nothing is delivered and every row stays pending, whatever the channels say.';
comment on column webhook.settings.auth              is 'none, or bearer: send bearer_token with every request.';
comment on column webhook.settings.bearer_token      is 'The token of "Authorization: Bearer …" for all channels; empty sends no header. Secret.';
comment on column webhook.settings.document_base_url is 'The address of RecordEngine itself, for doc_url: https://yourinstance.recordengine.ai';
comment on column webhook.settings.instance_id       is 'Names this installation in the webhook-id header, so that two installations never share one.';
comment on column webhook.settings.updated_at        is 'When this row was last changed.';

create function webhook.touch() returns trigger
  language plpgsql
  as $fn$ begin new.updated_at := clock_timestamp(); return new; end $fn$;
comment on function webhook.touch() is 'Keeps updated_at of channels and settings. Internal.';
create trigger touch before update on webhook.channels for each row execute function webhook.touch();
create trigger touch before update on webhook.settings for each row execute function webhook.touch();

revoke all on all tables    in schema webhook from public;
revoke all on all functions in schema webhook from public;
end $step$;


-- Step 2, since version 2: attempts of a document, what persons did, and the guard of finished rows.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
if webhook.schema_version() >= 2 then return; end if;
perform set_config('lock_timeout', '2s', true);

create table if not exists webhook.attempts (
  outbox_id   bigint not null,
  run         int    not null,
  http_status int,
  failure     text,
  received    text,
  error       text   not null,
  first_at    timestamptz not null,
  last_at     timestamptz not null,
  attempts    int    not null default 1,
  primary key (outbox_id, run)
);
comment on table  webhook.attempts             is 'The attempts of documents that did not succeed: a run of attempts with the same outcome is one row. The newest 100 runs of an event are kept, and its first. What ended them stands in webhook.outbox.';
comment on column webhook.attempts.outbox_id   is 'The event, webhook.outbox.id.';
comment on column webhook.attempts.run         is '1 for the first run, and so on.';
comment on column webhook.attempts.failure is 'Their failure.';
comment on column webhook.attempts.received is 'no, maybe or yes.';
comment on column webhook.attempts.http_status is 'The HTTP status of these attempts; null where no answer arrived.';
comment on column webhook.attempts.error       is 'Their error.';
comment on column webhook.attempts.first_at    is 'When the first of them ended.';
comment on column webhook.attempts.last_at     is 'When the last of them ended.';
comment on column webhook.attempts.attempts    is 'How many there were.';

create table if not exists webhook.interventions (
  id          bigint generated always as identity primary key,
  outbox_id   bigint not null,
  action      text not null constraint interventions_action_is_known check (action in ('retry', 'cancel', 'discard')),
  at          timestamptz not null default clock_timestamp(),
  actor       text not null default session_user,
  was_status  text not null,
  was_finished_at timestamptz,
  was_http_status int,
  was_error   text
);
create index if not exists interventions_outbox on webhook.interventions (outbox_id);
comment on table  webhook.interventions                 is 'What persons did to events: who, when, and what the event was before.';
comment on column webhook.interventions.id              is 'The order in which it was done.';
comment on column webhook.interventions.outbox_id       is 'The event, webhook.outbox.id.';
comment on column webhook.interventions.action          is 'retry, cancel or discard.';
comment on column webhook.interventions.at              is 'When.';
comment on column webhook.interventions.actor           is 'Who: the database role that was logged in.';
comment on column webhook.interventions.was_status      is 'The event''s status before.';
comment on column webhook.interventions.was_finished_at is 'Its finished_at before.';
comment on column webhook.interventions.was_http_status is 'Its http_status before.';
comment on column webhook.interventions.was_error       is 'Its error before.';
comment on index webhook.interventions_outbox           is 'The interventions of one event.';

create or replace function webhook.refuse_change() returns trigger
  language plpgsql
  as $fn$
begin
  -- Anybody can set a variable. The functions that may pass also run with the rights of the table's owner.
  if current_setting('webhook.resending', true) = 'on'
     and pg_has_role(current_user, (select c.relowner from pg_catalog.pg_class c where c.oid = tg_relid), 'member') then
    return new;
  end if;
  raise exception 'webhook.outbox: row % is finished (%), it does not change', old.id, old.status
    using errcode = 'restrict_violation', hint = format('To send it again: select webhook.retry(%s)', old.id);
end $fn$;
comment on function webhook.refuse_change() is 'Keeps finished rows as they are. Internal.';
revoke all on all tables    in schema webhook from public;
revoke all on all functions in schema webhook from public;
end $step$;


-- Step 3, since version 3: the guard looks after the update; another guard, of the order of exports; larger lanes.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
if webhook.schema_version() >= 3 then return; end if;
perform set_config('lock_timeout', '2s', true);

-- After, not before: where a table has a trigger before update, PostgreSQL computes the generated document_id anew on
-- each update, and parses the whole of data for it.
-- Asked, since this step may have been completed by a migration that was killed before the next one.
if not exists (select from pg_catalog.pg_trigger t
                where t.tgrelid = 'webhook.outbox'::regclass and t.tgname = 'finished_rows_never_change' and t.tgtype & 2 = 0) then
  drop trigger if exists finished_rows_never_change on webhook.outbox;
  create trigger finished_rows_never_change after update on webhook.outbox
    for each row when (old.finished_at is not null) execute function webhook.refuse_change();
  comment on trigger finished_rows_never_change on webhook.outbox is 'A finished row changes only by webhook.retry and webhook.retry_failed.';
end if;

-- For new databases only: what stands in the rows of an older one may have been chosen.
alter table webhook.channels alter column max_in_flight set default 128;

-- A claim decides by what had been committed when it began. Its process may stand still then, between the lock of an
-- export and its lease, while a later export is written, claimed, sent and recorded by others. Here the lease is in the
-- index outbox_one_attempt_per_document already, so from now on no other export of the document can be leased; and one
-- that was is seen, since a statement in a trigger has a snapshot of its own.
create or replace function webhook.refuse_overtaken() returns trigger
  language plpgsql
  as $fn$
begin
  if exists (select from webhook.outbox later
              where later.document_id = new.document_id and later.id > new.id and later.status <> 'cancelled') then
    raise exception 'webhook.outbox: row % was claimed, but a later export of document % has followed meanwhile', new.id, new.document_id
      using errcode = 'serialization_failure', hint = 'The claim is to be repeated.';
  end if;
  return null;
end $fn$;
comment on function webhook.refuse_overtaken() is 'Refuses the lease of an export that a later one has followed. Internal.';
if not exists (select from pg_catalog.pg_trigger t
                where t.tgrelid = 'webhook.outbox'::regclass and t.tgname = 'never_an_older_export_after_a_newer') then
  create trigger never_an_older_export_after_a_newer after update on webhook.outbox
    for each row when (new.leased_until is not null and old.leased_until is null and new.document_id is not null)
    execute function webhook.refuse_overtaken();
  comment on trigger never_an_older_export_after_a_newer on webhook.outbox is 'A claim that began before a later export of the same document was written is refused, and repeated.';
end if;
end $step$;


-- Step 4, since version 4: the seven channels and the one row of settings stay.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
if webhook.schema_version() >= 4 then return; end if;
perform set_config('lock_timeout', '2s', true);

-- Without its row a channel delivers nothing, and without that of the settings no channel does, in silence.
create or replace function webhook.refuse_removal() returns trigger
  language plpgsql
  as $fn$
begin
  raise exception 'webhook.%: its rows cannot be removed, events would wait for them for ever', tg_table_name
    using errcode = 'restrict_violation', hint = case tg_table_name
      when 'channels' then 'To stop a channel: update webhook.channels set enabled = false where name = ''…''.'
      else 'To change a setting: update webhook.settings set …; to stop all delivery: set offline_mode = true.' end;
end $fn$;
comment on function webhook.refuse_removal() is 'Keeps the rows of channels and settings. Internal.';
if not exists (select from pg_catalog.pg_trigger t where t.tgrelid = 'webhook.channels'::regclass and t.tgname = 'rows_stay') then
  create trigger rows_stay before delete or truncate on webhook.channels for each statement execute function webhook.refuse_removal();
  create trigger rows_stay before delete or truncate on webhook.settings for each statement execute function webhook.refuse_removal();
  comment on trigger rows_stay on webhook.channels is 'The seven channels stay.';
  comment on trigger rows_stay on webhook.settings is 'The settings stay.';
end if;
end $step$;


-- Step 5: the functions and views, comments, and the stamp. None of this keeps anybody from reading or writing a table.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
if webhook.schema_version() >= 4 then return; end if;
perform set_config('lock_timeout', '2s', true);

-- In the place of that of step 1, which knew no id where an escape that ->> cannot read stood elsewhere in the facts and
-- the id held an escape, too: {"id": "caf\u00e9", "notes": "a\u0000b"}. Only what has an id is kept in order.
-- What ->> cannot read are \u0000 and surrogates without their other half. So the escapes of the facts are hidden (\\ as
-- \\s, \u as \\u), and shown again in the id alone, where those two are read as \ufffd. All of it in linear time, whatever
-- an application writes; the regular expression sees no more than an id.
create or replace function webhook.document_id(data json) returns text
  language plpgsql immutable parallel safe
  as $fn$
declare
  found text;
begin
  begin
    if json_typeof(data -> 'id') in ('number', 'string') then
      found := data ->> 'id';
    end if;
  exception when others then
    begin
      data := replace(replace(replace(replace(data::text, '\\', '\\s'), '\u', '\\u'), '\\u0069', 'i'), '\\u0064', 'd')::json;
      if json_typeof(data -> 'id') in ('number', 'string') and length((data -> 'id')::text) <= 5000 then
        found := regexp_replace(replace(replace((data -> 'id')::text, '\\s', '\u005c'), '\\u', '\u'),
                   '\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F]..)|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..', '\\ufffd', 'g');
        found := json_build_object('id', found::json) ->> 'id';
      end if;
    exception when others then
      return null;
    end;
  end;
  return case when length(found) between 1 and 200 then found end;
end $fn$;
comment on function webhook.document_id(json) is
  'The document''s id in the facts of document.exported (a number or a string, of at most 200 characters) as text, else null. Never raises.';

-- plpgsql keeps its plan for the session; a function in SQL that cannot be inlined makes a new one in each statement.
create or replace function webhook.publish(event text, data json, occurred_at timestamptz default now()) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  written bigint;
begin
  if $1 is null or $2 is null then
    raise exception 'webhook.publish: % is null', case when $1 is null then 'the event' else 'data' end
      using errcode = 'not_null_violation', schema = 'webhook', table = 'outbox', column = case when $1 is null then 'event' else 'data' end,
            hint = 'For example: select webhook.publish(''contact.created'', ''{"contact_id": 7}'')';
  end if;
  insert into webhook.outbox (event, data, occurred_at) values ($1, $2, coalesce($3, now())) returning id into written;
  return written;
end $fn$;
comment on function webhook.publish(text, json, timestamptz) is
  'Writes an event into the outbox and returns its id. Call it in the transaction that changes your own data: what rolls back is never sent. Fails only for an unknown event or a body that is no JSON object.';

-- What the worker's HTTP library can call: kept strict, so that nothing is claimed for a URL that cannot be called.
create or replace function webhook.url_problem(url text) returns text
  language sql immutable parallel safe
  as $fn$
  select case
    when coalesce($1, '') = ''
      then 'it has no URL'
    when $1 !~* '^https?://'
      then 'its URL does not begin with http:// or https://'
    when $1 ~ '[[:space:][:cntrl:]\u0080-\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000]'
      then 'its URL does not parse: it holds a space or a control character'
    when substring($1 from '^[^/]*//[^/?#]*') ~ ':0*(6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[1-9][0-9]{5,})?$'
         and substring($1 from '^[^/]*//[^/?#]*') !~ ':$'
      then 'its URL does not parse: the port is not between 1 and 65535'
    -- userinfo, then a name or an IPv6 address (eight groups, or fewer around one ::), then a port
    when $1 !~* ('^https?://(([a-z0-9._~!$&''()*+,;=:@-]|%[0-9a-f]{2})*@)?([a-z0-9._-]+'
                 '|\[([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\]'
                 '|\[(?!([^]:]*:){8})(([0-9a-f]{1,4}:)*[0-9a-f]{1,4})?::(([0-9a-f]{1,4}:)*[0-9a-f]{1,4})?\])'
                 '(:[0-9]*)?([/?#]|$)')
      then 'its URL does not parse: the host is missing or malformed'
    when regexp_replace($1, '^([^?#]*)\?[^#]*', '\1') ~* '%($|.$|[^0-9a-f]|.[^0-9a-f])'
      then 'its URL does not parse: a % is not followed by two hexadecimal digits'
  end
$fn$;
comment on function webhook.url_problem(text) is 'Why this URL cannot be called, or null. Never quotes the URL.';

-- The host of a URL: all that logs, errors and readers get to see of it. Of one that does not parse nobody can say
-- where its host ends and a password begins.
create or replace function webhook.url_host(url text) returns text
  language sql immutable parallel safe
  as $fn$
  select case when webhook.url_problem($1) is null then substring($1 from '^[A-Za-z]+://(?:[^/?#]*@)?([^/?#@]+)') end
$fn$;
comment on function webhook.url_host(text) is 'Host and port of a URL, without userinfo, path or query. Null where it has none, or cannot be called.';

create or replace function webhook.channel_problem(channel webhook.channels, settings webhook.settings) returns text
  language sql immutable parallel safe
  as $fn$
  select case
    when webhook.url_problem(($1).url) is not null
      then webhook.url_problem(($1).url) || ': update webhook.channels set url = ''https://…'' where name = ''' || ($1).name || ''''
    when ($1).name = 'documents' and coalesce(($2).document_base_url, '') = ''
      then 'webhook.settings has no document_base_url, which doc_url needs: update webhook.settings set document_base_url = ''https://…'''
  end
$fn$;
comment on function webhook.channel_problem(webhook.channels, webhook.settings) is
  'Why this channel cannot be called as it is configured, with the SQL that mends it, or null. Its rows wait meanwhile.';

create or replace view webhook.status as
  select c.name                                        as channel,
         c.enabled,
         s.offline_mode,
         webhook.url_host(c.url)                       as host,
         case when c.enabled then webhook.channel_problem(c, s) end as problem,
         p.pending,
         p.oldest_pending,
         h.in_flight,
         (select max(o.finished_at) from webhook.outbox o
           where o.event = c.event and o.status = 'sent' and o.finished_at is not null)  as last_success,
         e.error                                       as last_error,
         e.at                                          as last_error_at
    from webhook.channels c
   cross join webhook.settings s
   cross join lateral (
         -- An application may write 'infinity', which would hide all others and which few programs can read.
         select count(*) as pending,
                min(o.occurred_at) filter (where o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z') as oldest_pending
           from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null) p
   cross join lateral (
         select count(*) as in_flight
           from webhook.outbox o
          where o.event = c.event and o.leased_until is not null) h
    left join lateral (
         select x.error, x.at
           from ((select o.error, o.finished_at as at from webhook.outbox o
                   where o.event = c.event and o.status = 'failed' and o.finished_at is not null
                   order by o.finished_at desc limit 1)
                 union all
                 (select o.error, o.claimed_at from webhook.outbox o
                   where o.event = c.event and o.status = 'pending' and o.leased_until is null
                     and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.error is not null
                   order by o.due_at desc limit 1)) x
          order by x.at desc limit 1) e on true
   order by c.position;
comment on view   webhook.status                is 'A row for each channel: where it stands. The first thing to look at.';
comment on column webhook.status.channel        is 'The channel.';
comment on column webhook.status.enabled        is 'Its switch.';
comment on column webhook.status.offline_mode   is 'Offline Mode: while on, nothing is delivered on any channel.';
comment on column webhook.status.host           is 'The host of its URL.';
comment on column webhook.status.problem        is 'Why the channel is on but cannot be called as configured, with what mends it. Its rows wait.';
comment on column webhook.status.pending        is 'Rows that wait and that no worker holds.';
comment on column webhook.status.oldest_pending is 'When the oldest of them happened.';
comment on column webhook.status.in_flight      is 'Rows that a worker holds now.';
comment on column webhook.status.last_success   is 'When the newest success was recorded.';
comment on column webhook.status.last_error     is 'The newest error: of a failed event, or of a document that waits for its next attempt.';
comment on column webhook.status.last_error_at  is 'When that was.';

-- What an error means and what to do: the specification's Troubleshooting, and what its list leaves out. The worker's
-- errors begin with a word for their kind (sender/failure.go), which is what this matches.
create or replace function webhook.hint(http_status int, error text) returns text
  language sql immutable parallel safe
  as $fn$
  select case
    when $2 is null and ($1 is null or $1 between 200 and 299) then null
    when $2 like 'interrupted:%' and $2 like '%unknown%'
      then 'The worker ended in the middle of the attempt, so nobody knows whether the receiver has the event. Documents are sent again by themselves; before you send another event again, look there.'
    when $2 like 'interrupted:%'
      then 'The worker ended before anything was sent. It is safe to send the event again.'
    when $2 like 'superseded:%'
      then 'A later export of the same document is sent instead. Nothing to do.'
    when $2 like 'render: status%'
      then 'The document is not in Export status. Set it to Export and publish it again, or mend data of this row.'
    when $2 like 'render: occurred_at:%'
      then 'The application wrote a time that the payload cannot hold. Mend it: in the application for future events, in occurred_at of this row for a pending document.'
    when $2 like 'render:%'
      then 'The facts that the application wrote cannot be rendered. Mend the named field: in the application for future events, in data of this row for a pending document.'
    when $2 like 'cannot call:%'
      then 'The channel cannot be called as it is configured. Mend its URL or the bearer token in the settings; the events wait.'
    when $2 like 'address not allowed:%'
      then 'The URL leads to an internal address. If that is meant, add the network to WEBHOOK_ALLOW_NETWORKS and restart the worker.'
    when $2 like 'dns:%'
      then 'The host name does not resolve. Check the URL for a typing error, and the DNS of the worker''s machine.'
    when $2 like 'refused:%'
      then 'Nothing listens at that address. Check host and port of the URL, and whether the receiving server runs.'
    when $2 like 'unreachable:%'
      then 'There is no way to that address. Check the network and the firewall between the worker and the receiver.'
    when $2 like 'tls:%' and $2 like '%expired%'
      then 'The receiver''s certificate has expired. Its owner must renew it.'
    when $2 like 'tls:%' and $2 like '%not valid before%'
      then 'The receiver''s certificate is not valid yet. Check the clock of the worker''s machine, then ask its owner.'
    when $2 like 'tls:%' and $2 like '%another host name%'
      then 'The receiver''s certificate is for another host name. Check the host in the URL for a typing error; else the receiver''s owner must mend the certificate.'
    when $2 like 'tls:%' and ($2 like '%not trusted%' or $2 like '%certificate authorities%')
      then 'The receiver''s certificate is signed by an authority that this machine does not know. Its owner should send the full chain; for a private authority add its certificate to the machine (SSL_CERT_FILE).'
    when $2 like 'tls:%' and $2 like '%plain HTTP%'
      then 'The receiver speaks plain HTTP on that port. Change the URL to http://, or to the port that speaks TLS.'
    when $2 like 'tls:%'
      then 'TLS with the receiver failed. Check the host name in the URL against the certificate, and the receiver''s TLS settings.'
    when $2 like 'timed out:%' and $2 like '%unknown%'
      then 'The receiver took longer than the time limit (30 seconds unless set otherwise) after the request was sent, so it may have the event. Let it answer at once and work afterwards.'
    when $2 like 'timed out:%'
      then 'No connection within the time limit; nothing was sent. Check the network and the firewall, and whether the receiver is overloaded.'
    when $2 like 'connection lost:%'
      then 'The receiver broke the connection before it answered. Look into its log; a proxy in front of it may have restarted.'
    when $2 like 'bad answer:%' and $2 like '%https://%'
      then 'The receiver speaks TLS on that port. Change the URL to https://.'
    when $2 like 'answer too large:%' or $2 like 'bad answer:%' or $1 between 100 and 199
      then 'What answered does not speak proper HTTP. Check host and port of the URL.'
    when $1 between 300 and 399
      then 'The receiver redirects, and redirects are never followed. Set the channel''s URL to the address it redirects to.'
    when $1 = 400
      then 'The receiver does not accept the payload. Check what it expects; it may want another format than schema 2.0.'
    when $1 = 401
      then 'The endpoint requires authentication: add a bearer token in the settings (update webhook.settings set auth = ''bearer'', bearer_token = ''…'').'
    when $1 = 403
      then 'The token is incorrect, or the worker''s IP address is blocked.'
    when $1 = 404
      then 'The URL''s path is wrong: regenerate the webhook URL in the receiving tool.'
    when $1 = 405
      then 'The URL exists but takes no POST. Check that it is the webhook''s URL.'
    when $1 = 408
      then 'The receiver waited too long for the request. It may be overloaded. Documents are tried again by themselves, other events are not.'
    when $1 = 410
      then 'The webhook was deleted in the receiving tool. Create a new one there and set its URL, or turn the channel off.'
    when $1 = 413
      then 'The payload is too large for the receiver. Raise its limit (for nginx: client_max_body_size).'
    when $1 = 415
      then 'The receiver does not take application/json. Check that the URL is that of a JSON webhook.'
    when $1 = 422
      then 'The receiver understood the payload but refuses its content. Its answer, in response, may say which field.'
    when $1 = 429
      then 'The receiver is called too often. Lower max_in_flight of the channel, or raise the plan of the receiving tool.'
    when $1 between 400 and 499
      then 'The receiver refuses the request. Its answer, in response, may say why.'
    when $1 >= 500
      then 'The receiving server is down or overloaded for now. Documents are tried again by themselves, other events are not.'
    when $1 between 200 and 299
      then 'The receiver answered with a success that is not counted. If it is one, add the status to accept_status of the channel, as the error says.'
    else 'See the worker''s log.'
  end
$fn$;
comment on function webhook.hint(int, text) is 'What an http_status and an error mean, and what to do. Null where nothing went wrong.';

-- The rows that persons act on. Each function leaves a row in webhook.interventions.

create or replace function webhook.utc(at timestamptz) returns text
  language sql stable parallel safe
  as $fn$ select case when isfinite($1) then to_char($1 at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') else $1::text end $fn$;
comment on function webhook.utc(timestamptz) is 'An instant as the texts of this schema write it. Internal.';

-- A null that slipped in must not pass for "all rows" or "not a dry run".
create or replace function webhook.refuse_batch(max_rows int, dry_run boolean) returns void
  language plpgsql immutable
  as $fn$
begin
  if $1 is null or $1 < 0 then
    raise exception 'max_rows is %, a number from 0 was expected', coalesce($1::text, 'null') using errcode = 'invalid_parameter_value';
  end if;
  if $2 is null then
    raise exception 'dry_run is null, true or false was expected' using errcode = 'invalid_parameter_value';
  end if;
end $fn$;
comment on function webhook.refuse_batch(int, boolean) is 'Raises an error for a max_rows or a dry_run that means nothing. Internal.';

create or replace function webhook.refuse_held(event webhook.outbox, doing text) returns void
  language plpgsql stable
  as $fn$
begin
  if ($1).leased_until is not null then
    raise exception 'event % cannot be %: worker % holds it until % at the latest', ($1).id, $2, ($1).claimed_by, webhook.utc(($1).leased_until)
      using errcode = 'object_in_use', hint = 'Try again when its attempt has ended.';
  end if;
end $fn$;
comment on function webhook.refuse_held(webhook.outbox, text) is 'Raises an error if a worker holds the row. Internal.';

create or replace function webhook.followed_by(event webhook.outbox) returns bigint
  language sql stable
  as $fn$
  select later.id from webhook.outbox later
   where later.document_id = ($1).document_id and later.id > ($1).id and later.status <> 'cancelled'
   order by later.id limit 1
$fn$;
comment on function webhook.followed_by(webhook.outbox) is 'The next later export of the same document that was not cancelled, or null.';

create or replace function webhook.retry(id bigint) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  e webhook.outbox;
begin
  select * into e from webhook.outbox o where o.id = $1 for update;
  if not found then
    raise exception 'event % does not exist', coalesce($1::text, 'null') using errcode = 'no_data_found', hint = 'It may have been pruned.';
  end if;
  perform webhook.refuse_held(e, 'sent again');
  if e.finished_at is null then
    raise exception 'event % is pending already, due at %', $1, webhook.utc(e.due_at)
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.explain(%s)', $1);
  end if;
  if webhook.followed_by(e) is not null then
    raise exception 'event % is not sent again: event % is a later export of document %', $1, webhook.followed_by(e), e.document_id
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.retry(%s)', webhook.followed_by(e));
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_finished_at, was_http_status, was_error)
  values ($1, 'retry', e.status, e.finished_at, e.http_status, e.error);
  perform set_config('webhook.resending', 'on', true); -- not as a clause of the function: only a superuser may write that
  update webhook.outbox o
     set status = 'pending', due_at = clock_timestamp(), finished_at = null, synced_at = null, http_status = null, error = null, response = null
   where o.id = $1;
  perform set_config('webhook.resending', 'off', true);
  return webhook.explain($1);
end $fn$;
comment on function webhook.retry(bigint) is
  'Sends a finished event again, whatever it became. Refused while a worker holds it, and for an export that a later one has followed. The webhook-id header stays the same, so that a receiver which has the event can tell. Leaves a row in webhook.interventions. Returns webhook.explain of the event.';

create or replace function webhook.cancel(id bigint) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  e webhook.outbox;
begin
  select * into e from webhook.outbox o where o.id = $1 for update;
  if not found then
    raise exception 'event % does not exist', coalesce($1::text, 'null') using errcode = 'no_data_found', hint = 'It may have been pruned.';
  end if;
  perform webhook.refuse_held(e, 'cancelled');
  if e.finished_at is not null then
    raise exception 'event % cannot be cancelled: it is finished (%)', $1, e.status
      using errcode = 'object_not_in_prerequisite_state', hint = format('select webhook.explain(%s)', $1);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_finished_at, was_http_status, was_error)
  values ($1, 'cancel', e.status, e.finished_at, e.http_status, e.error);
  update webhook.outbox o set status = 'cancelled', finished_at = clock_timestamp() where o.id = $1;
  return webhook.explain($1);
end $fn$;
comment on function webhook.cancel(bigint) is
  'Withdraws a pending event that no worker holds: it becomes cancelled, which webhook.retry undoes. Leaves a row in webhook.interventions. Returns webhook.explain of the event.';

create or replace function webhook.event_of(channel text) returns text
  language plpgsql stable
  as $fn$
declare
  event text;
begin
  select c.event into event from webhook.channels c where c.name = $1;
  if event is null then
    raise exception 'unknown channel "%"', $1
      using errcode = 'invalid_parameter_value', hint = 'One of documents, contacts, folders, cases, notifications, rules, audit_log.';
  end if;
  return event;
end $fn$;
comment on function webhook.event_of(text) is 'The event of a channel; raises an error for an unknown name. Internal.';

create or replace function webhook.retry_failed(
    channel text default null, since timestamptz default null, until timestamptz default null, http_status int default null,
    error_like text default null, include_unknown boolean default false, max_rows int default 10000, dry_run boolean default false)
  returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  only_event text := case when $1 is not null then webhook.event_of($1) end;
  ids bigint[];
  found text;
  off text;
begin
  perform webhook.refuse_batch($7, $8);
  -- Planned anew for each set of filters. A dry run locks nothing: a lock would make workers pass the rows by.
  execute format($query$
    select array_agg(f.id), string_agg(distinct f.name, ', ') filter (where not f.enabled)
      from (select picked.id, c.name, c.enabled
              from webhook.channels c
             cross join lateral (
                   select o.id, o.finished_at from webhook.outbox o
                    where o.event = c.event and o.status = 'failed' and o.finished_at is not null and not o.is_test
                      and o.finished_at >= $1 and o.finished_at < $2
                      and ($3 is null or o.http_status = $3)
                      and ($4 is null or o.error like $4)
                      -- What has neither a status nor an error is not known either.
                      and ($5 or coalesce(o.error, case when o.http_status is null then 'outcome unknown' else '' end) not like '%%outcome unknown%%')
                    order by o.finished_at limit $6 %s) picked
             where $7 is null or c.event = $7
             order by picked.finished_at limit $6) f $query$, case when not $8 then 'for update skip locked' end)
    into ids, off
    using coalesce($2, '-infinity'), coalesce($3, 'infinity'), $4, $5, coalesce($6, false), $7, only_event;
  ids := coalesce(ids, '{}');
  if off is not null then
    raise warning 'webhook.retry_failed: some of these events are of channels that are off, and become skipped unless they are turned on first: %', off;
  end if;
  if $8 then
    select string_agg(format('%s of %s', n, name), ', ' order by position) into found
      from (select c.name, c.position, count(*) as n
              from webhook.outbox o join webhook.channels c on c.event = o.event
             where o.id = any (ids) group by c.name, c.position) counted;
    raise notice 'webhook.retry_failed would send % failed events again%', cardinality(ids),
      coalesce(': ' || found, '') || case when $6 then '' else '; those whose outcome is unknown are left out without include_unknown => true' end;
    return cardinality(ids);
  end if;
  insert into webhook.interventions (outbox_id, action, was_status, was_finished_at, was_http_status, was_error)
  select o.id, 'retry', o.status, o.finished_at, o.http_status, o.error from webhook.outbox o where o.id = any (ids);
  perform set_config('webhook.resending', 'on', true);
  update webhook.outbox o
     set status = 'pending', due_at = clock_timestamp(), finished_at = null, http_status = null, error = null, response = null
   where o.id = any (ids);
  perform set_config('webhook.resending', 'off', true);
  return cardinality(ids);
end $fn$;
comment on function webhook.retry_failed(text, timestamptz, timestamptz, int, text, boolean, int, boolean) is
  'Sends failed events again, oldest first, at most max_rows a call, and returns how many. All filters are optional: channel, since and until (when they failed), http_status, error_like (a LIKE pattern). Those whose outcome is unknown (interrupted, or timed out after the request was sent) are left out unless include_unknown. Test events are left out. dry_run only counts. Each leaves a row in webhook.interventions.';

create or replace function webhook.discard(
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
  -- In the order of the index outbox_pending. A dry run locks nothing: a lock would make workers pass the rows by.
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
  insert into webhook.interventions (outbox_id, action, was_status, was_http_status, was_error)
  select o.id, 'discard', o.status, o.http_status, o.error from webhook.outbox o where o.id = any (ids);
  update webhook.outbox o set status = 'cancelled', finished_at = clock_timestamp() where o.id = any (ids);
  return cardinality(ids);
end $fn$;
comment on function webhook.discard(text, timestamptz, int, boolean) is
  'Cancels pending events that no worker holds, at most max_rows a call, and returns how many. Optional: channel, before (when they happened). dry_run only counts. Each leaves a row in webhook.interventions; webhook.retry undoes it, event by event.';

create or replace function webhook.send_test(channel text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
declare
  only_event text := webhook.event_of($1);
  new_id bigint;
begin
  if exists (select from webhook.channels c where c.name = $1 and coalesce(c.url, '') = '') then
    raise exception 'channel % has no URL to send a test event to', $1
      using errcode = 'object_not_in_prerequisite_state',
            hint = format('update webhook.channels set url = ''https://…'' where name = %L', $1);
  end if;
  insert into webhook.outbox (event, is_test, data) values (only_event, true, (case only_event
    when 'document.exported' then '{
      "id": 42, "filename": "invoice_march.pdf", "status": "Export", "doc_type": "Standard Supplier Invoice",
      "vendor_name": "Acme Supplies Ltd", "invoice_number": "INV-2026-0042", "total_amount": 12500.00, "currency": "CNY",
      "doc_date": "2026-03-15", "due_date": "2026-04-15", "contact_id": 7, "folder_id": 3,
      "ai_summary": "Supplier invoice from Acme for office equipment.", "notes": "",
      "custom_01": "PO-2026-099", "custom_02": "Finance Manager",
      "extraction_profile": {"id": 12, "name": "Standard Supplier Invoice", "field_count": 18,
                             "labels": {"custom_01": "PO Number", "custom_02": "Approved By"}},
      "external_refs": {"salesforce": {"record_id": "001Dn000003XyZA", "record_type": "Account", "record_url": "https://..."}},
      "line_items": [{"line_number": 1, "description": "Office Chair", "quantity": 4, "unit_price": 2500.00, "amount": 10000.00,
                      "account_code": "5100", "tax_rate": 13.0, "tax_amount": 1300.00}]}'
    when 'contact.created' then '{
      "contact_id": 7, "name": "Acme Supplies Ltd", "contact_type": "company", "email": "ap@acme.com", "phone": "+86 21 5555 1234",
      "first_name": null, "last_name": null, "description": "Primary office supplier", "created_by": "jean",
      "created_at": "2026-03-22T08:29:00Z"}'
    when 'folder.created' then '{
      "folder_id": 12, "contact_id": 7, "name": "Q1 2026 Invoices", "description": "", "is_root": false, "created_by": "jean",
      "created_at": "2026-03-22T08:29:00Z"}'
    when 'case.created' then '{
      "case_id": 5, "title": "Missing tax ID on fapiao batch", "status": "open", "priority": "high", "assigned_to": "jean",
      "contact_id": 7, "contact_name": "Acme Supplies Ltd", "document_id": 42, "due_date": "2026-03-28",
      "description": "Three fapiaos in the Q1 batch are missing the buyer tax ID.", "created_by": "jean",
      "created_at": "2026-03-22T08:30:00Z", "updated_at": "2026-03-22T08:30:00Z"}'
    when 'notification.created' then '{
      "notification_id": 88, "type": "document_ready", "title": "Document requires review",
      "message": "invoice_march.pdf confidence score is below threshold.", "is_read": false, "document_id": 42, "contact_id": 7,
      "created_at": "2026-03-22T08:30:00Z"}'
    when 'rule.executed' then '{
      "rule_id": 3, "rule_name": "Auto-approve low-value invoices", "trigger_type": "event", "action_type": "set_status",
      "action_taken": "Set status to Approved", "condition_matched": "total_amount < 1000", "success": true,
      "error_message": null, "document_id": 42, "document_filename": "invoice_march.pdf"}'
    when 'audit.log' then '{
      "audit_id": 1024, "action": "document_status_changed", "entity_type": "document", "entity_id": 42, "user": "jean",
      "details": "Status changed from Approved to Export", "ip_address": "192.168.1.10", "logged_at": "2026-03-22T08:30:00Z"}'
    end)::json) returning id into new_id;
  return new_id;
end $fn$;
comment on function webhook.send_test(text) is
  'Queues the specification''s example of a channel as a test event and returns its id. It is attempted once, also on a channel that is off; then see webhook.explain(id). An error if the channel has no URL.';

create or replace function webhook.prune(older_than interval, max_rows int default 10000) returns bigint
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
  before := now() - $1;
  -- The exports of a document go from the oldest on: one that is still there must keep finding those that followed it,
  -- be it pending or to be sent again by a person.
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
  if cardinality(locked) < cardinality(ids) then -- somebody is at one of them: its document is for the next call
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
end $fn$;
comment on function webhook.prune(interval, int) is
  'Deletes finished events that are older than this, at most max_rows a call, and returns how many; call it until it returns 0. The worker does so each night (WEBHOOK_RETENTION). What is not finished is never deleted.';

-- What a pending event waits for.
create or replace function webhook.waits_for(e webhook.outbox, c webhook.channels, s webhook.settings) returns text
  language plpgsql stable
  as $fn$
declare
  later bigint := webhook.followed_by(e);
  other webhook.outbox;
  under_way bigint;
begin
  select * into other from webhook.outbox o where o.document_id = e.document_id and o.leased_until is not null;
  select count(*) into under_way from webhook.outbox o where o.event = e.event and o.leased_until is not null;
  return case
    when later is not null
      then format(' will not be sent: event %s is a later export of the same document. It becomes superseded when a worker comes to it.', later)
    when s.offline_mode
      then ' waits, since Offline Mode is on: nothing is delivered until it is turned off (update webhook.settings set offline_mode = false).'
    when webhook.channel_problem(c, s) is not null and (c.enabled or e.is_test)
      then format(' waits, since the channel %s cannot be called: %s.', c.name, webhook.channel_problem(c, s))
    when not c.enabled and not e.is_test and c.name = 'documents'
      then ' waits, since the channel documents is off (update webhook.channels set enabled = true where name = ''documents'').'
    when not c.enabled and not e.is_test
      then format(' is pending, but the channel %s is off: within ten seconds it becomes skipped, if a worker is running. To have it sent: update webhook.channels set enabled = true where name = %L.', c.name, c.name)
    when other.id is not null
      then format(' waits for the attempt of event %s of the same document, which worker %s has under way since %s: exports of a document go out one at a time.',
                  other.id, other.claimed_by, webhook.utc(other.claimed_at))
    when e.due_at > clock_timestamp() and e.attempts > 0
      then format(' was not delivered yet, after %s; the next attempt is due at %s.',
                  case e.attempts when 1 then 'one attempt' else e.attempts || ' attempts' end, webhook.utc(e.due_at))
    when e.due_at > clock_timestamp()
      then format(' was not attempted yet; it is due at %s.', webhook.utc(e.due_at))
    when under_way > 0
      then format(' is due since %s and waits for a free slot: %s under way on the channel, a worker makes at most %s at once (max_in_flight).',
                  webhook.utc(e.due_at), case under_way when 1 then 'one attempt is' else under_way || ' attempts are' end, c.max_in_flight)
    when e.due_at > clock_timestamp() - interval '30 seconds'
      then format(' is due since %s and waits for a worker. If it stays so, check that one is running (webhooks run).', webhook.utc(e.due_at))
    else format(' is due since %s, and no worker takes it up: none seems to be running. Start one (webhooks run), or look into its log.', webhook.utc(e.due_at))
  end;
end $fn$;
comment on function webhook.waits_for(webhook.outbox, webhook.channels, webhook.settings) is
  'What a pending event waits for: a part of webhook.explain. Internal.';

create or replace function webhook.explain(id bigint) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
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

  what := format('%s %s (%s%s, of %s)', case when e.is_test then 'Test event' else 'Event' end, e.id, e.event,
                 ' of document ' || e.document_id, webhook.utc(e.occurred_at));
  what := what || case
    when e.status = 'sent'
      then format(' was delivered at %s%s: the receiver answered with HTTP %s.%s', webhook.utc(e.finished_at),
                  case when e.attempts > 1 then format(' after %s attempts', e.attempts) end, e.http_status,
                  coalesce(' The channel ' || c.name || ' leads to ' || webhook.url_host(c.url) || ' now.', ''))
    when e.status = 'failed'
      then format(' failed at %s and will not be sent again by itself.', webhook.utc(e.finished_at))
    when e.status = 'skipped'
      then format(' was skipped at %s, since the channel %s was off. It will not be sent by itself.', webhook.utc(e.finished_at), c.name)
    when e.status = 'superseded'
      then format(' is not sent: %s.', coalesce(substr(e.error, length('superseded: ') + 1), 'a later export exists'))
    when e.status = 'cancelled'
      then format(' was withdrawn by a person at %s and will not be sent.', webhook.utc(e.finished_at))
    when e.leased_until < clock_timestamp() and e.status = 'sending'
      then format(' was being sent by worker %s, which has not been heard of since its lease ended at %s. A running worker will find that out within two minutes and mark the event as failed, outcome unknown.',
                  e.claimed_by, webhook.utc(e.leased_until))
    when e.leased_until < clock_timestamp()
      then format(' was being sent by worker %s, which has not been heard of since its lease ended at %s. A running worker will find that out within two minutes and send it again.',
                  e.claimed_by, webhook.utc(e.leased_until))
    when e.leased_until is not null
      then format(' is being sent now, by worker %s since %s.', e.claimed_by, webhook.utc(e.claimed_at))
    else webhook.waits_for(e, c, s)
  end;

  if e.status = 'failed' or e.error is not null and e.status in ('pending', 'sending', 'cancelled') then
    what := what || format(' %s ended with: %s. %s', case when e.leased_until is null then 'Its newest attempt' else 'The attempt before this one' end,
                           rtrim(coalesce(e.error, 'HTTP ' || e.http_status, 'an error that was not recorded'), '.'),
                           case when e.status <> 'cancelled' then webhook.hint(e.http_status, e.error) end);
  end if;
  select format(' What its attempts met%s: %s.', case when max(r.run) > 5 then ' lately' end,
                string_agg(format('%s × %s (%s to %s)', r.attempts, rtrim(r.error, '.'), webhook.utc(r.first_at), webhook.utc(r.last_at)), '; ' order by r.run))
    into runs
    from (select * from webhook.attempts a where a.outbox_id = e.id order by a.run desc limit 5) r
  having sum(r.attempts) > 1;
  what := what || coalesce(runs, '');
  if e.finished_at is not null then
    what := what || case
      when later is not null
        then format(' It cannot be sent again: event %s is a later export of the same document (select webhook.explain(%s)).', later, later)
      when e.status = 'failed' and e.error like 'render:%'
        then ' Sent again as it is, it would fail in the same way: publish it anew once the application is mended.'
      when c.enabled or e.is_test
        then format(' To send it again: select webhook.retry(%s).', e.id)
      else format(' To send it again, turn the channel on (update webhook.channels set enabled = true where name = %L), then: select webhook.retry(%s).', c.name, e.id)
    end;
  end if;
  select * into i from webhook.interventions x where x.outbox_id = e.id order by x.id desc limit 1;
  if found then
    what := what || format(' (%s by %s at %s; before that it was %s%s.)',
      case i.action when 'retry' then 'Sent again' when 'cancel' then 'Cancelled' else 'Discarded' end,
      i.actor, webhook.utc(i.at), i.was_status, case when i.was_error is not null and i.action = 'retry' then ', with ' || rtrim(i.was_error, '.') end);
  end if;
  return regexp_replace(what, '\s*[[:cntrl:]]\s*|\s{2,}', ' ', 'g'); -- one paragraph, whatever the document's id holds
end $fn$;
comment on function webhook.explain(bigint) is
  'One paragraph for a ticket: where this event is, what happened, what it means and what to do.';

-- Ten thousand of each kind and channel are enough to see what is wrong, and keep this quick on the worst of days.
create or replace view webhook.problems as
  select 'channel'::text as kind, c.name as channel, null::bigint as id, null::timestamptz as since,
         webhook.channel_problem(c, s) as problem, 'Its events wait until this is mended.'::text as hint
    from webhook.channels c
   cross join webhook.settings s
   where c.enabled and webhook.channel_problem(c, s) is not null
  union all
  select 'event', c.name, f.id, f.finished_at, f.error, webhook.hint(f.http_status, f.error)
    from webhook.channels c
   cross join lateral (
         select o.id, o.finished_at, o.error, o.http_status from webhook.outbox o
          where o.event = c.event and o.status = 'failed' and o.finished_at is not null
            and o.finished_at > now() - interval '7 days' and not o.is_test
          order by o.finished_at desc limit 10000) f
  union all
  select 'event', c.name, d.id, d.occurred_at, d.error, webhook.hint(d.http_status, d.error)
    from webhook.channels c
   cross join lateral (
         select o.id, o.occurred_at, o.error, o.http_status from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null
            and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.error is not null
          order by o.due_at desc, o.id desc limit 10000) d
  union all
  select 'more', c.name, null, f.finished_at, 'more than 10000 events failed in the last seven days: the newest 10000 are listed',
         'For all of them see webhook.volume, by hour. To send them again: webhook.retry_failed.'
    from webhook.channels c
   cross join lateral (
         select o.finished_at from webhook.outbox o
          where o.event = c.event and o.status = 'failed' and o.finished_at is not null
            and o.finished_at > now() - interval '7 days' and not o.is_test
          order by o.finished_at desc offset 10000 limit 1) f
  union all
  select 'more', c.name, null, d.occurred_at, 'more than 10000 events wait with an error: 10000 are listed',
         'webhook.status counts all that wait.'
    from webhook.channels c
   cross join lateral (
         select o.occurred_at from webhook.outbox o
          where o.event = c.event and o.status = 'pending' and o.leased_until is null
            and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1 and o.error is not null
          order by o.due_at desc, o.id desc offset 10000 limit 1) d;
comment on view   webhook.problems         is 'Channels and events that need a person, each with what to do: channels that are on but cannot be called, events that failed in the last seven days, and those that wait with an error. At most 10000 events of a channel in each of the two; a row of the kind more says that there are others.';
comment on column webhook.problems.kind    is 'channel, event, or more: there are more events than are listed.';
comment on column webhook.problems.channel is 'The channel.';
comment on column webhook.problems.id      is 'The event, webhook.outbox.id; null where the kind is channel or more.';
comment on column webhook.problems.since   is 'When the event failed; for one that waits, when it happened. Null for a channel.';
comment on column webhook.problems.problem is 'What is wrong.';
comment on column webhook.problems.hint    is 'What it means and what to do.';

-- Counted hour by hour, each a range of the index outbox_finished: half the time of one pass that cuts each row's time
-- to its hour (ten million events within the seven days: 1.5 s).
create or replace view webhook.volume as
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
          where o.event = c.event and o.leased_until is not null and not o.is_test
          group by 1, 2) v
   group by c.name, c.position, v.hour, v.status
   order by c.position, v.hour, v.status;
comment on view   webhook.volume         is 'How many events each channel had in each hour of the last seven days, by status: by when they were finished, or else by when they are due. Test events are not counted. Read it before you turn on a channel that is paid by the call.';
comment on column webhook.volume.channel is 'The channel.';
comment on column webhook.volume.hour    is 'The beginning of the hour.';
comment on column webhook.volume.status  is 'What became of them.';
comment on column webhook.volume.events  is 'How many.';

create or replace function webhook.create_roles(only_print boolean default false) returns setof text
  language plpgsql volatile set search_path = pg_catalog, pg_temp
  as $fn$
declare
  statement text;
  role_name text;
begin
  perform pg_advisory_xact_lock(hashtext('webhook.schema')); -- two that grant at once would disturb each other
  foreach role_name in array array['webhook_producer', 'webhook_reader', 'webhook_worker', 'webhook_admin'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      statement := format('create role %I nologin', role_name);
      begin
        if not $1 then execute statement; end if;
      exception when duplicate_object or unique_violation then
        null; -- roles belong to the whole server: from another database somebody was quicker
      end;
      return next statement;
    end if;
  end loop;
  foreach statement in array array[
    'grant usage on schema webhook to webhook_producer, webhook_reader, webhook_worker, webhook_admin',
    -- An application: publish, or insert directly. The three functions are what an insert itself calls.
    'grant execute on function webhook.publish(text, json, timestamptz) to webhook_producer',
    'grant insert (event, data, occurred_at), select (id) on webhook.outbox to webhook_producer',
    'grant execute on function webhook.document_id(json), webhook.at_least_once(text), webhook.refuse_event(text), webhook.refuse_data(json) to webhook_producer, webhook_worker',
    -- Whoever may look: everything but tokens and URLs.
    'grant select on webhook.outbox, webhook.attempts, webhook.interventions, webhook.schema_versions, webhook.status, webhook.problems, webhook.volume to webhook_reader, webhook_admin',
    'grant select (name, event, position, enabled, accept_status, max_in_flight, updated_at) on webhook.channels to webhook_reader',
    'grant select (only_row, offline_mode, auth, instance_id, updated_at) on webhook.settings to webhook_reader',
    'grant execute on function webhook.explain(bigint), webhook.hint(int, text), webhook.url_host(text), webhook.url_problem(text), webhook.channel_problem(webhook.channels, webhook.settings), webhook.schema_version() to webhook_reader, webhook_admin',
    -- The worker: what its statements touch. It locks the switches in share mode, which PostgreSQL counts as an update.
    'grant select, update on webhook.outbox to webhook_worker',
    'grant select, insert, update, delete on webhook.attempts to webhook_worker',
    'grant select, update (updated_at) on webhook.channels, webhook.settings to webhook_worker',
    'grant select on webhook.schema_versions, webhook.status to webhook_worker',
    'grant execute on function webhook.schema_version(), webhook.channel_problem(webhook.channels, webhook.settings), webhook.url_problem(text), webhook.url_host(text), webhook.prune(interval, int), webhook.explain(bigint), webhook.hint(int, text) to webhook_worker',
    -- A person in charge: the settings, and the functions that act on events.
    'grant select, update (url, enabled, accept_status, max_in_flight) on webhook.channels to webhook_admin',
    'grant select, update (offline_mode, auth, bearer_token, document_base_url) on webhook.settings to webhook_admin',
    'grant execute on function webhook.retry(bigint), webhook.cancel(bigint), webhook.retry_failed(text, timestamptz, timestamptz, int, text, boolean, int, boolean), webhook.discard(text, timestamptz, int, boolean), webhook.send_test(text), webhook.prune(interval, int) to webhook_admin'
  ] loop
    if not $1 then execute statement; end if;
    return next statement;
  end loop;
end $fn$;
comment on function webhook.create_roles(boolean) is
  'Creates the roles webhook_producer, webhook_reader, webhook_worker and webhook_admin where they do not exist, and grants each what it needs. Returns the statements; with only_print it runs none of them, for a DBA to run.';


-- Comments on what the steps before have made.
comment on column webhook.outbox.error       is 'What went wrong in the newest attempt, its kind first ("HTTP 404", "dns: …"); null after a success. "outcome unknown" in it means that the receiver may have the event. What it means and what to do: select webhook.hint(http_status, error).';
comment on column webhook.outbox.attempts    is 'How often a worker has claimed the event to send it. Each time it began one POST at most.';
comment on column webhook.outbox.document_id is 'The document''s id as text, taken from data; null where data has none, and for test events and other events. Is document 42 synced? select status, synced_at from webhook.outbox where document_id = ''42'' order by id desc limit 1';
comment on column webhook.channels.enabled   is 'The switch, off until a person turns it on. Off: documents stay pending, events of the other six become skipped.';
comment on column webhook.interventions.at   is 'When it was done.';
comment on trigger touch on webhook.channels is 'Keeps updated_at.';
comment on trigger touch on webhook.settings is 'Keeps updated_at.';
comment on constraint outbox_event_is_known                          on webhook.outbox is 'The event is one of the seven.';
comment on constraint outbox_data_is_an_object                       on webhook.outbox is 'The facts are one JSON object.';
comment on constraint outbox_status_is_known                         on webhook.outbox is 'The status is one of the seven.';
comment on constraint outbox_attempts_is_a_count                     on webhook.outbox is 'Attempts are counted from 0.';
comment on constraint outbox_document_stays_pending                  on webhook.outbox is 'At least once: a document stays pending until it is sent, superseded or cancelled, leased or not. Test events are attempted once.';
comment on constraint outbox_only_a_document_is_superseded           on webhook.outbox is 'Only an export can be followed by a later export of the same document.';
comment on constraint outbox_sending_is_leased                       on webhook.outbox is 'At most once: while the one attempt is under way, a worker holds the row.';
comment on constraint outbox_lease_is_of_a_claim                     on webhook.outbox is 'A held row is sending, or a pending document, and says who holds it since when and under which claim.';
comment on constraint outbox_finished_at_is_set_when_finished        on webhook.outbox is 'finished_at is set exactly for sent, failed, skipped, superseded and cancelled.';
comment on constraint outbox_synced_at_is_set_when_a_document_is_sent on webhook.outbox is 'synced_at is set exactly for documents that were sent.';
comment on constraint outbox_sent_has_an_answer                      on webhook.outbox is 'What was sent has the HTTP status of its answer, and no error.';
comment on constraint channels_url_is_http_or_https                  on webhook.channels is 'A URL begins with http:// or https://.';
comment on constraint channels_accept_status_lists_2xx               on webhook.channels is 'The statuses that count as delivered: at least one, each of 200 to 299.';
comment on constraint channels_max_in_flight_is_1_to_1000            on webhook.channels is '1 to 1000. To stop a channel, turn it off.';
comment on constraint settings_is_one_row                            on webhook.settings is 'There is one row of settings.';
comment on constraint settings_auth_is_none_or_bearer                on webhook.settings is 'none or bearer.';
comment on constraint settings_bearer_token_is_a_header_value        on webhook.settings is 'A token holds no control character, which no HTTP header may.';
comment on constraint settings_document_base_url_is_http_or_https    on webhook.settings is 'The address begins with http:// or https:// and names a host.';
comment on constraint interventions_action_is_known                  on webhook.interventions is 'retry, cancel or discard.';

revoke all on all tables    in schema webhook from public;
revoke all on all functions in schema webhook from public;
-- So few rows that autovacuum never counts them. Without statistics the planner takes them for hundreds, the views for
-- expensive, and spends seconds on compiling them (jit).
analyze webhook.channels, webhook.settings;
insert into webhook.schema_versions (version) values (4);
end $step$;
