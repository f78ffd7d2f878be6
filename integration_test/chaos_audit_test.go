package integration_test

// chaosTables are the test's own: the ledger, written in the transactions of the
// events, so that it has what was committed whatever replies were lost; the audit of
// every change to a row; and a switch for a full disk (53100 without a file system of
// its own).
const chaosTables = `
create schema chaos;
create table chaos.ledger (id bigint primary key, event text not null, nonce text not null, document_id text);

create table chaos.audit (
  seq bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(),
  id bigint not null, event text not null, kind text not null, claimed_by text, claimed_at timestamptz, claim_id uuid);
create index on chaos.audit (event, at) where kind = 'claimed';

create function chaos.note() returns trigger language plpgsql as $fn$ begin
  insert into chaos.audit (id, event, claimed_by, claimed_at, claim_id, kind)
  values (new.id, new.event, new.claimed_by, new.claimed_at, new.claim_id, case
    when old.finished_at is not null                                    then 'changed after its end'
    when new.attempts > old.attempts and new.leased_until is not null   then 'claimed'
    when new.failure = 'interrupted' and old.leased_until < clock_timestamp() and new.leased_until is null
                                                                        then 'interrupted'
    when new.finished_at is not null                                    then new.status
    when old.leased_until is not null and new.leased_until is null
     and new.error is not distinct from old.error and new.due_at = old.due_at then 'released'
    when old.leased_until is not null and new.leased_until is null      then 'retry'
    else 'unexpected' end);
  return null;
end $fn$;
create trigger chaos_note after update on webhook.outbox for each row execute function chaos.note();

create table chaos.disk (is_full boolean not null);
insert into chaos.disk values (false);
create function chaos.write() returns trigger language plpgsql as $fn$ begin
  if (select is_full from chaos.disk) then
    raise exception 'could not extend file "base/16384/16999": No space left on device'
      using errcode = 'disk_full', hint = 'Check free disk space.';
  end if;
  return null;
end $fn$;
create trigger chaos_write before insert or update on webhook.outbox for each statement execute function chaos.write();
`
