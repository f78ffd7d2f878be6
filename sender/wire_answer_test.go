package sender

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"context"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

func TestSend_ResponseIsDecoded(t *testing.T) {
	packed := func(w io.WriteCloser, b *bytes.Buffer, text string) string {
		io.WriteString(w, text)
		w.Close()
		return b.String()
	}
	zip := func(text string) string { var b bytes.Buffer; return packed(gzip.NewWriter(&b), &b, text) }
	deflate := func(text string) string { var b bytes.Buffer; return packed(zlib.NewWriter(&b), &b, text) }
	raw := func(text string) string {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, flate.BestSpeed)
		return packed(w, &b, text)
	}
	utf16 := func(text string, e unicode.Endianness, p unicode.BOMPolicy) string {
		b, _ := unicode.UTF16(e, p).NewEncoder().String(text)
		return b
	}
	utf32 := func(text string, big bool) string {
		var b []byte
		for _, r := range text {
			if big {
				b = binary.BigEndian.AppendUint32(b, uint32(r))
			} else {
				b = binary.LittleEndian.AppendUint32(b, uint32(r))
			}
		}
		return string(b)
	}
	gbk, _ := simplifiedchinese.GBK.NewEncoder().String("错误: 令牌 " + plainToken)
	const shown = "érror ***"
	text := "érror " + plainToken
	for _, c := range []struct{ name, coding, contentType, body, want string }{
		{"plain", "", "", text, shown},
		{"gzip", "gzip", "text/plain", zip(text), shown},
		{"x-gzip in capitals", "X-GZIP", "", zip(text), shown},
		{"deflate", "deflate", "", deflate(text), shown},
		{"deflate without its frame", "deflate", "", raw(text), shown},
		{"gzip in gzip", "gzip, gzip", "", zip(zip(text)), shown},
		{"identity", "identity", "", text, shown},
		{"brotli", "br", "", "\x1b\x03\x00", "br, not shown"},
		{"said to be gzip", "gzip", "", text, "gzip, not shown"},
		{"cut off", "gzip", "", zip(strings.Repeat("0123456789abcdef", 64))[:20], "012345"},
		{"UTF-16 with a mark", "", "text/plain; charset=utf-16", utf16(text, unicode.LittleEndian, unicode.UseBOM), shown},
		{"UTF-16 with only a mark", "", "", utf16(text, unicode.BigEndian, unicode.UseBOM), shown},
		{"UTF-16LE", "", "text/html; charset=UTF-16LE", utf16(text, unicode.LittleEndian, unicode.IgnoreBOM), shown},
		{"UTF-16BE in gzip", "gzip", "text/html; charset=utf-16be", zip(utf16(text, unicode.BigEndian, unicode.IgnoreBOM)), shown},
		{"UTF-16, little first, without a mark", "", "text/plain; charset=utf-16", utf16("error "+plainToken, unicode.LittleEndian, unicode.IgnoreBOM), "error ***"},
		{"UTF-16 that nothing tells", "", "application/json", utf16("error "+plainToken, unicode.LittleEndian, unicode.IgnoreBOM), "error ***"},
		{"the same, big first", "", "", utf16("error "+plainToken, unicode.BigEndian, unicode.IgnoreBOM), "error ***"},
		{"UTF-32", "", "text/plain; charset=utf-32", utf32("error "+plainToken, true), "error ***"},
		{"UTF-32 that nothing tells", "", "", utf32("error "+plainToken, false), "error ***"},
		{"too many codings", strings.Repeat("gzip, ", 5000) + "gzip", "", zip(text), "too many codings, not shown"},
		{"Latin 1", "", "text/plain; charset=iso-8859-1", "\xe9rror " + plainToken, shown},
		{"GBK", "", "text/html; charset=gbk", gbk, "错误: 令牌 ***"},
		{"said to be Latin 1, is UTF-8", "", "text/plain; charset=iso-8859-1", text, shown},
		{"UTF-8 with a mark", "", "", "\xef\xbb\xbf" + text, shown},
		{"no such charset", "", "text/plain; charset=klingon", "\xe9" + plainToken, "an unknown charset, not shown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if c.coding != "" {
					w.Header().Set("Content-Encoding", c.coding)
				}
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(500)
				io.WriteString(w, c.body)
			})
			req := newRequest(srv.URL)
			req.Token = plainToken
			got := send(t, newSender(t, 10*time.Second), req)
			if got.Status != 500 || c.name != "cut off" && got.Response != c.want || !strings.HasPrefix(got.Response, c.want) {
				t.Errorf("got %q, want %q", got.Response, c.want)
			}
		})
	}
}

