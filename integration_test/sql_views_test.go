package integration_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/recordengine/webhooks/outbox"
)

// scattered fills a database with events of every channel in every state, some
// of them tests, some too old to be counted.
func scattered(db *database) {
	db.t.Helper()
	random := rand.New(rand.NewPCG(3, 3)) // the same on every run
	var names []string
	for _, c := range outbox.Channels() {
		for name := range states {
			atLeastOnce := c.Event == "document.exported"
			oneAttemptOnly := name == "sending" || name == "died" || name == "failed" || name == "unknown" || name == "skipped"
			documentOnly := name == "leased" || name == "expired" || name == "superseded" || name == "refused"
			if atLeastOnce && oneAttemptOnly || !atLeastOnce && documentOnly {
				continue
			}
			names = append(names, c.Event+" "+name)
		}
	}
	for n := range 400 {
		event, state, _ := strings.Cut(names[random.IntN(len(names))], " ")
		columns := states[state]
		if strings.Contains(columns, "finished_at") {
			columns += fmt.Sprintf(`, finished_at = now() - interval '%d minutes'`, random.IntN(9*24*60))
		}
		columns += fmt.Sprintf(`, due_at = now() - interval '%d minutes', occurred_at = now() - interval '%d minutes'`, random.IntN(9*24*60), random.IntN(9*24*60))
		id := db.publish(event, fmt.Sprintf(`{"id": "D-%d"}`, n))
		if n%10 == 0 && state != "leased" && state != "expired" && state != "superseded" && state != "refused" {
			columns += `, is_test = true`
		}
		db.become(id, columns)
	}
}

// differences is what two queries of the same columns do not have in common.
func (db *database) differences(one, other string) (all []string) {
	db.t.Helper()
	err := db.Select(&all, `
		(select 'only the view: ' || v::text from (`+one+`) v except select 'only the view: ' || w::text from (`+other+`) w)
		union all
		(select 'missing: ' || w::text from (`+other+`) w except select 'missing: ' || v::text from (`+one+`) v)`)
	if err != nil {
		db.t.Fatal(err)
	}
	return all
}

func TestViews_HaveTheNumbersOfTheOutbox(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	scattered(db)
	db.workerSeen()
	for view, c := range map[string]struct{ has, want string }{
		"status": {`select channel, pending, oldest_pending, in_flight, last_success from webhook.status`, `
			select c.name, count(*) filter (where o.status = 'pending' and o.leased_until is null),
			       min(o.occurred_at) filter (where o.status = 'pending' and o.leased_until is null),
			       count(*) filter (where o.leased_until is not null), max(o.finished_at) filter (where o.status = 'sent')
			  from webhook.channels c left join webhook.outbox o on o.event = c.event group by c.name`},
		"status, the newest error": {`select channel, last_failure, last_error, last_error_at from webhook.status where channel <> 'documents'`, `
			select c.name, o.failure, o.error, o.finished_at from webhook.channels c
			  left join webhook.outbox o on o.event = c.event and o.status = 'failed'
			   and o.finished_at = (select max(finished_at) from webhook.outbox n where n.event = c.event and n.status = 'failed')
			 where c.name <> 'documents'`},
		"volume": {`select channel, hour, status, events from webhook.volume`, `
			select c.name, date_trunc('hour', coalesce(o.finished_at, o.due_at)), o.status, count(*)
			  from webhook.outbox o join webhook.channels c on c.event = o.event
			 where not o.is_test and (o.leased_until is not null or coalesce(o.finished_at, o.due_at) > date_trunc('hour', now()) - interval '7 days')
			 group by 1, 2, 3`},
		"problems": {`select kind, channel, id, since, failure, received, problem, hint from webhook.problems`, `
			select 'event', c.name, o.id, coalesce(o.finished_at, o.occurred_at), o.failure, o.received, o.error, webhook.hint(o.failure, o.http_status, o.received)
			  from webhook.outbox o join webhook.channels c on c.event = o.event
			 where not o.is_test and (o.status = 'failed' and o.finished_at > now() - interval '7 days'
			                          or o.status = 'pending' and o.leased_until is null and o.failure is not null)`},
	} {
		for _, d := range db.differences(c.has, c.want) {
			t.Errorf("%s: %s", view, d)
		}
	}
	if n := db.count(`select sum(events) from webhook.volume`); n < 200 {
		t.Errorf("only %d events were counted", n)
	}
}

// When very many events fail, problems stays a list that can be loaded, and says that it is not complete.
func TestProblems_ListsTenThousandOfAKindAndSaysThatThereAreMore(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.workerSeen()
	db.exec(`insert into webhook.outbox (event, data, status, http_status, failure, received, error, attempts, finished_at)
		select e, '{}', 'failed', 500, 'server_error', 'no', 'HTTP 500', 1, now() - n * interval '1 second' from generate_series(1, 10001) n, unnest(array['contact.created', 'audit.log']) e where n <= 10000 or e = 'audit.log'`)
	db.exec(`insert into webhook.outbox (event, data, http_status, failure, received, error, attempts) select 'document.exported', json_build_object('id', n), 503, 'server_error', 'no', 'HTTP 503', 1 from generate_series(1, 10050) n`)
	got := query[string](t, db.address, `select string_agg(concat_ws(' ', kind, channel, n, problem), e'\n' order by kind, channel)
		from (select kind, channel, count(*) as n, case kind when 'more' then min(problem) end as problem from webhook.problems group by 1, 2) x`)
	want := "event audit_log 10000\nevent contacts 10000\nevent documents 10000\n" +
		"more audit_log 1 more than 10000 events failed in the last seven days: the newest 10000 are listed\n" +
		"more documents 1 more than 10000 events wait with an error: 10000 are listed"
	if got != want {
		t.Errorf("it lists\n%s\nwant\n%s", got, want)
	}
	if n := db.count(`select count(*) from webhook.problems where kind = 'event' and id = (select id from webhook.outbox where event = 'audit.log' order by finished_at limit 1)`); n != 0 {
		t.Error("the oldest is listed, not the newest")
	}
}

