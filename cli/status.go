package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// statusDocument is how delivery is at an instant.
type statusDocument struct {
	At           time.Time       `json:"at" about:"when this was read, on the database's clock"`
	OfflineMode  bool            `json:"offline_mode" about:"while true, nothing is delivered"`
	CountedUntil time.Time       `json:"counted_until" about:"what finished before is counted in last_day"`
	Workers      []statusWorker  `json:"workers" about:"the workers seen in the last hour, the newest first"`
	Channels     []statusChannel `json:"channels" about:"the channels in their order"`
	Problems     []statusProblem `json:"problems" about:"what needs attention; empty if nothing does"`
}

// statusWorker is a row of webhook.workers.
type statusWorker struct {
	Name        string    `json:"name" about:"host and process"`
	Version     string    `json:"version" about:"of its binary"`
	Environment *string   `json:"environment" about:"its WEBHOOK_ENVIRONMENT"`
	StartedAt   time.Time `json:"started_at" db:"started_at" about:"when it started"`
	SeenAt      time.Time `json:"seen_at" db:"seen_at" about:"when it last refreshed its row; it does so every ten seconds"`
	Running     bool      `json:"running" about:"it was seen within the last minute"`
}

// statusChannel is a row of webhook.status with the counts of webhook.tally.
type statusChannel struct {
	Channel       string     `json:"channel" about:"its name"`
	Event         string     `json:"event" about:"the event that it carries"`
	Enabled       bool       `json:"enabled" about:"its switch"`
	State         string     `json:"state" db:"-" about:"off, held (Offline Mode, cannot be called, or paused), failing, unused or healthy"`
	Host          *string    `json:"host" about:"the host of its URL"`
	Pending       int64      `json:"pending" about:"pending events that no worker holds"`
	OldestPending *time.Time `json:"oldest_pending" db:"oldest_pending" about:"when the oldest of them happened"`
	InFlight      int64      `json:"in_flight" db:"in_flight" about:"events that a worker holds"`
	LastSuccess   *time.Time `json:"last_success" db:"last_success" about:"when the newest success was recorded"`
	FailingSince  *time.Time `json:"failing_since" db:"failing_since" about:"since when each attempt has failed"`
	PausedUntil   *time.Time `json:"paused_until" db:"paused_until" about:"until when its receiver asked for a pause"`
	LastFailure   *string    `json:"last_failure" db:"last_failure" about:"the class of the newest failure since the URL was set"`
	LastError     *string    `json:"last_error" db:"last_error" about:"that failure in words"`
	LastErrorAt   *time.Time `json:"last_error_at" db:"last_error_at" about:"when it happened"`
	LastDay       statusDay  `json:"last_day" db:"-" about:"what finished in this hour and the 23 before it, without test events"`

	OfflineMode bool    `json:"-" db:"offline_mode"`
	Problem     *string `json:"-"`
	Hint        *string `json:"-"` // of the newest failure
	EverUsed    bool    `json:"-" db:"ever_used"`
}

// statusDay are counts of events.
type statusDay struct {
	Channel   string `json:"-"`
	Delivered int64  `json:"delivered" about:"events that were delivered"`
	Failed    int64  `json:"failed" about:"events that failed, also those that were sent again since"`
	Skipped   int64  `json:"skipped" about:"events that were skipped, since the channel was off"`
}

// statusProblem is something that needs attention.
type statusProblem struct {
	Kind    string     `json:"kind" about:"offline, worker, channel (on, and cannot be called), failing, paused or failed (events failed in the last day)"`
	Channel *string    `json:"channel" about:"the channel; null for offline and worker"`
	Since   *time.Time `json:"since" about:"since when, where that is known"`
	Problem string     `json:"problem" about:"what is wrong, in words"`
	Hint    string     `json:"hint" about:"what to do, in words"`
}

// statusCommand is `webhooks status`.
var statusCommand = command{
	name: "status", group: groupRead, role: readerRole, document: statusDocument{},
	about: "show each channel, the workers, and what needs attention",
	text: "WAITING are the events that are not finished, OLDEST is how long ago the oldest of them happened. SENT, FAILED and SKIPPED " +
		"count what finished in the last 24 hours; a worker counts about every ten seconds.",
	examples: []string{
		"all channels: webhooks status",
		"in a script, the channels that fail: webhooks status --json | jq -r '.channels[] | select(.state == \"failing\").channel'",
	},
	flags: func(f *flags) action {
		database, asJSON := f.database(), f.json()
		return func(_, stop context.Context, _ []string) error {
			return withDatabase(stop, f, *database, func(db *sqlx.DB) error {
				s, err := readStatus(stop, db)
				switch {
				case err != nil:
					return fmt.Errorf("status: %w", err)
				case *asJSON:
					return writeJSON(f.p.Stdout, s)
				}
				return f.printStatus(s)
			})
		}
	},
}

