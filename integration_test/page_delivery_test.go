package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// pageText is what a page shows, white space counted once, and the names of its elements and attributes.
func pageText(t testing.TB, page string) (text string, elements map[string]int) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	elements = map[string]int{}
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			words = append(words, strings.Fields(n.Data)...)
		case html.ElementNode:
			elements[n.Data]++
			for _, a := range n.Attr {
				elements["@"+a.Key]++
				if (a.Key == "href" || a.Key == "action" || a.Key == "src") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("a link leads to %q", a.Val)
				}
			}
		}
	}
	return strings.Join(words, " "), elements
}

// sees holds that a page shows each of these.
func sees(t testing.TB, what, page string, parts ...string) {
	t.Helper()
	text, _ := pageText(t, page)
	with(t, what, text, parts...)
}

func TestPageDelivery_ShowsWhereItIsAndWhatHappened(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example/secret-path")
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = 'geheim'`)
	page := newDeliveriesPage(t, db)
	for state, words := range map[string][]string{
		"pending":   {"Waiting", "Not sent yet", "is due since"},
		"sent":      {"Delivered", "HTTP 200 OK", "thanks", "Yes, the receiver has it."},
		"failed":    {"Failed", "HTTP 500 Internal Server Error", "No, the receiver does not have it.", "The receiving server is temporarily down or overloaded."},
		"unknown":   {"Failed", "Worker ended meanwhile", "Maybe: it was sent, and whether it arrived is not known."},
		"skipped":   {"Skipped", "The channel was off."},
		"cancelled": {"Cancelled"},
		"sending":   {"Waiting", "is being sent now, by worker host:7", "Being sent by worker host:7", "Worker host:7 is sending it, until"},
	} {
		id := db.inState(state, "contact.created", `{"contact_id": 7, "name": "Acme", "amount": 1}`)
		status, text := page.get(fmt.Sprintf("/deliveries/%d", id))
		if status != http.StatusOK {
			t.Fatalf("%s: status %d", state, status)
		}
		if state == "pending" {
			words[1] = "No: it was not sent yet."
			words = append(words[:1], words[2:]...)
		}
		// What explains it, without the statement that an operator would run: the page has a button.
		explained, _, _ := strings.Cut(query[string](t, db.address, fmt.Sprintf("select webhook.explain(%d)", id)), " To send it again: select ")
		sees(t, state, text, append(words, fmt.Sprintf("Delivery %d", id), `"schema_version": "2.0"`, `"contact_id": 7`, "Bearer •••", "re.example",
			query[string](t, db.address, fmt.Sprintf("select webhook.webhook_id(o) from webhook.outbox o where id = %d", id)),
			explained, "curl --request POST")...)
		if strings.Contains(text, "geheim") || strings.Contains(text, "secret-path") {
			t.Errorf("%s: the page shows a secret", state)
		}
		if strings.Contains(text, "select webhook.") {
			t.Errorf("%s: the page shows SQL", state)
		}
	}
}

func TestPageDelivery_TimelineMergesAttemptsAndPersons(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	id := db.inState("failed", "contact.created", `{}`)
	for _, step := range []struct{ path, note string }{{"resend", ""}, {"cancel", ""}, {"resend", ""}, {"delivered", "seen in the ERP, ticket 7"}} {
		if status, text := page.post(fmt.Sprintf("/deliveries/%d/%s", id, step.path), url.Values{"note": {step.note}}); status != http.StatusSeeOther {
			t.Fatalf("%s: status %d: %s", step.path, status, text)
		}
	}
	_, text := page.get(fmt.Sprintf("/deliveries/%d", id))
	sees(t, "the timeline", text, "Marked as delivered by Jane", "seen in the ERP, ticket 7", "Cancelled by Jane", "Resent by Jane", "Failed: HTTP 500 Internal Server Error")
	_, after, _ := strings.Cut(text, `class="timeline"`)
	last := -1
	for _, entry := range []string{"Marked as delivered", "Resent", "Cancelled", "Resent", "Failed", "Happened in the application"} {
		i := strings.Index(after[last+1:], "<strong>"+entry)
		if i < 0 {
			t.Fatalf("%s is not there, or out of order: %s", entry, after)
		}
		last += 1 + i
	}
}

func TestPageDelivery_ActionsAreRefusedInWords(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	older := db.inState("superseded", "document.exported", `{"id": 5, "status": "Export"}`)
	newer := db.inState("sent", "document.exported", `{"id": 5, "status": "Export"}`)
	held, waiting := db.inState("sending", "contact.created", `{}`), db.inState("pending", "contact.created", `{}`)
	for _, c := range []struct {
		id     int64
		action string
		status int
		words  string
	}{
		{older, "resend", 409, fmt.Sprintf("event %d is a later export of document 5", newer)},
		{held, "resend", 409, "worker host:7 holds it until"},
		{held, "cancel", 409, "worker host:7 holds it until"},
		{held, "delivered", 409, "worker host:7 holds it until"},
		{waiting, "resend", 409, "is pending already"},
		{newer, "cancel", 409, "it is finished (sent)"},
		{newer, "delivered", 409, "is sent already"},
		{1 << 40, "resend", 404, "It may have been pruned after its retention time."},
		{1 << 40, "cancel", 404, "It may have been pruned"},
		{1 << 40, "delivered", 404, "It may have been pruned"},
	} {
		status, text := page.post(fmt.Sprintf("/deliveries/%d/%s", c.id, c.action), url.Values{"note": {"seen"}})
		what := fmt.Sprintf("%s of %d", c.action, c.id)
		if status != c.status {
			t.Errorf("%s: status %d", what, status)
		}
		sees(t, what, text, c.words)
		for _, sql := range []string{"select ", "SQLSTATE", "pq:", "55000", "55006"} {
			if strings.Contains(text, sql) {
				t.Errorf("%s: the page shows SQL (%s): %s", what, sql, text)
			}
		}
	}
	if n := db.count(`select count(*) from webhook.interventions where outbox_id is not null`); n != 0 {
		t.Errorf("%d actions were done", n)
	}
	// What would be refused is a button without effect, and its reason.
	for id, words := range map[int64][]string{
		older:   {fmt.Sprintf("Resend: Event %d is a later export of the same document. Resend that one.", newer), "Cancel: It is finished"},
		held:    {"Resend: Worker host:7 is sending it, until", "Cancel: Worker host:7", "Mark as delivered: Worker host:7"},
		waiting: {"Resend: It waits already, and will be sent by itself."},
		newer:   {"Cancel: It is finished"},
	} {
		_, text := page.get(fmt.Sprintf("/deliveries/%d", id))
		sees(t, fmt.Sprint(id), text, words...)
		if n := strings.Count(text, "<button type=\"button\" disabled aria-describedby="); n != len(words) && id != older {
			t.Errorf("delivery %d: %d disabled buttons, %v", id, n, words)
		}
	}
}

func TestPageDelivery_MarkingNeedsANote(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	id := db.inState("failed", "contact.created", `{}`)
	path := fmt.Sprintf("/deliveries/%d/delivered", id)
	for _, note := range []string{"", " \t\n", "\u00a0\u200b", "a\x00b", "\xff", strings.Repeat("x", 1001)} {
		status, text := page.post(path, url.Values{"note": {note}})
		if status != http.StatusUnprocessableEntity || !strings.Contains(text, `aria-invalid="true"`) || !strings.Contains(text, `id="note-wrong"`) {
			t.Errorf("%q: status %d: %s", note, status, text)
		}
	}
	if db.status(id) != "failed" {
		t.Error("it was marked")
	}
}

func TestPageDelivery_UnknownIDs(t *testing.T) {
	t.Parallel()
	page := newDeliveriesPage(t, ready(t, "https://re.example"))
	for _, id := range []string{"1", "0", "-1", "x", "1x", "01", "+1", "1.0", "9223372036854775807", "9223372036854775808", strings.Repeat("9", 1000), "%00", "%27", "..%2f1", "%F0%9F%98%80"} {
		for _, below := range []string{"", "/payload", "/resend", "/delivered"} {
			if status, text := page.get("/deliveries/" + id + below); status != http.StatusNotFound || !strings.Contains(text, "<h1>There is no such") {
				t.Errorf("%s%s: status %d: %s", id, below, status, text)
			}
		}
	}
}

func TestPageDelivery_RefreshesWhileItWaits(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	var test int64
	if err := db.Get(&test, `select webhook.send_test('contacts')`); err != nil {
		t.Fatal(err)
	}
	refresh := func(id int64) string {
		w := httptest.NewRecorder()
		page.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1/deliveries/%d", id), nil))
		return w.Header().Get("Refresh")
	}
	later := db.publish("document.exported", `{"id": 8, "status": "Export"}`)
	db.become(later, states["refused"]+`, due_at = now() + interval '1 hour'`)
	for id, want := range map[int64]string{
		test:  "1",
		later: "10",
		db.inState("sending", "contact.created", `{}`):                                  "1",
		db.inState("sent", "contact.created", `{}`):                                     "",
		db.inState("failed", "contact.created", `{}`):                                   "",
		db.inState("leased", "document.exported", `{"id": 9, "status": "Export"}`):      "1",
		db.inState("superseded", "document.exported", `{"id": 10, "status": "Export"}`): "",
	} {
		if got := refresh(id); got != want {
			t.Errorf("delivery %d (%s): Refresh is %q, %q was expected", id, db.status(id), got, want)
		}
	}
	db.exec(`update webhook.settings set offline_mode = true`)
	if got := refresh(test); got != "" {
		t.Errorf("held by Offline Mode: Refresh is %q", got)
	}
	db.exec(`update webhook.settings set offline_mode = false; update webhook.channels set enabled = false`)
	if got := refresh(later); got != "" {
		t.Errorf("held by its channel: Refresh is %q", got)
	}
}

// hostileText is what receivers and applications may write.
const hostileText = `</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>"'{{.}}&lt;` + "\u202eevil\u2066\u200b\u2028\u0085"

func TestPageDelivery_HostileDataIsText(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	long := strings.Repeat("x", 100_000)
	quoted := strings.NewReplacer(`"`, `\"`).Replace(hostileText)
	ids := []int64{
		db.inState("failed", "contact.created", `{"name": "`+quoted+`", "email": "\u0000\ud800", "phone": "`+long+`"}`),
		db.inState("failed", "contact.created", `{"`+quoted+`": 1, "name": [[[[[[[[[[1e400]]]]]]]]]]}`),
		db.inState("refused", "document.exported", `{"id": "`+quoted+strings.Repeat("y", 60)+`", "status": "Export", "notes": "`+quoted+`"}`),
		db.inState("refused", "document.exported", `{"id": "\u0000\ud800", "status": "`+quoted+`"}`),
		db.inState("refused", "document.exported", `{"id": 7, "status": "Export", "line_items": "`+long+`"}`),
	}
	db.exec(`update webhook.outbox set error = $1, response = $1, claimed_by = $1 where finished_at is null`, hostileText+long)
	db.exec(`insert into webhook.attempts (outbox_id, run, failure, received, error, first_at, last_at) select id, 1, 'dns', 'no', $1, now(), now() from webhook.outbox`, hostileText+long)
	db.exec(`insert into webhook.interventions (outbox_id, action, actor, was_status, was_error, note) select id, 'mark_delivered', $1, 'failed', $1, $1 from webhook.outbox`, hostileText+long)
	for _, at := range []string{"infinity", "-infinity", "20000-01-01", "4000-01-01 BC", "0001-01-01 00:00:00+00"} {
		var id int64
		if err := db.Get(&id, `select webhook.publish('contact.created', '{}'::json, $1::timestamptz)`, at); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	paths := []string{"/deliveries", "/deliveries?error=" + url.QueryEscape(hostileText), "/deliveries?document=" + url.QueryEscape(hostileText), "/deliveries?channel=" + url.QueryEscape(hostileText) + "&since=" + url.QueryEscape(hostileText+long)}
	for _, id := range ids {
		paths = append(paths, fmt.Sprintf("/deliveries/%d", id), fmt.Sprintf("/deliveries/%d?view=raw", id), fmt.Sprintf("/deliveries/%d/resend", id), fmt.Sprintf("/deliveries/%d/delivered", id))
	}
	for _, path := range paths {
		status, text := page.get(path)
		if status >= 500 || status == http.StatusNotFound {
			t.Errorf("%.80s: status %d", path, status)
		}
		_, elements := pageText(t, text)
		if elements["img"] > 0 || elements["script"] != 1 || elements["@onerror"] > 0 {
			t.Errorf("%.80s: data became markup: %v", path, elements)
		}
		if len(text) > 1_000_000 {
			t.Errorf("%.80s: %d bytes", path, len(text))
		}
		if !strings.Contains(path, "error=") && !strings.Contains(path, "document=") && !strings.Contains(path, "since=") && strings.ContainsAny(text, "\u202e\u2066\u200b") {
			t.Errorf("%.80s: the page contains what turns the direction of text", path)
		}
		if n := strings.Count(text, "<h1"); n != 1 {
			t.Errorf("%.80s: %d headings", path, n)
		}
	}
	w := httptest.NewRecorder()
	page.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1/deliveries/%d/payload", ids[0]), nil))
	head := w.Header()
	if head.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(head.Get("Content-Disposition"), "attachment") || head.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(w.Body.String(), "<script>alert(1)</script>") {
		t.Errorf("the payload as a file: %v", head)
	}
}

// An administrator of the page has no SQL. What is wrong with the data is said once, with what can be done here.
func TestPageDelivery_DataThatCannotBeRenderedWaitForAnExport(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	id := db.inState("pending", "document.exported", `{"id": 43, "status": "Approved"}`)
	const problem = `status: is "Approved", expected "Export": set the document to Export and publish it again`
	db.exec(`update webhook.outbox set attempts = 14, claimed_by = null, failure = 'render', received = 'no', error = $2, due_at = now() + interval '7 seconds' where id = $1`, id, "render: "+problem)
	db.exec(`insert into webhook.attempts (outbox_id, run, attempts, failure, received, error, first_at, last_at) values ($1, 1, 14, 'render', 'no', $2, now() - interval '2 minutes', now())`, id, "render: "+problem)
	_, text := page.get(fmt.Sprintf("/deliveries/%d", id))
	sees(t, "the page", text, "Resend: It is not sent until its data is right: export the document again, or Cancel this one.",
		"for a pending document by exporting it again.", "14 × the same", "14 attempts: Payload cannot be built", "The payload cannot be built, for the reason that is said above.")
	words, _ := pageText(t, text)
	if n := strings.Count(words, problem); n != 1 {
		t.Errorf("what is wrong with the data is said %d times: %s", n, words)
	}
	for _, part := range []string{"will be sent by itself", "in its row", "data of this row", "update webhook"} {
		if strings.Contains(words, part) {
			t.Errorf("the page says %q", part)
		}
	}

	// Where the newest attempt says nothing of it, the payload does.
	db.exec(`update webhook.outbox set attempts = 0, failure = null, received = null, error = null where id = $1`, id)
	_, text = page.get(fmt.Sprintf("/deliveries/%d", id))
	sees(t, "before the next attempt", text, "The payload cannot be built: "+problem)
}

// An event that failed says what to do, and resending is the first thing to do only where it harms nothing.
func TestPageDelivery_AFailedEventSaysWhatToDo(t *testing.T) {
	t.Parallel()
	db := ready(t, "https://re.example")
	page := newDeliveriesPage(t, db)
	lost, unknown, wrong := db.inState("failed", "case.created", `{}`), db.inState("unknown", "case.created", `{}`), db.publish("case.created", `{}`)
	db.become(wrong, states["failed"]+`, http_status = null, failure = 'render', error = 'render: title: is 7', response = null`)
	const primary = `id="resend" class="primary"`
	for id, c := range map[int64]struct {
		says    []string
		primary bool
	}{
		lost:    {[]string{"The receiving server is temporarily down or overloaded. It is not retried: press Resend once the receiver is well.", "To send it again, press Resend."}, true},
		unknown: {[]string{"It is not retried: check the receiver before you press Resend.", "Resend: The receiver may have this event already. Look there first."}, false},
		wrong:   {[]string{"Resend: Its payload could not be built. Sent again as it is, it fails in the same way."}, false},
	} {
		_, text := page.get(fmt.Sprintf("/deliveries/%d", id))
		sees(t, fmt.Sprint(id), text, c.says...)
		if strings.Contains(text, primary) != c.primary || !strings.Contains(text, `<button id="resend"`) {
			t.Errorf("delivery %d: Resend is the primary action: %t", id, !c.primary)
		}
	}
	_, text := page.get(fmt.Sprintf("/deliveries/%d", db.inState("sent", "case.created", `{}`)))
	if _, elements := pageText(t, text); strings.Contains(text, "Mark as delivered") || elements["form"] == 0 {
		t.Errorf("a delivered event can be marked as delivered: %s", text)
	}
}
