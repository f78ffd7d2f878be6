package sender

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
)

// mask stands for a secret.
const mask = "***"

// minSecret is the length, in bytes, from which a part of a URL's path or
// query is treated as a secret. Tokens and passwords are secrets at any length.
const minSecret = 8

// secrets are the texts that must not be shown, in the forms of forms, clean, in
// lower case, none empty.
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
	return list(found)
}

// signingSecrets are the forms of signing secrets: whole, and without the prefix.
func signingSecrets(signing string) secrets {
	found := map[string]bool{}
	for _, secret := range strings.Fields(signing) {
		add(found, secret)
		_, encoded, _ := strings.Cut(secret, "_")
		add(found, encoded)
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			add(found, base64.RawURLEncoding.EncodeToString(raw))
			add(found, hex.EncodeToString(raw))
		}
	}
	return list(found)
}

func list(found map[string]bool) secrets {
	all := make(secrets, 0, len(found))
	for form := range found {
		all = append(all, form)
	}
	return all
}

func add(found map[string]bool, part string) {
	for _, form := range append(forms(part), forms(asLatin1(part))...) {
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

// forms returns the ways in which programs write a text that no view of a body
// decodes: as it is, and in base64, by itself or within a longer text. Base64
// writes three bytes as four characters, so there a text has three beginnings.
func forms(text string) []string {
	if text == "" {
		return nil
	}
	all := []string{text, strings.ReplaceAll(text, " ", "+")}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		all = append(all, enc.EncodeToString([]byte(text)), enc.WithPadding('=').EncodeToString([]byte(text)))
		for before := range 3 {
			core := enc.EncodeToString(append(make([]byte, before), text...))[(before*8+5)/6:]
			if (before+len(text))%3 != 0 {
				core = core[:len(core)-1]
			}
			if len(core) >= minSecret {
				all = append(all, core)
			}
		}
	}
	return all
}

// asLatin1 is a text as programs read it to which headers are Latin 1: one
// character for each byte.
func asLatin1(text string) string {
	read := make([]rune, len(text))
	for i := range len(text) {
		read[i] = rune(text[i])
	}
	return string(read)
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
