package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/recordengine/webhooks/envelope"
)

// mostRendered is the largest data of which a page makes the payload, in bytes; mostDownloaded that of a
// download. mostShown is how much of a payload a page shows.
const (
	mostRendered   = 8 << 20
	mostDownloaded = 64 << 20
	mostShown      = 64 << 10
)

// payload is what is sent, or where it cannot be built the stored data.
type payload struct {
	Problem string // why it cannot be built, in words; "": it can
	Said    bool   // the newest attempt has ended with this problem, and the page says so above
	TooMuch bool   // the data is too large for the page: Raw is its beginning
	Size    int64  // of the whole, in bytes
	Cut     bool   // Raw and Pretty are its beginning
	Raw     string
	Pretty  string
	Curl    string
}

func payloadOf(d DeliveryDetail, data []byte, size int64) payload {
	if int64(len(data)) < size {
		p := shown(data)
		p.TooMuch, p.Size, p.Cut = true, size, true
		return p
	}
	body, err := renderPayload(d, data)
	if err != nil {
		p := shown(data)
		p.Problem, p.Said = renderProblem(err), d.saysWrongData() && d.Error == err.Error()
		return p
	}
	p := shown(body)
	p.Curl = curl(d, body)
	return p
}

// shown is as much of a JSON text as a page shows.
func shown(text []byte) payload {
	p := payload{Size: int64(len(text)), Raw: beginning(text)}
	lines := pretty(text)
	p.Pretty = beginning(lines)
	p.Cut = len(p.Raw) < len(text) || len(p.Pretty) < len(lines)
	return p
}

// renderPayload makes the payload as the worker does, with today's settings.
func renderPayload(d DeliveryDetail, data []byte) ([]byte, error) {
	return envelope.Render(envelope.Input{Event: d.Event, OccurredAt: d.Occurred.Text, Data: data, Validated: true, DocumentBaseURL: d.DocumentBaseURL})
}

func renderProblem(err error) string { return strings.TrimPrefix(err.Error(), "render: ") }

// beginning is as much of a text as a page shows, cut at a character.
func beginning(text []byte) string {
	if len(text) <= mostShown {
		return string(text)
	}
	n := mostShown
	for n > mostShown-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return string(text[:n])
}

// pretty is a JSON text with a line for each value, and of a long one a little more than a page shows.
// Its tokens stay byte for byte: numbers, escapes and the order of keys. The text may end anywhere.
func pretty(text []byte) []byte {
	var b bytes.Buffer
	depth, quoted, escaped := 0, false, false
	line := func() { b.WriteString("\n" + strings.Repeat("  ", max(0, min(depth, 40)))) }
	for i := 0; i < len(text) && b.Len() <= mostShown; i++ {
		c := text[i]
		switch {
		case quoted:
			b.WriteByte(c)
			quoted, escaped = c != '"' || escaped, c == '\\' && !escaped
		case c == '"':
			quoted = true
			b.WriteByte(c)
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case c == '{' || c == '[':
			b.WriteByte(c)
			if next := bytes.TrimLeft(text[i+1:min(len(text), i+64)], " \t\r\n"); len(next) > 0 && next[0] == c+2 {
				b.WriteByte(next[0]) // empty
				i += bytes.IndexByte(text[i:], next[0])
				continue
			}
			depth++
			line()
		case c == '}' || c == ']':
			depth--
			line()
			b.WriteByte(c)
		case c == ',':
			b.WriteByte(c)
			line()
		case c == ':':
			b.WriteString(": ")
		default:
			b.WriteByte(c)
		}
	}
	return b.Bytes()
}

// curl is a command that sends the payload by hand. The URL may contain a key, and the token is one:
// both are left to the person.
func curl(d DeliveryDetail, body []byte) string {
	var b strings.Builder
	if d.Host != "" {
		fmt.Fprintf(&b, "# URL: the address of the channel %s, at %s\n", d.ChannelTitle(), visible(d.Host))
	}
	b.WriteString("curl --request POST \"$URL\" \\\n  --header 'Content-Type: application/json' \\\n")
	fmt.Fprintf(&b, "  --header 'webhook-id: %s' \\\n", d.WebhookID)
	if d.Auth {
		b.WriteString("  --header \"Authorization: Bearer $TOKEN\" \\\n")
	}
	if len(body) > mostShown {
		fmt.Fprintf(&b, "  --data-binary @%s\n", payloadName(d.ID))
		return b.String()
	}
	fmt.Fprintf(&b, "  --data-binary @- <<'PAYLOAD'\n%s\nPAYLOAD\n", escapedUnseen(string(body)))
	return b.String()
}

// escapedUnseen writes what cannot be seen as an escape of JSON. A terminal acts on some of it.
func escapedUnseen(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		switch {
		case !hidden(c):
			b.WriteRune(c)
		case c > 0xffff:
			c -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func payloadName(id int64) string { return fmt.Sprintf("delivery-%d.json", id) }

// deliveryPayload is the whole payload as a file, or where it cannot be built the stored data.
func (s *site) deliveryPayload(w http.ResponseWriter, r *http.Request) error {
	d, err := s.deliveryOf(r)
	if err != nil {
		return err
	}
	data, size, err := s.store.DeliveryData(r.Context(), d.ID, mostDownloaded)
	if err != nil {
		return asNoDelivery(err)
	}
	if int64(len(data)) < size {
		return failure{Status: http.StatusUnprocessableEntity, Title: "The payload is too large to be downloaded here",
			Means: fmt.Sprintf("Its data has %s; this page passes on at most %s.", bytesWords(size), bytesWords(mostDownloaded)),
			Do:    fmt.Sprintf("Ask the operator: the data is in webhook.outbox, id %d.", d.ID)}
	}
	body, err := renderPayload(d, data)
	if err != nil {
		body = data
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": payloadName(d.ID)}))
	_, _ = w.Write(body) //nolint:gosec // as plain text, to be saved: no browser shows it as a page
	return nil
}

// bytesWords is a size in words.
func bytesWords(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// ResponsePretty is the answer's body; where it is JSON, as pretty writes it.
func (d DeliveryDetail) ResponsePretty() string {
	if json.Valid([]byte(d.Response)) && strings.ContainsAny(d.Response, "{[") {
		return string(pretty([]byte(d.Response)))
	}
	return d.Response
}
