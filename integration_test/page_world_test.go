package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// A world is a database as an installation's looks after a week: channels in every state, events in
// every status, hostile texts. What is in it is always the same, ids included; its times are counted
// back from now.
//
//	documents      Healthy: Make.com, a bearer token; one export is retried, one in flight
//	contacts       Healthy: a URL of 1,900 characters
//	folders        Off: it has a URL, its events are skipped
//	cases          Failing: 404 since three hours
//	notifications  Held: on, without a URL
//	rules          Never used
//	audit_log      paused by its receiver (Retry-After) after a 429
type world struct {
	*database
	ids map[string]int64
}

// newWorld makes the database of one test and fills it.
func newWorld(t testing.TB) *world {
	t.Helper()
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	ids, err := seedWorld(t.Context(), db.DB)
	if err != nil {
		t.Fatal(err)
	}
	return &world{db, ids}
}

// id returns the event of that name in worldEvents.
func (w *world) id(name string) int64 {
	w.t.Helper()
	id, ok := w.ids[name]
	if !ok {
		w.t.Fatalf("the world has no event %q", name)
	}
	return id
}

// workerStillRuns is what the worker does every ten seconds: it says that it runs.
func (w *world) workerStillRuns() {
	w.t.Helper()
	w.exec(`update webhook.workers set seen_at = clock_timestamp()`)
}

// seedWorld fills a new database, in one transaction, and returns the ids of worldEvents by name. The
// role must own the schema.
func seedWorld(ctx context.Context, db *sqlx.DB) (ids map[string]int64, err error) {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	if err := execAll(ctx, tx, worldSettings); err != nil {
		return nil, err
	}
	ids = map[string]int64{}
	for _, e := range worldEvents() {
		if ids[e.name] != 0 {
			return nil, fmt.Errorf("seed: two events named %q", e.name)
		}
		if ids[e.name], err = e.insert(ctx, tx); err != nil {
			return nil, fmt.Errorf("seed the event %q: %w", e.name, err)
		}
	}
	if err := execAll(ctx, tx, worldFigures); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, `analyze webhook.outbox`) // as autovacuum does meanwhile
	return ids, err
}

func execAll(ctx context.Context, tx *sqlx.Tx, statements []string) error {
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("seed: %w in %.200s", err, statement)
		}
	}
	return nil
}

// worldToken is the bearer token of the world. No page may show it.
const worldToken = "tok_live_9vK2mQx7LrT4"

// worldKey is in the path or query of each URL of the world. No page may show it, except where the
// URL is edited.
const worldKey = "k3y8ahd7shq2"

// worldSettings are the settings, as jean has made them, and the history.
var worldSettings = []string{
	`select set_config('webhook.actor', 'jean', true)`,
	`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai', auth = 'bearer',
	   bearer_token = '` + worldToken + `', instance_id = '0d9f4a52-6c1e-4b7a-9a3d-5e8b2f71c604'`,
	`update webhook.channels c set url = w.url, enabled = w.enabled
	   from (values ('documents',     'https://hook.eu1.make.com/` + worldKey + `', true),
	                ('contacts',      'https://crm.example.com/hooks/` + worldKey + `?tenant=acme&note=` + strings.Repeat("long-", 370) + `', true),
	                ('folders',       'https://xn--bro-hoa.example.com/webhook/` + worldKey + `', false),
	                ('cases',         'https://n8n.example.com/webhook/` + worldKey + `', true),
	                ('notifications', null, true),
	                ('rules',         null, false),
	                ('audit_log',     'https://siem.example.com:8443/services/collector?key=` + worldKey + `', true)) as w (name, url, enabled)
	  where c.name = w.name`,
	`update webhook.pacing set paused_until = now() + interval '4 minutes' where channel = 'audit_log'`,
	`insert into webhook.workers (id, name, version, settings, started_at)
	 values ('5b1c7a7e-0f0e-4f0b-8a53-0f6f5f1f2a11', 'app-1:4711', '1.0.0', '{"WEBHOOK_TIMEOUT": "30s"}', now() - interval '9 days')`,
	worldHistory,
}

