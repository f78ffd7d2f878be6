package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/recordengine/webhooks/admin"
)

// queryer is a pool or a transaction.
type queryer interface {
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
	GetContext(ctx context.Context, dest any, query string, args ...any) error
}

// Settings implements admin.Store.
func (a *Admin) Settings(ctx context.Context) (admin.Settings, error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return admin.Settings{}, err
	}
	defer leave()
	now, err := readSettings(ctx, a.db)
	return now, a.failed(err)
}

// readSettings reads the settings. Of the token only a sum, which does not leave the page's process.
func readSettings(ctx context.Context, q queryer) (now admin.Settings, err error) {
	var all struct {
		OfflineMode bool `db:"offline_mode"`
		Auth        string
		TokenSum    string    `db:"token_sum"`
		BaseURL     string    `db:"base_url"`
		UpdatedAt   time.Time `db:"updated_at"`
	}
	err = q.GetContext(ctx, &all, `
		select offline_mode, auth, coalesce(document_base_url, '') as base_url, updated_at,
		       case when bearer_token <> '' then encode(sha256(convert_to(bearer_token, 'UTF8')), 'hex') else '' end as token_sum
		  from webhook.settings`)
	if err != nil {
		return now, err
	}
	var channels []struct {
		Name         string
		URL          string
		Enabled      bool
		AcceptStatus pq.Int64Array `db:"accept_status"`
		MaxInFlight  int           `db:"max_in_flight"`
		MaxPerSecond int           `db:"max_per_second"`
		Traceparent  bool          `db:"send_traceparent"`
	}
	err = q.SelectContext(ctx, &channels, `
		select name, coalesce(url, '') as url, enabled, accept_status, max_in_flight, coalesce(max_per_second, 0) as max_per_second, send_traceparent
		  from webhook.channels order by position`)
	now = admin.Settings{Auth: all.Auth, TokenSet: all.TokenSum != "", TokenSum: all.TokenSum, OfflineMode: all.OfflineMode,
		DocumentBaseURL: all.BaseURL, Updated: all.UpdatedAt}
	for _, c := range channels {
		channel := admin.ChannelSettings{Name: c.Name, URL: c.URL, Enabled: c.Enabled, MaxInFlight: c.MaxInFlight, MaxPerSecond: c.MaxPerSecond, SendTraceparent: c.Traceparent}
		for _, status := range c.AcceptStatus {
			channel.AcceptStatuses = append(channel.AcceptStatuses, int(status))
		}
		now.Channels = append(now.Channels, channel)
	}
	return now, err
}

// ChannelFacts implements admin.Store.
func (a *Admin) ChannelFacts(ctx context.Context) (map[string]admin.ChannelFacts, error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var rows []struct {
		Channel      string
		Problem      string
		SucceededAt  *time.Time `db:"succeeded_at"`
		EverUsed     bool       `db:"ever_used"`
		FailingSince *time.Time `db:"failing_since"`
		PausedUntil  *time.Time `db:"paused_until"`
		LookedAt     *time.Time `db:"looked_at"`
		LookProblem  string     `db:"look_problem"`
		Address      string
		TLSVersion   string     `db:"tls_version"`
		Subject      string     `db:"certificate_subject"`
		Issuer       string     `db:"certificate_issuer"`
		Ends         *time.Time `db:"certificate_ends"`
		WeekEvents   int64      `db:"week_events"`
		BusiestHour  int64      `db:"busiest_hour"`
	}
	err = a.db.SelectContext(ctx, &rows, `
		select c.name as channel, coalesce(webhook.channel_problem(c, s), '') as problem,
		       e.succeeded_at, (e.succeeded_at is not null or e.failed_at is not null) as ever_used, e.failing_since, g.paused_until,
		       e.looked_at, coalesce(e.look_problem, '') as look_problem, coalesce(e.address, '') as address, coalesce(e.tls_version, '') as tls_version,
		       coalesce(e.certificate_subject, '') as certificate_subject, coalesce(e.certificate_issuer, '') as certificate_issuer, e.certificate_ends,
		       coalesce(t.events, 0) as week_events, coalesce(t.busiest, 0) as busiest_hour
		  from webhook.channels c
		 cross join webhook.settings s
		  join webhook.endpoints e on e.channel = c.name
		  join webhook.pacing g on g.channel = c.name
		  left join (select h.channel, sum(h.events)::bigint as events, max(h.events)::bigint as busiest
		               from (select y.channel, y.hour, sum(y.events) as events from webhook.tally y
		                      where y.hour > now() - interval '7 days' group by y.channel, y.hour) h
		              group by h.channel) t on t.channel = c.name
		 order by c.position`)
	facts := map[string]admin.ChannelFacts{}
	for _, r := range rows {
		facts[r.Channel] = admin.ChannelFacts{
			Channel: r.Channel, Problem: r.Problem, EverUsed: r.EverUsed, LastSuccess: r.SucceededAt,
			FailingSince: r.FailingSince, PausedUntil: r.PausedUntil, WeekEvents: r.WeekEvents, BusiestHour: r.BusiestHour,
			Look: admin.Look{At: r.LookedAt, Problem: r.LookProblem, Address: r.Address, TLSVersion: r.TLSVersion,
				CertificateSubject: r.Subject, CertificateIssuer: r.Issuer, CertificateEnds: r.Ends},
		}
	}
	return facts, a.failed(err)
}