func TestSecrets_FormsOfErrorPages(t *testing.T) {
	const token = `t0k'en"with<&>/=+and%41\end`
	u, _ := url.Parse("https://user:p'a%22ss@h.example/hook/0123'456789?key=ab'cd%22ef/gh")
	hidden := secretsOf(u, token)
	named := strings.NewReplacer("&", "&amp;", "'", "&#39;", `"`, "&quot;", "<", "&lt;", ">", "&gt;")
	django := strings.NewReplacer("&", "&amp;", "'", "&#x27;", `"`, "&quot;", "<", "&lt;", ">", "&gt;")
	mustache := strings.NewReplacer("&", "&amp;", "'", "&#39;", `"`, "&quot;", "<", "&lt;", ">", "&gt;", "/", "&#x2F;", "=", "&#x3D;", "`", "&#x60;", "+", "&#43;")
	php := strings.NewReplacer("&", "&amp;", "'", "&#039;", `"`, "&quot;", "<", "&lt;", ">", "&gt;")
	script := strings.NewReplacer("&", `\u0026`, "'", `\u0027`, `"`, `\"`, "<", `\u003C`, ">", `\x3e`, "/", `\/`, `\`, `\\`)
	base64s := func(text string) []string {
		return []string{base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text))}
	}
	for _, secret := range []string{token, "p'a\"ss", "0123'456789", "ab'cd\"ef/gh"} {
		echoes := []string{
			secret, named.Replace(secret), django.Replace(secret), mustache.Replace(secret), php.Replace(secret), script.Replace(secret),
			url.QueryEscape(secret), strings.ToLower(url.QueryEscape(secret)), named.Replace(script.Replace(secret)), script.Replace(named.Replace(secret)),
			url.QueryEscape(named.Replace(secret)), named.Replace(url.QueryEscape(secret)), named.Replace(named.Replace(secret)),
		}
		for i, echo := range echoes {
			if got := response("<p>"+echo+"</p>", true, hidden); got != "<p>***</p>" {
				t.Errorf("%s, form %d: %s becomes %s", secret, i, echo, got)
			}
			if got := response("<p>"+echo[:len(echo)-1], false, hidden); !strings.HasPrefix(got, "<p>***") || len(got) > len("<p>***")+1 {
				t.Errorf("%s, form %d cut off: %s becomes %s", secret, i, echo, got)
			}
		}
	}
	// The whole header, and a list of headers, in base64: no piece of the token is left that is longer than what one character holds.
	for _, before := range []string{"", "Bearer ", "authorization: Bearer ", `{"a":"b","Authorization":"Bearer `} {
		for _, echo := range base64s(before + token + `"}`) {
			got := response(echo, true, hidden)
			left := strings.Split(got, mask)
			if len(left) != 2 || len(left[1]) > 6 || len(left[0]) > len(before)*4/3+3 {
				t.Errorf("%q: %s becomes %s", before, echo, got)
			}
		}
	}
}

// Programs write base64 in lines of 60 (Ruby), 64 (PEM) or 76 characters (MIME).
func TestSecrets_Base64InLines(t *testing.T) {
	u, _ := url.Parse("https://h.example/")
	hidden := secretsOf(u, plainToken)
	whole := base64.StdEncoding.EncodeToString([]byte(plainToken))
	for at := 1; at < len(whole)-3; at++ {
		for _, end := range []string{"\n", "\r\n", `\n`, `\r\n`, "&#10;"} {
			got := response("echo "+whole[:at]+end+whole[at:], true, hidden)
			if got != "echo ***" {
				t.Errorf("%q after %d: %s", end, at, got)
			}
			if got := response("echo "+whole[:at]+end+whole[at:len(whole)-3], false, hidden); got != "echo ***" {
				t.Errorf("%q after %d, cut off: %s", end, at, got)
			}
		}
	}
}

// Node, Python and Java read a header as Latin 1 and write what they have read in UTF-8.
func TestSecrets_HeaderReadAsLatin1(t *testing.T) {
	u, _ := url.Parse("https://h.example/")
	read, _ := charmap.ISO8859_1.NewDecoder().String(testToken)
	quoted, _ := json.Marshal(read)
	for _, echo := range []string{read, string(quoted), url.QueryEscape(read), base64.StdEncoding.EncodeToString([]byte(read))} {
		if got := response(echo, true, secretsOf(u, testToken)); strings.Trim(got, `"`) != mask {
			t.Errorf("%s becomes %s", echo, got)
		}
	}
}

func TestSend_TokenAndBasicInBase64AreMasked(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(401)
		fmt.Fprint(w, base64.StdEncoding.EncodeToString([]byte("Authorization: "+r.Header.Get("Authorization"))))
	})
	for _, c := range []struct{ url, token string }{{srv.URL, plainToken}, {strings.Replace(srv.URL, "//", "//someone:passw0rd@", 1), ""}} {
		req := newRequest(c.url)
		req.Token = c.token
		got := send(t, newSender(t, 10*time.Second), req)
		for _, secret := range []string{plainToken, "passw0rd", base64.RawStdEncoding.EncodeToString([]byte("someone:passw0rd"))} {
			plain, _ := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(got.Response, mask, "")[:len(got.Response)/4*4-4])
			if strings.Contains(got.Response, secret) || bytes.Contains(plain, []byte(secret)) {
				t.Errorf("%s shows %s", got.Response, secret)
			}
		}
	}
}