// readStatus counts exactly what is pending, as webhook.status does and the page does not: who waits for a
// backlog to shrink needs the number, also in a script, and reads it once, where the page reads it every few seconds.
// Two million pending events take 0.2 s in a parallel scan, 5 s through the index in a table that is mostly history.
func readStatus(ctx context.Context, db *sqlx.DB) (s statusDocument, err error) {
	if err := db.GetContext(ctx, &s, `
		select clock_timestamp() as at, m.tallied_until as counteduntil from webhook.maintenance m`); err != nil {
		return s, err
	}
	s.Workers, s.Problems = []statusWorker{}, []statusProblem{}
	if err := db.SelectContext(ctx, &s.Workers, `
		select name, version, environment, started_at, seen_at, seen_at > clock_timestamp() - interval '1 minute' as running
		  from webhook.workers
		 where seen_at > clock_timestamp() - interval '1 hour'
		 order by seen_at desc limit 100`); err != nil {
		return s, err
	}
	if err := db.SelectContext(ctx, &s.Channels, `
		select v.channel, c.event, v.enabled, v.offline_mode, v.host, v.problem, v.pending, v.oldest_pending, v.in_flight, v.last_success,
		       v.failing_since, v.paused_until, f.last_failure, f.last_error, f.last_error_at, webhook.hint(f.last_failure) as hint,
		       e.succeeded_at is not null or e.failed_at is not null as ever_used
		  from webhook.status v
		  join webhook.channels c on c.name = v.channel
		  join webhook.endpoints e on e.channel = v.channel
		  left join lateral ( -- an error of the URL before says nothing of this one
		       select v.last_failure, v.last_error, v.last_error_at where v.last_error_at > e.url_set_at) f on true
		 order by c.position`); err != nil {
		return s, err
	}
	if err := addDay(ctx, db, s.Channels); err != nil {
		return s, err
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		w.StartedAt, w.SeenAt = w.StartedAt.UTC(), w.SeenAt.UTC()
	}
	for i := range s.Channels {
		c := &s.Channels[i]
		c.State = c.state()
		s.OfflineMode = s.OfflineMode || c.OfflineMode
		for _, t := range []**time.Time{&c.OldestPending, &c.LastSuccess, &c.FailingSince, &c.PausedUntil, &c.LastErrorAt} {
			*t = instant(*t)
		}
	}
	s.At, s.CountedUntil = s.At.UTC(), s.CountedUntil.UTC()
	s.Problems, err = readProblems(ctx, db, s)
	return s, err
}

// addDay adds the counts of the page's chart: no finished row is read for them.
func addDay(ctx context.Context, db *sqlx.DB, channels []statusChannel) error {
	var days []statusDay
	if err := db.SelectContext(ctx, &days, `
		select channel, coalesce(sum(events) filter (where status = 'sent'), 0)::bigint as delivered,
		       coalesce(sum(events) filter (where status = 'failed'), 0)::bigint as failed,
		       coalesce(sum(events) filter (where status = 'skipped'), 0)::bigint as skipped
		  from webhook.tally
		 where hour > now() - interval '24 hours'
		 group by channel`); err != nil {
		return err
	}
	for i := range channels {
		for _, d := range days {
			if d.Channel == channels[i].Channel {
				channels[i].LastDay = d
			}
		}
	}
	return nil
}

// failedLast reports that the newest attempt failed, before a worker's next cycle has counted it for the endpoint. The
// failures of the configuration, the event and the worker are none of the endpoint (webhook.endpoints.failed_at).
func (c *statusChannel) failedLast() bool {
	return c.LastErrorAt != nil && (c.LastSuccess == nil || c.LastErrorAt.After(*c.LastSuccess)) &&
		!slices.Contains([]string{"config", "render", "interrupted"}, text(c.LastFailure))
}

// state is that of the page (admin/state.go), as one word: what a person has to change comes before what the
// receiver does.
func (c *statusChannel) state() string {
	switch {
	case !c.Enabled:
		return "off"
	case c.OfflineMode, c.Problem != nil:
		return "held"
	case c.FailingSince != nil, c.failedLast():
		return "failing"
	case c.PausedUntil != nil:
		return "held"
	case !c.EverUsed && c.LastSuccess == nil:
		return "unused"
	}
	return "healthy"
}
