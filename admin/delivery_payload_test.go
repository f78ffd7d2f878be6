package admin

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPretty_KeepsEveryToken(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":12500.00,"b":1e5,"a":-0.0}`:         "{\n  \"a\": 12500.00,\n  \"b\": 1e5,\n  \"a\": -0.0\n}",
		`{"a":{},"b":[],"c":[ ],"d":{"e":[1,2]}}`: "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [],\n  \"d\": {\n    \"e\": [\n      1,\n      2\n    ]\n  }\n}",
		`{"a":"x, {y}: \"[z]\" \\"}`:              "{\n  \"a\": \"x, {y}: \\\"[z]\\\" \\\\\"\n}",
		`{"a":"\u0000\ud800</script>"}`:           "{\n  \"a\": \"\\u0000\\ud800</script>\"\n}",
		` { "a" : [ 1 , null ] } `:                "{\n  \"a\": [\n    1,\n    null\n  ]\n}",
		`{"a":[{"b":`:                             "{\n  \"a\": [\n    {\n      \"b\": ",
		`[`:                                       "[\n  ",
		``:                                        "",
		`{"a":"` + "\u202e" + `"}`:                "{\n  \"a\": \"\u202e\"\n}",
		strings.Repeat("[", 3) + strings.Repeat("]", 3): "[\n  [\n    []\n  ]\n]",
	} {
		if got := string(pretty([]byte(text))); got != want {
			t.Errorf("%s:\n%s\nexpected:\n%s", text, got, want)
		}
	}
}

func FuzzPretty(f *testing.F) {
	for _, text := range []string{`{"a":[1,{"b":"c\\\""}],"d":{}}`, `[[],[[]],{}]`, `"x"`, `]}`, ` { "é" : 12500.00 } `} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := pretty(text)
		if len(got) > mostShown+100 {
			t.Errorf("%d bytes are shown", len(got))
		}
		if !json.Valid(text) || len(text) > 1000 {
			return
		}
		var want, same bytes.Buffer
		_ = json.Compact(&want, text)
		if err := json.Compact(&same, got); err != nil || !bytes.Equal(same.Bytes(), want.Bytes()) {
			t.Errorf("%q became %q: %v", text, got, err)
		}
	})
}

func TestPayload_OfFiveMegabytesIsCut(t *testing.T) {
	d := DeliveryDetail{Delivery: Delivery{ID: 7, Event: "contact.created"}, Occurred: Instant{Text: "2026-11-28 10:00:00+00"}, WebhookID: "x-7-y"}
	data := []byte(`{"name":"` + strings.Repeat("é", 5<<19) + `"}`)
	p := payloadOf(d, data, int64(len(data)))
	if !p.Cut || p.Problem != "" || len(p.Raw) > mostShown || len(p.Pretty) > mostShown || !utf8.ValidString(p.Raw) || !utf8.ValidString(p.Pretty) || p.Size < 5<<20 {
		t.Errorf("%d and %d bytes are shown of %d, cut: %v", len(p.Raw), len(p.Pretty), p.Size, p.Cut)
	}
	if !strings.Contains(p.Curl, "--data-binary @delivery-7.json") || len(p.Curl) > 1000 {
		t.Errorf("curl is %d bytes", len(p.Curl))
	}
	if p := payloadOf(d, data[:100], 9<<20); !p.TooMuch || !p.Cut || p.Curl != "" {
		t.Errorf("too large for the page: %+v", p)
	}
}

func TestPayload_ThatCannotBeBuiltIsTheStoredData(t *testing.T) {
	d := DeliveryDetail{Delivery: Delivery{ID: 7, Event: "contact.created"}, Occurred: Instant{Text: "infinity"}}
	p := payloadOf(d, []byte(`{"name": "Acme"}`), 16)
	if !strings.Contains(p.Problem, "occurred_at") || p.Raw != `{"name": "Acme"}` || p.Curl != "" {
		t.Errorf("%+v", p)
	}
}

// TestCurl_IsOneCommand: pasted into a shell, the command passes on the payload and nothing of it is run.
func TestCurl_IsOneCommand(t *testing.T) {
	body := `{"a":"$(touch /tmp/never) ` + "`id`" + ` '; echo ran; ' \\ PAYLOAD ` + "\u202e\u009b\U000e0041" + `"}`
	d := DeliveryDetail{Delivery: Delivery{ID: 7, Event: "contact.created"}, Host: "hook.eu1.make.com", Auth: true, WebhookID: "0d9f4a52-6c1e-4b7a-9a3d-5e8b2f71c604-7-0123456789abcdef"}
	script := `curl() { for a; do echo "[$a]"; done; cat; }; URL=https://u TOKEN=t` + "\n" + curl(d, []byte(body))
	said, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	want := "[--request]\n[POST]\n[https://u]\n[--header]\n[Content-Type: application/json]\n[--header]\n[webhook-id: " + d.WebhookID +
		"]\n[--header]\n[Authorization: Bearer t]\n[--data-binary]\n[@-]\n" + strings.NewReplacer("\u202e", `\u202e`, "\u009b", `\u009b`, "\U000e0041", `\udb40\udc41`).Replace(body) + "\n"
	if err != nil || string(said) != want {
		t.Errorf("%v\n%s\nexpected:\n%s", err, said, want)
	}
	var a, b any
	sent := string(said[bytes.IndexByte(said, '{'):])
	if json.Unmarshal([]byte(sent), &a) != nil || json.Unmarshal([]byte(body), &b) != nil || a.(map[string]any)["a"] != b.(map[string]any)["a"] {
		t.Errorf("another payload is sent: %s", sent)
	}
}
