package main

import (
	"fmt"
	"strings"
)

// plans is what keeps the costs of a poll flat.
var plans = []feature{
	{"rows are reached by ctid, as their lock found them", "the claim, skipping and the expiry of leases change exactly the rows that they locked", func(t *trial) {
		s := t.session()
		s.do(`create table placed (id int primary key, times int not null default 0)`)
		s.do(`insert into placed select n from generate_series(1, 100) n`)
		const by = `
			with p as (select ctid from placed where id = 5 for update skip locked)
			update placed t set times = t.times + 1 from p where t.ctid = p.ctid returning t.id`
		t.want("a row", s.get(by), "5")
		t.want("its next version", s.get(by), "5")
		t.want("the rows that were changed", s.get(`select concat(id, ':', times) from placed where times > 0`), "5:2")
		s.do(`set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off`)
		if plan := s.get(`explain (costs off) ` + by); t.err == nil && !strings.Contains(plan, "Tid Scan") {
			t.fail(difference("the plan has no Tid Scan: " + plan))
		}
	}},
	{"a partial index with an expression is read in its order, from a row of values on, whatever the statistics", "what a poll reads does not grow with history", func(t *trial) {
		s := t.session()
		s.do(`create table polled (id bigint primary key, event text, due_at timestamptz, attempts int, status text)`)
		s.do(`create index polled_pending on polled (event, (case when attempts > 0 then 1 else 2 end), due_at, id) where status = 'pending'`)
		s.do(`analyze polled`) // while it is empty
		s.do(`insert into polled select n, 'audit.log', now() - interval '1 hour', 0, case when n > 1900 then 'pending' else 'sent' end from generate_series(1, 2000) n`)
		for _, name := range []string{"enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin", "enable_material"} {
			s.do(fmt.Sprintf(`set %s = off`, name))
		}
		s.do(`set plan_cache_mode = force_generic_plan`)
		s.do(`prepare poll (text, timestamptz, bigint) as
			select id from polled
			 where event = $1 and status = 'pending' and case when attempts > 0 then 1 else 2 end = 2 and due_at <= now() and (due_at, id) > ($2, $3)
			 order by due_at, id limit 3`)
		t.want("the next ones", s.get(`execute poll ('audit.log', '-infinity', 0)`), "1901 1902 1903")
		plan := s.get(`explain (costs off) execute poll ('audit.log', '-infinity', 0)`)
		_, condition, found := strings.Cut(plan, "Index Cond:")
		condition, _, _ = strings.Cut(condition, "Filter:")
		switch {
		case t.err != nil:
		case !strings.Contains(plan, "using polled_pending") || strings.Contains(plan, "Sort"):
			t.fail(difference("the plan does not follow the index: " + plan))
		case !found || !strings.Contains(condition, "ROW("):
			t.fail(difference("the plan does not begin at the row of values: " + plan))
		}
	}},
}
