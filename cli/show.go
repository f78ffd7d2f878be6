package cli

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
)

// showDocument is an event with all that is known of it.
type showDocument struct {
	ID            int64              `json:"id" about:"webhook.outbox.id"`
	WebhookID     string             `json:"webhook_id" db:"webhook_id" about:"the header webhook-id of each of its attempts"`
	Channel       string             `json:"channel" about:"its channel"`
	Event         string             `json:"event" about:"its name"`
	Status        string             `json:"status" about:"pending, sending, sent, failed, skipped, superseded or cancelled"`
	Test          bool               `json:"is_test" db:"is_test" about:"it is a test event"`
	DocumentID    *string            `json:"document_id" db:"document_id" about:"the document's id, of document.exported"`
	OccurredAt    *time.Time         `json:"occurred_at" db:"occurred_at" about:"when it happened; null where no calendar has it"`
	DueAt         *time.Time         `json:"due_at" db:"due_at" about:"not attempted before; null where no calendar has it"`
	FinishedAt    *time.Time         `json:"finished_at" db:"finished_at" about:"when it was finished"`
	Attempts      int                `json:"attempts" about:"how often it was claimed; each claim may have begun one POST"`
	ClaimedBy     *string            `json:"claimed_by" db:"claimed_by" about:"host and process of the worker that holds it, or held it last"`
	ClaimedAt     *time.Time         `json:"claimed_at" db:"claimed_at" about:"when that was"`
	LeasedUntil   *time.Time         `json:"leased_until" db:"leased_until" about:"until when a worker holds it"`
	HTTPStatus    *int               `json:"http_status" db:"http_status" about:"of the newest answer"`
	Response      *string            `json:"response" about:"the beginning of the newest answer's body, 2 KiB at most, secrets masked"`
	Failure       *string            `json:"failure" about:"the class of the newest attempt's failure"`
	Received      *string            `json:"received" about:"whether the receiver has it: no, maybe or yes"`
	Error         *string            `json:"error" about:"the failure in words"`
	Hint          *string            `json:"hint" about:"what that means and what to do"`
	Explanation   string             `json:"explanation" about:"webhook.explain: where it is, why, and what to do"`
	Runs          []showRun          `json:"runs" db:"-" about:"attempts that failed and left it pending, the newest first; consecutive ones that failed alike are one run"`
	Interventions []showIntervention `json:"interventions" db:"-" null:"true" about:"what people did to it, the newest first; null where this role may not read that"`
	Payload       json.RawMessage    `json:"payload,omitempty" db:"-" about:"with --payload: what is sent, as it is rendered today"`

	OccurredText string `json:"-" db:"occurred_text"`
	Data         []byte `json:"-"`
}

// showRun is a row of webhook.attempts.
type showRun struct {
	Attempts   int       `json:"attempts" about:"how many"`
	HTTPStatus *int      `json:"http_status" db:"http_status" about:"of their answers"`
	Failure    string    `json:"failure" about:"the class of their failure"`
	Received   string    `json:"received" about:"of the newest: no, maybe or yes"`
	Error      *string   `json:"error" about:"the failure in words"`
	FirstAt    time.Time `json:"first_at" db:"first_at" about:"when the first ended"`
	LastAt     time.Time `json:"last_at" db:"last_at" about:"when the last ended"`
}

// showIntervention is a row of webhook.interventions.
type showIntervention struct {
	Action        string    `json:"action" about:"retry, cancel, discard or mark_delivered"`
	At            time.Time `json:"at" about:"when it was done"`
	Actor         string    `json:"actor" about:"who did it: the user of the page, else the database role"`
	Role          string    `json:"role" about:"the database role that was logged in"`
	WasStatus     string    `json:"was_status" db:"was_status" about:"the event's status before"`
	WasHTTPStatus *int      `json:"was_http_status" db:"was_http_status" about:"its http_status before"`
	WasFailure    *string   `json:"was_failure" db:"was_failure" about:"its failure before"`
	WasError      *string   `json:"was_error" db:"was_error" about:"its error before"`
	Note          *string   `json:"note" about:"of mark_delivered: how it is known that the receiver has the event"`
}

