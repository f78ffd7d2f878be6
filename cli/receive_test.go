package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
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

// The output of `webhooks receive` is a pipe that is not read: it answers nevertheless, and says later
// what it could not print.
func TestReceive_AnswersWhileItsOutputIsNotRead(t *testing.T) {
	out, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stop, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- execute(t.Context(), stop, Process{Stdout: writer, Stderr: io.Discard}, []string{"receive", "--listen", "127.0.0.1:0", "--bodies"})
		writer.Close()
	}()
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://[0-9.:]+`).FindString(first)
	client := &http.Client{Timeout: 10 * time.Second}
	large := strings.Repeat("x", 200_000) // more than a pipe holds; seven of them more than waits
	for i := range 9 {
		resp, err := client.Post(url, "application/json", strings.NewReader(large))
		if err != nil {
			t.Fatalf("request %d, while the output is not read: %v", i, err)
		}
		resp.Body.Close()
	}
	end()
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if said := regexp.MustCompile(`(?m)^[1-9] lines were not printed: the output was not read$`); !said.Match(rest) {
		t.Errorf("what was not printed is not reported: …%s", rest[max(0, len(rest)-200):])
	}
}

func TestReceive_PrintsALongPayload(t *testing.T) {
	printed := make(chan int, 1)
	lines := newLogWriter(writerFunc(func(b []byte) { printed <- len(b) }), func(int) error { return nil })
	printDelivery(lines, delivery{body: bytes.Repeat([]byte("x"), maxWaitingLog)}, true)
	if err := lines.Sync(); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-printed:
		if n <= maxWaitingLog {
			t.Errorf("%d bytes were printed", n)
		}
	default:
		t.Error("nothing was printed")
	}
}

type writerFunc func([]byte)

func (w writerFunc) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestReceive_SaysWhyItRejects(t *testing.T) {
	var got delivery
	r := &receiver{answers: []int{200}, token: "tok", got: func(d delivery) { got = d }}
	for _, c := range []struct{ method, authorization, want string }{
		{"POST", "Bearer tok", "200 "},
		{"POST", "", "401 no bearer token"},
		{"POST", "Bearer other", "401 another bearer token than --token"},
		{"GET", "Bearer tok", "405 method GET, expected POST"},
	} {
		req := httptest.NewRequest(c.method, "/", strings.NewReader("{}"))
		req.Header.Set("Authorization", c.authorization)
		r.ServeHTTP(httptest.NewRecorder(), req)
		if said := fmt.Sprint(got.status, " ", got.note); said != c.want {
			t.Errorf("%s with %q: it says %q, want %q", c.method, c.authorization, said, c.want)
		}
	}
	var out bytes.Buffer
	printDelivery(&out, got, false)
	if line := out.String(); !strings.Contains(line, "405  (no event) ") || !strings.HasSuffix(line, "(no webhook-id)  method GET, expected POST\n") {
		t.Errorf("it prints %q", line)
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
