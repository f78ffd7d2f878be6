package integration_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Texts that must stay texts.
const (
	hostileScript = `<script>document.title='taken over'</script><img src=x onerror="document.title='taken over'">`
	hostileBidi   = "invoice_\u202efdp.exe\u202c \u2066right\u2069"
	hostileURL    = `javascript:document.title='taken over'`
)

// worldEvents are the events of the last four hours, oldest first.
func worldEvents() []worldEvent {
	events := slices.Concat(failedEvents(), caseEvents(), documentEvents(), otherEvents(), hostileEvents())
	slices.SortStableFunc(events, func(a, b worldEvent) int { return int(b.ago - a.ago) })
	return events
}

// invoice is the data of an export.
func invoice(id any, filename, vendor string) string {
	return object("id", id, "filename", filename, "status", "Export", "doc_type", "Standard Supplier Invoice", "vendor_name", vendor,
		"invoice_number", fmt.Sprintf("INV-2026-%v", id), "total_amount", json.Number("12500.00"), "currency", "CNY",
		"custom_01", "PO-2026-099", "custom_02", "Finance Manager",
		"line_items", []any{map[string]any{"line_number": 1, "description": "Office Chair", "quantity": 4, "amount": json.Number("10000.00")}})
}

// object is a JSON object of keys and values in this order.
func object(pairs ...any) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		key, _ := json.Marshal(pairs[i])
		var value strings.Builder
		encoder := json.NewEncoder(&value)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(pairs[i+1])
		fmt.Fprintf(&b, ", %s: %s", key, strings.TrimSpace(value.String()))
	}
	return "{" + strings.TrimPrefix(b.String(), ", ") + "}"
}

// failedEvents has a failure of each class, four to three hours ago. Their channels have delivered since.
func failedEvents() (events []worldEvent) {
	const crm, siem = "https://crm.example.com", "https://siem.example.com:8443"
	for i, f := range []worldEvent{
		{failure: "config", received: "no", error: "cannot call: the bearer token contains U+00E9; nothing was sent"},
		{failure: "render", received: "no", error: "cannot render: the data has no object"},
		{failure: "blocked_address", received: "no", error: "address not allowed: " + crm + " leads to 10.1.2.3, which is private; to allow it, add 10.1.2.3 to WEBHOOK_ALLOW_NETWORKS; nothing was sent"},
		{failure: "dns", received: "no", error: "dns: no such host: crm.example.com; nothing was sent"},
		{failure: "refused", received: "no", error: "refused: nothing accepts connections at " + crm + "; nothing was sent"},
		{failure: "unreachable", received: "no", error: "unreachable: cannot connect to " + crm + " (connect: no route to host); nothing was sent"},
		{failure: "tls", received: "no", error: "tls: the certificate of " + crm + " has expired on 2026-11-01; nothing was sent"},
		{failure: "timeout", received: "maybe", error: "timed out: 30s ran out while waiting for the answer of " + crm + "; outcome unknown", took: 30 * time.Second},
		{failure: "connection_lost", received: "maybe", error: "connection lost: " + crm + " (EOF); outcome unknown"},
		{failure: "bad_answer", received: "maybe", error: "bad answer: " + crm + " speaks TLS on this port; change the URL to https://; outcome unknown"},
		{failure: "redirect", received: "no", httpStatus: 302, error: "redirect: HTTP 302 Found from " + crm + " to https://www.example.com; redirects are never followed, so set the channel's URL to where it should go"},
		{failure: "not_counted", received: "yes", httpStatus: 202, error: "HTTP 202 Accepted from " + crm + " is not counted as delivered; to count it: update webhook.channels set accept_status = accept_status || 202 where name = 'contacts'", response: `{"status":"queued"}`},
		{failure: "rejected", received: "no", httpStatus: 401, error: "HTTP 401 Unauthorized from " + crm, response: `{"error":"missing token"}`},
		{failure: "rejected", received: "no", httpStatus: 403, error: "HTTP 403 Forbidden from " + crm},
		{failure: "rejected", received: "no", httpStatus: 404, error: "HTTP 404 Not Found from " + crm},
		{failure: "rejected", received: "no", httpStatus: 422, error: "HTTP 422 Unprocessable Entity from " + crm, response: `{"errors":[{"field":"phone","message":"is not a phone number"}]}`},
		{failure: "server_error", received: "no", httpStatus: 503, error: "HTTP 503 Service Unavailable from " + crm, response: "<html><body>The service is down for maintenance.</body></html>"},
		{failure: "interrupted", received: "maybe", error: "interrupted: outcome unknown; the worker stopped while waiting for the answer of " + crm},
	} {
		f.name = strings.TrimSuffix(fmt.Sprintf("failed %s %d", f.failure, f.httpStatus), " 0")
		f.event, f.status, f.attempts = "contact.created", "failed", 1
		f.data = object("contact_id", 501+i, "name", "Globex GmbH", "email", "ap@globex.example")
		f.ago, f.took = 4*time.Hour-time.Duration(i)*3*time.Minute, max(f.took, 180*time.Millisecond)
		events = append(events, f)
	}
	return append(events, worldEvent{name: "failed rate_limited", event: "audit.log", data: object("audit_id", 9001, "action", "login", "user", "jean"),
		ago: 62 * time.Second, took: 90 * time.Millisecond, status: "failed", attempts: 1, httpStatus: 429, failure: "rate_limited", received: "no",
		error: "HTTP 429 Too Many Requests from " + siem, response: "slow down"})
}

