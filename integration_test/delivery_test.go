package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/envelope/fixtures"
	"github.com/recordengine/webhooks/outbox"
)

const exampleTime = "2026-03-22T08:30:00Z"

// exampleData is the data of the spec's example of an event.
func exampleData(t testing.TB, event string) string {
	t.Helper()
	data, err := os.ReadFile("../envelope/testdata/examples/" + event + ".data.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// exampleBytes are the bytes that are sent for the spec's example of an event: compacted,
// and in a document custom_03 to custom_20 follow custom_02 as null.
func exampleBytes(t testing.TB, event string) string {
	t.Helper()
	text, err := os.ReadFile("../envelope/testdata/examples/" + event + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		t.Fatal(err)
	}
	if event != "document.exported" {
		return compact.String()
	}
	const last = `"custom_02":"Finance Manager",`
	if strings.Count(compact.String(), last) != 1 {
		t.Fatalf("the example of a document no longer ends its custom columns with %s", last)
	}
	nulls := last
	for n := 3; n <= 20; n++ {
		nulls += fmt.Sprintf(`"custom_%02d":null,`, n)
	}
	return strings.Replace(compact.String(), last, nulls, 1)
}

func TestDelivery_ExamplesArriveByteForByte(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]string{
		"published": `select webhook.publish($1, $2, $3)`,
		"inserted":  `insert into webhook.outbox (event, data, occurred_at) values ($1, $2, $3) returning id`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rcv := newReceiver(t, nil)
			db := ready(t, rcv.URL)
			startWorker(t, quick(db.address))
			for _, c := range outbox.Channels() {
				var id int64
				if err := db.Get(&id, write, c.Event, exampleData(t, c.Event), exampleTime); err != nil {
					t.Fatal(err)
				}
				eventually(t, c.Event+" is sent", func() bool { return db.status(id) == "sent" })
				got := rcv.of(id)
				if len(got) != 1 {
					t.Fatalf("%s was received %d times", c.Event, len(got))
				}
				if want := exampleBytes(t, c.Event); got[0].body != want {
					t.Errorf("%s\n got %s\nwant %s", c.Event, got[0].body, want)
				}
				if got[0].path != "/"+c.Name {
					t.Errorf("%s went to the endpoint %s", c.Event, got[0].path)
				}
				synced := db.row(id).SyncedAt != nil
				if synced != (c.Event == "document.exported") {
					t.Errorf("%s: synced_at is set: %t", c.Event, synced)
				}
			}
		})
	}
}

// wantHeaders are all the headers that a request may have.
func wantHeaders(db *database, r receipt, token string) http.Header {
	db.t.Helper()
	var webhookID string
	if err := db.Get(&webhookID, `select webhook.webhook_id(o) from webhook.outbox o where id = $1`, r.id()); err != nil {
		db.t.Fatal(err)
	}
	want := http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {fmt.Sprint(len(r.body))},
		"User-Agent":     {"RecordEngine-Webhooks/" + programVersion(db.t)},
		"Webhook-Id":     {webhookID},
	}
	if token != "" {
		want["Authorization"] = []string{"Bearer " + token}
	}
	return want
}

func TestDelivery_RequestHasTheContractsHeadersAndNoOther(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	for _, c := range []struct{ name, auth, token, sent string }{
		{"no authentication", "none", "", ""},
		{"a token that is not in use", "none", "tok_unused", ""},
		{"a bearer token", "bearer", "tok_geheim-1", "tok_geheim-1"},
	} {
		db.exec(`update webhook.settings set auth = $1, bearer_token = nullif($2, 'null')`, c.auth, c.token)
		for _, event := range []string{"document.exported", "contact.created"} {
			id := db.publish(event, fmt.Sprintf(`{"id": %q, "status": "Export"}`, c.name))
			eventually(t, "the event is sent", func() bool { return db.status(id) == "sent" })
			got := rcv.of(id)[0]
			if want := wantHeaders(db, got, c.sent); !maps.EqualFunc(got.header, want, slices.Equal) {
				t.Errorf("%s, %s\n got %v\nwant %v", c.name, event, got.header, want)
			}
		}
	}
}

func TestDelivery_RolledBackTransactionDeliversNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))

	undone := map[int64]bool{}
	var last int64
	for n := range 20 {
		tx := db.MustBegin()
		for _, c := range outbox.Channels() {
			var id int64
			if err := tx.Get(&id, `select webhook.publish($1, json_build_object('id', $2::int, 'status', 'Export'))`, c.Event, n); err != nil {
				t.Fatal(err)
			}
			undone[id] = true
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		last = db.publish("contact.created", `{}`)
	}
	eventually(t, "the event that was committed last is sent", func() bool { return db.status(last) == "sent" })
	for _, r := range rcv.all() {
		if undone[r.id()] {
			t.Errorf("event %d was received although its transaction was rolled back", r.id())
		}
	}
	if n := db.count(`select count(*) from webhook.outbox`); n != 20 {
		t.Errorf("%d rows, 20 were committed", n)
	}
}

func TestDelivery_RolledBackSavepointDeliversNothing(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	tx := db.MustBegin()
	tx.MustExec(`select webhook.publish('contact.created', '{"name": "kept"}')`)
	tx.MustExec(`savepoint s`)
	tx.MustExec(`select webhook.publish('contact.created', '{"name": "undone"}')`)
	tx.MustExec(`rollback to savepoint s`)
	tx.MustExec(`select webhook.publish('contact.created', '{"name": "kept too"}')`)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are sent", func() bool { return db.count(`select count(*) from webhook.outbox where status = 'sent'`) == 2 })
	for _, r := range rcv.all() {
		if strings.Contains(r.body, "undone") {
			t.Error("an event that was rolled back was received")
		}
	}
}

