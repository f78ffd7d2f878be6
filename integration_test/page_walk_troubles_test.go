package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestPageWalk_TroubleshootingAnswers: each answer that "Troubleshooting" lists says on the page what to do, in the
// document's words.
func TestPageWalk_TroubleshootingAnswers(t *testing.T) {
	t.Parallel()
	p, _ := walk(t)
	rcv := newResponder(t, func(w http.ResponseWriter, r receipt) {
		var status int
		_, _ = fmt.Sscanf(r.path, "/%d", &status)
		w.WriteHeader(status)
		fmt.Fprintf(w, "I answer %d.", status)
	})
	for _, c := range []struct {
		status int
		words  []string
	}{
		{401, []string{"requires authentication", "bearer token"}},                // "add a Bearer token in Settings"
		{403, []string{"token is incorrect", "blocked"}},                          // "the token is incorrect or the IP is blocked"
		{404, []string{"path of the URL is wrong", "regenerate the webhook URL"}}, // "regenerate the webhook URL in your receiving tool"
		{503, []string{"temporarily down or overloaded"}},                         // "RecordEngine will retry document webhooks automatically"
	} {
		p.setUp("Contacts", fmt.Sprintf("%s/%d", rcv.URL, c.status))
		p.group("Contacts").press("Send test event")
		p.sees("Failed")
		p.sees(fmt.Sprintf("HTTP %d", c.status))
		p.sees(fmt.Sprintf("I answer %d.", c.status))
		for _, words := range c.words {
			p.sees(words)
		}
	}
}

// TestPageWalk_NotArriving: "Webhook not arriving", line by line.
func TestPageWalk_NotArriving(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	rcv := newReceiver(t, nil)

	// "Check that the URL is saved correctly in Settings and the channel toggle is on"
	skipped := db.publish("contact.created", `{"contact_id": 7}`)
	eventually(t, "the contact is skipped", func() bool { return db.status(skipped) == "skipped" })
	p.open(fmt.Sprintf("/deliveries/%d", skipped))
	p.sees("Skipped")
	p.sees("channel contacts was off")
	p.open(settingsPath)
	p.group("Contacts").tick("Enabled", true)
	p.press("Save")
	if got := p.group("Contacts").wrong("URL"); p.status() != 422 || got == "" {
		p.errorf("enabled without a URL: status %d, %q", p.status(), got)
	}

	// "Verify Offline Mode is not enabled (Settings → General)"
	p.setUp("Contacts", rcv.URL)
	db.exec(`update webhook.settings set offline_mode = true`)
	held := db.publish("contact.created", `{"contact_id": 8}`)
	p.open(fmt.Sprintf("/deliveries/%d", held))
	p.sees("Offline Mode is on")
	p.open("/overview")
	p.sees("Offline Mode")
	db.exec(`update webhook.settings set offline_mode = false`)

	// "For document webhooks: confirm the document is actually in Export status, not Approved"
	p.setUp("Documents", rcv.URL)
	approved := db.publish("document.exported", `{"id": 9, "status": "Approved"}`)
	eventually(t, "the document is refused", func() bool { return value(db.row(approved).Failure) == "render" })
	p.open(fmt.Sprintf("/deliveries/%d", approved))
	p.sees("Approved")
	p.sees("Export")
}

// TestPageWalk_DataLooksWrong: "Payload arrives but data looks wrong", line by line.
func TestPageWalk_DataLooksWrong(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	p.setUp("Documents", newReceiver(t, nil).URL)
	labelled := db.publish("document.exported", `{"id": 1, "status": "Export", "custom_01": "PO-1",
		"extraction_profile": {"id": 2, "name": "Invoice", "field_count": 1, "labels": {"custom_01": "PO Number"}}}`)
	bare := db.publish("document.exported", `{"id": 2, "status": "Export", "custom_01": "PO-2"}`)
	for id, want := range map[int64]string{labelled: `"PO Number": "PO-1"`, bare: `"custom_fields": { "custom_01": "PO-2" }`} {
		eventually(t, "the document arrives", func() bool { return db.status(id) == "sent" })
		p.open(fmt.Sprintf("/deliveries/%d", id))
		p.sees(`"schema_version": "2.0"`) // "all current payloads are 2.0"
		p.sees(want)                      // "labels fall back to generic keys"
		if !strings.Contains(p.text(), `"custom_20": null`) {
			p.errorf("the flat fields are not all there") // "are always present alongside custom_fields"
		}
	}
}
