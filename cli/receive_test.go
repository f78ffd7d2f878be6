package cli

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
)

func TestPrintDelivery_NothingReachesTheTerminalRaw(t *testing.T) {
	for in, want := range map[string]string{
		`{"name": "Grüße 发票 😀"}`:         `{"name": "Grüße 发票 😀"}`,
		"\x1b[31mred\x1b]0;title\a\x9b":  `\u001b[31mred\u001b]0;title\u0007\x9b`,
		"\u009b31m":                      `\u009b31m`,
		"a\u202eb\u2066c\u200fd\u061ce":  `a\u202eb\u2066c\u200fd\u061ce`,
		"one\r\n12:00:00.000  200  fake": `one\u000d\u000a12:00:00.000  200  fake`,
		"\xff\xfe\x00\t\b":               `\xff\xfe\u0000\u0009\u0008`,
		"\ufeff\u200b\u00ad\U000e0041":   `\ufeff\u200b\u00ad\U000e0041`,
		"\ufffd":                         "\ufffd",
	} {
		var out bytes.Buffer
		printDelivery(&out, delivery{at: time.Now(), path: in, webhookID: in, event: in, body: []byte(in), status: 200}, true)
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 2 || lines[1] != want || strings.Count(lines[0], want) != 3 {
			t.Errorf("%q is printed as\n%q", in, out.String())
		}
		for _, r := range strings.Join(lines, "") {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("%q: %U reaches the terminal", in, r)
			}
		}
	}
}

func TestReceiver_HalfABodyIsNotAnswered200(t *testing.T) {
	r := &receiver{answers: []int{200}, got: func(d delivery) { t.Errorf("got %+v", d) }}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("POST", "/", iotest.ErrReader(errors.New("broken off"))))
	if w.Code != 400 {
		t.Errorf("answered %d", w.Code)
	}
}