// showCommand is `webhooks show ID`.
var showCommand = command{
	name: "show", group: groupRead, role: readerRole, document: showDocument{},
	arguments: []argument{{name: "ID"}},
	about:     "show one event: where it is, why, the answer, and what to do",
	text: "With --payload it prints what is sent, byte for byte, as it is rendered with today's settings, and nothing else. " +
		"The link of a document needs webhook.settings.document_base_url, which a reader may not read: --base-url names it.",
	exits: "1 when there is no such event, or its payload cannot be rendered",
	examples: []string{
		"what became of event 1001: webhooks show 1001",
		"send it by hand: webhooks show 1001 --payload | curl --json @- https://re.example.com/test",
	},
	flags: func(f *flags) action {
		payload := f.Bool("payload", false, "what is sent; with --json beside the rest")
		base := f.String("base-url", "", "the `url` with which doc_url begins, where this role may not read webhook.settings.document_base_url")
		database, asJSON := f.database(), f.json()
		return func(_, stop context.Context, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("show: %q is no event id, such as 1001", args[0])
			}
			return withDatabase(stop, f, *database, func(db *sqlx.DB) error {
				e, err := readEvent(stop, db, id)
				if err != nil {
					return fmt.Errorf("show: %w", err)
				}
				if *payload {
					if e.Payload, err = renderEvent(stop, db, e, *base); err != nil {
						return fmt.Errorf("show: %w", err)
					}
				}
				switch {
				case *asJSON:
					return writeJSON(f.p.Stdout, e)
				case *payload:
					_, err = f.p.Stdout.Write(e.Payload)
					return err
				}
				return f.printEvent(e)
			})
		}
	},
}

func readEvent(ctx context.Context, db *sqlx.DB, id int64) (e showDocument, err error) {
	err = db.GetContext(ctx, &e, `
		-- $1 id
		select o.id, webhook.webhook_id(o) as webhook_id, c.name as channel, o.event, o.status, o.is_test, o.document_id,
		       case when o.occurred_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z' then o.occurred_at end as occurred_at,
		       o.occurred_at::text as occurred_text,
		       case when o.due_at between '0001-01-01 00:00Z' and '9999-12-31 23:59Z' then o.due_at end as due_at,
		       o.finished_at, o.attempts, o.claimed_by, o.claimed_at, o.leased_until, o.http_status, o.response, o.failure, o.received, o.error,
		       webhook.hint(o.failure, o.http_status, o.received) as hint, webhook.explain(o.id) as explanation, o.data
		  from webhook.outbox o
		  join webhook.channels c on c.event = o.event
		 where o.id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("there is no event %d in webhook.outbox: it may never have been committed, or it was pruned after its retention time", id)
	}
	if err != nil {
		return e, err
	}
	for _, t := range []**time.Time{&e.OccurredAt, &e.DueAt, &e.FinishedAt, &e.ClaimedAt, &e.LeasedUntil} {
		*t = instant(*t)
	}
	e.Runs = []showRun{}
	if err := db.SelectContext(ctx, &e.Runs, `
		-- $1 id
		select attempts, http_status, failure, received, error, first_at, last_at
		  from webhook.attempts where outbox_id = $1 order by run desc`, id); err != nil {
		return e, err
	}
	for i := range e.Runs {
		r := &e.Runs[i]
		r.FirstAt, r.LastAt = r.FirstAt.UTC(), r.LastAt.UTC()
	}
	e.Interventions, err = readInterventions(ctx, db, id)
	return e, err
}

// readInterventions returns nil where the role may not read them: a worker's may not.
func readInterventions(ctx context.Context, db *sqlx.DB, id int64) ([]showIntervention, error) {
	var may bool
	if err := db.GetContext(ctx, &may, `select has_table_privilege('webhook.interventions', 'select')`); err != nil || !may {
		return nil, err
	}
	all := []showIntervention{}
	err := db.SelectContext(ctx, &all, `
		-- $1 id
		select action, at, actor, role, was_status, was_http_status, was_failure, was_error, note
		  from webhook.interventions where outbox_id = $1 order by id desc limit 1000`, id)
	for i := range all {
		all[i].At = all[i].At.UTC()
	}
	return all, err
}