// worldFigures is what workers have found out meanwhile: what they counted, and what they know about the endpoints.
var worldFigures = []string{
	`insert into webhook.tally (channel, hour, status, latency, events)
	 select c.name, date_trunc('hour', o.finished_at, 'UTC'), o.status,
	        case when o.status = 'sent' and o.attempts = 1 then webhook.latency_bucket(o.finished_at - o.due_at) else 0 end, count(*)
	   from webhook.outbox o join webhook.channels c on c.event = o.event
	  where not o.is_test and o.finished_at > now() - interval '8 days'
	  group by 1, 2, 3, 4`,
	`update webhook.endpoints e set url_set_at = now() - interval '9 days',
	        succeeded_at = n.succeeded_at, failed_at = n.failed_at, failing_since = n.failing_since
	   from (select c.name, s.succeeded_at, max(o.finished_at) filter (where o.status = 'failed') as failed_at,
	                min(o.finished_at) filter (where o.status = 'failed' and o.finished_at > s.succeeded_at and c.name <> 'audit_log') as failing_since
	           from webhook.channels c
	           join webhook.outbox o on o.event = c.event and not o.is_test
	          cross join lateral (select max(x.finished_at) as succeeded_at from webhook.outbox x
	                               where x.event = c.event and x.status = 'sent' and not x.is_test) s
	          group by c.name, s.succeeded_at) n
	  where e.channel = n.name`,
	`update webhook.endpoints e set looked_at = now() - interval '2 hours', looked_by = 'app-1:4711', look_failure = l.failure, look_problem = l.problem,
	        address = l.address, tls_version = l.tls, certificate_subject = l.subject, certificate_issuer = l.issuer, certificate_ends = now() + l.left
	   from (values ('documents', null, null, '198.51.100.7:443', 'TLS 1.3', 'eu1.make.com', 'Example CA R3', interval '71 days'),
	                ('contacts', null, null, '198.51.100.20:443', 'TLS 1.2', 'crm.example.com', 'Example CA R3', interval '6 days'),
	                ('folders', 'dns', 'dns: no such host: xn--bro-hoa.example.com', null, null, null, null, null::interval),
	                ('cases', null, null, '198.51.100.31:443', 'TLS 1.3', 'n8n.example.com', 'Example CA R3', interval '30 days'),
	                ('audit_log', 'tls', 'tls: the certificate of https://siem.example.com:8443 has expired', '198.51.100.44:8443', 'TLS 1.3', 'siem.example.com', 'Example CA R3', interval '-2 days'))
	        as l (name, failure, problem, address, tls, subject, issuer, "left")
	  where e.channel = l.name`,
}

// worldHistory is a week of deliveries that are not read one by one, up to four hours ago: more in
// the working hours, most of them delivered.
const worldHistory = `
insert into webhook.outbox (event, data, occurred_at, due_at, status, attempts, claim_id, claimed_by, claimed_at,
                            finished_at, synced_at, http_status, failure, received, error, response)
select h.event, h.data, h.at, h.at, h.status,
       case when h.status = 'skipped' then 0 else 1 end,
       case when h.status <> 'skipped' then md5('claim ' || h.event || h.n)::uuid end,
       case when h.status <> 'skipped' then 'app-1:4711' end,
       case when h.status <> 'skipped' then h.at + interval '12 ms' end,
       h.at + h.latency,
       case when h.status = 'sent' and h.event = 'document.exported' then h.at + h.latency end,
       case h.status when 'sent' then 200 when 'failed' then 503 end,
       case when h.status = 'failed' then 'server_error' end,
       case h.status when 'sent' then 'yes' when 'failed' then 'no' end,
       case when h.status = 'failed' then 'HTTP 503 Service Unavailable from ' || h.origin end,
       case h.status when 'sent' then 'Accepted' when 'failed' then 'upstream connect error' end
  from (select e.event, n, e.origin,
               now() - interval '4 hours' - n * e.every - (n * 7919 % 600) * interval '1 s' as at,
               (40 + n * n * 31 % 900) * interval '1 ms' + case when n % 61 = 0 then interval '4 s' else interval '0' end as latency,
               case when e.event = 'folder.created' then 'skipped'
                    when e.event not in ('document.exported', 'case.created') and n % 23 = 0 then 'failed'
                    else 'sent' end as status,
               case e.event
                 when 'document.exported' then json_build_object('id', 1000 + n, 'filename', 'invoice_' || 1000 + n || '.pdf', 'status', 'Export',
                        'vendor_name', (array['Acme Supplies Ltd', 'Globex GmbH', 'Initech', '上海办公用品有限公司'])[1 + n % 4],
                        'total_amount', n * 17 % 9000 + 0.50)
                 when 'contact.created' then json_build_object('contact_id', 300 + n, 'name', (array['Acme Supplies Ltd', 'Globex GmbH', 'Zoë Müller'])[1 + n % 3])
                 when 'folder.created' then json_build_object('folder_id', 40 + n, 'name', 'Q' || 1 + n % 4 || ' 2026 Invoices')
                 when 'case.created' then json_build_object('case_id', 60 + n, 'title', 'Missing tax ID on fapiao batch', 'priority', 'high')
                 else json_build_object('audit_id', 7000 + n, 'action', 'document_status_changed', 'user', 'jean') end as data
          from (values ('document.exported', 400, interval '25 minutes', 'https://hook.eu1.make.com'),
                       ('contact.created',    60, interval '2 hours',    'https://crm.example.com'),
                       ('folder.created',     20, interval '8 hours',    ''),
                       ('case.created',       30, interval '5 hours',    'https://n8n.example.com'),
                       ('audit.log',         600, interval '16 minutes', 'https://siem.example.com:8443')) as e (event, events, every, origin)
         cross join lateral generate_series(1, e.events) as n) h
 order by h.at, h.event, h.n`

