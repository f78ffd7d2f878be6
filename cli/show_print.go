package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/envelope"
)

// renderEvent is the payload of an event, with today's settings.
func renderEvent(ctx context.Context, db *sqlx.DB, e showDocument, base string) ([]byte, error) {
	if base == "" {
		var settings struct {
			May  bool
			Base string
		}
		// The column is read only where that is allowed: the privilege is checked when the statement begins.
		err := db.GetContext(ctx, &settings.May, `select has_column_privilege('webhook.settings', 'document_base_url', 'select')`)
		if err == nil && settings.May {
			err = db.GetContext(ctx, &settings.Base, `select coalesce(document_base_url, '') from webhook.settings`)
		}
		if err != nil {
			return nil, err
		}
		if base = settings.Base; !settings.May && e.Event == "document.exported" {
			return nil, errors.New("this role may not read webhook.settings.document_base_url, with which the link of a document begins: name it with --base-url")
		}
	}
	return envelope.Render(envelope.Input{Event: e.Event, OccurredAt: e.OccurredText, Data: e.Data, Validated: true, DocumentBaseURL: base})
}

// printEvent is the paragraph for a ticket, and below it what it leaves out.
func (f *flags) printEvent(e showDocument) error {
	w, width := &bytes.Buffer{}, f.screenWidth()
	paragraph(w, width, "", "", visible(inCommands(e.Explanation)))
	fmt.Fprintln(w)
	row := func(name, text string) { paragraph(w, width, "", "  ", name+": "+visible(text)) }
	row("webhook-id", e.WebhookID)
	if e.HTTPStatus != nil {
		row("answer", strings.TrimSpace(fmt.Sprintf("HTTP %d %s", *e.HTTPStatus, http.StatusText(*e.HTTPStatus))))
	}
	if e.Response != nil {
		row("its body", *e.Response)
	}
	if e.Received != nil {
		row("received", *e.Received)
	}
	for _, r := range e.Runs {
		what := r.Failure
		if r.Error != nil {
			what = *r.Error
		}
		span := when(&r.LastAt)
		if r.Attempts > 1 {
			span = when(&r.FirstAt) + " to " + span
		}
		row(fmt.Sprintf("%d %s, %s", r.Attempts, plural(int64(r.Attempts), "attempt", "attempts"), span), what)
	}
	for _, i := range e.Interventions {
		what := fmt.Sprintf("%s by %s", i.Action, i.Actor)
		if i.Role != i.Actor {
			what += " (database role " + i.Role + ")"
		}
		if what += ", it was " + i.WasStatus; i.WasError != nil {
			what += ": " + *i.WasError
		}
		if i.Note != nil {
			what += "; note: " + *i.Note
		}
		row(when(&i.At), what)
	}
	if e.Interventions == nil {
		fmt.Fprintln(f.p.Stderr, "what people did to it is not shown: this role may not read webhook.interventions (grant webhook_reader to it)")
	}
	_, err := f.p.Stdout.Write(w.Bytes())
	return err
}
