package admin

import (
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"
)

// words are what templates call to say things in words.
var words = template.FuncMap{
	"ago":       func(t time.Time) string { return ago(time.Since(t)) },
	"datetime":  func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"exact":     exact,
	"day":       func(t time.Time) string { return t.Local().Format("2 January 2006") },
	"number":    number,
	"capped":    capped,
	"plural":    plural,
	"middle":    middle,
	"visible":   visible,
	"status":    statusOf,
	"bytes":     bytesWords,
	"dict":      dict,
	"pageWords": pageWords,
	"lower":     strings.ToLower,
	"sentence":  sentence,
	"under":     func(path, to string) bool { return strings.HasPrefix(path, to+"/") },
}

// ago is how long ago something was, or in how long it will be: "3 minutes ago", "in 2 hours".
func ago(d time.Duration) string {
	if d < 0 {
		if -d < 5*time.Second {
			return "now"
		}
		return "in " + length(-d)
	}
	if d < 5*time.Second {
		return "just now"
	}
	return length(d) + " ago"
}

// length is a duration in its largest unit: "12 seconds", "1 minute", "3 days".
func length(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"year", 365 * 24 * time.Hour}, {"month", 30 * 24 * time.Hour}, {"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int64(d / unit.size); n > 0 {
			return fmt.Sprintf("%d %s", n, plural(n, unit.name, unit.name+"s"))
		}
	}
	n := int64(d / time.Second)
	return fmt.Sprintf("%d %s", n, plural(n, "second", "seconds"))
}

// exact is an instant with its zone, that of this process (TZ).
func exact(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// number is a count: 1,204.
func number(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// mostCounted is how far the page counts. What is more is said as "10,000+".
const mostCounted = 10000

func capped(n int64) string {
	if n > mostCounted {
		return "10,000+"
	}
	return number(n)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// middle shortens a long text in its middle; both of its ends tell it from another.
func middle(text string, most int) string {
	runes := []rune(visible(text))
	if len(runes) <= most {
		return string(runes)
	}
	head := (most - 1) * 2 / 3
	return string(runes[:head]) + "…" + string(runes[len(runes)-(most-1-head):])
}

// visible is a text of a receiver or an application as it may be shown: what cannot be seen, or turns
// the direction of what follows, is shown by its number.
func visible(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		if hidden(c) {
			fmt.Fprintf(&b, "‹U+%04X›", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

func hidden(c rune) bool {
	return c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == '\u2029' || blank(c))
}

// blank reports a letter, symbol or mark that shows nothing: the fillers of Hangul, Khmer's inherent vowels, the
// joiner of graphemes, the empty cell of Braille.
func blank(c rune) bool {
	return strings.ContainsRune("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0", c)
}

// channelTitle is a channel's name as a heading: "audit_log" is "Audit Log".
func channelTitle(name string) string {
	words := strings.Fields(strings.ReplaceAll(name, "_", " "))
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// state is a status in words, with the icon and the colour that go with it.
type state struct {
	Word string
	Tone string // ok, wait, bad or off: a class of the style sheet and an icon
}

// statusOf is a status of webhook.outbox.
func statusOf(status string) state {
	switch status {
	case "sent":
		return state{"Delivered", "ok"}
	case "failed":
		return state{"Failed", "bad"}
	case "skipped":
		return state{"Skipped", "off"}
	case "superseded":
		return state{"Superseded", "off"}
	case "cancelled":
		return state{"Cancelled", "off"}
	}
	return state{"Waiting", "wait"} // pending, and sending
}

// dict makes the argument of a template that takes more than one: dict "Key" value …
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments, pairs were expected", len(pairs))
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: the key %v is no text", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}
