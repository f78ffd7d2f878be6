package integration_test

import (
	"regexp"
	"testing"
)

// A restored backup, or a failover that lost commits, assigns ids again: to events with another body.
func TestWebhookID_NeverStandsForTwoBodies(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	publish := func(name, at string) (ids []int64) {
		for _, event := range []string{"contact.created", "document.exported", "audit.log"} {
			ids = append(ids, query[int64](t, db.address, `select webhook.publish($1, $2, $3)`, event, `{"id": 42, "status": "Export", "name": "`+name+`", "action": "`+name+`", "notes": "`+name+`"}`, at))
		}
		return ids
	}
	at := "2026-03-22T08:30:00.000001Z"
	before := publish("before", at)
	db.once()
	restored := func() {
		db.exec(`delete from webhook.outbox`)
		db.exec(`select setval(pg_get_serial_sequence('webhook.outbox', 'id'), $1, false)`, before[0])
	}
	restored()
	after := publish("after", at)
	db.once()
	restored()
	publish("after", "2026-03-22T08:31:00Z") // the same data at another time is another body
	db.once()

	if before[0] != after[0] {
		t.Fatalf("the ids differ: %d and %d", before, after)
	}
	bodies := map[string]string{}
	for _, r := range rcv.all() {
		id := r.header.Get("webhook-id")
		if !regexp.MustCompile(`^[0-9a-f-]{36}-\d+-[0-9a-f]{16}$`).MatchString(id) {
			t.Errorf("the webhook-id is %q", id)
		}
		if body, known := bodies[id]; known && body != r.body {
			t.Errorf("%s has two bodies:\n%s\n%s", id, body, r.body)
		}
		bodies[id] = r.body
	}
	if len(bodies) != 9 {
		t.Errorf("%d webhook-ids for nine bodies", len(bodies))
	}
}

func TestWebhookID_IsTheSameInSQLAndOnEachAttempt(t *testing.T) {
	t.Parallel()
	tries := 0
	rcv := newReceiver(t, func(receipt) int {
		if tries++; tries == 1 {
			return 503
		}
		return 200
	})
	db := ready(t, rcv.URL)
	var id int64
	db.exec(`set timezone = 'Asia/Shanghai'`)
	if err := db.Get(&id, `insert into webhook.outbox (event, data, occurred_at) values ('document.exported', '{"id": 42,   "status": "Export", "notes": "Größe ☃ \u0000"}', '2026-03-22 08:30:00.120000+08') returning id`); err != nil {
		t.Fatal(err)
	}
	db.once()
	db.exec(`update webhook.outbox set due_at = now()`)
	db.once()
	got := rcv.all()
	if len(got) != 2 || got[0].header.Get("webhook-id") != got[1].header.Get("webhook-id") {
		t.Fatalf("received: %v", got)
	}
	session := open(t, db.addressWith("timezone", "Asia/Shanghai"))
	session.exec(`set datestyle = 'SQL, DMY'`)
	if want := session.ask(`select webhook.webhook_id(o) from webhook.outbox o where id = $1`, id); got[0].header.Get("webhook-id") != want {
		t.Errorf("sent was %s, in SQL it is %s", got[0].header.Get("webhook-id"), want)
	}
	out, _, _ := runProgram(t, quick(db.address), nil, "show", "1")
	with(t, "webhooks show", out, "webhook-id: "+got[0].header.Get("webhook-id"))
}