func TestSend_RetryAfter(t *testing.T) {
	for _, c := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{429, "7", 7 * time.Second}, {503, " 7 ", 7 * time.Second}, {429, "0", 0}, {429, "300", 5 * time.Minute},
		{429, "301", 5 * time.Minute}, {503, "99999999999999999999", 5 * time.Minute},
		{429, "", 0}, {429, "soon", 0}, {429, "-1", 0}, {429, "1.5", 0}, {429, "7s", 0}, {429, "+7", 0},
		{429, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 5 * time.Minute},
		{503, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
		{429, "Thu, 32 Jan 2026 00:00:00 GMT", 0},
		{500, "7", 0}, {200, "7", 0}, {301, "7", 0},
	} {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", c.value)
			w.WriteHeader(c.status)
		})
		if got := send(t, newSender(t, 10*time.Second), newRequest(srv.URL)); got.RetryAfter != c.want {
			t.Errorf("%d %q: got %v, want %v", c.status, c.value, got.RetryAfter, c.want)
		}
	}
	answer := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"Wed, 28 Jan 2026 00:00:30 GMT"}}}
	if got := retryAfter(answer, time.Date(2026, 1, 28, 0, 0, 0, 0, time.UTC)); got != 30*time.Second {
		t.Errorf("got %v", got)
	}
}

// The limit of open files is a process's own, hence one for the test.
func TestSend_ShortageIsNoFailureOfTheReceiver(t *testing.T) {
	if target := os.Getenv("SENDER_SHORTAGE"); target != "" {
		s := New(Options{Timeout: 5 * time.Second, AllowNetworks: loopback})
		var files []*os.File
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			files = append(files, f)
		}
		got := s.Send(context.Background(), newRequest(target))
		for _, f := range files {
			f.Close()
		}
		fmt.Printf("%s|%s|%s\n", got.Received, got.Shortage, got.Error)
		fmt.Println(s.Send(context.Background(), newRequest(target)).Delivered())
		return
	}
	t.Parallel()
	srv := answering(t, keepAliveOK)
	for _, host := range []string{"127.0.0.1", "localhost", "receiver.test"} {
		t.Run(host, func(t *testing.T) {
			cmd := exec.Command("bash", "-c", `ulimit -n 64; exec "$0" -test.run='^TestSend_ShortageIsNoFailureOfTheReceiver$'`, os.Args[0])
			cmd.Env = append(os.Environ(), "SENDER_SHORTAGE="+strings.Replace(srv.url(), "127.0.0.1", host, 1))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), "no|this process has no free file: raise its limit") {
				t.Errorf("%v\n%s", err, out)
			}
			if host != "receiver.test" && !strings.Contains(string(out), "\ntrue\n") {
				t.Errorf("not delivered afterwards: %s", out)
			}
		})
	}
}

// FuzzAnswer is whatever a receiver may answer: no panic, and no success without
// a status line that says so.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		keepAliveOK, keepAliveOK + keepAliveOK, "HTTP/1.1 204 No Content\r\n\r\n{}", "HTTP/1.0 200\r\n\r\nx", "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 201 C\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
		"HTTP/1.1 429 T\r\nRetry-After: 9999999999999\r\nKeep-Alive: timeout=-5, max\r\n\r\n", "HTTP/1.1 302 F\r\nLocation: //[\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x46", "SSH-2.0\r\n",
		"HTTP/1.1 400 B\r\nContent-Type: text/html; charset=utf-16\r\nContent-Length: 3\r\n\r\n\xff\xfe\x00", "HTTP/1.1 -200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		mine, theirs := pipe(t)
		go func() {
			io.CopyN(io.Discard, theirs, 1)
			go io.Copy(io.Discard, theirs)
			theirs.Write(answer)
			theirs.Close()
		}()
		s := New(Options{Timeout: 5 * time.Second})
		defer s.Close()
		s.dialer.connect = mine
		got := sendCtx(context.Background(), t, s, newRequest("http://h.example/hook/0123456789"))
		if got.Delivered() && !bytes.Contains(answer, []byte(fmt.Sprintf(" %d", got.Status))) {
			t.Errorf("delivered with status %d: %q", got.Status, answer)
		}
		if got.RetryAfter < 0 || got.RetryAfter > 5*time.Minute || got.Shortage != "" {
			t.Errorf("got %+v", got)
		}
	})
}
