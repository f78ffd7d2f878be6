package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

// listDocument is a part of the list of deliveries.
type listDocument struct {
	Deliveries []listDelivery `json:"deliveries" about:"the newest first"`
	Next       *string        `json:"next" about:"the value of --before with which the list goes on; null: it is complete"`
}

// listDelivery is an event.
type listDelivery struct {
	ID         int64      `json:"id" about:"webhook.outbox.id"`
	Channel    string     `json:"channel" about:"its channel"`
	Event      string     `json:"event" about:"its name"`
	Status     string     `json:"status" about:"pending, sending, sent, failed, skipped, superseded or cancelled"`
	InFlight   bool       `json:"in_flight" about:"a worker holds it"`
	Test       bool       `json:"is_test" about:"it is a test event"`
	Document   *string    `json:"document_id" about:"the document's id, of document.exported"`
	Attempts   int        `json:"attempts" about:"how often it was claimed"`
	At         *time.Time `json:"at" about:"when it finished, or else when it happened; null where no calendar has it"`
	Due        *time.Time `json:"due_at" about:"not attempted before; null where no calendar has it"`
	HTTPStatus *int       `json:"http_status" about:"of the newest attempt"`
	Failure    *string    `json:"failure" about:"the class of the newest attempt's failure"`
	Received   *string    `json:"received" about:"whether the receiver has it: no, maybe or yes"`
	Error      *string    `json:"error" about:"the failure in words, at most 1000 characters of it"`
	Hint       *string    `json:"hint" about:"what that means and what to do"`
}

// listCommand is `webhooks list`: the page's deliveries.
var listCommand = command{
	name: "list", group: groupRead, role: readerRole, document: listDocument{},
	about: "list deliveries, the newest first, by the filters of the page",
	text: "AGE is how long ago the event finished, or else happened. What the receiver answered is cut to the width of a terminal; " +
		"webhooks show has all of it. A search among very many deliveries ends after 20 seconds and says how to go on.",
	examples: []string{
		"what failed today, with its reason: webhooks list --status failed --since 24h",
		"the exports of one document: webhooks list --document 42 --limit 5",
	},
	flags: func(f *flags) action {
		find := f.filter()
		limit := f.Int("limit", 50, "at most `n`, up to 10000")
		before := &placeFlag{}
		f.Var(before, "before", "older than this one, or where an earlier list said that it goes on")
		database, asJSON := f.database(), f.json()
		return func(_, stop context.Context, _ []string) error {
			wanted, err := find.read(time.Now())
			if err != nil {
				return err
			}
			if *limit < 1 || *limit > 10000 {
				return usagef("list: --limit: %d is not from 1 to 10000", *limit)
			}
			return withDatabase(stop, f, *database, func(db *sqlx.DB) error {
				l, err := searchList(stop, store.NewAdmin(db, f.p.Schema), wanted, before.ListPlace, *limit)
				switch {
				case err != nil:
					return fmt.Errorf("list: %w", err)
				case *asJSON:
					return writeJSON(f.p.Stdout, l.document())
				}
				return f.printList(l)
			})
		}
	},
}

// searchFor is how long a search goes on; each of its steps is short.
const searchFor = 20 * time.Second

// deliveryList is what a search has found.
type deliveryList struct {
	rows []admin.Delivery
	next admin.ListPlace
	more bool // it goes on at next
	full bool // as many as were wanted
}

// lister is the part of store.Admin that a list needs.
type lister interface {
	Deliveries(ctx context.Context, f admin.DeliveryFilter, place admin.DeliveryPlace, most int) (admin.DeliveryList, error)
}

// searchList reads pages of the list until it has enough rows.
func searchList(ctx context.Context, db lister, wanted admin.DeliveryFilter, from admin.ListPlace, limit int) (l deliveryList, err error) {
	l.next, l.more = from, true
	for began := time.Now(); l.more && len(l.rows) < limit && time.Since(began) < searchFor; {
		page, err := db.Deliveries(ctx, wanted, l.next.DeliveryPlace, limit-len(l.rows))
		if err != nil {
			return l, err
		}
		l.rows = append(l.rows, page.Rows...)
		l.next, l.more = l.next.After(page)
	}
	l.full = len(l.rows) == limit
	return l, nil
}

func (l deliveryList) document() listDocument {
	d := listDocument{Deliveries: []listDelivery{}}
	for _, r := range l.rows {
		channel, _ := outbox.ChannelOf(r.Event)
		d.Deliveries = append(d.Deliveries, listDelivery{
			ID: r.ID, Channel: channel.Name, Event: r.Event, Status: r.Status, InFlight: r.Leased, Test: r.IsTest, Document: orNil(r.Document),
			Attempts: r.Attempts, At: instant(r.At.Time), Due: instant(r.Due), HTTPStatus: orNil(r.HTTPStatus), Failure: orNil(r.Failure),
			Received: orNil(r.Received), Error: orNil(r.Error), Hint: orNil(r.Hint),
		})
	}
	if l.more {
		next := placeText(l.next)
		d.Next = &next
	}
	return d
}

func (f *flags) printList(l deliveryList) error {
	now := time.Now()
	documents := slices.ContainsFunc(l.rows, func(d admin.Delivery) bool { return d.Document != "" })
	t := table{rows: [][]string{{"ID", "AGE", "STATUS", "CHANNEL", "ANSWER"}}, right: map[int]bool{0: true, 1: true}}
	if documents {
		t.rows[0] = slices.Insert(t.rows[0], 4, "DOCUMENT")
	}
	for _, d := range l.rows {
		channel, _ := outbox.ChannelOf(d.Event)
		row := []string{fmt.Sprint(d.ID), age(d.At.Time, now), d.Status, channel.Name, visible(outcome(d))}
		if documents {
			row = slices.Insert(row, 4, cut(visible(d.Document), 20))
		}
		t.add(row...)
	}
	if len(l.rows) > 0 {
		if err := t.write(f.p.Stdout, f.screenWidth()); err != nil {
			return err
		}
	}
	switch {
	case l.more && l.full:
		fmt.Fprintf(f.p.Stderr, "older ones: add --before %s\n", placeText(l.next))
	case l.more:
		fmt.Fprintf(f.p.Stderr, "the search has not seen all; to go on: add --before %s\n", placeText(l.next))
	case len(l.rows) == 0:
		fmt.Fprintln(f.p.Stderr, "there is no such delivery")
	}
	return nil
}

// outcome is what the newest attempt ended with, or why there was none.
func outcome(d admin.Delivery) string {
	switch {
	case d.Leased:
		return "being sent now"
	case d.Error != "":
		return d.Error
	case d.Answer() != "":
		return d.Answer()
	}
	return d.Means()
}
