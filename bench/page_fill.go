package main

import (
	"context"
	"fmt"
)

// fillPage writes a month of history on all channels, some of it failed or skipped, and on three of them
// what waits; and of the newest week what workers would have counted meanwhile.
func (s *stage) fillPage(ctx context.Context) error {
	const batch = 500_000
	for begin := 0; begin < s.shown; begin += batch {
		if err := s.exec(ctx, fmt.Sprintf(`
			insert into webhook.outbox (event, data, occurred_at, due_at, status, attempts, claim_id, claimed_by, claimed_at, finished_at, synced_at, http_status, failure, received, error)
			select h.event, json_build_object('id', n %% 200000, 'name', 'Acme Supplies Ltd', 'details', 'Status changed from Approved to Export'),
			       h.at, h.at, h.status, 1, gen_random_uuid(), 'bench:1', h.at, h.at + (10 + n %% 400) * interval '1 ms', case when h.status = 'sent' and h.event = 'document.exported' then h.at end,
			       case h.status when 'sent' then 200 when 'failed' then 503 end,
			       case when h.status = 'failed' then case when n %% 1000 < 20 then 'timeout' else 'server_error' end end,
			       case h.status when 'sent' then 'yes' when 'failed' then 'no' end,
			       case when h.status = 'failed' then 'HTTP 503 Service Unavailable from https://receiver.example' end
			  from (select n, e.event, now() - (%d - n) * (interval '29 days' / %d) as at,
			               case when e.event = 'audit.log' and n %% 3 = 0 then 'skipped'
			                    when e.event <> 'document.exported' and n %% 41 = 0 then 'failed'
			                    else 'sent' end as status
			          from generate_series(%d, %d) n,
			               lateral (select (array['document.exported', 'contact.created', 'folder.created', 'case.created', 'notification.created',
			                                      'rule.executed', 'audit.log', 'audit.log', 'audit.log', 'audit.log'])[1 + n %% 10] as event) e) h`,
			s.shown, s.shown, begin+1, min(begin+batch, s.shown))); err != nil {
			return err
		}
	}
	// Of those that wait one in twenty was attempted; some have an error of their own.
	if err := s.exec(ctx, fmt.Sprintf(`
		insert into webhook.outbox (event, data, occurred_at, due_at, attempts, claimed_at, failure, received, error, http_status)
		select (array['document.exported', 'contact.created', 'rule.executed'])[1 + n %% 3], json_build_object('id', 'waits-' || n, 'name', 'Acme Supplies Ltd'), at, at,
		       case when tried then 3 else 0 end, case when tried then at end, case when n %% 1000 = 0 then 'render' when tried then 'server_error' end, case when tried then 'no' end,
		       case when tried then 'HTTP 503 Service Unavailable from https://receiver.example' end, case when tried and n %% 1000 <> 0 then 503 end
		  from generate_series(1, %d) n, lateral (select now() - n * interval '0.1 s' as at, n %% 20 = 0 as tried) w`, s.blocked),
		`insert into webhook.tally (channel, hour, status, latency, events)
		 select c.name, date_trunc('hour', o.finished_at), o.status, case o.status when 'sent' then webhook.latency_bucket(o.finished_at - o.due_at) else 0 end, count(*)
		   from webhook.outbox o join webhook.channels c on c.event = o.event
		  where o.finished_at > now() - interval '8 days'
		  group by 1, 2, 3, 4`,
		`update webhook.channels set url = 'https://receiver.example/' || name, enabled = true`,
		`update webhook.endpoints set url_set_at = now() - interval '40 days', succeeded_at = now()`,
		`update webhook.endpoints set failed_at = now(), failing_since = now() - interval '3 hours' where channel in ('documents', 'contacts', 'rules')`,
		`vacuum (analyze) webhook.tally`); err != nil {
		return err
	}
	return s.settle(ctx)
}
