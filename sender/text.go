package sender

import (
	"fmt"
	"strings"
	"unicode"
)

// invisible is what a copied text brings along unseen at its ends, and what may
// mean anything within: white space beyond ASCII's, and format characters. The
// ranges are those of the schema's settings_invisible, so that both judge alike.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0080, Hi: 0x00a0, Stride: 1}, {Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, {Lo: 0x061c, Hi: 0x061c, Stride: 1},
		{Lo: 0x1680, Hi: 0x1680, Stride: 1}, {Lo: 0x180e, Hi: 0x180e, Stride: 1}, {Lo: 0x2000, Hi: 0x200f, Stride: 1},
		{Lo: 0x2028, Hi: 0x202f, Stride: 1}, {Lo: 0x205f, Hi: 0x206f, Stride: 1}, {Lo: 0x3000, Hi: 0x3000, Stride: 1},
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, {Lo: 0xfff9, Hi: 0xfffb, Stride: 1},
	},
	R32:         []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}},
	LatinOffset: 2,
}

func isInvisible(r rune) bool { return unicode.Is(invisible, r) }

// trimmed is a setting without what cannot be seen at its ends.
func trimmed(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f", r) || isInvisible(r) })
}

// character names a character for people, without quoting what is around it.
func character(r rune) string {
	switch r {
	case ' ':
		return "a space (U+0020)"
	case '\n', '\r':
		return fmt.Sprintf("a control character (U+%04X, a line break)", r)
	}
	if r < ' ' || r == 0x7f {
		return fmt.Sprintf("a control character (U+%04X)", r)
	}
	return fmt.Sprintf("the invisible character U+%04X", r)
}

// firstOf returns the first character of text that is one of these.
func firstOf(text string, is func(rune) bool) (rune, bool) {
	at := strings.IndexFunc(text, is)
	if at < 0 {
		return 0, false
	}
	for _, r := range text[at:] {
		return r, true
	}
	return 0, false
}

// bare is a bearer token as it is sent: copied from a header, it may come with
// the word before it.
func bare(token string) string {
	token = trimmed(token)
	for _, word := range []string{"Authorization:", "Bearer"} {
		if len(token) > len(word) && strings.EqualFold(token[:len(word)], word) {
			rest := trimmed(token[len(word):])
			if strings.HasSuffix(word, ":") || rest != token[len(word):] {
				token = rest
			}
		}
	}
	return token
}
