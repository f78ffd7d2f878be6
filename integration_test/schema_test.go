package integration_test

import (
	"strings"
	"testing"

	"github.com/lib/pq"
)

func TestOutbox_RefusesAnUnknownEventAndDataThatIsNoObject(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	for _, c := range []struct{ event, data, constraint, message, hint string }{
		{"document.deleted", `{}`, "outbox_event_is_known", `unknown event "document.deleted"`, "document.exported, contact.created"},
		{"Contact.Created", `{}`, "outbox_event_is_known", `unknown event "Contact.Created"`, "audit.log"},
		{"", `{}`, "outbox_event_is_known", `unknown event ""`, "audit.log"},
		{"contact.created ", `{}`, "outbox_event_is_known", `unknown event "contact.created "`, "audit.log"},
		{"contact.created", `[]`, "outbox_data_is_an_object", "data is a JSON array, an object was expected", "row_to_json"},
		{"contact.created", `"x"`, "outbox_data_is_an_object", "data is a JSON string, an object was expected", "row_to_json"},
		{"contact.created", `7`, "outbox_data_is_an_object", "data is a JSON number, an object was expected", "row_to_json"},
		{"contact.created", `null`, "outbox_data_is_an_object", "data is a JSON null, an object was expected", "row_to_json"},
		{"document.exported", `true`, "outbox_data_is_an_object", "data is a JSON boolean, an object was expected", "row_to_json"},
	} {
		for _, write := range []string{`select webhook.publish($1, $2)`, `insert into webhook.outbox (event, data) values ($1, $2)`, `insert into webhook.outbox (event, data, is_test) values ($1, $2, true)`} {
			_, err := db.Exec(write, c.event, c.data)
			pe, _ := err.(*pq.Error) //nolint:errorlint // nil if it is none
			if pe == nil || pe.Code != "23514" || pe.Constraint != c.constraint || !strings.Contains(pe.Message, c.message) || !strings.Contains(pe.Hint, c.hint) {
				t.Errorf("%s, %q %s: %v", write, c.event, c.data, err)
			}
		}
	}
	for statement, code := range map[string]string{
		`select webhook.publish(null, '{}')`:                                               "23502",
		`select webhook.publish('contact.created', null)`:                                  "23502",
		`insert into webhook.outbox (event) values ('contact.created')`:                    "23502",
		`select webhook.publish('contact.created', '{"a": ')`:                              "22P02",
		`insert into webhook.outbox (id, event, data) values (1, 'contact.created', '{}')`: "428C9",
	} {
		_, err := db.Exec(statement)
		if pe, _ := err.(*pq.Error); pe == nil || string(pe.Code) != code { //nolint:errorlint // nil if it is none
			t.Errorf("%s: %v, SQLSTATE %s was expected", statement, err, code)
		}
	}
}