// A worldEvent is a row that a test or a reader of the pictures looks for.
type worldEvent struct {
	name, event, data string
	ago               time.Duration // since it happened
	took              time.Duration // until its newest attempt ended
	status            string
	attempts          int
	httpStatus        int
	failure, received string
	error, response   string
	leased, test      bool
	runs              []worldRun
	deeds             []worldDeed
}

// A worldRun is a row of webhook.attempts.
type worldRun struct {
	attempts, httpStatus     int
	failure, received, error string
	first, last              time.Duration // ago
}

// A worldDeed is a row of webhook.interventions.
type worldDeed struct {
	action, actor, wasStatus, wasFailure, note string
	ago                                        time.Duration
}

func (e worldEvent) insert(ctx context.Context, tx *sqlx.Tx) (id int64, err error) {
	err = tx.GetContext(ctx, &id, `
		insert into webhook.outbox (event, data, occurred_at, due_at, status, attempts, is_test,
		       claim_id, claimed_by, claimed_at, leased_until, finished_at, synced_at, http_status, failure, received, error, response)
		select e.event, e.data, e.at,
		       -- What is retried is due at the next multiple of ten seconds.
		       case when e.status = 'pending' and e.attempts > 0 then to_timestamp(ceil(extract(epoch from now()) / 10) * 10) else e.at end,
		       e.status, e.attempts, e.is_test,
		       case when e.attempts > 0 then md5('claim ' || e.name)::uuid end,
		       case when e.attempts > 0 then 'app-1:4711' end,
		       case when e.leased then now() when e.attempts > 0 then e.at + interval '12 ms' end,
		       case when e.leased then now() + interval '90 s' end,
		       case when e.status not in ('pending', 'sending') then e.at + e.took end,
		       case when e.status = 'sent' and e.event = 'document.exported' then e.at + e.took end,
		       nullif(e.http_status, 0), nullif(e.failure, ''), nullif(e.received, ''), nullif(e.error, ''), nullif(e.response, '')
		  from (select $1::text as name, $2::text as event, $3::json as data, now() - $4 * interval '1 ms' as at, $5 * interval '1 ms' as took,
		               $6::text as status, $7::int as attempts, $8::int as http_status, $9::text as failure, $10::text as received,
		               $11::text as error, $12::text as response, $13::boolean as leased, $14::boolean as is_test) e
		returning id`,
		e.name, e.event, e.data, e.ago.Milliseconds(), e.took.Milliseconds(), e.status, e.attempts, e.httpStatus, e.failure, e.received,
		e.error, e.response, e.leased, e.test)
	if err != nil {
		return 0, err
	}
	for n, r := range e.runs {
		if err := r.insert(ctx, tx, id, n+1); err != nil {
			return 0, err
		}
	}
	for _, d := range e.deeds {
		if err := d.insert(ctx, tx, id); err != nil {
			return 0, err
		}
	}
	return id, nil
}

func (r worldRun) insert(ctx context.Context, tx *sqlx.Tx, id int64, run int) error {
	_, err := tx.ExecContext(ctx, `
		insert into webhook.attempts (outbox_id, run, attempts, http_status, failure, received, error, first_at, last_at)
		values ($1, $2, $3, nullif($4, 0), $5, $6, $7, now() - $8 * interval '1 ms', now() - $9 * interval '1 ms')`,
		id, run, r.attempts, r.httpStatus, r.failure, r.received, r.error, r.first.Milliseconds(), r.last.Milliseconds())
	return err
}

func (d worldDeed) insert(ctx context.Context, tx *sqlx.Tx, id int64) error {
	_, err := tx.ExecContext(ctx, `
		insert into webhook.interventions (outbox_id, action, at, actor, was_status, was_failure, note)
		values ($1, $2, now() - $3 * interval '1 ms', $4, $5, nullif($6, ''), nullif($7, ''))`,
		id, d.action, d.ago.Milliseconds(), d.actor, d.wasStatus, d.wasFailure, d.note)
	return err
}