func TestDelivery_EventsOfManyConnectionsArriveOnce(t *testing.T) {
	t.Parallel()
	const connections, each = 20, 25
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	startWorker(t, quick(db.address))

	events := outbox.Channels()
	var writing sync.WaitGroup
	for n := range connections {
		writing.Go(func() {
			for i := range each {
				_, err := db.Exec(`insert into webhook.outbox (event, data) values ($1, json_build_object('id', $2::int, 'status', 'Export'))`,
					events[(n+i)%len(events)].Event, n*each+i)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	eventually(t, "all are sent", func() bool {
		return db.count(`select count(*) from webhook.outbox where status = 'sent'`) == connections*each
	})
	times := map[int64]int{}
	for _, r := range rcv.all() {
		times[r.id()]++
	}
	for _, r := range db.rows() {
		if times[r.ID] != 1 {
			t.Errorf("event %d was received %d times", r.ID, times[r.ID])
		}
	}
}

// A case is inserted as a test event: most are of document 1, and one export of a document
// supersedes another.
const insertCase = `insert into webhook.outbox (event, data, occurred_at, is_test) values ($1, $2, $3, true) returning id`

func TestDelivery_RenderCasesThroughTheDatabase(t *testing.T) {
	t.Parallel()
	cases, err := fixtures.Load("../envelope/testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	perBase := map[string][]fixtures.Case{}
	for _, c := range cases {
		if !c.RenderOnly {
			perBase[c.DocumentBaseURL] = append(perBase[c.DocumentBaseURL], c)
		}
	}
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	startWorker(t, quick(db.address))
	through := 0
	for base, group := range perBase {
		db.exec(`update webhook.settings set document_base_url = $1`, base)
		byID := map[int64]fixtures.Case{}
		for _, c := range group {
			var id int64
			if err := db.Get(&id, insertCase, c.Event, string(c.Data), c.OccurredAt); err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			byID[id] = c
		}
		eventually(t, "all are finished", func() bool {
			return db.count(`select count(*) from webhook.outbox where finished_at is null`) == 0
		})
		for id, c := range byID {
			checkCase(t, db, rcv, id, c)
		}
		through += len(byID)
	}
	t.Logf("%d of %d cases went through the database", through, len(cases))
}

// checkCase compares the row and the receipt of a case with what it expects.
func checkCase(t *testing.T, db *database, rcv *receiver, id int64, c fixtures.Case) {
	t.Helper()
	r, got := db.row(id), rcv.of(id)
	if c.WantError != "" {
		if r.Status != "failed" || value(r.Failure) != "render" || value(r.Error) != c.WantError || len(got) != 0 {
			t.Errorf("%s: %s, received %d times, with the error\n got %s\nwant %s", c.Name, r.Status, len(got), value(r.Error), c.WantError)
		}
		return
	}
	if r.Status != "sent" || len(got) != 1 {
		t.Errorf("%s: %s, received %d times, error %s", c.Name, r.Status, len(got), value(r.Error))
		return
	}
	if got[0].body != string(c.Want) {
		t.Errorf("%s\n got %s\nwant %s", c.Name, got[0].body, c.Want)
	}
	// document_id keeps the exports of one document in order, so each that can be sent needs one.
	// Test events do not store it.
	if n := db.count(`select count(*) from webhook.outbox where id = $1 and webhook.document_id(data) is null`, id); n != 0 && c.Event == "document.exported" {
		t.Errorf("%s: it has no document_id", c.Name)
	}
}

// notThrough are the cases that cannot go through the database as they are written, each
// with how the database rejects it: an SQLSTATE, the name of a constraint, or "" where it
// accepts the value but reads it differently (a time without an offset, the name of a
// zone) or the row would wait.
var notThrough = map[string]string{
	"numbers/a leading zero is no JSON":                       "22P02",
	"text/a tab that is not escaped is no JSON":               "22P02",
	"timestamps/RFC 3339 with a fraction is cut, not rounded": "",
	"timestamps/a year of five digits":                        "",
	"timestamps/a year before Christ":                         "",
	"timestamps/empty":                                        "22007",
	"timestamps/five digits after the offset":                 "",
	"timestamps/before Christ after the offset":               "",
	"timestamps/the year zero":                                "22008",
	"timestamps/no offset":                                    "",
	"timestamps/no time":                                      "",
	"timestamps/no seconds":                                   "",
	"timestamps/words":                                        "",
	"timestamps/seconds since 1970":                           "22008",
	"timestamps/another DateStyle":                            "22008",
	"timestamps/the thirtieth of February":                    "22008",
	"timestamps/the 25th hour":                                "22008",
	"timestamps/a space too many":                             "",
	"timestamps/a name of a zone":                             "",
	"timestamps/something after it":                           "22007",
	"timestamps/a null":                                       "22007",
	"timestamps/a long text is cut":                           "22007",
	"types/no data at all":                                    "22P02",
	"types/data that is a list":                               "outbox_data_is_an_object",
	"types/data that is null":                                 "outbox_data_is_an_object",
	"types/data that is text":                                 "outbox_data_is_an_object",
	"types/data that is a number":                             "outbox_data_is_an_object",
	"types/data that is a boolean":                            "outbox_data_is_an_object",
	"types/data that breaks off":                              "22P02",
	"types/two objects":                                       "22P02",
	"types/a comma too many":                                  "22P02",
	"types/NaN is no JSON":                                    "22P02",
	"types/a byte order mark is no JSON":                      "22P02",
	"types/an unknown event":                                  "outbox_event_is_known",
	"types/an event in capitals":                              "outbox_event_is_known",
	"types/no event":                                          "outbox_event_is_known",
	"types/a channel's name is no event":                      "outbox_event_is_known",
	"urls/an empty base":                                      "", // not claimed without one
	"urls/a base with letters that HTML and JSON know":        "", // not claimed with a ?
	"urls/a base of slashes":                                  "settings_document_base_url_is_http_or_https",
}

func TestDelivery_RenderCasesThatTheDatabaseRejects(t *testing.T) {
	t.Parallel()
	cases, err := fixtures.Load("../envelope/testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	db := ready(t, "http://127.0.0.1:1")
	listed := maps.Clone(notThrough)
	for _, c := range cases {
		want, known := listed[c.Name]
		if known != c.RenderOnly {
			t.Errorf("%s: listed as one that does not go through: %t; marked so in its file: %t", c.Name, known, c.RenderOnly)
		}
		delete(listed, c.Name)
		if !c.RenderOnly {
			continue
		}
		if got := refusal(insertWithBase(db, c)); got != want {
			t.Errorf("%s: rejected by %q, expected %q", c.Name, got, want)
		}
	}
	for name := range listed {
		t.Errorf("%s is listed, but there is no such case", name)
	}
}

func insertWithBase(db *database, c fixtures.Case) error {
	if _, err := db.Exec(`update webhook.settings set document_base_url = $1`, c.DocumentBaseURL); err != nil {
		return err
	}
	_, err := db.Exec(insertCase, c.Event, string(c.Data), c.OccurredAt)
	return err
}

// refusal names the constraint that rejected a statement, otherwise the SQLSTATE; "" if
// it was accepted.
func refusal(err error) string {
	var pe *pq.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &pe):
		return err.Error()
	case pe.Constraint != "":
		return pe.Constraint
	}
	return string(pe.Code)
}

// oneAttempts are the events that are delivered at most once: all except the spec's documents.
func oneAttempts() (events []string) {
	for _, c := range outbox.Channels() {
		if c.Event != "document.exported" {
			events = append(events, c.Event)
		}
	}
	return events
}
