package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
	"github.com/recordengine/webhooks/store"
)

func TestExplain_SaysWhereAnEventIs(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://user:"+secret+"@re.example:8443/"+secret)
	contact := func(state string) int64 { return db.inState(state, "contact.created", `{"name": "x"}`) }
	document := func(state string) int64 {
		return db.inState(state, "document.exported", fmt.Sprintf(`{"id": %q}`, state))
	}
	again := "To send it again: select webhook.retry("
	db.explained(contact("sent"), "(contact.created, of 20", " was delivered at 20", "the receiver answered with HTTP 200.", "leads to re.example:8443 now", again)
	db.explained(document("sent"), "of document sent, of 20", "was delivered at")
	db.explained(contact("failed"), "failed at 20", "will not be sent again automatically", "HTTP 500 Internal Server Error", again)
	db.explained(contact("unknown"), "interrupted: outcome unknown", "unknown whether the receiver has the event", again)
	db.explained(contact("skipped"), "was skipped at 20", "because the channel contacts was off", "will not be sent automatically", again)
	db.explained(contact("cancelled"), "was cancelled by a person at 20", again)
	db.explained(contact("sending"), "is being sent now, by worker host:7 since 20")
	db.explained(document("leased"), "is being sent now, by worker host:7 since 20")
	db.explained(contact("died"), "was being sent by worker host:7, whose lease ended at 20", "marks the event as failed, since the receiver may have it")
	db.explained(document("expired"), "was being sent by worker host:7", "sends the event again")
	db.explained(document("refused"), "HTTP 503 Service Unavailable from https://re.example", "is due since")

	with(t, "no such event", db.ask(`select webhook.explain(987654321)`), "There is no event 987654321.", "never have been committed", "pruned")
	with(t, "null", db.ask(`select webhook.explain(null)`), "There is no event null.")
	tests := insertTest(db, "rule.executed")
	db.explained(tests, fmt.Sprintf("Test event %d (rule.executed, of 20", tests), "waits for")
}

func TestExplain_SaysWhatAPendingEventWaitsFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setting, event, columns string
		parts                   []string
	}{
		"a worker":                  {``, "contact.created", `due_at = now()`, []string{"is due since 20", "waits for a worker", "check that one is running"}},
		"no worker":                 {``, "contact.created", `due_at = now() - interval '1 hour'`, []string{"is due since 20", "none seems to be running", "webhooks run"}},
		"Offline Mode":              {`update webhook.settings set offline_mode = true`, "contact.created", ``, []string{"Offline Mode is on", "update webhook.settings set offline_mode = false"}},
		"Offline Mode, off":         {`update webhook.settings set offline_mode = true; update webhook.channels set enabled = false`, "contact.created", ``, []string{"Offline Mode is on"}},
		"the documents' switch":     {`update webhook.channels set enabled = false`, "document.exported", ``, []string{"waits because the channel documents is off", "update webhook.channels set enabled = true where name = 'documents'"}},
		"being skipped":             {`update webhook.channels set enabled = false`, "audit.log", ``, []string{"the channel audit_log is off", "becomes skipped", "set enabled = true where name = 'audit_log'"}},
		"a URL":                     {`update webhook.channels set url = null`, "contact.created", ``, []string{"waits because the channel contacts cannot be called: it has no URL", "update webhook.channels set url = 'https://...' where name = 'contacts'"}},
		"a URL that parses":         {`update webhook.channels set url = 'https://` + secret + `:` + secret + `/'`, "contact.created", ``, []string{"cannot be called: its URL does not parse"}},
		"the base URL":              {`update webhook.settings set document_base_url = null`, "document.exported", ``, []string{"no document_base_url", "update webhook.settings set document_base_url"}},
		"no base URL, not needed":   {`update webhook.settings set document_base_url = null`, "contact.created", ``, []string{"is due since"}},
		"its time, never attempted": {``, "contact.created", `due_at = now() + interval '1 hour'`, []string{"was not attempted yet; it is due at 20"}},
		"its time":                  {``, "document.exported", states["refused"] + `, attempts = 3, due_at = now() + interval '1 hour'`, []string{"was not delivered yet, after 3 attempts; the next attempt is due at 20", "HTTP 503"}},
		"a free slot":               {`insert into webhook.outbox (event, data) values ('contact.created', '{}'); update webhook.outbox set status = 'sending', ` + held, "contact.created", ``, []string{"one attempt is in flight on the channel", "at most 128 at once (max_in_flight)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ready(t, "https://re.example/"+secret)
			if c.setting != "" {
				db.exec(c.setting)
			}
			id := db.publish(c.event, `{"id": 42}`)
			if c.columns != "" {
				db.become(id, c.columns)
			}
			db.explained(id, append(c.parts, fmt.Sprintf("Event %d (%s", id, c.event))...)
		})
	}
}