// WorkerSeen implements admin.Store.
func (a *Admin) WorkerSeen(ctx context.Context) (seen *time.Time, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = a.db.GetContext(ctx, &seen, `select max(seen_at) from webhook.workers`)
	return seen, a.failed(err)
}

// RecentChanges implements admin.Store. Each of the ranges of the index interventions_settings is read from
// its end: the table also has what was done to events, which may be very much.
func (a *Admin) RecentChanges(ctx context.Context, most int) ([]admin.Change, error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var changes []admin.Change
	err = a.db.SelectContext(ctx, &changes, `
		select x.at, x.actor, coalesce(x.channel, '') as channel, coalesce(x.note, '') as note
		  from ((select i.id, i.at, i.actor, i.channel, i.note from webhook.interventions i
		          where i.action = 'settings' and i.channel is null order by i.id desc limit $1)
		        union all
		        (select i.id, i.at, i.actor, i.channel, i.note from webhook.channels c
		          cross join lateral (select * from webhook.interventions i
		                               where i.action = 'settings' and i.channel = c.name order by i.id desc limit $1) i)) x
		 order by x.id desc limit $1`, most)
	return changes, a.failed(err)
}

// Waiting implements admin.Store. It reads the beginning of each range of the index outbox_pending, whatever
// the statistics say: they may be from before Offline Mode. An application may write any time as that of an event.
func (a *Admin) Waiting(ctx context.Context, off bool) ([]admin.Waiting, error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	tx, err := a.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, a.failed(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off; set local jit = off`); err != nil {
		return nil, a.failed(err)
	}
	var rows []struct {
		Name        string
		AtLeastOnce bool `db:"at_least_once"`
		Enabled     bool
		Events      int64
		Oldest      *time.Time
	}
	err = tx.SelectContext(ctx, &rows, `
		select c.name, c.at_least_once, c.enabled, w.events, w.oldest
		  from webhook.channels c
		 cross join lateral (
		       select count(*) as events,
		              min(p.occurred_at) filter (where p.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z') as oldest
		         from (select o.occurred_at from webhook.outbox o
		                where o.event = c.event and o.status = 'pending' and o.leased_until is null
		                order by (case when o.is_test then 0 when o.attempts > 0 then 1 else 2 end), o.due_at, o.id
		                limit 10001) p) w
		 where w.events > 0 and (not $1 or (c.at_least_once and not c.enabled))
		 order by c.position`, off)
	waiting := make([]admin.Waiting, len(rows))
	for i, r := range rows {
		waiting[i] = admin.Waiting{Channel: r.Name, AtLeastOnce: r.AtLeastOnce, Enabled: r.Enabled, Events: r.Events, Oldest: r.Oldest}
	}
	return waiting, a.failed(err)
}

// URLProblems implements admin.Store.
func (a *Admin) URLProblems(ctx context.Context, urls []string) (problems []string, err error) {
	leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = a.db.SelectContext(ctx, &problems, `
		select coalesce(webhook.url_problem(u.url), '') from unnest($1::text[]) with ordinality u (url, n) order by u.n`, pq.Array(urls))
	return problems, a.failed(err)
}

// SendTest implements admin.Store.
func (a *Admin) SendTest(ctx context.Context, actor, channel string) (id int64, err error) {
	err = a.as(ctx, actor, func(tx *sqlx.Tx) error {
		return tx.GetContext(ctx, &id, `select webhook.send_test($1)`, channel)
	})
	switch {
	case refusedByState(err):
		return 0, admin.ErrNoURL
	case noSuchValue(err):
		return 0, admin.ErrNoChannel
	}
	return id, err
}

// changeTries is how often a change that met a lock begins anew: a claim holds its locks for milliseconds.
const changeTries = 3

// ChangeSettings implements admin.Store.
func (a *Admin) ChangeSettings(ctx context.Context, actor string, decide func(admin.Settings) (admin.SettingsChange, error)) (operation int64, err error) {
	for range changeTries {
		operation = 0
		err = a.as(ctx, actor, func(tx *sqlx.Tx) (err error) {
			operation, err = changeSettings(ctx, tx, a.sealing(ctx, tx, decide))
			return err
		})
		if !lockMissed(err) {
			return operation, err
		}
	}
	return 0, fmt.Errorf("%w: %w", admin.ErrSettingsLocked, err)
}

// changeSettings locks all settings before it reads them, always in the same order, so that two people wait
// for one another.
func changeSettings(ctx context.Context, tx *sqlx.Tx, decide func(admin.Settings) (admin.SettingsChange, error)) (operation int64, err error) {
	if _, err := tx.ExecContext(ctx, `select from webhook.channels order by position for update`); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `select from webhook.settings for update`); err != nil {
		return 0, err
	}
	now, err := readSettings(ctx, tx)
	if err != nil {
		return 0, err
	}
	change, err := decide(now)
	if err != nil {
		return 0, err
	}
	for _, c := range change.Channels {
		if err := updateChannel(ctx, tx, c); err != nil {
			return 0, refusedSetting(c.Name, err)
		}
	}
	if err := updateSettings(ctx, tx, change); err != nil {
		return 0, refusedSetting("", err)
	}
	if change.Release == nil {
		return 0, nil
	}
	err = tx.GetContext(ctx, &operation, `select webhook.start_release($1)`, pq.Array(change.Release.Discard))
	if refusedByState(err) {
		return 0, admin.ErrReleasing
	}
	return operation, err
}

func updateChannel(ctx context.Context, tx *sqlx.Tx, c admin.ChannelSettings) error {
	_, err := tx.ExecContext(ctx, `
		update webhook.channels
		   set url = nullif($2, ''), enabled = $3, accept_status = $4, max_in_flight = $5, max_per_second = nullif($6, 0), send_traceparent = $7
		 where name = $1`, c.Name, c.URL, c.Enabled, pq.Array(c.AcceptStatuses), c.MaxInFlight, c.MaxPerSecond, c.SendTraceparent)
	return err
}

func updateSettings(ctx context.Context, tx *sqlx.Tx, change admin.SettingsChange) error {
	if change.Auth == nil && change.Token == nil && change.DocumentBaseURL == nil && change.OfflineMode == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		update webhook.settings
		   set auth = coalesce($1, auth), bearer_token = coalesce($2, bearer_token),
		       document_base_url = case when $3 then nullif($4, '') else document_base_url end, offline_mode = coalesce($5, offline_mode)`,
		change.Auth, change.Token, change.DocumentBaseURL != nil, orEmpty(change.DocumentBaseURL), change.OfflineMode)
	return err
}

// refusedSetting is what the triggers in_words and the constraints of the two tables refuse. Their message
// quotes no value that may be secret: it is "webhook.channels: max_in_flight is 0, a number … was expected".
func refusedSetting(channel string, err error) error {
	var pe *pq.Error
	if !errors.As(err, &pe) || !rejected(err) {
		return err
	}
	words := strings.TrimPrefix(strings.TrimPrefix(pe.Message, "webhook.channels: "), "webhook.settings: ")
	if pe.Column == "" {
		words = "a value is out of range"
	}
	return &admin.SettingRefused{Channel: channel, Column: pe.Column, Words: strings.TrimPrefix(words, pe.Column+" is ")}
}
