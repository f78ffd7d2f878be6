package sender

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

const (
	// maxRead bounds what is read of an answer's body, and what is made of it, in bytes.
	maxRead = 64 << 10

	// bodyTime is how long a body may take after the status, which alone decides.
	// A receiver that streams its answer without end must not keep a slot.
	bodyTime = time.Second

	// maxCodings is how many content codings are decoded within each other. Each one
	// may cost what it takes to inflate maxRead bytes.
	maxCodings = 3
)

// body is what was read of an answer's body.
type body struct {
	bytes []byte
	whole bool // to its end
}

// body reads what an answer has behind its head. A body that breaks or runs out of
// time changes nothing. That of 101 is no body but the connection itself.
func (c *conn) body(ctx context.Context, answer *http.Response) body {
	switch {
	case answer.StatusCode < 200:
		return body{}
	case answer.Body == http.NoBody:
		return body{whole: true}
	}
	_ = c.SetReadDeadline(time.Now().Add(bodyTime))
	if ctx.Err() != nil {
		c.abort()
	}
	read, err := io.ReadAll(io.LimitReader(answer.Body, maxRead))
	return body{read, err == nil && len(read) < maxRead}
}

// readable is the part of a body that is stored: decoded as its headers say, and
// readable, its secrets masked.
func (b body) readable(answer *http.Response, hidden secrets) string {
	if len(b.bytes) == 0 {
		return ""
	}
	names := codings(answer.Header)
	if len(names) > maxCodings {
		return "too many codings, not shown"
	}
	for _, name := range names {
		if !b.inflate(name) {
			return cut(hidden.mask(clean(name)), 30) + ", not shown"
		}
	}
	text, known := b.text(answer.Header.Get("Content-Type"))
	if !known {
		return "an unknown charset, not shown"
	}
	return response(text, b.whole, hidden)
}

// codings are the content codings of a body, the last applied one first; of too
// many, some.
func codings(h http.Header) []string {
	var names []string
	for name := range strings.SplitSeq(strings.Join(h["Content-Encoding"], ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" && name != "identity" {
			names = append([]string{name}, names...)
		}
		if len(names) > maxCodings {
			break
		}
	}
	return names
}

// inflate decodes one content coding, up to maxRead: a bomb of a few KiB would
// become gigabytes. It reports whether there is anything to show.
func (b *body) inflate(name string) bool {
	var from io.Reader
	var err error
	switch name {
	case "gzip", "x-gzip":
		from, err = gzip.NewReader(bytes.NewReader(b.bytes))
	case "deflate": // zlib's format by the standard, without its frame by habit
		if from, err = zlib.NewReader(bytes.NewReader(b.bytes)); err != nil {
			from, err = flate.NewReader(bytes.NewReader(b.bytes)), nil
		}
	default:
		return false
	}
	if err != nil {
		return false
	}
	plain, err := io.ReadAll(io.LimitReader(from, maxRead))
	b.bytes, b.whole = plain, b.whole && err == nil && len(plain) < maxRead
	return len(plain) > 0
}

// text is the body in UTF-8. Without a charset, or with one that is not kept to,
// a body that is valid UTF-8 is read as that.
func (b body) text(contentType string) (text string, known bool) {
	_, params, _ := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	switch {
	case b.wide() != nil:
		return decoded(b.bytes, b.wide().NewDecoder())
	case bytes.HasPrefix(b.bytes, []byte("\xff\xfe")), bytes.HasPrefix(b.bytes, []byte("\xfe\xff")):
		return decoded(b.bytes, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	case bytes.HasPrefix(b.bytes, []byte("\xef\xbb\xbf")):
		return string(b.bytes[3:]), true
	case charset == "utf-16":
		return decoded(b.bytes, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder())
	case charset == "", utf8.Valid(b.bytes) && !strings.HasPrefix(charset, "utf-16") && !strings.HasPrefix(charset, "iso-2022"):
		return string(b.bytes), true
	}
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return "", false
	}
	return decoded(b.bytes, enc.NewDecoder())
}

// wide is the charset of a text that shows by its zeros that it is UTF-16 or UTF-32
// (RFC 4627, section 3), nil if it does not.
func (b body) wide() encoding.Encoding {
	if len(b.bytes) < 4 {
		return nil
	}
	var zeros [4]bool
	for i, c := range b.bytes[:4] {
		zeros[i] = c == 0
	}
	switch zeros {
	case [4]bool{true, false, true, false}:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case [4]bool{false, true, false, true}:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case [4]bool{true, true, true, false}:
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)
	case [4]bool{false, true, true, true}:
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)
	}
	return nil
}

type decoder interface{ Bytes([]byte) ([]byte, error) }

func decoded(text []byte, d decoder) (string, bool) {
	plain, err := d.Bytes(text)
	return string(plain[:min(len(plain), 4*maxRead)]), err == nil || len(plain) > 0
}