func TestStatus_HasARowForEachChannelInTheirOrderAlsoOfAnEmptyOutbox(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	got := query[string](t, db.address, `select string_agg(concat_ws(' ', channel, enabled, offline_mode, host, problem, pending, oldest_pending, in_flight, last_success, last_error), ', ') from webhook.status`)
	var want []string
	for _, c := range outbox.Channels() {
		want = append(want, c.Name+" f f 0 0")
	}
	if got != strings.Join(want, ", ") {
		t.Errorf("it is %s", got)
	}
	for _, view := range []string{"problems", "volume"} {
		if n := db.count(`select count(*) from webhook.` + view); n != 0 {
			t.Errorf("%s has %d rows", view, n)
		}
	}
}

func TestStatus_SurvivesAnInfiniteTime(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.settings set offline_mode = true`)
	db.exec(`insert into webhook.outbox (event, data, occurred_at, due_at) values ('contact.created', '{}', '-infinity', 'infinity'), ('contact.created', '{}', '2026-03-22T08:30:00Z', now()),
		('folder.created', '{}', 'infinity', now()), ('case.created', '{}', '294276-01-01Z', '-infinity'), ('audit.log', '{}', '0044-03-15 BC', now())`)
	for _, command := range []string{"status", "status --json", "list", "list --json", "volume", "volume --json", "show 1", "show 3 --json", "show 4 --json"} {
		out, errs, status := runProgram(t, quick(db.address), nil, strings.Fields(command)...)
		if status != 0 {
			t.Fatalf("%s: exit status %d: %s %s", command, status, out, errs)
		}
		if command == "status --json" {
			with(t, "status", out, `"oldest_pending": "2026-03-22T08:30:00Z"`)
		}
	}
}

func TestProblems_NamesChannelsThatAreOnButCannotBeCalled(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.channels set url = null where name in ('contacts', 'cases'); update webhook.channels set enabled = false where name = 'cases'`)
	got := query[string](t, db.address, `select string_agg(concat_ws('|', kind, channel, id, problem, hint), e'\n') from webhook.problems`)
	with(t, "problems", got, "channel|contacts|it has no URL: update webhook.channels set url = ", "|Its events wait until this is fixed.")
	if strings.Count(got, "\n") != 0 {
		t.Errorf("more than that: %s", got)
	}
}

// hostile are URLs that the database accepts, and whose secrets must not be seen.
var hostile = []string{
	"https://user:geheim@re.example/geheim?key=geheim#geheim", "https://user:ge/geheim@re.example/", "https://user:p?geheim@re.example/", "https://geheim:p#x@re.example/",
	"https://user:geheim", "https://user:geheim/", "https://geheim@", "https://:geheim@re.example", "https://a@geheim@re.example/x", "http://geheim:80:90@re.example/",
	"https://re.example?geheim", "https://re.example#geheim", "https://re.example/geheim%zz", "https://us er:geheim@re.example/", "https://[::1/geheim", "https://[geheim]/",
	`https://re.example\geheim`, `https://re.example\@geheim`, "https://re.example:geheim/", "https://re.example;geheim/", "https:///geheim", "https://%67eheim:geheim@re.example/",
	"https://user:geheim\n@re.example/", "HTTPS://USER:geheim@RE.EXAMPLE/geheim",
}

func TestViews_ShowNoMoreOfAURLThanItsHost(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = '` + secret + `', document_base_url = 'https://` + secret + `@re.example'`)
	id := db.inState("failed", "contact.created", `{}`)
	waiting := db.document("42")
	sent := db.inState("sent", "contact.created", `{}`)
	hosts := map[string]bool{}
	for _, url := range hostile {
		db.exec(`update webhook.channels set url = $1`, url)
		var shown []string
		if err := db.Select(&shown, `
			select s::text from webhook.status s union all select p::text from webhook.problems p union all select v::text from webhook.volume v
			union all select webhook.explain(id) from unnest(array[$1, $2, $3]::bigint[]) id`, id, waiting, sent); err != nil {
			t.Fatal(err)
		}
		out, errs, _ := runProgram(t, quick(db.address), nil, "status")
		for _, text := range append(shown, out, errs) {
			if strings.Contains(strings.ToLower(text), secret) || strings.Contains(text, "user") || strings.Contains(text, "USER") {
				t.Errorf("%q shows\n%s", url, text)
			}
		}
		host := query[string](t, db.address, `select coalesce(max(host), '') from webhook.status`)
		hosts[host] = true
		problem := query[string](t, db.address, `select coalesce(max(problem), '') from webhook.status where channel = 'contacts'`)
		if (host == "") != (problem != "") {
			t.Errorf("%q: host %q, problem %q", url, host, problem)
		}
	}
	for _, host := range []string{"re.example", "RE.EXAMPLE", ""} {
		if !hosts[host] {
			t.Errorf("no URL has the host %q: %v", host, hosts)
		}
	}
}
