package integration_test

import (
	"fmt"
	"testing"
)

// As drivers and ORMs bind their parameters: untyped, text, varchar, json, jsonb.
func TestPublish_TakesWhatDriversBind(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	const object = `'{"contact_id": 7, "amount": 12500.00}'`
	for _, event := range []string{`'contact.created'`, `'contact.created'::text`, `'contact.created'::varchar`, `'contact.created'::varchar(40)`} {
		for _, data := range []string{object, object + `::text`, object + `::varchar`, object + `::varchar(1000)`, object + `::json`, object + `::jsonb`} {
			for _, at := range []string{``, `now()`, `'2026-03-22T08:30:00Z'`, `null`, `'2026-03-22 08:30:00'::timestamp`} {
				calls := []string{fmt.Sprintf(`%s, %s`, event, data), fmt.Sprintf(`event => %s, data => %s`, event, data)}
				if at != "" {
					calls = []string{fmt.Sprintf(`%s, %s, %s`, event, data, at), fmt.Sprintf(`occurred_at => %s, data => %s, event => %s`, at, data, event)}
				}
				for _, call := range calls {
					var id int64
					if err := db.Get(&id, `select webhook.publish(`+call+`)`); err != nil {
						t.Errorf("publish(%s): %s", call, complaintOf(err))
						continue
					}
					if got := db.ask(`select data ->> 'amount' from webhook.outbox where id = $1`, id); got != "12500.00" {
						t.Errorf("publish(%s) wrote the amount %s", call, got)
					}
				}
			}
		}
	}
	for _, prepared := range []string{`text, text`, `varchar, varchar`, `text, json`, `text, jsonb`, `unknown, unknown`, `text, unknown`} {
		db.exec(fmt.Sprintf(`prepare p (%s) as select webhook.publish($1, $2); execute p('audit.log', '{}'); deallocate p`, prepared))
	}
	with(t, "null", db.ask(`select webhook.publish('audit.log', null)`), "23502", "data is null", "HINT: Did the query that makes the data find no row?")
	with(t, "null::jsonb", db.ask(`select webhook.publish('audit.log', null::jsonb)`), "23502", "data is null", "HINT: Did the query that makes the data find no row?")
	with(t, "an array", db.ask(`select webhook.publish('audit.log', '[]'::jsonb)`), "23514", "JSON array")
	with(t, "no JSON", db.ask(`select webhook.publish('audit.log', '{"a"'::text)`), "22P02")
	with(t, "an unknown event", db.ask(`select webhook.publish('x', '{}'::text)`), "23514", `unknown event "x"`)
}

func TestOutcome_TellsAProducerWhatBecameOfItsEvent(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	sent := db.inState("sent", "document.exported", `{"id": 42}`)
	refused := db.inState("refused", "document.exported", `{"id": 43}`)
	app := loginRole(t, db, "webhook_producer")
	for id, want := range map[int64]string{
		sent:    "(sent,1,t,t,200,,yes)",
		refused: "(pending,1,f,f,503,server_error,no)",
	} {
		if got := app.ask(`select (status, attempts, finished_at is not null, synced_at is not null, http_status, failure, received)::text from webhook.outcome($1)`, id); got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
	if n := app.count(`select count(*) from webhook.outcome(987654321)`); n != 0 {
		t.Errorf("%d rows of an event that does not exist", n)
	}
	app.may(`select webhook.publish('audit.log', '{}'::jsonb)`, `select webhook.publish('audit.log', '{}'::text)`, `select webhook.publish('audit.log', '{}'::json)`)
}
