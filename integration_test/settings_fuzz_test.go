package integration_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/recordengine/webhooks/sender"
)

// storable says whether a text can get into a PostgreSQL text at all.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// What the database accepts as settings, the sender can call: no event is claimed
// for a channel that then cannot be called.
func FuzzSettings(f *testing.F) {
	for _, u := range []string{
		"https://hook.eu1.make.com/abc?x=%20&y=a+b#f", "http://[::1]:8080/", "http://[1:2:3:4:5:6:7:8::]/", "https://u:p@h:65536/", "http://h:0080/%zz",
		"https://a b/", "http://h/\u2028", "https://%41/", "http://h:/?%", "HTTP://É/", "https://h\\@x/", "http://[fe80::1%25eth0]/",
	} {
		f.Add(u, "secret")
		f.Add("https://h/", u)
	}
	f.Add("https://h/", " a\tb ")
	f.Add("https://h/", "é\u00a0")
	db := open(f, newDatabase(f))
	db.exec(`update webhook.channels set url = 'https://h/'`)
	f.Fuzz(func(t *testing.T, url, token string) {
		if !storable(url) || !storable(token) {
			return
		}
		var problem *string
		if err := db.Get(&problem, `select webhook.url_problem($1)`, url); err != nil {
			t.Fatal(err)
		}
		if err := sender.Check(url, ""); problem == nil && err != nil {
			t.Errorf("SQL finds no problem in %q, the sender says: %v", url, err)
		}
		if problem != nil && len(url) > 20 && strings.Contains(*problem, url) {
			t.Errorf("the problem of %q quotes it: %s", url, *problem)
		}
		var sent string
		var unusable bool
		err := db.QueryRow(`update webhook.settings s set auth = 'bearer', bearer_token = $1
			returning coalesce(btrim(bearer_token), ''), (select webhook.channel_problem(c, s) like '%bearer token%' from webhook.channels c where c.name = 'contacts') is true`, token).Scan(&sent, &unusable)
		if err != nil {
			mustBeRefused(t, err, "23514")
		} else if err := sender.Check("https://h/", sent); err != nil && !unusable {
			t.Errorf("the database accepts the token %q, the sender says: %v", token, err)
		}
	})
}

// Whatever an application writes as data of a document: if it is a JSON object
// it is accepted, and has an id or none.
func FuzzPublish(f *testing.F) {
	for _, data := range []string{
		`{"id": 42}`, `{"id": "caf\u00e9", "notes": "a\u0000b"}`, `{"id": "\ud800"}`, `{"id": {"id": 1}}`, `{"id": 1e999}`, `{"id": 1, "id": "\\u0000"}`, `[1]`, `"x"`, `{`,
		`{"\u0069d": 7, "x": "\udc00\ud800"}`,
	} {
		f.Add(data)
	}
	db := open(f, newDatabase(f))
	f.Fuzz(func(t *testing.T, data string) {
		if !storable(data) {
			return
		}
		var object bool
		if err := db.Get(&object, `select json_typeof($1::json) = 'object'`, data); err != nil {
			return // no JSON: it does not even get as far as the function
		}
		var id int64
		err := db.Get(&id, `select webhook.publish('document.exported', $1)`, data)
		switch {
		case err != nil && object:
			t.Errorf("%s is refused: %v", data, err)
		case err != nil:
			mustBeRefused(t, err, "23514")
		case !object:
			t.Errorf("%s is accepted", data)
		}
	})
}

func mustBeRefused(t *testing.T, err error, code pqerror.Code) {
	t.Helper()
	var pe *pq.Error
	if !errors.As(err, &pe) || pe.Code != code {
		t.Errorf("refused with %v, SQLSTATE %s was expected", err, code)
	}
}
