package sender

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is stored and shown, in bytes. Origin and detail are bounded
// so that the end of an error, which says the outcome, is never cut off.
const (
	maxResponse = 2048
	maxMasked   = 8 * maxResponse // what is masked before it is cut; a secret is longer than its mask
	maxError    = 1024
	maxOrigin   = 300
	maxDetail   = 300
)

// response makes a body storable: readable, its secrets masked before it is
// cut. Of a body that is not whole the end may be the beginning of a secret,
// which is masked too.
func response(body string, whole bool, hidden secrets) string {
	if len(body) > maxMasked {
		body, whole = body[:maxMasked], false
	}
	var text string
	if whole {
		text = hidden.mask(clean(body))
	} else {
		text = hidden.maskCut(clean(wholeRunes(body)))
	}
	return cut(strings.TrimSpace(text), maxResponse)
}

// wholeRunes drops a last character of which bytes are missing.
func wholeRunes(text string) string {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if !utf8.FullRuneInString(end) {
				return text[:len(text)-n]
			}
			break
		}
	}
	return text
}

// message makes an error storable. What it quotes from elsewhere was masked
// before; its own words are not, since a token such as "e" would mask parts of them.
func message(text string) string { return cut(clean(text), maxError) }

// clean replaces control characters, line separators and what turns the direction
// of a text by spaces, and each byte that is not UTF-8 by U+FFFD. It works on one character at a time: the
// clean form of a secret is found wherever the secret was.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
}

// cut returns at most limit bytes of text, whole characters only.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