func TestChannels_AndSettingsCannotBeRemoved(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	before := db.count(`select count(*) from webhook.channels`)
	for statement, hint := range map[string]string{
		`delete from webhook.channels where name = 'rules'`: "enabled = false",
		`truncate webhook.channels`:                         "enabled = false",
		`delete from webhook.settings`:                      "offline_mode = true",
		`truncate webhook.settings`:                         "offline_mode = true",
	} {
		_, err := db.Exec(statement)
		pe, _ := err.(*pq.Error) //nolint:errorlint // nil if it is none
		if pe == nil || pe.Code != "23001" || !strings.Contains(pe.Message, "cannot be removed") || !strings.Contains(pe.Hint, hint) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if channels, settings := db.count(`select count(*) from webhook.channels`), db.count(`select count(*) from webhook.settings`); channels != before || settings != 1 {
		t.Errorf("%d channels of %d and %d rows of settings are left", channels, before, settings)
	}
}

func TestOutbox_ConstraintsHoldTheLifeCycles(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	const (
		document = "document.exported"
		contact  = "contact.created"
		claimed  = "attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'w', claimed_at = now(), leased_until = now()"
		sent     = "status = 'sent', finished_at = now(), http_status = 200, received = 'yes'"
		failed   = "status = 'failed', finished_at = now(), failure = 'rejected', received = 'no'"
	)
	for _, c := range []struct {
		event, set string
		isTest     bool
		constraint string // "" means: accepted
	}{
		{event: document, set: claimed},
		{event: document, set: sent + ", synced_at = now()"},
		{event: document, set: "status = 'superseded', finished_at = now()"},
		{event: document, set: "status = 'cancelled', finished_at = now()"},
		{event: document, set: "error = 'x', http_status = 500, failure = 'server_error', received = 'no', attempts = 3"},
		{event: contact, set: "status = 'sending', " + claimed},
		{event: contact, set: sent},
		{event: contact, set: failed + ", error = 'x'"},
		{event: contact, set: failed},
		{event: contact, set: "status = 'skipped', finished_at = now()"},
		{event: document, isTest: true, set: "status = 'sending', " + claimed},
		{event: document, isTest: true, set: failed},
		{event: document, isTest: true, set: sent + ", synced_at = now()"},

		{event: contact, set: "status = 'done'", constraint: "outbox_status_is_known"},
		{event: contact, set: "status = 'Sent'", constraint: "outbox_status_is_known"},
		{event: contact, set: "attempts = -1", constraint: "outbox_attempts_is_a_count"},
		{event: document, set: "status = 'sending', " + claimed, constraint: "outbox_at_least_once_stays_pending"},
		{event: document, set: failed, constraint: "outbox_at_least_once_stays_pending"},
		{event: document, set: "status = 'skipped', finished_at = now()", constraint: "outbox_at_least_once_stays_pending"},
		{event: contact, set: "status = 'superseded', finished_at = now()", constraint: "outbox_only_a_document_is_superseded"},
		{event: document, isTest: true, set: "status = 'superseded', finished_at = now()", constraint: "outbox_only_a_document_is_superseded"},
		{event: contact, set: "status = 'sending'", constraint: "outbox_sending_is_leased"},
		{event: contact, set: claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: document, isTest: true, set: claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "attempts = 1", "attempts = 0", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "gen_random_uuid()", "null", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "'w'", "null", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: strings.Replace(claimed, "claimed_at = now()", "claimed_at = null", 1), constraint: "outbox_lease_is_of_a_claim"},
		{event: contact, set: sent + ", " + claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: document, set: sent + ", synced_at = now(), " + claimed, constraint: "outbox_lease_is_of_a_claim"},
		{event: contact, set: strings.Replace(sent, "now()", "null", 1), constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: strings.Replace(failed, "now()", "null", 1), constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "status = 'skipped'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "status = 'cancelled'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: document, set: "status = 'superseded'", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: contact, set: "finished_at = now()", constraint: "outbox_finished_at_is_set_when_finished"},
		{event: document, set: sent, constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: document, set: "synced_at = now()", constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: contact, set: sent + ", synced_at = now()", constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: document, set: "status = 'cancelled', finished_at = now(), synced_at = now()", constraint: "outbox_synced_at_is_set_when_a_document_is_sent"},
		{event: contact, set: "failure = 'no_such'", constraint: "outbox_failure_is_known"},
		{event: contact, set: "received = 'perhaps'", constraint: "outbox_received_is_known"},
		{event: contact, set: strings.Replace(sent, "200", "null", 1)}, // by webhook.mark_delivered
		{event: contact, set: strings.Replace(sent, "200", "null", 1) + ", claim_id = gen_random_uuid()", constraint: "outbox_sent_has_an_answer"},
		{event: contact, set: strings.Replace(sent, "'yes'", "null", 1), constraint: "outbox_sent_has_an_answer"},
		{event: contact, set: strings.Replace(sent, "'yes'", "'maybe'", 1), constraint: "outbox_sent_has_an_answer"},
		{event: contact, set: sent + ", failure = 'not_counted'", constraint: "outbox_sent_has_an_answer"},
		{event: contact, set: strings.Replace(failed, "'rejected'", "null", 1), constraint: "outbox_failed_has_a_failure"},
		{event: contact, set: strings.Replace(failed, "'no'", "null", 1), constraint: "outbox_failed_has_a_failure"},
		{event: contact, set: sent + ", error = 'x'", constraint: "outbox_sent_has_an_answer"},
	} {
		tx := db.MustBegin()
		var id int64
		if err := tx.Get(&id, `insert into webhook.outbox (event, data, is_test) values ($1, '{"id": 1}', $2) returning id`, c.event, c.isTest); err != nil {
			t.Fatal(err)
		}
		_, err := tx.Exec(`update webhook.outbox set `+c.set+` where id = $1`, id)
		if got := refusal(err); got != c.constraint {
			t.Errorf("%s (test: %t) set %s: refused by %q, %q was expected (%v)", c.event, c.isTest, c.set, got, c.constraint, err)
		}
		_ = tx.Rollback()

		tx = db.MustBegin()
		columns, values := assigned(c.set)
		_, err = tx.Exec(`insert into webhook.outbox (event, data, is_test, `+columns+`) values ($1, '{"id": 1}', $2, `+values+`)`, c.event, c.isTest)
		if got := refusal(err); got != c.constraint {
			t.Errorf("%s (test: %t) inserted with %s: refused by %q, %q was expected (%v)", c.event, c.isTest, c.set, got, c.constraint, err)
		}
		_ = tx.Rollback()
	}
}

// assigned makes the two lists of an insert out of the one of an update.
func assigned(set string) (columns, values string) {
	var to, what []string
	for one := range strings.SplitSeq(set, ", ") {
		column, value, _ := strings.Cut(one, " = ")
		to, what = append(to, column), append(what, value)
	}
	return strings.Join(to, ", "), strings.Join(what, ", ")
}

func TestOutbox_ConstraintsHoldInAnUpdateOfDataAndEvent(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	id := db.document("42")
	for set, constraint := range map[string]string{
		`data = '[]'`:            "outbox_data_is_an_object",
		`event = 'no.such'`:      "outbox_event_is_known",
		`data = '{"id": "new"}'`: "",
	} {
		if _, err := db.Exec(`update webhook.outbox set `+set+` where id = $1`, id); refusal(err) != constraint {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// Constraints hold in such a session; ordinary triggers do not fire.
func TestOutbox_ItsRulesHoldWhateverTheReplicationRole(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`set local session_replication_role = replica`)
	tx.MustExec(`insert into webhook.outbox (event, data) values ('document.exported', '{"id": 42}')`)
	for statement, constraint := range map[string]string{
		`update webhook.outbox set status = 'failed', finished_at = now(), failure = 'dns', received = 'no'`:    "outbox_at_least_once_stays_pending",
		`update webhook.outbox set event = 'no.such'`:                                                           "outbox_event_is_known",
		`insert into webhook.outbox (event, data, status) values ('audit.log', '{}', 'sending')`:                "outbox_sending_is_leased",
		`insert into webhook.outbox (event, data, is_test) values ('no.such', '{}', true)`:                      "outbox_event_is_known",
		`insert into webhook.outbox (event, data) values ('audit.log', '[]')`:                                   "outbox_data_is_an_object",
		`insert into webhook.outbox (event, data, synced_at) values ('document.exported', '{"id": 43}', now())`: "outbox_synced_at_is_set_when_a_document_is_sent",
	} {
		tx.MustExec(`savepoint s`)
		if _, err := tx.Exec(statement); refusal(err) != constraint {
			t.Errorf("%s: %v", statement, err)
		}
		tx.MustExec(`rollback to s`)
	}
	var got string
	if err := tx.Get(&got, `select document_id || ' ' || at_least_once from webhook.outbox`); err != nil || got != "42 true" {
		t.Errorf("%s %v", got, err)
	}
}

// As with generated columns, what a statement says about them does not matter.
func TestOutbox_ComputedColumnsFollowTheEvent(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	const computed = `select coalesce(document_id, 'none') || ' ' || at_least_once from webhook.outbox`
	db.exec(`insert into webhook.outbox (event, data, document_id, at_least_once) values ('document.exported', '{"id": 42}', '7', false)`)
	if got := db.ask(computed); got != "42 true" {
		t.Errorf("inserted: %s", got)
	}
	for _, c := range []struct{ set, want string }{
		{`document_id = '7'`, "42 true"},
		{`at_least_once = false`, "42 true"},
		{`document_id = null`, "42 true"},
		{`data = '{"id": "43"}', document_id = '7'`, "43 true"},
		{`event = 'audit.log'`, "none false"},
		{`event = 'document.exported'`, "43 true"},
		{`is_test = true`, "none false"},
	} {
		db.exec(`update webhook.outbox set ` + c.set)
		if got := db.ask(computed); got != c.want {
			t.Errorf("%s: %s, %s was expected", c.set, got, c.want)
		}
	}
}

func TestOutbox_TwoExportsOfADocumentAreNeverLeasedAtOnce(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	const hold = `update webhook.outbox set attempts = 1, claim_id = gen_random_uuid(), claimed_by = 'w', claimed_at = now(), leased_until = now() where id = $1`
	first, other := db.document("42"), db.document("43")
	db.exec(hold, first)
	db.exec(hold, other)
	second := db.document(`"42"`)
	if _, err := db.Exec(hold, second); refusal(err) != "outbox_one_attempt_per_document" {
		t.Errorf("the second one: %v", err)
	}
}

func TestOutbox_TheGuaranteeOfARowIsThatOfItsEvent(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	if n := db.count(`select count(*) from webhook.channels where at_least_once is distinct from webhook.at_least_once(event)`); n != 0 {
		t.Errorf("%d channels have another guarantee than their event", n)
	}
	for _, isTest := range []bool{false, true} {
		db.exec(`insert into webhook.outbox (event, data, is_test) select event, '{}', $1 from webhook.channels`, isTest)
	}
	if n := db.count(`select count(*) from webhook.outbox o join webhook.channels c using (event) where o.at_least_once is distinct from (c.at_least_once and not o.is_test)`); n != 0 {
		t.Errorf("%d rows have another guarantee than their channel", n)
	}
	if _, err := db.Exec(`insert into webhook.channels (position, name, event, example) values (99, 'x', 'no.such', '{}')`); refusal(err) == "" && err == nil {
		t.Error("a channel of an event without a guarantee is accepted")
	}
}
