-- An outbox with rows in every state, for the statements of the Markdown: event 1001 has failed, 1002 waits after a 503,
-- 1003 is fresh, 1004 was sent, 1005 was skipped, 1006 was superseded by 1007, of 1008 it is unknown whether it arrived.
update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai';
update webhook.channels set url = 'https://hook.example.com/' || name, enabled = name <> 'audit_log';
insert into webhook.outbox (id, event, data, occurred_at, status, due_at, attempts, claim_id, claimed_by, claimed_at, finished_at, synced_at,
                            http_status, failure, received, error)
  overriding system value
values
  (1001, 'contact.created', '{"contact_id": 7}', now() - interval '5 hours', 'failed', now() - interval '5 hours', 1, gen_random_uuid(), 'host:1',
    now() - interval '5 hours', now() - interval '5 hours', null, 503, 'server_error', 'no', 'HTTP 503'),
  (1002, 'document.exported', '{"id": 42, "status": "Export"}', now() - interval '2 hours', 'pending', now() + interval '5 seconds', 720,
    gen_random_uuid(), 'host:1', now() - interval '5 seconds', null, null, 503, 'server_error', 'no', 'HTTP 503'),
  (1003, 'case.created', '{"case_id": 5}', now(), 'pending', now(), 0, null, null, null, null, null, null, null, null, null),
  (1004, 'document.exported', '{"id": 43, "status": "Export"}', now() - interval '1 hour', 'sent', now() - interval '1 hour', 1, gen_random_uuid(),
    'host:1', now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 hour', 200, null, 'yes', null),
  (1005, 'audit.log', '{"audit_id": 1}', now() - interval '1 day', 'skipped', now() - interval '1 day', 0, null, null, null,
    now() - interval '1 day', null, null, null, null, null),
  (1006, 'document.exported', '{"id": 44, "status": "Export"}', now() - interval '2 days', 'superseded', now() - interval '2 days', 0, null, null,
    null, now() - interval '2 days', null, null, null, null, null),
  (1007, 'document.exported', '{"id": 44, "status": "Export"}', now() - interval '2 days', 'sent', now() - interval '2 days', 1, gen_random_uuid(),
    'host:1', now() - interval '2 days', now() - interval '2 days', now() - interval '2 days', 204, null, 'yes', null),
  (1008, 'rule.executed', '{"rule_id": 3}', now() - interval '3 hours', 'failed', now() - interval '3 hours', 1, gen_random_uuid(), 'host:1',
    now() - interval '3 hours', now() - interval '3 hours', null, null, 'timeout', 'maybe', 'timed out: no answer within 30 s; outcome unknown');
insert into webhook.attempts (outbox_id, run, http_status, failure, received, error, first_at, last_at, attempts)
values (1002, 1, 503, 'server_error', 'no', 'HTTP 503', now() - interval '2 hours', now() - interval '5 seconds', 720);