// caseEvents: the channel has failed for three hours.
func caseEvents() (events []worldEvent) {
	for i := range 12 {
		events = append(events, worldEvent{name: fmt.Sprintf("case %d", i+1), event: "case.created",
			data: object("case_id", 90+i, "title", "Missing tax ID on fapiao batch", "status", "open", "priority", "high", "contact_name", "Acme Supplies Ltd"),
			ago:  3*time.Hour - time.Duration(i)*14*time.Minute, took: 210 * time.Millisecond, status: "failed", attempts: 1,
			httpStatus: 404, failure: "rejected", received: "no", error: "HTTP 404 Not Found from https://n8n.example.com",
			response: `{"code":404,"message":"The requested webhook is not registered."}`})
	}
	return events
}

// documentEvents has the exports: each status that one can have.
func documentEvents() []worldEvent {
	const down = "HTTP 503 Service Unavailable from https://hook.eu1.make.com"
	const silent = "timed out: 30s ran out while waiting for the answer of https://hook.eu1.make.com; outcome unknown"
	return []worldEvent{
		{name: "export superseded", event: "document.exported", data: invoice(42, "invoice_march.pdf", "Acme Supplies Ltd"), ago: 150 * time.Minute, took: 4 * time.Minute,
			status: "superseded", attempts: 2, httpStatus: 503, failure: "server_error", received: "no", error: "superseded by a later export of the same document; the receiver does not have this one"},
		{name: "export sent again", event: "document.exported", data: invoice(42, "invoice_march.pdf", "Acme Supplies Ltd"), ago: 146 * time.Minute, took: 320 * time.Millisecond,
			status: "sent", attempts: 2, httpStatus: 200, received: "yes", response: "Accepted",
			deeds: []worldDeed{{action: "retry", actor: "jean", wasStatus: "sent", ago: 144 * time.Minute}}},
		{name: "export cancelled", event: "document.exported", data: invoice(43, "draft_do_not_send.pdf", "Initech"), ago: 100 * time.Minute, took: 9 * time.Minute,
			status: "cancelled", deeds: []worldDeed{{action: "cancel", actor: "jean", wasStatus: "pending", ago: 91 * time.Minute}}},
		{name: "export marked", event: "document.exported", data: invoice(44, "invoice_0044.pdf", "Globex GmbH"), ago: 80 * time.Minute, took: 20 * time.Minute,
			status: "sent", received: "yes", deeds: []worldDeed{{action: "mark_delivered", actor: "maria", wasStatus: "pending", wasFailure: "timeout", note: "It is in the Google Sheet, row 311.", ago: 60 * time.Minute}}},
		{name: "export retried", event: "document.exported", data: invoice(45, "invoice_april.pdf", "Acme Supplies Ltd"), ago: 12 * time.Minute, took: 200 * time.Millisecond,
			status: "pending", attempts: 43, httpStatus: 503, failure: "server_error", received: "maybe", error: down, response: "The scenario is being updated.",
			runs: []worldRun{
				{attempts: 20, httpStatus: 503, failure: "server_error", received: "no", error: down, first: 12 * time.Minute, last: 8 * time.Minute},
				{attempts: 4, failure: "timeout", received: "maybe", error: silent, first: 8 * time.Minute, last: 5 * time.Minute},
				{attempts: 19, httpStatus: 503, failure: "server_error", received: "maybe", error: down, first: 4 * time.Minute, last: 9 * time.Second}}},
		{name: "export in Chinese", event: "document.exported", data: invoice(46, "发票_2026年3月_上海办公用品有限公司.pdf", "上海办公用品有限公司"), ago: 8 * time.Minute, took: 410 * time.Millisecond,
			status: "sent", attempts: 1, httpStatus: 200, received: "yes", response: "Accepted"},
		{name: "export with a long id", event: "document.exported", data: invoice(strings.Repeat("INV-2026-03-", 16), strings.Repeat("a_name_without_a_space_", 12)+".pdf", "Acme Supplies Ltd"),
			ago: 6 * time.Minute, took: 250 * time.Millisecond, status: "sent", attempts: 1, httpStatus: 201, received: "yes"},
		{name: "export in flight", event: "document.exported", data: invoice(47, "invoice_0047.pdf", "Initech"), ago: 3 * time.Second, status: "pending", attempts: 1, leased: true},
		{name: "export waits", event: "document.exported", data: invoice(48, "invoice_0048.pdf", "Initech"), ago: 2 * time.Second, status: "pending"},
	}
}

