package admin

import (
	"strings"
	"testing"
)

func TestRepairURL(t *testing.T) {
	for _, c := range []struct{ typed, saved, codes string }{
		{"https://hook.example/x", "https://hook.example/x", ""},
		{"", "", ""},
		{" \u200b ", "", ""},
		{" https://hook.example/x\r\n", "https://hook.example/x", "space"},
		{"\ufeffhttps://hook.example/x\u200b", "https://hook.example/x", "space"},
		{"\u00a0https://hook.example/x\u3000", "https://hook.example/x", "space"},
		{"\u202ahttps://hook.example/x\u202c", "https://hook.example/x", "space"},
		{"https://bücher.example/a?b#c", "https://xn--bcher-kva.example/a?b#c", "host"},
		{" https://Bücher.Example:8443/ä", "https://xn--bcher-kva.example:8443/ä", "space host"},
		{"https://jürgen:pä@bücher.example/", "https://jürgen:pä@xn--bcher-kva.example/", "host"},
		{"https://例え。テスト/", "https://xn--r8jz45g.xn--zckzah/", "host"},
		{"https://bücher.example", "https://xn--bcher-kva.example", "host"},
		{"https://hook.example/bücher", "https://hook.example/bücher", ""},
		{"https://bü\u200bcher.example/", "https://bü\u200bcher.example/", ""},
		{"bücher.example", "bücher.example", ""},
		{"https://[::1]:80/ü", "https://[::1]:80/ü", ""},
	} {
		saved, codes := RepairURL(c.typed)
		if saved != c.saved || strings.Join(codes, " ") != c.codes {
			t.Errorf("%q: %q, %q; want %q, %q", c.typed, saved, codes, c.saved, c.codes)
		}
	}
}

func TestRepairToken(t *testing.T) {
	for _, c := range []struct{ typed, saved, codes string }{
		{"t0ken", "t0ken", ""},
		{" t0ken\n", "t0ken", "space"},
		{"Bearer t0ken", "t0ken", "bearer"},
		{"bearer\u00a0t0ken", "t0ken", "bearer"},
		{"Authorization: Bearer t0ken", "t0ken", "bearer"},
		{"authorization:bearer  t0ken ", "t0ken", "space bearer"},
		{"Bearer", "Bearer", ""},
		{"Bearer ", "Bearer", "space"},
		{"Bearertoken", "Bearertoken", ""},
		{"BearerBearer t", "BearerBearer t", ""},
		{"\u200b", "", "space"},
	} {
		saved, codes := RepairToken(c.typed)
		if saved != c.saved || strings.Join(codes, " ") != c.codes {
			t.Errorf("%q: %q, %q; want %q, %q", c.typed, saved, codes, c.saved, c.codes)
		}
	}
}

// TestEndpointOf_TellsServersApart: the token goes to a server, not to a text.
func TestEndpointOf_TellsServersApart(t *testing.T) {
	for _, same := range [][2]string{
		{"https://h.example/a", "HTTPS://H.Example:443/b?c"}, {"http://h.example", "http://h.example:80/"}, {"https://h.example./", "https://h.example/"},
		{"https://u:p@h.example/", "https://h.example/"}, {"https://[::1]/", "https://[::1]:443/"},
	} {
		a, _ := endpointOf(same[0])
		if b, _ := endpointOf(same[1]); a != b || a == "" {
			t.Errorf("%s is %q, %s is %q", same[0], a, same[1], b)
		}
	}
	for _, other := range [][2]string{
		{"https://h.example/", "http://h.example/"}, {"https://h.example/", "https://h.example:8443/"}, {"https://h.example/", "https://h.example.evil/"},
		{"https://h.example/", "https://h.example@evil/"}, {"https://h.example/", "https://evil/h.example"},
	} {
		a, _ := endpointOf(other[0])
		if b, _ := endpointOf(other[1]); a == b {
			t.Errorf("%s and %s are both %q", other[0], other[1], a)
		}
	}
	if key, host := endpointOf("https://h\x7f/geheim"); key != "" || strings.Contains(host, "geheim") {
		t.Errorf("one that cannot be parsed: %q, %q", key, host)
	}
}
