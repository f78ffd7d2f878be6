package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/recordengine/webhooks/admin"
)

// overviewRow is what an overview has beside its channels.
type overviewRow struct {
	At           time.Time
	OfflineMode  bool       `db:"offline_mode"`
	OfflineSince *time.Time `db:"offline_since"`
	OfflineBy    string     `db:"offline_by"`
	Environment  string
	PrunedAt     *time.Time `db:"pruned_at"`
	TalliedUntil time.Time  `db:"tallied_until"`
	SeenAt       *time.Time `db:"seen_at"`
	Workers      string
}

// overviewChannelRow is a channel of an overview. Hours and Latencies are JSON.
type overviewChannelRow struct {
	Name         string
	AtLeastOnce  bool `db:"at_least_once"`
	Enabled      bool
	Host         string
	Problem      string
	PausedUntil  *time.Time `db:"paused_until"`
	FailingSince *time.Time `db:"failing_since"`
	LastSuccess  *time.Time `db:"last_success"`
	EverUsed     bool       `db:"ever_used"`
	overviewFailure
	LookProblem     string     `db:"look_problem"`
	LookHint        string     `db:"look_hint"`
	CertificateEnds *time.Time `db:"certificate_ends"`
	Lost            int64
	Hours           string
	Latencies       string
}

// overviewFailure is the newest failure of a channel, among those that have finished or those that wait.
type overviewFailure struct {
	LastError string     `db:"last_error"`
	LastHint  string     `db:"last_hint"`
	LastAt    *time.Time `db:"last_at"`
}

// overviewWaitingRow is what waits on a channel.
type overviewWaitingRow struct {
	Name         string
	Waiting      int64
	Oldest       *time.Time
	Unrenderable int64
	overviewFailure
}

// Overview implements admin.Store.
func (a *Admin) Overview(ctx context.Context) (o admin.Overview, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return o, err
	}
	defer leave()
	if o, err = a.overview(ctx); err != nil {
		return o, fmt.Errorf("read the overview: %w", a.failed(err))
	}
	if o.Channels, err = a.overviewChannels(ctx); err != nil {
		return o, fmt.Errorf("read the overview's channels: %w", a.failed(err))
	}
	if o.Uncounted, err = a.overviewWaiting(ctx, o.Channels); err != nil {
		return o, fmt.Errorf("count what waits: %w", a.failed(err))
	}
	return o, nil
}

func (a *Admin) overview(ctx context.Context) (o admin.Overview, err error) {
	var row overviewRow
	err = a.db.GetContext(ctx, &row, `
		select clock_timestamp() as at, s.offline_mode, coalesce(s.environment, '') as environment,
		       turned_on.at as offline_since, coalesce(turned_on.actor, '') as offline_by,
		       m.pruned_at, m.tallied_until,
		       (select max(w.seen_at) from webhook.workers w) as seen_at,
		       (select coalesce(json_agg(json_build_object('name', w.name, 'environment', coalesce(w.environment, ''), 'started', w.started_at, 'seen', w.seen_at)), '[]')
		          from (select * from webhook.workers w
		                 where w.seen_at > clock_timestamp() - interval '1 hour' order by w.seen_at desc limit 100) w) as workers
		  from webhook.settings s
		 cross join webhook.maintenance m
		  left join lateral (
		       select i.at, i.actor
		         from (select i.at, i.actor, i.note from webhook.interventions i
		                where i.action = 'settings' and i.channel is null order by i.id desc limit 1000) i
		        where strpos(i.note, 'Offline Mode turned on') > 0
		        limit 1) turned_on on s.offline_mode`)
	if err != nil {
		return o, err
	}
	o = admin.Overview{At: row.At, Offline: row.OfflineMode, OfflineSince: row.OfflineSince, OfflineBy: row.OfflineBy,
		Environment: row.Environment, CleanedUp: row.PrunedAt, CountedUntil: row.TalliedUntil, WorkerSeen: row.SeenAt}
	return o, json.Unmarshal([]byte(row.Workers), &o.Workers)
}

