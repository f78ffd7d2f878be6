package sender

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
)

// mask stands for a secret.
const mask = "***"

// minSecret is the length, in bytes, from which a part of a URL's path or
// query is treated as a secret. Tokens and passwords are secrets at any length.
const minSecret = 8

// secrets are the texts that must not be shown, in every form in which a
// receiver may echo them, clean, in lower case, none empty.
type secrets []string

// secretsOf collects the secrets of an attempt. What the host shows anyway is
// no secret: /webhooks/… at webhooks.example.com must not mask the host.
func secretsOf(target *url.URL, token string) secrets {
	found := map[string]bool{}
	for _, part := range append(userParts(target.User), token) {
		add(found, part)
	}
	for _, word := range strings.Fields(token) {
		if len(word) >= minSecret {
			add(found, word)
		}
	}
	host := strings.ToLower(target.Host)
	for _, part := range urlParts(target) {
		if len(strings.TrimPrefix(part, "/")) >= minSecret && !strings.Contains(host, strings.ToLower(part)) {
			add(found, part)
		}
	}
	list := make(secrets, 0, len(found))
	for form := range found {
		list = append(list, form)
	}
	return list
}

func add(found map[string]bool, part string) {
	for _, form := range forms(part) {
		if form = lower(clean(form)); form != "" {
			found[form] = true
		}
	}
}

// userParts returns the secrets of a URL's userinfo: password, both together
// as Basic authorization encodes them, and the name where it is long or alone.
func userParts(user *url.Userinfo) []string {
	if user == nil {
		return nil
	}
	name := user.Username()
	password, _ := user.Password()
	switch {
	case password == "":
		return []string{name}
	case len(name) >= minSecret:
		return []string{name, password, name + ":" + password}
	}
	return []string{password, name + ":" + password}
}

// urlParts returns path and query, whole and piece by piece, as they are
// written and as they read when unescaped.
func urlParts(u *url.URL) []string {
	path := u.EscapedPath()
	parts := []string{path + "?" + u.RawQuery, path, u.Path, u.RawQuery}
	parts = append(parts, strings.Split(path, "/")...)
	parts = append(parts, strings.Split(u.Path, "/")...)
	for _, pair := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		_, value, _ := strings.Cut(pair, "=")
		parts = append(parts, pair, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			parts = append(parts, plain)
		}
	}
	return parts
}

// forms returns the ways in which programs write a text: as it is, in JSON (of
// Go, of PHP, of Python), in HTML, in a URL, in base64.
func forms(text string) []string {
	if text == "" {
		return nil
	}
	plain := quoted(text)
	return []string{
		text, plain,
		strings.ReplaceAll(plain, "/", `\/`),
		asciiOnly(plain), strings.ReplaceAll(asciiOnly(plain), "/", `\/`), goQuoted(text),
		html.EscapeString(text),
		url.QueryEscape(text), url.PathEscape(text), (&url.URL{Path: text}).EscapedPath(),
		base64.StdEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)),
		base64.URLEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)),
	}
}

// goQuoted is text as encoding/json writes it, < > & escaped.
func goQuoted(text string) string {
	b, _ := json.Marshal(text) // a string never fails
	return string(b[1 : len(b)-1])
}

// quoted is text in JSON with only the necessary escapes.
func quoted(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`).Replace(text)
}

// asciiOnly escapes what is not ASCII as \uXXXX.
func asciiOnly(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		if unit < 0x80 {
			b.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// lower folds ASCII letters only, so that positions stay what they are.
func lower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// mask returns a clean text with every secret replaced, in either case.
func (s secrets) mask(text string) string {
	return blot(text, s.cover(lower(text)))
}

// maskCut is mask for a text that was cut off somewhere: the beginning of a
// secret at its end is replaced as well.
func (s secrets) maskCut(text string) string {
	folded := lower(text)
	covered := s.cover(folded)
	for _, secret := range s {
		for n := min(len(secret), len(folded)); n > 0; n-- {
			if strings.HasSuffix(folded, secret[:n]) {
				fill(covered, len(folded)-n, len(folded))
				break
			}
		}
	}
	return blot(text, covered)
}

// cover marks the bytes of all secrets, overlapping ones included.
func (s secrets) cover(folded string) []bool {
	covered := make([]bool, len(folded))
	for _, secret := range s {
		for from, done := 0, 0; ; from++ {
			at := strings.Index(folded[from:], secret)
			if at < 0 {
				break
			}
			from += at
			fill(covered, max(from, done), from+len(secret))
			done = from + len(secret)
		}
	}
	return covered
}

func fill(covered []bool, from, to int) {
	for i := from; i < to; i++ {
		covered[i] = true
	}
}

// blot replaces each run of covered bytes by one mask.
func blot(text string, covered []bool) string {
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			b.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			b.WriteString(mask)
		}
	}
	return b.String()
}
