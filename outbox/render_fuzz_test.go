package outbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/recordengine/webhooks/outbox"
)

// FuzzRender holds that whatever an application wrote costs an error at most,
// one that can be stored and shown, and that everything sent is compact JSON.
func FuzzRender(f *testing.F) {
	for _, c := range loadCases(f) {
		f.Add(c.Event, c.BaseURL, c.OccurredAt, c.Facts)
	}
	for _, channel := range outbox.Channels() {
		f.Add(channel.Event, "https://re.example", exampleTime, readExample(f, channel.Event+".facts.json"))
	}
	f.Fuzz(func(t *testing.T, event, baseURL, occurredAt string, facts []byte) {
		got, err := outbox.Render(eventOf(event, baseURL, occurredAt, facts))
		checkParsedAlike(t, eventOf(event, baseURL, occurredAt, facts), got, err)
		if err != nil {
			checkErrorText(t, err.Error())
			return
		}
		checkEnvelope(t, event, got)
		if !json.Valid(facts) {
			t.Errorf("facts that are no JSON gave %s", got)
		}
		again, err := outbox.Render(eventOf(event, baseURL, occurredAt, facts))
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("a second attempt gave %v %s", err, again)
		}
	})
}

// checkParsedAlike holds that facts which PostgreSQL has parsed, and which are
// not parsed again, give what they would give otherwise.
func checkParsedAlike(t *testing.T, ev outbox.Event, want []byte, wantErr error) {
	if !json.Valid(ev.Data) {
		return // a column of type json holds nothing of the kind
	}
	ev.Parsed = true
	got, err := outbox.Render(ev)
	if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Errorf("parsed, it gave %s %v, not %s %v", got, err, want, wantErr)
	}
}

func checkErrorText(t *testing.T, text string) {
	switch {
	case !strings.HasPrefix(text, "render: "):
		t.Errorf("error %q does not begin with render:", text)
	case len(text) > 500 || !utf8.ValidString(text) || strings.IndexFunc(text, unicode.IsControl) >= 0:
		t.Errorf("error %q cannot be stored and shown", text)
	}
}

func checkEnvelope(t *testing.T, event string, got []byte) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, got); err != nil || !bytes.Equal(compact.Bytes(), got) {
		t.Fatalf("%v: not compact JSON: %s", err, got)
	}
	if !utf8.Valid(got) {
		t.Errorf("invalid UTF-8: %q", got)
	}
	sent, err := readFields(got)
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.keys) != len(sent.values) {
		t.Errorf("a key twice in %q", sent.keys)
	}
	if string(sent.values["event"]) != `"`+event+`"` || len(sent.values["timestamp"]) != len(`"2026-03-22T08:30:00Z"`) {
		t.Errorf("not the envelope of %s: %s", event, got)
	}
	if event == "document.exported" {
		checkCustomFields(t, sent.values["document"])
	}
}

// checkCustomFields holds that no label hides a value.
func checkCustomFields(t *testing.T, sent json.RawMessage) {
	document, err := readFields(sent)
	if err != nil {
		t.Fatal(err)
	}
	set := 0
	for key, value := range document.values {
		if strings.HasPrefix(key, "custom_") && key != "custom_fields" && string(value) != "null" {
			set++
		}
	}
	custom, err := readFields(document.values["custom_fields"])
	if err != nil || len(custom.keys) != set || len(custom.values) != set {
		t.Errorf("%v: %d custom columns are set, custom_fields is %s", err, set, document.values["custom_fields"])
	}
}
