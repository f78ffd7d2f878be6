package integration_test

import (
	"fmt"
	"testing"
)

// A receiver that stored the document, timed out, and answers 409 to every repetition.
func TestDelivered_A409ThatIsListedCounts(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(receipt) int { return 409 })
	db := ready(t, rcv.URL)
	document, contact := db.document("42"), db.publish("contact.created", `{}`)
	db.once()
	with(t, "explain", db.ask(`select webhook.explain($1)`, document), "HTTP 409 Conflict", "accept_status || 409", "webhook.mark_delivered")
	if db.status(document) != "pending" || db.status(contact) != "failed" {
		t.Errorf("not listed: %s, %s", db.status(document), db.status(contact))
	}
	db.exec(`update webhook.channels set accept_status = accept_status || 409`)
	db.exec(`update webhook.outbox set due_at = now() where id = $1`, document)
	contact = db.publish("contact.created", `{}`)
	db.once()
	for _, id := range []int64{document, contact} {
		if r := db.row(id); r.Status != "sent" || value(r.HTTPStatus) != 409 || value(r.Received) != "yes" || r.Failure != nil {
			t.Errorf("listed: %s", asText(db, id))
		}
	}
	if db.row(document).SyncedAt == nil {
		t.Error("the document is not synced")
	}
	db.exec(`update webhook.channels set accept_status = '{409}'`)
	for _, bad := range []string{`{200,404}`, `{408}`, `{410}`, `{409,300}`, `{}`, `{409,null}`} {
		with(t, bad, db.ask(`update webhook.channels set accept_status = $1`, bad), "23514", "accept_status is", "a list of HTTP statuses from 200 to 299, or 409")
	}
}

// TestDelivered_IsNoSuccessOfTheEndpoint: it has answered nothing, and goes on failing.
func TestDelivered_IsNoSuccessOfTheEndpoint(t *testing.T) {
	t.Parallel()
	db := ready(t, newReceiver(t, func(receipt) int { return 503 }).URL)
	id := db.document("42")
	if _, errs, status := runProgram(t, quick(db.address), nil, "run", "--once"); status > 1 {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	s := workerStore(t, db.address)
	for _, when := range []string{"before", "after"} {
		if err := s.NoteEndpoints(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := db.count(`select count(*) from webhook.endpoints where channel = 'documents' and failing_since is not null and succeeded_at is null`); n != 1 {
			t.Errorf("%s the mark the endpoint does not fail", when)
		}
		if when == "before" {
			db.exec(`select webhook.mark_delivered($1, 'seen in the ERP')`, id)
		}
	}
}

func TestDelivered_APersonMarksAnEvent(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	admin := loginRole(t, db, "webhook_admin")
	for _, state := range []string{"pending", "refused", "failed", "unknown", "skipped", "superseded", "cancelled"} {
		event := map[string]string{"failed": "contact.created", "unknown": "contact.created", "skipped": "contact.created"}[state]
		id := db.inState(state, orElse(event, "document.exported"), fmt.Sprintf(`{"id": %q, "status": "Export"}`, state))
		before := db.row(id)
		said := admin.ask(`select webhook.mark_delivered($1, 'seen in the ERP, ticket 7')`, id)
		with(t, state, said, "was marked as delivered by a person at 20", "(Marked as delivered by "+admin.name, ": seen in the ERP, ticket 7; before that it was "+before.Status, "To send it again: select webhook.retry(")
		r := db.row(id)
		if r.Status != "sent" || value(r.Received) != "yes" || r.HTTPStatus != nil || r.Failure != nil || r.Error != nil || r.FinishedAt == nil || (r.SyncedAt != nil) != (event == "") {
			t.Errorf("%s: %s", state, asText(db, id))
		}
		if got := db.trace(id); len(got) != 1 || got[0] != fmt.Sprintf("mark_delivered by %s: was %s (%s, %s, %s, %s)", admin.name, before.Status, statusText(before.HTTPStatus), value(before.Failure), value(before.Received), value(before.Error)) {
			t.Errorf("%s: the trace is %q", state, got)
		}
		with(t, "twice", admin.ask(`select webhook.mark_delivered($1, 'x')`, id), "55000", "is sent already")
	}
	if n := db.count(`select count(*) from webhook.problems where kind = 'event'`); n != 0 {
		t.Errorf("%d problems are left", n)
	}
	if n := db.count(`select count(last_success) from webhook.status`); n != 0 {
		t.Errorf("%d channels have a success that no endpoint has answered", n)
	}
	rcv := newReceiver(t, nil)
	db.exec(`update webhook.channels set url = $1`, rcv.URL)
	db.once()
	if n := len(rcv.all()); n != 0 {
		t.Errorf("%d were sent", n)
	}
	id := db.count(`select id from webhook.outbox where document_id = 'refused'`)
	admin.ask(`select webhook.retry($1)`, id) // a mistake can be undone
	db.exec(`update webhook.settings set auth = 'none'`)
	db.once()
	if n := len(rcv.of(int64(id))); n != 1 {
		t.Errorf("sent again it arrived %d times", n)
	}
}

func statusText(p *int) string {
	if p == nil {
		return ""
	}
	return fmt.Sprint(*p)
}

func TestDelivered_IsRefused(t *testing.T) {
	t.Parallel()
	db := withRoles(t, "https://re.example")
	held := db.inState("leased", "document.exported", `{"id": 42}`)
	sending := db.inState("sending", "contact.created", `{}`)
	sent := db.inState("sent", "contact.created", `{}`)
	waiting := db.publish("contact.created", `{}`)
	before := db.everything()
	with(t, "leased", db.ask(`select webhook.mark_delivered($1, 'x')`, held), "55006", "worker host:7 holds it")
	with(t, "sending", db.ask(`select webhook.mark_delivered($1, 'x')`, sending), "55006")
	with(t, "sent", db.ask(`select webhook.mark_delivered($1, 'x')`, sent), "55000", "is sent already")
	with(t, "unknown", db.ask(`select webhook.mark_delivered(987654321, 'x')`), "P0002", "does not exist")
	with(t, "null", db.ask(`select webhook.mark_delivered(null, 'x')`), "P0002")
	for _, note := range []any{nil, "", " \n"} {
		with(t, "no note", db.ask(`select webhook.mark_delivered($1, $2)`, waiting, note), "22023", "the note is empty")
	}
	for _, role := range []string{"webhook_producer", "webhook_reader", "webhook_worker"} {
		loginRole(t, db, role).mayNot(`select webhook.mark_delivered(1, 'x')`)
	}
	if db.everything() != before {
		t.Error("something was changed")
	}
	// A worker never records a success without an answer.
	with(t, "a record", db.ask(`update webhook.outbox set status = 'sent', leased_until = null, finished_at = now(), received = 'yes' where id = $1`, sending), "23514", "outbox_sent_has_an_answer")
}
