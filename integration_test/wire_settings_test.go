package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/recordengine/webhooks/sender"
)

// unseen are characters that a copied text brings along.
var unseen = map[string]string{
	"\u200e": "U+200E", "\ufeff": "U+FEFF", "\u00ad": "U+00AD", "\u00a0": "U+00A0", "\u200b": "U+200B", "\u2060": "U+2060", "\u202e": "U+202E",
	"\u2028": "U+2028", "\u3000": "U+3000", "\u0085": "U+0085", "\u061c": "U+061C", "\u180e": "U+180E", "\U000e0041": "U+E0041",
}

func TestWire_UnseenCharactersAreTrimmedOrNamed(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	problem := func(change string, value string) string {
		t.Helper()
		if _, err := db.Exec(change, value); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
		var found string
		if err := db.Get(&found, `select coalesce(webhook.channel_problem(c, s), '') from webhook.channels c, webhook.settings s where c.name = 'documents'`); err != nil {
			t.Fatal(err)
		}
		return found
	}
	const url, token, base = `update webhook.channels set url = $1`, `update webhook.settings set auth = 'bearer', bearer_token = $1`, `update webhook.settings set document_base_url = $1`
	problem(url, "https://bücher.example/hook ")
	problem(base, "https://re.example")
	if got := problem(token, "Bearer tok"); got != "" {
		t.Fatalf("got %q", got)
	}
	for c, name := range unseen {
		if got := problem(url, "https://bücher.example/hook"+c+c); got != "" {
			t.Errorf("%s at the end of a URL: %s", name, got)
		}
		if got := problem(url, "https://h.example/ho"+c+"ok"); !strings.Contains(got, name) {
			t.Errorf("%s in a URL: %q", name, got)
		}
		if got := problem(url, "https://h."+c+"example/hook"); !strings.Contains(got, name) {
			t.Errorf("%s in a host: %q", name, got)
		}
		problem(url, "https://h.example/hook")
		if got := problem(token, c+"tok"+c); got != "" {
			t.Errorf("%s around a token: %s", name, got)
		}
		if got := problem(token, "to"+c+"k"); !strings.Contains(got, name) || strings.Contains(got, "to"+c) {
			t.Errorf("%s in a token: %q", name, got)
		}
		problem(token, "tok")
		if got := problem(base, "https://re.example/"+c); got != "" {
			t.Errorf("%s at the end of a base URL: %s", name, got)
		}
		if got := problem(base, "https://re.exam"+c+"ple/"); !strings.Contains(got, name) {
			t.Errorf("%s in a base URL: %q", name, got)
		}
		problem(base, "https://re.example")
	}
	for value, says := range map[string]string{
		"https://re.example/a b": "a space (U+0020)", "https://re.example/?a=b": "?", "https://re.example/#a": "#", "https://me:secretword@re.example/": "credentials",
		"https://re.example/a\nb": "U+000A", "https://re.example \n": "", "https://re.example/base/": "", "https://bücher.example": "",
	} {
		got := problem(base, value)
		if (says == "") != (got == "") || !strings.Contains(got, says) || strings.Contains(got, "secretword") {
			t.Errorf("base URL %q: got %q, want %q", value, got, says)
		}
	}
	problem(base, "https://re.example")
	if got := problem(token, "Bearer"); !strings.Contains(got, "only the word Bearer") {
		t.Errorf("got %q", got)
	}
	if got := problem(token, "Bearer tok"); got != "" {
		t.Errorf("got %q", got)
	}
}

// Each character of Unicode, in a URL and in a token: what SQL finds no problem in, the sender can call, and
// what SQL names, the sender rejects.
func TestWire_EveryCharacterIsJudgedAlikeInSQLAndGo(t *testing.T) {
	t.Parallel()
	db := open(t, newDatabase(t))
	var urls []string
	for r := rune(1); r <= 0xe01ff; r++ {
		if r == 0x3400 { // ideographs and what follows: one of many
			r = 0xd7a3
		}
		if r == 0xd800 {
			r = 0xe000
		}
		if r == 0x10000 {
			r = 0xdff00
		}
		urls = append(urls, "https://h.example/a"+string(r)+"b")
	}
	var rows []struct {
		URL     string
		Problem *string
	}
	if err := db.Select(&rows, `select url, webhook.url_problem(url) as problem from unnest($1::text[]) url`, pq.Array(urls)); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		err := sender.Check(r.URL, "")
		if (err == nil) != (r.Problem == nil) && !strings.ContainsAny(r.URL, "%") {
			t.Errorf("%+q: SQL says %q, the sender %v", r.URL, value(r.Problem), err)
		}
	}
}

// What was pasted with a URL and a token does not get on the wire, nor into doc_url.
func TestWire_SettingsAreSentAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- fmt.Sprint(r.Host, " ", r.RequestURI, " ", r.Header["Authorization"])
	}))
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "http://")
	db := ready(t, srv.URL)
	db.exec(`update webhook.channels set url = $1`, strings.Replace(srv.URL, "127.0.0.1", "LOCALHOST", 1)+"/a%2Fb//c|d?ü{}|\"\u200e\ufeff")
	db.exec(`update webhook.settings set auth = 'bearer', bearer_token = $1`, "\u200bBearer tok_1\u00a0")
	startWorker(t, settings{"DATABASE_URL": db.address, "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8,::1"})
	db.publish("contact.created", `{"contact_id": 1}`)
	want := fmt.Sprintf("localhost%s /a%%2Fb//c%%7Cd?%%C3%%BC%%7B%%7D%%7C%%22 [Bearer tok_1]", host[strings.LastIndexByte(host, ':'):])
	select {
	case seen := <-got:
		if seen != want {
			t.Errorf("got  %s\nwant %s", seen, want)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing arrived")
	}
}
