package envelope_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/recordengine/webhooks/envelope"
)

// FuzzRender holds that any data gives an error at most, one that can be stored and shown, and that everything sent is compact JSON.
func FuzzRender(f *testing.F) {
	for _, c := range loadCases(f) {
		f.Add(c.Event, c.DocumentBaseURL, c.OccurredAt, c.Data)
	}
	for _, example := range loadExamples(f) {
		f.Add(example.Event, "https://re.example", exampleTime, example.Data)
	}
	f.Fuzz(func(t *testing.T, event, baseURL, occurredAt string, data []byte) {
		in := inputOf(event, baseURL, occurredAt, data)
		got, err := envelope.Render(in)
		checkValidatedAlike(t, in, got, err)
		if err != nil {
			checkErrorText(t, err.Error())
			return
		}
		checkEnvelope(t, event, got)
		if !json.Valid(data) {
			t.Errorf("data that is no JSON gave %s", got)
		}
		again, err := envelope.Render(in)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("a second attempt gave %v %s", err, again)
		}
	})
}

// checkValidatedAlike holds that data which PostgreSQL has validated, and which is
// not parsed again, gives what it would give otherwise.
func checkValidatedAlike(t *testing.T, in envelope.Input, want []byte, wantErr error) {
	if !json.Valid(in.Data) {
		return // a column of type json never holds it
	}
	in.Validated = true
	got, err := envelope.Render(in)
	if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Errorf("validated, it gave %s %v, not %s %v", got, err, want, wantErr)
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