// overviewChannels reads the channels, without what waits. Each part reads a bounded range of an index. What is
// only counted is ordered as its index is: without that the planner may read the table from its oldest page on.
func (a *Admin) overviewChannels(ctx context.Context) (all []admin.OverviewChannel, err error) {
	var rows []overviewChannelRow
	err = a.db.SelectContext(ctx, &rows, `
		select c.name, c.at_least_once, c.enabled, coalesce(webhook.url_host(c.url), '') as host,
		       coalesce(webhook.channel_problem(c, s), '') as problem,
		       g.paused_until, e.failing_since, greatest(e.succeeded_at, sent.at) as last_success,
		       e.succeeded_at is not null or e.failed_at is not null as ever_used,
		       coalesce(newest.error, newest.failure, '') as last_error,
		       coalesce(webhook.hint(newest.failure, newest.http_status, newest.received), '') as last_hint, newest.finished_at as last_at,
		       coalesce(e.look_problem, '') as look_problem, coalesce(webhook.hint(e.look_failure, null, 'no'), '') as look_hint,
		       e.certificate_ends, lost.events as lost, finished.hours, finished.latencies
		  from webhook.channels c
		 cross join webhook.settings s
		  left join webhook.pacing g on g.channel = c.name
		  left join webhook.endpoints e on e.channel = c.name
		 cross join lateral (
		       select max(o.finished_at) as at from webhook.outbox o
		        where o.event = c.event and o.status = 'sent' and o.finished_at > e.url_set_at and o.http_status is not null) sent
		 cross join lateral (
		       select count(*) as events
		         from (select from webhook.outbox o
		                where o.event = c.event and o.status = 'failed' and o.finished_at is not null
		                  and o.finished_at > now() - interval '7 days' and not o.is_test
		                order by o.finished_at desc limit 10001) o) lost
		  left join lateral (
		       select o.failure, o.error, o.http_status, o.received, o.finished_at from webhook.outbox o
		        where e.failing_since is not null and o.event = c.event and o.status = 'failed' and o.finished_at is not null
		        order by o.finished_at desc limit 1) newest on true
		 cross join lateral ( -- of this hour and the 23 before it, by hour and status, and by latency
		       select coalesce(json_agg(json_build_object('hour', t.hour, 'status', t.status, 'events', t.events)) filter (where t.hour is not null), '[]') as hours,
		              coalesce(json_agg(json_build_object('length', (extract(epoch from webhook.latency_of(t.latency)) * 1000000000)::bigint, 'events', t.events)
		                                order by t.latency) filter (where t.latency > 0), '[]') as latencies
		         from (select t.hour, t.status, t.latency, sum(t.events) as events from webhook.tally t
		                where t.channel = c.name and t.hour > now() - interval '24 hours'
		                group by grouping sets ((t.hour, t.status), (t.latency))) t) finished
		 order by c.position`)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		c := admin.OverviewChannel{
			Name: row.Name, AtLeastOnce: row.AtLeastOnce, Enabled: row.Enabled, Host: row.Host, Problem: row.Problem,
			PausedUntil: row.PausedUntil, FailingSince: row.FailingSince, LastSuccess: row.LastSuccess, EverUsed: row.EverUsed,
			LastError: row.LastError, LastHint: row.LastHint, LastFailure: row.LastAt, LookProblem: row.LookProblem, LookHint: row.LookHint,
			CertificateEnds: row.CertificateEnds, Lost: row.Lost,
		}
		if c.Hours, err = overviewHours(row.Hours); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(row.Latencies), &c.Latencies); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// What waits is ordinarily read in a few milliseconds. Under an old snapshot outbox_pending keeps the entries of
// all that was delivered since, and no limit counts those. Then the page does without for a while.
const (
	waitingTime = 250 * time.Millisecond
	waitingRest = 30 * time.Second
)

