package integration_test

import (
	"regexp"
	"strings"
	"testing"
)

// The walks: what the document tells an administrator to do, done as it is written, by a person who has
// only the page. A comment quotes the document where it leads.

// channelGroups are the groups of the settings in the document's order, with the channels' names.
var channelGroups = []struct{ legend, channel, event string }{
	{"Documents", "documents", "document.exported"},
	{"Contacts", "contacts", "contact.created"},
	{"Folders", "folders", "folder.created"},
	{"Cases", "cases", "case.created"},
	{"Notifications", "notifications", "notification.created"},
	{"Rules", "rules", "rule.executed"},
	{"Audit Log", "audit_log", "audit.log"},
}

// walk is a new installation with a worker, and a person on its page who has not been there.
func walk(t *testing.T) (*tab, *database) {
	t.Helper()
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	db.exec(`update webhook.settings set document_base_url = 'https://yourinstance.recordengine.ai'`)
	site := servePage(t, db, nil)
	startWorker(t, quick(db.address))
	return newTab(t, site), db
}

// setUp does the steps of "Setup" for one channel.
func (p *tab) setUp(legend, url string) {
	p.t.Helper()
	p.open("/")
	p.sees("Settings → Integrations → Webhooks") // 1. Go to Settings → Integrations → Webhooks
	channel := p.group(legend)
	channel.fill("URL", url)      // 2. Paste your endpoint URL into the field for the channel you want
	channel.tick("Enabled", true) // 3. Toggle the channel on
	p.press("Save")               // 4. Click Save
	if p.status() != 200 || p.path()[:len(settingsPath)] != settingsPath {
		p.fatalf("saving %s leads to %s with status %d", legend, p.path(), p.status())
	}
}

// TestPageWalk_Setup: "Repeat for each channel you want to enable. You can use the same URL for all channels."
func TestPageWalk_Setup(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	rcv := newReceiver(t, nil)
	for i, c := range channelGroups {
		p.setUp(c.legend, "  "+rcv.URL+"/one-for-all \n") // as it is copied
		channel := p.group(c.legend)
		if got := channel.value("URL"); got != rcv.URL+"/one-for-all" || !channel.ticked("Enabled") {
			p.errorf("%s: after saving the URL is %q, enabled: %t", c.legend, got, channel.ticked("Enabled"))
		}
		id := db.publish(c.event, `{"id": `+string(rune('1'+i))+`, "status": "Export", "line_items": []}`)
		eventually(t, c.event+" arrives", func() bool { return db.status(id) == "sent" })
	}
	if n := len(rcv.all()); n != len(channelGroups) {
		t.Errorf("%d events arrived", n)
	}
	p.group("Rules").tick("Enabled", false)
	p.press("Save")
	if p.group("Rules").ticked("Enabled") || !p.group("Cases").ticked("Enabled") {
		p.errorf("turning Rules off did not turn off Rules alone")
	}
}

// TestPageWalk_Authentication: "select Bearer Token under Webhook Auth and paste your token".
func TestPageWalk_Authentication(t *testing.T) {
	t.Parallel()
	const token = "tok_3f9a61"
	p, db := walk(t)
	rcv := newReceiver(t, nil)
	p.setUp("Contacts", rcv.URL)
	auth := p.group("Webhook Auth")
	auth.choose("Bearer Token")
	auth.fill("Token", "Bearer "+token) // the whole of what the receiving tool shows
	p.press("Save")
	if p.status() == 422 { // the host of a URL gets a token for the first time
		p.fatalf("a token is refused: %s", p.text())
	}
	p.lacks(token)
	if p.group("Webhook Auth").value("Token") != "" || !p.group("Webhook Auth").chosen("Bearer Token") {
		p.errorf("after saving, the field of the token is not empty, or Bearer Token is not chosen")
	}
	id := db.publish("contact.created", `{"contact_id": 7}`)
	eventually(t, "the contact arrives", func() bool { return db.status(id) == "sent" })
	if got := rcv.of(id)[0].header.Get("Authorization"); got != "Bearer "+token { // "RecordEngine will include it as"
		t.Errorf("it was sent with Authorization: %s", got)
	}
	p.choose("None") // "Leave it blank if your endpoint uses URL-based authentication"
	p.press("Save")
	id = db.publish("contact.created", `{"contact_id": 8}`)
	eventually(t, "the contact arrives", func() bool { return db.status(id) == "sent" })
	if got := rcv.of(id)[0].header.Get("Authorization"); got != "" {
		t.Errorf("with None it was sent with Authorization: %s", got)
	}
}

// TestPageWalk_OfflineMode: "If Offline Mode is enabled in Settings, all webhook delivery is suspended regardless of
// individual channel settings."
func TestPageWalk_OfflineMode(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	rcv := newReceiver(t, nil)
	p.setUp("Contacts", rcv.URL)
	p.setUp("Folders", rcv.URL)
	p.follow("General")
	p.tick("Offline Mode", true)
	p.press("Save")
	p.sees("Offline Mode is on")
	contact, folder := db.publish("contact.created", `{"contact_id": 7}`), db.publish("folder.created", `{"folder_id": 1}`)
	p.open("/settings/general")
	p.sees("Contacts 1 event")
	p.tick("Offline Mode", false)
	p.press("Save")
	p.group("Contacts").choose("Deliver what waits")
	p.group("Folders").choose("Discard what waits")
	if db.status(contact) != "pending" || len(rcv.all()) != 0 {
		t.Error("something was delivered before the person has decided")
	}
	p.press("Turn Offline Mode off")
	eventually(t, "the contact arrives", func() bool { return db.status(contact) == "sent" })
	eventually(t, "the folder is discarded", func() bool { return db.status(folder) == "cancelled" })
	p.open("/settings/general")
	if p.ticked("Offline Mode") {
		p.errorf("Offline Mode is still on")
	}
	if rcv.of(folder) != nil {
		t.Error("what was to be discarded was sent")
	}
}

// TestPageWalk_MakeCom: "Connecting to Make.com", with `webhooks receive` in its place.
func TestPageWalk_MakeCom(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	// 1. In Make.com, create a new scenario and add a Webhooks → Custom webhook trigger module
	tool := startSaying(t, nil, "receive", "--listen", "127.0.0.1:0", "--bodies")
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(tool.line()) + "/k3y" // 2. Copy the generated webhook URL
	p.setUp("Documents", url)                                                             // 3. Paste it … 4. Enable the channel and save
	p.group("Documents").press("Send test event")                                         // 5. Trigger a test event in RecordEngine
	p.sees("Delivered")                                                                   // without a reload by the person
	if !regexp.MustCompile(`^/deliveries/\d+$`).MatchString(p.path()) {
		p.errorf("the test event leads to %s", p.path())
	}
	arrived := tool.line()
	payload := tool.line()
	if !strings.Contains(arrived, "document.exported") || !strings.Contains(arrived, "/k3y") || !strings.Contains(payload, `"doc_url":"https://yourinstance.recordengine.ai/api/document/42/view"`) {
		t.Errorf("6. Make.com will receive the payload: %s\n%s", arrived, payload)
	}
	p.sees(`"doc_url": "https://yourinstance.recordengine.ai/api/document/42/view"`)
	p.lacks("k3y")                                                          // the key of the URL is shown where it is edited, only
	id := db.publish("document.exported", `{"id": 43, "status": "Export"}`) // "(e.g. set a document to Export)"
	eventually(t, "the document arrives", func() bool { return db.row(id).SyncedAt != nil })
}
