package integration_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPageWalk_AnswerAppearsByItself: "Send test event" lands on the delivery's page, which shows the answer once it is there.
func TestPageWalk_AnswerAppearsByItself(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		answer := make(chan struct{})
		rcv := newResponder(t, func(w http.ResponseWriter, _ receipt) {
			<-answer
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short and stout")
		})
		p, db := walk(t)
		if !script {
			p.withoutScript()
		}
		p.setUp("Cases", rcv.URL)
		p.group("Cases").press("Send test event")
		p.sees("Being sent by worker")
		p.lacks("HTTP 418")
		close(answer)
		eventually(t, "the answer is recorded", func() bool { return db.count(`select count(*) from webhook.outbox where http_status = 418`) == 1 })
		recorded := time.Now()
		p.sees("HTTP 418 I'm a teapot")
		// A second, and what this machine needs to load a page while other tests run.
		if took := time.Since(recorded); took > 8*time.Second {
			p.errorf("script %t: it was shown after %s", script, took)
		}
		p.sees("short and stout")
		if p.status() != 200 || !strings.HasPrefix(p.path(), "/deliveries/") {
			p.errorf("status %d at %s", p.status(), p.path())
		}
	}
}

// TestPageWalk_WithoutABaseURL: the first test event of a new installation says what is missing, and where that is set.
func TestPageWalk_WithoutABaseURL(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	db.exec(`update webhook.settings set document_base_url = null`)
	rcv := newReceiver(t, nil)
	p.setUp("Documents", rcv.URL)
	documents := p.group("Documents")
	if !documents.has(links, "General") {
		p.errorf("the group does not lead to General")
	}
	documents.press("Send test event")
	delivery := p.path()
	p.sees("The Document base URL is missing.")
	p.lacks("webhook.settings")
	p.lacks("document_base_url")
	p.follow("General settings")
	p.fill("Document base URL", "https://yourinstance.recordengine.ai")
	p.press("Save")
	p.sees("Saved: Document base URL.")
	p.open(delivery)
	p.sees("Delivered")
	if n := len(rcv.all()); n != 1 {
		t.Errorf("%d events arrived", n)
	}
}

// TestPageWalk_ResendOne: the same facts under the same webhook-id to today's URL with today's token, once it was asked.
func TestPageWalk_ResendOne(t *testing.T) {
	t.Parallel()
	p, db := walk(t)
	down := newReceiver(t, func(receipt) int { return 503 })
	p.setUp("Contacts", down.URL+"/yesterday")
	id := db.publish("contact.created", `{"contact_id": 7, "name": "Acme"}`)
	eventually(t, "it fails", func() bool { return db.status(id) == "failed" })

	up := newReceiver(t, nil)
	p.setUp("Contacts", up.URL+"/today")
	p.group("Webhook Auth").choose("Bearer Token")
	p.group("Webhook Auth").fill("Token", "t0day")
	p.press("Save")
	p.open(fmt.Sprintf("/deliveries/%d", id))
	if disabled, reason := p.disabled("Cancel"); !disabled || reason == "" {
		p.errorf("Cancel: disabled %t, because %q", disabled, reason)
	}
	p.press("Resend")
	if db.status(id) != "failed" || len(up.all()) > 0 {
		t.Error("it was sent before it was asked")
	}
	p.sees("1 event, contact.created, is sent once more to " + strings.TrimPrefix(up.URL, "http://"))
	p.sees("the same webhook-id")
	p.press("Resend")
	p.sees("Delivered")
	p.sees("Resent by")
	first, again := down.of(id), up.of(id)
	if len(first) != 1 || len(again) != 1 {
		t.Fatalf("it was sent %d times, and then %d times", len(first), len(again))
	}
	if got := again[0]; got.body != first[0].body || got.header.Get("webhook-id") != first[0].header.Get("webhook-id") || got.path != "/today" || got.header.Get("Authorization") != "Bearer t0day" {
		t.Errorf("it was sent as %+v after %+v", got, first[0])
	}
	p.lacks("t0day")
	p.lacks("/today")
}

// TestPageWalk_MarkAsDelivered: with the words how it is known, which are kept with the name of the person.
func TestPageWalk_MarkAsDelivered(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`select webhook.create_roles()`)
	id := db.inState("unknown", "contact.created", `{}`)
	p := newTab(t, servePage(t, db, nil))
	p.open(fmt.Sprintf("/deliveries/%d", id))
	p.press("Mark as delivered")
	p.fill("How is it known?", " \u200b ")
	p.press("Mark as delivered")
	if p.status() != 422 || p.wrong("How is it known?") == "" || db.status(id) != "failed" {
		p.errorf("without a note: status %d, %q", p.status(), p.wrong("How is it known?"))
	}
	p.fill("How is it known?", "seen in the CRM, ticket 7")
	p.press("Mark as delivered")
	p.sees("Delivered")
	p.sees("seen in the CRM, ticket 7")
	p.sees("Marked as delivered by")
	if disabled, said := p.disabled("Cancel"); !disabled || !strings.Contains(said, "nothing to cancel") {
		p.errorf("Cancel: disabled %t, %q", disabled, said)
	}
	p.lacks(">Mark as delivered<") // it is delivered
	// It is a repetition from now on: asked as one.
	p.press("Resend")
	p.sees("The receiver has this event already.")
}

