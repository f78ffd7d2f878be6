package sender

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func checkReadable(t *testing.T, text string, limit int) {
	t.Helper()
	if !utf8.ValidString(text) || len(text) > limit || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("%d bytes, not fit to be stored: %q", len(text), text)
	}
}

func TestSecrets_EveryForm(t *testing.T) {
	goJSON, _ := json.Marshal(testToken + `<">`)
	for _, c := range []struct{ name, token, path, body, want string }{
		{"plain", testToken, "/", "got " + testToken + "!", "got ***!"},
		{"in capitals", plainToken, "/", "got " + strings.ToUpper(plainToken) + "!", "got ***!"},
		{"JSON of Go", testToken + `<">`, "/", string(goJSON), `"***"`},
		{"JSON of PHP", testToken, "/", `tok_5ecret\/with+signs=\u00e9`, `***`},
		{"JSON of Python", testToken, "/", `tok_5ecret/with+signs=\u00e9`, `***`},
		{"HTML", `a<b>&"c"`, "/", html.EscapeString(`a<b>&"c"`), "***"},
		{"query escaped", testToken, "/", url.QueryEscape(testToken), "***"},
		{"query escaped, small", testToken, "/", strings.ToLower(url.QueryEscape(testToken)), "***"},
		{"path escaped", testToken, "/", url.PathEscape(testToken), "***"},
		{"base64", testToken, "/", base64.StdEncoding.EncodeToString([]byte(testToken)), "***"},
		{"base64 for URLs, unpadded", "??>>~~ab", "/", base64.RawURLEncoding.EncodeToString([]byte("??>>~~ab")), "***"},
		{"one letter", "x", "/", "axbxxc", "a***b***c"},
		{"three letters", "abc", "/", "1abc2", "1***2"},
		{"no token, no mask", "", "/", "Bearer ", "Bearer"},
		{"twice", plainToken, "/", plainToken + "," + plainToken, "***,***"},
		{"path", "", "/services/T0000001/B1", "Cannot POST /services/T0000001/B1", "Cannot POST ***"},
		{"path and query", "", "/h?key=s3cr3tkey", "POST /h?key=s3cr3tkey", "POST ***"},
		{"segment", "", "/h/0123456789abcdef/x", "hook 0123456789abcdef gone", "hook *** gone"},
		{"segment, unescaped", "", "/h/0123%20456789", "hook 0123 456789 gone", "hook *** gone"},
		{"value", "", "/h?a=1&key=s3cr3t%2Fkey", "key s3cr3t/key and s3cr3t%2Fkey", "key *** and ***"},
		{"HTML of the query", "", "/h?a=12345&b=67890", "a=12345&amp;b=67890", "***"},
		{"short parts are words", "", "/hook/in?a=1", "hook in a=1", "hook in a=1"},
		{"a long word of a token", "Key 0123456789", "/", "key=0123456789", "key=***"},
		{"token across a line break", "two words", "/", "two\nwords", "***"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := url.Parse("https://h.example" + c.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := response(c.body, true, secretsOf(u, c.token)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSecrets_Userinfo(t *testing.T) {
	for _, c := range []struct{ url, body, want string }{
		{"https://me:pw1@h.example/", "me pw1 bWU6cHcx me:pw1", "me *** *** ***"},
		{"https://sk_live_1:@h.example/", "sk_live_1 failed", "*** failed"},
		{"https://key@h.example/", "key failed", "*** failed"},
		{"https://long-user:pw1@h.example/", "long-user pw1", "*** ***"},
		{"https://me:p%40ss@h.example/", "p@ss p%40ss", "*** ***"},
		{"https://@h.example/", "a:b", "a:b"},
		{"https://:@h.example/", "a:b", "a:b"},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := response(c.body, true, secretsOf(u, "")); got != c.want {
			t.Errorf("%s: got %q, want %q", c.url, got, c.want)
		}
	}
}

func TestSecrets_PartOfTheHostIsNone(t *testing.T) {
	u, _ := url.Parse("https://webhooks.example.com/webhooks/0123456789")
	if got := secretsOf(u, "").mask("see webhooks.example.com/webhooks/0123456789"); got != "see webhooks.example.com***" {
		t.Error(got)
	}
}

func TestSecrets_Overlapping(t *testing.T) {
	s := secrets{"abcdef", "defghi", "hh"}
	for in, want := range map[string]string{"abcdefghi": "***", "xabcdefghix": "x***x", "hhh": "***", "abcdeF-DEFGHI": "***-***"} {
		if got := s.mask(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSecrets_CutBodyShowsNoPrefix(t *testing.T) {
	u, _ := url.Parse("https://h.example/")
	hidden := secretsOf(u, testToken)
	for n := range len(testToken) + 1 {
		if got := response("- "+testToken[:n], false, hidden); strings.TrimSpace(strings.ReplaceAll(got, mask, "")) != "-" {
			t.Errorf("%d bytes of the token: %q", n, got)
		}
	}
}

// A body of secrets shrinks when it is masked, so that its end at 64 KiB moves
// into the 2 KiB that are kept.
func TestSecrets_AcrossTheReadLimit(t *testing.T) {
	token := strings.Repeat("k3y", 100)
	for shift := range 5 {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, strings.Repeat(" ", shift), strings.Repeat(token+" ", 300))
		})
		req := newRequest(srv.URL)
		req.Token = token
		got := send(t, newSender(t, 10*time.Second), req)
		if left := strings.ReplaceAll(strings.ReplaceAll(got.Response, mask, ""), " ", ""); !got.Delivered() || left != "" {
			t.Errorf("shift %d: %q is left", shift, left)
		}
	}
}

func TestSecrets_BrokenBodyShowsNoPrefix(t *testing.T) {
	req := newRequest(answering(t, "HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\nbad "+plainToken[:12]).url())
	req.Token = plainToken
	if got := send(t, newSender(t, 10*time.Second), req); got.Response != "bad ***" {
		t.Errorf("got %+v", got)
	}
}

func TestResponse_IsReadable(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"controls", "a\x00b\tc\r\nd\u0085e\u2028f", "a b c  d e f"},
		{"direction", "a\u202eb\u2066c\u200fd\u061ce", "a b c d e"},
		{"not UTF-8", "a\xff\xc3b", "a\uFFFD\uFFFDb"},
		{"cut at a character", strings.Repeat("é", 3000), strings.Repeat("é", 1024)},
		{"cut before a character", "x" + strings.Repeat("é", 3000), "x" + strings.Repeat("é", 1023)},
		{"space around", " \n ok \n", "ok"},
		{"masked before it is cut", strings.Repeat("x", 2045) + plainToken, strings.Repeat("x", 2045) + mask},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, _ := url.Parse("https://h.example/")
			got := response(c.body, true, secretsOf(u, plainToken))
			checkReadable(t, got, maxResponse)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzResponse(f *testing.F) {
	f.Add("hello tok", "tok", 3, true)
	f.Add("\xff\x00é", "é", 1, false)
	f.Add("aaaa", "aa", 2, false)
	f.Fuzz(func(t *testing.T, body, token string, at int, whole bool) {
		token = strings.Trim(token, " \t")
		if checkToken(token) != nil || strings.Contains(token, "*") || !utf8.ValidString(token) {
			t.Skip()
		}
		u, _ := url.Parse("https://h.example/hook/0123456789?key=abcdefghij")
		at = max(0, min(at, len(body)))
		body = body[:at] + token + body[at:]
		got := response(body, whole, secretsOf(u, token))
		checkReadable(t, got, maxResponse)
		if token != "" && strings.Contains(got, clean(token)) {
			t.Errorf("%q shows %q", got, token)
		}
		checkReadable(t, message(body), maxError)
	})
}
