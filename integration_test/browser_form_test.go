package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// formPage has two groups with the same labels, as the page's channels have.
const formPage = `<!doctype html><html lang="en"><title>Form</title><link rel="icon" href="/icon">
<form method="post"><h1>Form</h1>
<fieldset><legend>Documents</legend><label for="a">URL</label><input id="a" name="a" value="old"><label><input type="checkbox" name="on"> Enabled</label>
<details><summary>Advanced</summary><label>Pace <input name="pace" type="number"></label></details></fieldset>
<fieldset><legend>Contacts</legend><label for="b">URL</label><input id="b" name="b" aria-invalid="true" aria-describedby="wrong"><p id="wrong">It does not parse.</p></fieldset>
<label><input type="radio" name="auth" value="none" checked> None</label><label><input type="radio" name="auth" value="bearer"> Bearer Token</label>
<label>Channel <select name="channel"><option value="">All</option><option value="d">Documents</option></select></label>
<button>Save</button><button disabled aria-describedby="why">Cancel</button><p id="why">It is delivered.</p></form>
<p id="said"></p><script src="/script"></script></html>`

// TestBrowserForm_ControlsAreFoundByTheirLabels: with script and without.
func TestBrowserForm_ControlsAreFoundByTheirLabels(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/script":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `document.getElementById("said").textContent = "script"`)
		case r.Method == http.MethodPost:
			_ = r.ParseForm()
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprintf(w, `<!doctype html><title>Sent</title><h1>Sent</h1>%s <a href="/">Back</a>`, r.PostForm.Encode())
		case r.URL.Path == "/":
			fmt.Fprint(w, formPage)
		}
	}))
	t.Cleanup(site.Close)
	p := newTab(t, site.URL)
	for _, script := range []string{"script", ""} {
		if script == "" {
			p.withoutScript()
		}
		p.open("/")
		if got := p.text(); got[len(got)-len(script):] != script {
			t.Errorf("script %q: the page says %q", script, got)
		}
		documents := p.group("Documents")
		documents.fill("URL", "https://a.example/日本")
		documents.tick("Enabled", true)
		documents.unfold("Advanced")
		documents.fill("Pace", "5")
		p.group("Contacts").fill("URL", "")
		p.choose("Bearer Token")
		p.pick("Channel", "Documents")
		if got := p.group("Contacts").wrong("URL"); got != "It does not parse." {
			t.Errorf("wrong is %q", got)
		}
		if disabled, reason := p.disabled("Cancel"); !disabled || reason != "It is delivered." {
			t.Errorf("Cancel: %t, %q", disabled, reason)
		}
		if documents.has(fields, "Token") || !documents.has(fields, "URL") || p.chosen("None") {
			t.Error("has and chosen are wrong")
		}
		p.press("Save")
		if got, want := p.text(), "Sent a=https%3A%2F%2Fa.example%2F%E6%97%A5%E6%9C%AC&auth=bearer&b=&channel=d&on=on&pace=5 Back"; got != want {
			t.Errorf("it sent %s, want %s", got, want)
		}
		if p.status() != 422 || p.h1() != "Sent" {
			t.Errorf("status %d, h1 %s", p.status(), p.h1())
		}
		p.follow("Back")
		if p.path() != "/" {
			t.Errorf("the link leads to %s", p.path())
		}
	}
	p.tabTo("button Save")
	if faults := p.faults(); len(faults) != 0 {
		t.Errorf("faults: %q", faults)
	}
}