// TestPageWalk_NewDeliveriesWait: "rows never jump".
func TestPageWalk_NewDeliveriesWait(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	db.exec(`select webhook.create_roles()`)
	first := db.inState("failed", "contact.created", `{}`)
	p := newTab(t, servePage(t, db, nil))
	p.open("/deliveries?status=failed")
	rows := func() string {
		return evaluate[string](p, `[...document.querySelectorAll("tbody tr")].map((r) => r.innerText).join("|")`)
	}
	before := rows()
	db.inState("sent", "contact.created", `{}`) // none of the filter
	for range 2 {
		db.inState("failed", "contact.created", `{}`)
	}
	p.sees("2 new deliveries")
	db.inState("failed", "contact.created", `{}`)
	p.sees("3 new deliveries")
	if after := rows(); strings.Count(after, "|") != strings.Count(before, "|") {
		p.errorf("the rows were\n%s\nand are\n%s", before, after)
	}
	p.follow("3 new deliveries")
	if p.path() != "/deliveries?status=failed" || strings.Count(rows(), "|") != 3 || p.has(links, "3 new deliveries") {
		p.errorf("it leads to %s: %s", p.path(), rows())
	}
	p.open(fmt.Sprintf("/deliveries?before=%d", first+1))
	db.inState("failed", "contact.created", `{}`)
	if strings.Contains(p.text(), "new deliver") || evaluate[bool](p, `document.querySelector("[data-new]") !== null`) {
		p.errorf("an older page of the list speaks of new ones")
	}
}

// TestPageWalk_CopyAsCurl: what is copied sends the payload, with URL and token from the person.
func TestPageWalk_CopyAsCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("this machine has no curl")
	}
	rcv := newReceiver(t, nil)
	db := ready(t, "https://re.example/k3y")
	db.exec(`select webhook.create_roles()`)
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim'`)
	id := db.inState("failed", "contact.created", `{"name": "O'Brien $HOME `+"`id`"+` \\ \u0000 `+"\u202e"+`x"}`)
	p := newTab(t, servePage(t, db, nil))
	p.open(fmt.Sprintf("/deliveries/%d", id))
	evaluate[bool](p, `(() => { navigator.clipboard.writeText = async (text) => { window.copied = text }; return true })()`)
	p.unfold("Copy as curl")
	p.find("button", buttons, "Copy the command").click()
	p.sees("Copied")
	command := evaluate[string](p, `window.copied`)
	for _, secret := range []string{"geheim", "k3y"} {
		p.lacks(secret)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Env = append(os.Environ(), "URL="+rcv.URL, "TOKEN=geheim")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, said, command)
	}
	sent := rcv.of(id)
	if len(sent) != 1 || sent[0].header.Get("Authorization") != "Bearer geheim" || !strings.Contains(sent[0].body, `"name":"O'Brien $HOME `+"`id`"+` \\ \u0000 \u202ex"`) {
		t.Errorf("it was sent as %+v\n%s", rcv.all(), command)
	}
}

// TestPageWalk_LookAtTheEndpoint: name, connection and certificate are shown beside a URL that was saved, without a request.
func TestPageWalk_LookAtTheEndpoint(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, newDatabase(t))
	db.exec(`select webhook.create_roles()`)
	env := quick(db.address)
	env["WEBHOOK_CA_FILE"] = ca
	startWorker(t, env)
	p := newTab(t, servePage(t, db, nil))
	p.open(settingsPath)
	p.group("Contacts").fill("URL", secure.URL+"/k3y")
	p.group("Folders").fill("URL", "https://no-such-host.invalid/k3y")
	p.press("Save")
	p.sees("Saved: Contacts, Folders.")
	ends := secure.Certificate().NotAfter.UTC().Format("2 January 2006")
	for _, words := range []string{"Reachable at " + secure.Listener.Addr().String() + ", TLS 1.3", "Certificate of", "Acme Co", "ends " + ends, "no such host"} {
		p.sees(words) // without a reload by the person
	}
	if got := p.group("Contacts").value("URL"); got != secure.URL+"/k3y" {
		p.errorf("the URL became %s", got)
	}
	p.follows()
}
