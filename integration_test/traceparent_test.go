package integration_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/recordengine/webhooks/outbox"
)

// wellFormed is the specification's example.
const wellFormed = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// traceparents are the headers that arrived of an event, one for each request.
func traceparents(rcv *receiver, id int64) (all []string) {
	for _, r := range rcv.of(id) {
		all = append(all, strings.Join(r.header.Values("traceparent"), ","))
	}
	return all
}

func TestTraceparent_TheSameOnEveryAttemptOfChannelsThatAskForIt(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, func(r receipt) int {
		if strings.HasSuffix(r.path, "/documents") {
			return 503
		}
		return 200
	})
	db := withRoles(t, rcv.URL)
	db.exec(`update webhook.channels set send_traceparent = name in ('contacts', 'documents')`)
	app := loginRole(t, db, "webhook_producer")
	write := func(statement string) (id int64) {
		t.Helper()
		if err := app.Get(&id, statement, wellFormed); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		return id
	}
	published := write(`select webhook.publish('contact.created', '{}', traceparent => $1)`)
	inserted := write(`insert into webhook.outbox (event, data, traceparent) values ('contact.created', '{}', $1) returning id`)
	document := write(`select webhook.publish('document.exported', '{"id": 42, "status": "Export"}'::jsonb, traceparent => $1)`)
	other := write(`select webhook.publish('case.created', '{}'::json, now(), $1)`)
	without := app.publish("contact.created", `{}`)
	var test int64
	if err := db.Get(&test, `select webhook.send_test('contacts')`); err != nil {
		t.Fatal(err)
	}
	db.once()
	db.exec(`select webhook.retry($1)`, published)
	db.exec(`select webhook.retry($1)`, test)
	db.exec(`update webhook.outbox set due_at = now() where id = $1`, document)
	db.once()

	for id, want := range map[int64][]string{published: {wellFormed, wellFormed}, inserted: {wellFormed}, document: {wellFormed, wellFormed}, other: {""}, without: {""}} {
		if got := traceparents(rcv, id); !slices.Equal(got, want) {
			t.Errorf("event %d arrived with %q, expected %q", id, got, want)
		}
	}
	if got := traceparents(rcv, test); len(got) != 2 || got[0] != got[1] || !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`).MatchString(got[0]) {
		t.Errorf("a test event arrived with %q, a trace of its own was expected, the same twice", got)
	}
}

func TestTraceparent_MalformedIsNotSentAndCostsNoEvent(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := ready(t, rcv.URL)
	db.exec(`update webhook.channels set send_traceparent = true`)
	malformed := []string{
		"", " ", "geheim", " " + wellFormed, wellFormed + "\n", wellFormed + "\r\nX-Evil: 1", wellFormed + "-00", strings.ToUpper(wellFormed), "01" + wellFormed[2:], "ff" + wellFormed[2:],
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", strings.Replace(wellFormed, "4b", "é", 1),
		"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011", strings.Repeat("0", 1<<20),
	}
	ids := make([]int64, len(malformed))
	for i, value := range malformed {
		if err := db.Get(&ids[i], `select webhook.publish('contact.created', '{}', traceparent => $1)`, value); err != nil {
			t.Fatalf("%.80q: %v", value, err)
		}
	}
	db.once()
	for i, id := range ids {
		got := rcv.of(id)
		if len(got) != 1 || got[0].header.Values("traceparent") != nil || db.status(id) != "sent" {
			t.Errorf("%.80q: %s, arrived as %v", malformed[i], db.status(id), got)
		}
		if said := db.explained(id, "Its traceparent is malformed"); strings.Contains(said, "geheim") {
			t.Errorf("the value is quoted: %s", said)
		}
	}
	if said := db.ask(`select webhook.explain(webhook.publish('contact.created', '{}', traceparent => $1))`, wellFormed); strings.Contains(said, "traceparent") {
		t.Errorf("of a well-formed one: %s", said)
	}
}

func TestTraceparent_OfTheSnippet(t *testing.T) {
	t.Parallel()
	rcv := newReceiver(t, nil)
	db := application(t, rcv.URL)
	db.exec(`update webhook.channels set send_traceparent = true`)
	i := interpreters[slices.IndexFunc(interpreters, func(i interpreter) bool { return i.language == "Python" })]
	i.file = "trace.py"
	for _, value := range []string{"TRACEPARENT=" + wellFormed, "NONE="} {
		cmd := i.snippet(t, db.address)
		cmd.Env = append(cmd.Environ(), value)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	db.once()
	got := append(traceparents(rcv, 1), traceparents(rcv, 2)...)
	if !slices.Equal(got, []string{wellFormed, ""}) {
		t.Errorf("two events arrived with %q", got)
	}
}

// TestTraceparent_SurvivesALostReply: the look-up reads what the claim would have returned.
func TestTraceparent_SurvivesALostReply(t *testing.T) {
	t.Parallel()
	db := ready(t, "http://receiver.example")
	db.exec(`update webhook.channels set send_traceparent = name = 'contacts'`)
	for _, event := range []string{"contact.created", "case.created"} {
		db.exec(`select webhook.publish($1, '{}', traceparent => $2)`, event, wellFormed)
	}
	s := workerStore(t, db.address)
	claimID := uuid.NewString()
	claimed, err := s.Claim(t.Context(), claimID, []outbox.Capacity{{Channel: "contacts"}, {Channel: "cases"}})
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := s.LookUpClaim(t.Context(), claimID)
	if err != nil {
		t.Fatal(err)
	}
	for how, events := range map[string][]outbox.Event{"claim": claimed, "look-up": found} {
		got := map[string]string{}
		for _, ev := range events {
			got[ev.Channel] = ev.Traceparent
		}
		if len(got) != 2 || got["contacts"] != wellFormed || got["cases"] != "" {
			t.Errorf("the %s returned %q", how, got)
		}
	}
}
