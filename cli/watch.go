package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// watchCommand is `webhooks watch`: deliveries as they happen.
var watchCommand = command{
	name: "watch", group: groupRead, role: readerRole,
	about: "print deliveries as they happen, and failed attempts of documents",
	text: "A line for each: when it ended, the HTTP status of the answer, event and id, and what it is now; pending will be sent again. It begins " +
		"with what ends from now on, waits while the database is unavailable, and goes on where it was. Ctrl-C ends it.",
	exits: "1 when this role may not read deliveries, or a line cannot be written",
	examples: []string{
		"everything: webhooks watch",
		"what fails on one channel: webhooks watch --channel contacts --status failed",
		"the answers, for a script: webhooks watch --json | jq -r .http_status",
	},
	document: watchLine{},
	flags: func(f *flags) action {
		channel := f.channel("of this channel only")
		status := f.oneOf("status", "only what has this status then", watchedStatuses)
		database, asJSON := f.database(), f.Bool("json", false, "one JSON document for each, in a line of its own, as docs/commands.md describes it")
		return func(_, stop context.Context, _ []string) error {
			return withDatabase(stop, f, *database, func(db *sqlx.DB) error {
				w := watch{f: f, asJSON: *asJSON, db: store.NewAdmin(db, f.p.Schema), wanted: store.Watched{Statuses: watchedStatuses}, seen: map[seenKey]time.Time{}}
				for _, c := range outbox.Channels() {
					if *channel == "" || *channel == c.Name {
						w.wanted.Events = append(w.wanted.Events, c.Event)
					}
				}
				if *status != "" {
					w.wanted.Statuses = []string{*status}
				}
				var err error
				if w.idle, err = nothingComes(stop, db); err != nil && !store.Transient(err) {
					return fmt.Errorf("watch: %w", err)
				}
				return w.until(stop)
			})
		}
	},
}

// watchedStatuses are those in which an attempt can leave an event.
var watchedStatuses = slices.DeleteFunc(admin.DeliveryStatuses(), func(s string) bool { return s == "sending" })

// watchEvery is how often the database is asked.
const watchEvery = 500 * time.Millisecond

// watch prints what ends.
type watch struct {
	f      *flags
	db     *store.Admin
	wanted store.Watched
	asJSON bool
	from   time.Time             // the next read begins here
	seen   map[seenKey]time.Time // what was printed and may be read again, with when it ended
	idle   []string              // why no delivery is to be expected, as it was at the begin
	begun  bool                  // a read has succeeded, and that was printed
	lost   bool                  // the database is unavailable, and that was printed

	unwritten error // of its output
}

// nothingComes is why no delivery is to be expected, for a person who waits for one.
func nothingComes(ctx context.Context, db *sqlx.DB) (why []string, err error) {
	var state struct{ Offline, Running bool }
	err = db.GetContext(ctx, &state, `
		select offline_mode as offline, exists (select from webhook.workers where seen_at > clock_timestamp() - interval '1 minute') as running
		  from webhook.settings`)
	if err == nil && state.Offline {
		why = append(why, "Offline Mode is on: nothing is delivered; to deliver again: webhooks offline off")
	}
	if err == nil && !state.Running {
		why = append(why, "no worker is running: nothing is delivered; to start one: webhooks run")
	}
	return why, err
}

type seenKey struct{ id, at int64 }

func (w *watch) until(stop context.Context) error {
	for failures := 0; ; {
		behind, err := w.look(stop)
		switch {
		case stop.Err() != nil:
			return nil //nolint:nilerr // that is how a watch ends, and what it interrupts fails
		case w.unwritten != nil:
			return fmt.Errorf("watch: %w", w.unwritten)
		case err != nil && !store.Transient(err):
			return fmt.Errorf("watch: %w", err)
		}
		w.say(err)
		wait := watchEvery
		switch {
		case err != nil:
			failures++
			wait = outbox.Backoff(failures)
		case behind:
			failures, wait = 0, 0
		default:
			failures = 0
		}
		select {
		case <-stop.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// say prints that the watch has begun, and when the database becomes unavailable and available.
func (w *watch) say(err error) {
	switch {
	case err != nil && !w.lost:
		fmt.Fprintf(w.f.p.Stderr, "the database is unavailable, waiting for it: %v\n", err)
	case err == nil && w.lost:
		fmt.Fprintln(w.f.p.Stderr, "the database is available again")
	case err == nil && !w.begun:
		for _, reason := range w.idle {
			fmt.Fprintln(w.f.p.Stderr, reason)
		}
		fmt.Fprintln(w.f.p.Stderr, "waiting for deliveries; Ctrl-C ends it")
	}
	w.lost, w.begun = err != nil, w.begun || err == nil
}

// look prints what ended since the last read. behind: there is more already.
func (w *watch) look(ctx context.Context) (behind bool, err error) {
	all, next, behind, err := w.db.Watch(ctx, w.wanted, w.from)
	if err != nil {
		return false, err
	}
	for _, s := range all {
		key := seenKey{s.ID, s.At.UnixMicro()}
		if _, known := w.seen[key]; !known {
			w.seen[key] = s.At
			w.print(s)
		}
	}
	w.from = next
	for key, at := range w.seen {
		if at.Before(next) {
			delete(w.seen, key)
		}
	}
	return behind, nil
}

// watchLine is what --json prints for each.
type watchLine struct {
	ID         int64     `json:"id" about:"webhook.outbox.id"`
	Event      string    `json:"event" about:"its name"`
	Status     string    `json:"status" about:"what it is now; pending will be sent again"`
	At         time.Time `json:"at" about:"when it finished, or when the attempt failed"`
	Attempts   int       `json:"attempts" about:"how often it was claimed"`
	Document   *string   `json:"document_id" about:"the document's id, of document.exported"`
	HTTPStatus *int      `json:"http_status" about:"of the answer"`
	Failure    *string   `json:"failure" about:"the class of the failure"`
	Error      *string   `json:"error" about:"the failure in words"`
}

func (w *watch) print(s store.Seen) {
	if w.asJSON {
		w.unwritten = cmp.Or(w.unwritten, json.NewEncoder(w.f.p.Stdout).Encode(watchLine{
			ID: s.ID, Event: s.Event, Status: s.Status, At: s.At.UTC(), Attempts: s.Attempts, Document: orNil(s.DocumentID),
			HTTPStatus: orNil(s.HTTPStatus), Failure: orNil(s.Failure), Error: orNil(s.Error)}))
		return
	}
	answer := "-"
	if s.HTTPStatus != 0 {
		answer = fmt.Sprint(s.HTTPStatus)
	}
	status := s.Status
	if s.Status == "pending" {
		status = fmt.Sprintf("pending, attempt %d", s.Attempts)
	}
	line := fmt.Sprintf("%s  %3s  %-20s  %d  %s", s.At.Local().Format("15:04:05.000"), answer, s.Event, s.ID, status)
	if s.DocumentID != "" {
		line += "  document " + cut(visible(s.DocumentID), 20)
	}
	if s.Error != "" {
		line += ": " + visible(s.Error)
	}
	if width := w.f.screenWidth(); width > 0 {
		line = cut(line, width)
	}
	if _, err := fmt.Fprintln(w.f.p.Stdout, line); err != nil {
		w.unwritten = err
	}
}