// otherEvents has what the other channels have in addition.
func otherEvents() []worldEvent {
	return []worldEvent{
		{name: "contact sent", event: "contact.created", data: object("contact_id", 7, "name", "Acme Supplies Ltd", "contact_type", "company", "email", "ap@acme.com", "phone", "+86 21 5555 1234"),
			ago: 31 * time.Minute, took: 140 * time.Millisecond, status: "sent", attempts: 1, httpStatus: 204, received: "yes"},
		{name: "contact in flight", event: "contact.created", data: object("contact_id", 8, "name", "Globex GmbH"), ago: 2 * time.Second, status: "sending", attempts: 1, leased: true},
		{name: "folder skipped", event: "folder.created", data: object("folder_id", 12, "contact_id", 7, "name", "Q1 2026 Invoices"), ago: 50 * time.Minute, took: 9 * time.Second, status: "skipped"},
		{name: "folder test", event: "folder.created", data: object("folder_id", 12, "name", "Q1 2026 Invoices"), ago: 49 * time.Minute, took: 230 * time.Millisecond,
			status: "sent", attempts: 1, httpStatus: 200, received: "yes", response: "OK", test: true},
		{name: "case test", event: "case.created", data: object("case_id", 5, "title", "Missing tax ID on fapiao batch"), ago: 5 * time.Minute, took: 190 * time.Millisecond,
			status: "failed", attempts: 1, httpStatus: 404, failure: "rejected", received: "no", error: "HTTP 404 Not Found from https://n8n.example.com", test: true},
		{name: "notification waits", event: "notification.created", data: object("notification_id", 88, "type", "document_ready", "title", "Document requires review"), ago: 40 * time.Minute, status: "pending"},
		{name: "audit waits", event: "audit.log", data: object("audit_id", 9002, "action", "settings_changed", "user", "jean"), ago: 50 * time.Second, status: "pending"},
	}
}

// hostileEvents: payloads, answers, ids and names that try to be more than text.
func hostileEvents() []worldEvent {
	return []worldEvent{
		{name: "hostile export", event: "document.exported", data: invoice(hostileScript, hostileBidi, hostileURL), ago: 20 * time.Minute, took: 300 * time.Millisecond,
			status: "sent", attempts: 1, httpStatus: 200, received: "yes", response: hostileScript + hostileBidi + hostileURL},
		{name: "hostile contact", event: "contact.created", data: `{"contact_id": 9, "name": "\u0000\u001b[31mred\ud800` + strings.Repeat("x", 100_000) + `", "description": "</textarea></pre>` + strings.ReplaceAll(hostileScript, `"`, `\"`) + `"}`,
			ago: 18 * time.Minute, took: 300 * time.Millisecond, status: "failed", attempts: 1, httpStatus: 400, failure: "rejected", received: "no",
			error: "HTTP 400 Bad Request from https://crm.example.com", response: strings.Repeat(hostileScript, 15)},
		{name: "contact after the hostile", event: "contact.created", data: object("contact_id", 10, "name", "אבג دولة Ω", "email", "a@b.example"), ago: 16 * time.Minute, took: 120 * time.Millisecond,
			status: "sent", attempts: 1, httpStatus: 200, received: "yes", response: "OK"},
	}
}

// TestPageWorld_HasEveryState: what the pages are photographed and checked with.
func TestPageWorld_HasEveryState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for column, want := range map[string]int{"status": 7, "failure": 16, "received": 3, "event": 6} {
		if got := w.count(`select count(distinct ` + column + `) from webhook.outbox`); got != want {
			t.Errorf("%d values of %s, want %d", got, column, want)
		}
	}
	if n := w.count(`select count(*) from webhook.interventions where outbox_id is not null`); n != 3 {
		t.Errorf("%d interventions", n)
	}
	if got := w.row(w.id("export retried")); got.Status != "pending" || got.Attempts != 43 {
		t.Errorf("the export that is retried is %+v", got)
	}
	other := newWorld(t)
	if a, b := fmt.Sprint(w.ids), fmt.Sprint(other.ids); a != b {
		t.Errorf("two worlds have other ids:\n%s\n%s", a, b)
	}
}
