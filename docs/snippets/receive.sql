create table received (
  webhook_id  text primary key,                   -- the header: the same on every attempt of one event
  received_at timestamptz not null default now(),
  body        json not null,
  done_at     timestamptz                         -- set when it is processed
);
