package sender

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mask returns a clean text with every secret replaced, in either case.
func (s secrets) mask(text string) string {
	return blot(text, s.cover(text, true))
}

// maskCut is mask for a text that was cut off somewhere: the beginning of a
// secret at its end is replaced as well.
func (s secrets) maskCut(text string) string {
	return blot(text, s.cover(text, false))
}

// cover marks the bytes of all secrets, overlapping ones included: in the text as
// it is, and with its escapes decoded, of each kind by itself and of one kind
// within another, such as JSON in HTML.
func (s secrets) cover(text string, whole bool) []bool {
	covered := make([]bool, len(text))
	plain := view{text: text, at: make([]int, len(text)+1)}
	for i := range plain.at {
		plain.at[i] = i
	}
	s.coverViews(covered, plain, whole, maxNested)
	return covered
}

// maxNested is how many kinds of escapes are decoded within each other.
const maxNested = 3

func (s secrets) coverViews(covered []bool, v view, whole bool, nested int) {
	folded := v.folded()
	s.coverView(covered, folded, whole, 0)
	if joined, divided := folded.joined(); divided {
		s.coverView(covered, joined, whole, minSecret)
	}
	for _, e := range escapes {
		if inner, changed := v.decoded(e.sign, e.decode, whole); changed && nested > 0 {
			s.coverViews(covered, inner, whole, nested-1)
		}
	}
}

// coverView marks the secrets of at least so many bytes.
func (s secrets) coverView(covered []bool, v view, whole bool, least int) {
	for _, secret := range s {
		if len(secret) < least {
			continue
		}
		v.cover(covered, secret)
		if !whole {
			v.coverCut(covered, secret)
		}
	}
}

// view is a text as it reads once its escapes are decoded, in lower case, and
// where each of its bytes was in the text; the last position is the text's end.
type view struct {
	text string
	at   []int
	ends []int // where each byte ended in the text; nil if that is where the next one was
}

// end is where the first n bytes end in the text.
func (v view) end(n int) int {
	if v.ends != nil {
		return v.ends[n-1]
	}
	return v.at[n]
}

func (v view) cover(covered []bool, secret string) {
	for from, done := 0, 0; ; from++ {
		i := strings.Index(v.text[from:], secret)
		if i < 0 {
			return
		}
		from += i
		end := from + len(secret)
		fill(covered, v.at[max(from, done)], v.end(end))
		done = end
	}
}

func (v view) coverCut(covered []bool, secret string) {
	for n := min(len(secret), len(v.text)); n > 0; n-- {
		if strings.HasSuffix(v.text, secret[:n]) {
			fill(covered, v.at[len(v.text)-n], len(covered))
			return
		}
	}
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

// escapes are the ways of writing a character that frameworks' error pages use.
var escapes = []struct {
	sign   byte
	decode func(text string) (plain string, n int) // n: bytes of the escape; 0 is none, -1 not all of one
}{
	{'&', htmlEscape},
	{'\\', jsonEscape},
	{'%', urlEscape},
}

func (v view) decoded(sign byte, decode func(string) (string, int), whole bool) (view, bool) {
	if strings.IndexByte(v.text, sign) < 0 {
		return v, false
	}
	var b strings.Builder
	out := view{at: make([]int, 0, len(v.at))}
	changed := false
	for i := 0; i < len(v.text); {
		plain, n := v.text[i:i+1], 1
		if plain[0] == sign {
			p, m := decode(v.text[i:])
			if m < 0 && !whole { // cut off within an escape
				changed = true
				break
			}
			if m > 0 {
				plain, n, changed = p, m, true
			}
		}
		b.WriteString(plain)
		for range len(plain) {
			out.at = append(out.at, v.at[i])
		}
		i += n
	}
	out.text, out.at = b.String(), append(out.at, v.at[len(v.text)])
	return out, changed
}

// folded is a view made clean and put in lower case, as the secrets are.
func (v view) folded() view {
	var b strings.Builder
	out := view{at: make([]int, 0, len(v.at))}
	for i := 0; i < len(v.text); {
		_, n := utf8.DecodeRuneInString(v.text[i:])
		c := clean(v.text[i : i+n])
		b.WriteString(c)
		for k := range len(c) {
			out.at = append(out.at, v.at[i+min(k, n-1)])
		}
		i += n
	}
	out.text, out.at = lower(b.String()), append(out.at, v.at[len(v.text)])
	return out
}

// joined is a folded view without its spaces: base64 is written in lines.
func (v view) joined() (view, bool) {
	if strings.IndexByte(v.text, ' ') < 0 {
		return v, false
	}
	var b strings.Builder
	out := view{at: make([]int, 0, len(v.at))}
	for i := range len(v.text) {
		if v.text[i] != ' ' {
			b.WriteByte(v.text[i])
			out.at, out.ends = append(out.at, v.at[i]), append(out.ends, v.at[i+1])
		}
	}
	out.text, out.at = b.String(), append(out.at, v.at[len(v.text)])
	return out, true
}

// htmlEscape decodes &quot; &#34; &#x22; and the like.
func htmlEscape(text string) (string, int) {
	end := strings.IndexByte(text[:min(len(text), 12)], ';')
	switch {
	case end < 0 && len(text) < 12:
		return "", -1
	case end < 0:
		return "", 0
	}
	if plain := html.UnescapeString(text[:end+1]); plain != text[:end+1] {
		return plain, end + 1
	}
	return "", 0
}

// jsonEscape decodes what strings have in JSON, JavaScript and Python.
func jsonEscape(text string) (string, int) {
	if len(text) < 2 {
		return "", -1
	}
	switch text[1] {
	case 'u':
		return unicodeEscape(text)
	case 'x':
		return hexEscape(text, 2)
	case 'b', 'f', 'n', 'r', 't':
		return " ", 2
	case '"', '\'', '\\', '/', '`':
		return text[1:2], 2
	}
	return "", 0
}

func unicodeEscape(text string) (string, int) {
	if len(text) < 6 {
		return "", -1
	}
	unit, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil {
		return "", 0
	}
	r := rune(unit)
	if utf16.IsSurrogate(r) && len(text) >= 12 && text[6:8] == `\u` {
		if low, err := strconv.ParseUint(text[8:12], 16, 16); err == nil {
			return string(utf16.DecodeRune(r, rune(low))), 12
		}
	}
	return string(r), 6
}

func urlEscape(text string) (string, int) { return hexEscape(text, 1) }

// hexEscape decodes two hexadecimal digits behind a sign of n characters.
func hexEscape(text string, n int) (string, int) {
	if len(text) < n+2 {
		return "", -1
	}
	c, err := strconv.ParseUint(text[n:n+2], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(c)}), n + 2
}
