-- RecordEngine webhooks: everything the database knows. Schema version 1.
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
if to_regprocedure('webhook.schema_version()') is not null then return; end if;

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
if webhook.schema_version() >= 1 or to_regclass('webhook.outbox') is not null then return; end if;
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
  attempt_id   uuid,
  claimed_by   text,
  claimed_at   timestamptz,
  leased_until timestamptz,
  finished_at  timestamptz,
  synced_at    timestamptz,
  http_status  int,
  error        text,
  response     text,
  document_id  text generated always as (
                 case when event = 'document.exported' and not is_test then webhook.document_id(data) end) stored,
  is_test      boolean not null default false,

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
        and attempts > 0 and attempt_id is not null and claimed_by is not null and claimed_at is not null)),
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
create index outbox_held on webhook.outbox (attempt_id)
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
comment on column webhook.outbox.attempt_id   is 'The newest claim, named by a UUID that the worker chose. The rows of one batch share it. An outcome is recorded only under it.';
comment on column webhook.outbox.claimed_by   is 'Host and process of the worker that holds the row, or held it last.';
comment on column webhook.outbox.claimed_at   is 'When the newest claim was made, on the database''s clock.';
comment on column webhook.outbox.leased_until is 'Set exactly while a worker holds the row. Past it, the worker is taken for dead: a document is due again, a one-attempt event becomes failed.';
comment on column webhook.outbox.finished_at  is 'When the row became sent, failed, skipped, superseded or cancelled.';
comment on column webhook.outbox.synced_at    is 'Documents only: when a success was recorded. Null as long as the document is not synced.';
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
  position      int  not null unique,
  url           text
                constraint channels_url_is_http_or_https check (url is null or url = '' or url ~* '^https?://'),
  enabled       boolean not null default false,
  accept_status int[] not null default '{200,201,204}'
                constraint channels_accept_status_lists_2xx check (
                  cardinality(accept_status) > 0 and array_ndims(accept_status) = 1
                  and array_position(accept_status, null) is null
                  and 200 <= all (accept_status) and 299 >= all (accept_status)),
  max_in_flight int not null default 64
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


-- Step 2: the functions and views, and the stamp. None of this locks a table.
do $step$ begin
perform pg_advisory_xact_lock(hashtext('webhook.schema'));
if webhook.schema_version() >= 1 then return; end if;
perform set_config('lock_timeout', '2s', true);

create or replace function webhook.publish(event text, data json, occurred_at timestamptz default now()) returns bigint
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  as $fn$
  insert into webhook.outbox (event, data, occurred_at) values ($1, $2, coalesce($3, now())) returning id
$fn$;
comment on function webhook.publish(text, json, timestamptz) is
  'Writes an event into the outbox and returns its id. Call it in the transaction that changes your own data: what rolls back is never sent. Fails only for an unknown event or a body that is no JSON object.';

-- The host of a URL: all that logs, errors and readers get to see of it.
create or replace function webhook.url_host(url text) returns text
  language sql immutable parallel safe
  as $fn$ select substring($1 from '^[A-Za-z]+://(?:[^/?#]*@)?([^/?#@]+)') $fn$;
comment on function webhook.url_host(text) is 'Host and port of a URL, without userinfo, path or query. Null where it has none.';

-- What the worker's HTTP library can call: kept strict, so that nothing is claimed for a URL that cannot be called.
create or replace function webhook.url_problem(url text) returns text
  language sql immutable parallel safe
  as $fn$
  select case
    when coalesce($1, '') = ''
      then 'it has no URL'
    when $1 !~* '^https?://'
      then 'its URL does not begin with http:// or https://'
    when $1 ~ '[[:space:][:cntrl:]]'
      then 'its URL does not parse: it holds a space or a control character'
    when $1 !~* '^https?://([a-z0-9._~!$&''()*+,;=:@-]|%[0-9a-f]{2})*(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?([/?#]|$)'
      then 'its URL does not parse: the host is missing or malformed'
    when substring($1 from '^[^/]*//[^/?#]*') ~ ':0*(6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4})$'
      then 'its URL does not parse: the port is above 65535'
    when regexp_replace($1, '\?[^#]*', '') ~* '%($|.$|[^0-9a-f]|.[^0-9a-f])'
      then 'its URL does not parse: a % is not followed by two hexadecimal digits'
  end
$fn$;
comment on function webhook.url_problem(text) is 'Why this URL cannot be called, or null. Never quotes the URL.';

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
         select count(*) as pending, min(o.occurred_at) as oldest_pending
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

revoke all on all tables    in schema webhook from public;
revoke all on all functions in schema webhook from public;
insert into webhook.schema_versions (version) values (1);
end $step$;
