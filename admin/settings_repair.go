package admin

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// What is repaired without a question, and said after saving: the codes are in the address of that page.
const (
	repairedSpace  = "space"  // white space or invisible characters at its ends
	repairedHost   = "host"   // an international host name
	repairedBearer = "bearer" // the word Bearer in front of a token
)

// unseen reports what a copied text brings along at its ends and cannot be seen: white space, control and
// format characters.
func unseen(c rune) bool {
	return unicode.IsSpace(c) || unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u180e' || 0xe0000 <= c && c <= 0xe007f
}

func withoutEnds(text string) (repaired string, was bool) {
	repaired = strings.TrimFunc(text, unseen)
	return repaired, repaired != text
}

// RepairURL returns a URL as it is saved, and what was repaired.
func RepairURL(text string) (repaired string, codes []string) {
	repaired, trimmed := withoutEnds(text)
	if trimmed && repaired != "" {
		codes = append(codes, repairedSpace)
	}
	if ascii, ok := withASCIIHost(repaired); ok {
		return ascii, append(codes, repairedHost)
	}
	return repaired, codes
}

// withASCIIHost writes an international host name in punycode, which is what the worker calls. Nothing else
// of the URL changes.
func withASCIIHost(text string) (repaired string, was bool) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text, false
	}
	end := len(rest)
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		end = at
	}
	userinfo := strings.LastIndex(rest[:end], "@") + 1
	host, port := rest[userinfo:end], ""
	if at := strings.LastIndex(host, ":"); at >= 0 {
		host, port = host[:at], host[at:]
	}
	if isASCII(host) || strings.ContainsFunc(host, unseen) {
		return text, false
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		ascii, err = idna.Punycode.ToASCII(host) // whether there is such a host, its name server knows
	}
	if err != nil {
		return text, false
	}
	return scheme + "://" + rest[:userinfo] + ascii + port + rest[end:], true
}

// RepairToken returns a token as it is saved. Copied from a header, it may come with the words before it.
func RepairToken(text string) (repaired string, codes []string) {
	repaired, trimmed := withoutEnds(text)
	if trimmed {
		codes = append(codes, repairedSpace)
	}
	for _, word := range []string{"Authorization:", "Bearer"} {
		if len(repaired) <= len(word) || !strings.EqualFold(repaired[:len(word)], word) {
			continue
		}
		rest, apart := withoutEnds(repaired[len(word):])
		if !apart && !strings.HasSuffix(word, ":") {
			continue // a token that begins with these letters
		}
		repaired = rest
		if len(codes) == 0 || codes[len(codes)-1] != repairedBearer {
			codes = append(codes, repairedBearer)
		}
	}
	return repaired, codes
}

// unseenIn names the first character of a text that cannot be seen and is no space, by its number; "": none.
// A text that is no UTF-8 has none that could be named.
func unseenIn(text string) string {
	for _, c := range text {
		switch {
		case c == '\n' || c == '\r':
			return "a line break"
		case c == '\t':
			return "a tab"
		case c != ' ' && unseen(c):
			return fmt.Sprintf("the invisible character U+%04X", c)
		}
	}
	if !utf8.ValidString(text) {
		return "bytes that are no text"
	}
	return ""
}

// HostOfURL is the host, with its port, of a URL: the part that may be shown.
func HostOfURL(rawURL string) string {
	_, host := endpointOf(rawURL)
	return host
}

// endpointOf tells where a token goes: two URLs with the same key lead to the same server, which people know
// by host. No key: the URL cannot be parsed.
func endpointOf(rawURL string) (key, host string) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return "", "that address" // where its host ends is not known, and the rest may be secret
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) + " " + port, u.Host
}