// overviewWaiting adds what waits to the channels, and failures of what is retried. uncounted: that takes too long.
// webhook.status counts all of it, which takes seconds with millions. Of an event from c.event to c.event
// the planner does not know that it is one, hence "order by o.event" is no empty word; the columns of the
// index's priority would have each row fetched.
func (a *Admin) overviewWaiting(ctx context.Context, channels []admin.OverviewChannel) (uncounted bool, err error) {
	if time.Now().UnixNano() < a.waitingFrom.Load() {
		return true, nil
	}
	tx, err := a.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if err := limitTime(ctx, tx, a.waitingTime); err != nil {
		return false, err
	}
	var rows []overviewWaitingRow
	err = tx.SelectContext(ctx, &rows, `
		select c.name, waiting.events as waiting, least(first.oldest, retried.oldest) as oldest, retried.unrenderable,
		       coalesce(newest.error, newest.failure, '') as last_error,
		       coalesce(webhook.hint(newest.failure, newest.http_status, newest.received), '') as last_hint, newest.claimed_at as last_at
		  from webhook.channels c
		  left join webhook.endpoints e on e.channel = c.name
		 cross join lateral ( -- as many as are counted, and one more
		       select count(*) as events
		         from (select from webhook.outbox o
		                where o.event >= c.event and o.event <= c.event and o.status = 'pending' and o.leased_until is null
		                order by o.event limit 10001) o) waiting
		 cross join lateral ( -- a test event and a fresh one are due since they were written
		       select min(o.occurred_at) filter (where o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z') as oldest
		         from (values (0), (2)) as p (priority)
		        cross join lateral (
		              select o.occurred_at from webhook.outbox o
		               where o.event = c.event and o.status = 'pending' and o.leased_until is null
		                 and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = p.priority
		               order by o.due_at, o.id limit 1) o) first
		 cross join lateral ( -- a failed attempt has moved due_at; of very many that were attempted, those due first are looked at
		       select min(o.occurred_at) filter (where o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z') as oldest,
		              count(*) filter (where o.failure = 'render' and c.at_least_once) as unrenderable
		         from (select o.occurred_at, o.failure from webhook.outbox o
		                where o.event = c.event and o.status = 'pending' and o.leased_until is null
		                  and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1
		                order by o.due_at, o.id limit 1000) o) retried
		  left join lateral (
		       select o.failure, o.error, o.http_status, o.received, o.claimed_at
		         from (select * from webhook.outbox o
		                where e.failing_since is not null and o.event = c.event and o.status = 'pending' and o.leased_until is null
		                  and (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end) = 1
		                order by o.due_at desc, o.id desc limit 100) o
		        where o.failure is not null and o.failure <> 'render'
		        order by o.claimed_at desc limit 1) newest on true`)
	if tookTooLong(ctx, err) {
		a.waitingFrom.Store(time.Now().Add(waitingRest).UnixNano())
		return true, nil
	}
	for _, row := range rows {
		i := slices.IndexFunc(channels, func(c admin.OverviewChannel) bool { return c.Name == row.Name })
		if i < 0 {
			continue
		}
		c := &channels[i]
		c.Waiting, c.Oldest, c.Unrenderable = row.Waiting, row.Oldest, row.Unrenderable
		if row.LastAt != nil && (c.LastFailure == nil || row.LastAt.After(*c.LastFailure)) {
			c.LastError, c.LastHint, c.LastFailure = row.LastError, row.LastHint, row.LastAt
		}
	}
	return false, err
}

// overviewHours adds up what finished in each hour. What was superseded or cancelled is not shown.
func overviewHours(text string) (hours []admin.OverviewHour, err error) {
	var counts []struct {
		Hour   time.Time
		Status string
		Events int64
	}
	if err := json.Unmarshal([]byte(text), &counts); err != nil {
		return nil, err
	}
	at := map[int64]int{}
	for _, c := range counts {
		i, known := at[c.Hour.Unix()]
		if !known {
			i = len(hours)
			at[c.Hour.Unix()] = i
			hours = append(hours, admin.OverviewHour{Hour: c.Hour})
		}
		switch c.Status {
		case "sent":
			hours[i].Delivered += c.Events
		case "failed":
			hours[i].Failed += c.Events
		case "skipped":
			hours[i].Skipped += c.Events
		}
	}
	return hours, nil
}