func TestExplain_NamesTheOtherExportsOfADocument(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	older := db.inState("leased", "document.exported", `{"id": 42}`)
	later := db.document("42")
	db.explained(later, fmt.Sprintf("waits for the attempt of event %d of the same document", older), "worker host:7 started at 20", "one at a time")
	db.exec(`update webhook.outbox set leased_until = null where id = $1`, older)
	db.explained(older, fmt.Sprintf("will not be sent: event %d is a later export of the same document", later))
	db.exec(`update webhook.settings set offline_mode = true`)
	db.explained(older, "will not be sent") // not that it waits for Offline Mode to end
	db.exec(`update webhook.settings set offline_mode = false`)

	rcv := newReceiver(t, nil)
	db.exec(`update webhook.channels set url = $1`, rcv.URL)
	db.once()
	db.explained(older, "was superseded at 20", "event "+fmt.Sprint(later)+" is a later export of the same document. An attempt of this one may have arrived.",
		fmt.Sprintf("cannot be sent again: event %d is a later export of the same document (select webhook.explain(%d))", later, later))
	db.explained(later, "was delivered at")
}

func TestExplain_SaysWhoSentAnEventAgainAndWhatItWasBefore(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	id := db.inState("failed", "contact.created", `{}`)
	db.number(`select webhook.retry_failed()`)
	db.explained(id, "(Sent again by "+db.user()+" at 20", "; before that it was failed, with HTTP 500 Internal Server Error from https://re.example.)")
	db.ask(`select webhook.cancel($1)`, id)
	db.explained(id, "was cancelled by a person", "(Cancelled by "+db.user()+" at 20", "; before that it was pending.)")
	db.exec(`update webhook.channels set enabled = false`)
	db.explained(id, "To send it again, turn the channel on (update webhook.channels set enabled = true where name = 'contacts'), then: select webhook.retry(")
}

func TestExplain_IsOneParagraphWhateverTheApplicationWrote(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	for _, data := range []string{`{"id": "a\nb\r\n\tc"}`, `{"id": "%s %d %n"}`, `{"id": "  "}`, `{"id": "\u001b[31mred"}`, `{"id": "x'); drop table webhook.outbox; --"}`} {
		id := db.publish("document.exported", data)
		db.explained(id, fmt.Sprintf("Event %d (document.exported of document ", id))
	}
	for _, at := range []string{"infinity", "-infinity", "294276-12-31 23:59:59Z", "4713-01-01 00:00:00Z BC"} {
		id := db.publish("contact.created", `{}`)
		db.exec(`update webhook.outbox set occurred_at = $2 where id = $1`, id, at)
		year, _, _ := strings.Cut(at, "-12")
		year, _, _ = strings.Cut(year, "-01")
		db.explained(id, "of "+year)
	}
}

// The attempt in flight has no outcome yet: the error is that of the one before.
func TestExplain_TheErrorBesideAnAttemptInFlightIsThatOfTheOneBefore(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	id := db.inState("refused", "document.exported", `{"id": 42}`)
	pool, err := store.Open(db.address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if got, err := store.New(pool, time.Hour).Claim(t.Context(), uuid.NewString(), []outbox.Capacity{{Channel: "documents"}}); len(got) != 1 || err != nil {
		t.Fatal(got, err)
	}
	db.explained(id, "is being sent now, by worker", "The attempt before this one ended with: HTTP 503")
}
