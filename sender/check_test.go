package sender

import (
	"strings"
	"testing"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

func TestCheck_EveryURLAndToken(t *testing.T) {
	for _, c := range []struct{ name, url, token, want string }{
		{"plain", "https://hooks.example.com/geheim", "", ""},
		{"http, port, userinfo", "http://me:geheim@example.com:8080/x?y#z", "geheim", ""},
		{"address", "https://[2001:db8::1]:443/", "", ""},
		{"address with zone", "http://[fe80::1%25eth0]/", "", ""},
		{"scheme in capitals", "HTTPS://example.com", "", ""},
		{"not ASCII", "https://bücher.example/ü", "geheim é", ""},
		{"empty", "", "", "no URL"},
		{"blank", " \t", "", "no URL"},
		{"space before", " https://example.com", "", ""},
		{"line break after", "https://example.com/geheim\n", "", ""},
		{"invisible at the ends", "\ufeffhttps://example.com/geheim\u200e\u00ad\u00a0", "\u200bgeheim\u00a0", ""},
		{"invisible within", "https://example.com/ge\u200bheim", "", "the invisible character U+200B"},
		{"invisible in the host", "https://exam\u00adple.com/geheim", "", "the invisible character U+00AD"},
		{"space in the path", "https://example.com/ge heim", "", "a space (U+0020)"},
		{"line break within", "https://example.com/ge\nheim", "", "control character"},
		{"no scheme", "example.com/geheim", "", "does not begin with https://"},
		{"other scheme", "ftp://example.com/geheim", "", "does not begin with https://"},
		{"javascript", "javascript:geheim", "", "does not begin with https://"},
		{"file", "file:///etc/geheim", "", "does not begin with https://"},
		{"no host", "https:///geheim", "", "no host"},
		{"opaque", "https:example.com/geheim", "", "no host"},
		{"port only", "https://:443/geheim", "", "no host"},
		{"port in words", "https://example.com:geheim/", "", "no port"},
		{"password with a slash", "https://me:ge/heim@example.com/", "", "no port"},
		{"port too high", "https://example.com:70000/", "", "between 1 and 65535"},
		{"port 0", "https://example.com:0/", "", "between 1 and 65535"},
		{"bad escape", "https://example.com/%zzgeheim", "", "escape"},
		{"space in the host", "https://exa mple.com/geheim", "", "host"},
		{"bracket", "https://[::1/geheim", "", "bracket"},
		{"userinfo", "https://me:ge heim@example.com/", "", "must be escaped"},
		{"token with a line break", "https://example.com", "geheim\r\nX: y", "token contains"},
		{"token with NUL", "https://example.com", "geheim\x00", "token contains"},
		{"token with DEL", "https://example.com", "geheim\x7f", "token contains"},
		{"token with a space after", "https://example.com", "geheim ", ""},
		{"token with a line break after", "https://example.com", "geheim\r\n", ""},
		{"token with its word", "https://example.com", "Bearer geheim", ""},
		{"token that is only its word", "https://example.com", "Bearer ", "only the word Bearer"},
		{"token with an invisible character", "https://example.com", "ge\u200bheim", "the invisible character U+200B"},
		{"token with a space that does not break", "https://example.com", "ge\u00a0heim", "the invisible character U+00A0"},
		{"blank token", "https://example.com", " ", "white space"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(c.url, c.token)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "cannot call: ") || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, part := range []string{"geheim", "heim", "ge\n", "me:"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%q shows %q", err, part)
				}
			}
			req := newRequest(c.url)
			req.Token = c.token
			if got := send(t, newSender(t, time.Second), req); got.Error != err.Error() || got.Failure != outbox.FailureConfig || got.Received != outbox.ReceivedNo {
				t.Errorf("Send returns %+v, Check %q", got, err)
			}
		})
	}
}
