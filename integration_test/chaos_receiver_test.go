package integration_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// delivery is one POST that arrived whole.
type delivery struct {
	id        int64
	at, until time.Time // until the answer, or the end of the connection
	webhookID string
	body      string // empty if it is that of the event's first delivery
	differs   bool
	answered  int // the status that a whole answer began with; 0 for none
}

// rudeReceiver is a receiver that logs every request and answers as badly as receivers
// do: by the seed, the event and how often it has arrived. Unlike the receiver of the
// other tests it breaks off answers, measures how long each request lasted, and keeps
// an event's body once.
type rudeReceiver struct {
	*httptest.Server
	c     *chaos
	calm  atomic.Bool // only good answers from now on
	moved atomic.Int64

	mu         sync.Mutex
	deliveries []*delivery
	of         map[int64][]*delivery
}

func newRudeReceiver(c *chaos) *rudeReceiver {
	h := &rudeReceiver{c: c, of: map[int64][]*delivery{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	c.t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return h
}

func (h *rudeReceiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // broken off: not received
	}
	if strings.HasPrefix(req.URL.Path, "/moved") {
		h.moved.Add(1)
		return
	}
	d, nth := h.arrived(receipt{header: req.Header}, string(body))
	defer h.ended(d)
	if h.c.killsOnPost(d.id) {
		panic(http.ErrAbortHandler)
	}
	manner := manners[0].value
	if !h.calm.Load() {
		manner = pick(chooser(h.c.seed, 1_000_000+uint64(d.id)*100+uint64(nth)), manners)
	}
	h.c.tally.hit("receiver: " + manner.name)
	manner.answer(answer{h: h, d: d, w: w, req: req, choose: chooser(h.c.seed, uint64(d.id))})
}

func (h *rudeReceiver) arrived(r receipt, body string) (d *delivery, nth int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := r.id()
	d = &delivery{id: id, at: time.Now(), webhookID: r.header.Get("webhook-id"), body: body}
	if before := h.of[id]; len(before) > 0 {
		if d.differs = before[0].body != body; !d.differs {
			d.body = ""
		}
	}
	h.deliveries = append(h.deliveries, d)
	h.of[id] = append(h.of[id], d)
	return d, len(h.of[id])
}

func (h *rudeReceiver) ended(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.until.IsZero() {
		d.until = time.Now()
	}
}

func (h *rudeReceiver) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.deliveries)
}

// answer is a request and its response, for a manner.
type answer struct {
	h      *rudeReceiver
	d      *delivery
	w      http.ResponseWriter
	req    *http.Request
	choose *rand.Rand
}

// decided notes the answer before its first byte leaves.
func (a answer) decided(status int) {
	a.h.mu.Lock()
	a.d.answered, a.d.until = status, time.Now()
	a.h.mu.Unlock()
}

// status answers at once, with every secret of the request in its body.
func (a answer) status(code int) {
	time.Sleep(between(a.choose, 0, 4*time.Millisecond)) // so that kills strike during requests
	a.decided(code)
	a.w.WriteHeader(code)
	if code != 204 {
		fmt.Fprintf(a.w, "%s asked for %s with %q", a.req.Host, a.req.URL, a.req.Header.Get("Authorization"))
	}
}

// raw takes over the connection from net/http.
func (a answer) raw(talk func(c net.Conn)) {
	c, _, err := a.w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	talk(c)
}

// gone waits until the worker has ended the request.
func (a answer) gone() {
	select {
	case <-a.req.Context().Done():
	case <-time.After(10 * chaosTimeout):
	}
}

type manner struct {
	name   string
	answer func(answer)
}

var manners = []weighted[manner]{
	{130, manner{"200", func(a answer) { a.status(200) }}},
	{20, manner{"201", func(a answer) { a.status(201) }}},
	{20, manner{"204", func(a answer) { a.status(204) }}},
	{6, manner{"500, 503, 429 or 404", func(a answer) { a.status([]int{500, 503, 429, 404}[a.choose.IntN(4)]) }}},
	{3, manner{"a 2xx that is not counted", func(a answer) { a.status([]int{202, 206, 299}[a.choose.IntN(3)]) }}},
	{3, manner{"a redirect", redirect}},
	{2, manner{"no answer", func(a answer) { a.gone() }}},
	{3, manner{"reset", func(a answer) {
		a.raw(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
	}}},
	{2, manner{"200, then a body that drips and breaks off", dripBody}},
	{2, manner{"headers that drip", func(a answer) {
		a.raw(func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nX-Slow: "+strings.Repeat("z", 4000)) })
	}}},
	{1, manner{"16 MB of headers", headers16MB}},
	{1, manner{"200, a compressed bomb", func(a answer) {
		a.w.Header().Set("Content-Encoding", "gzip")
		a.decided(200)
		_, _ = a.w.Write(bomb)
	}}},
}

func redirect(a answer) {
	a.w.Header().Set("Location", a.h.URL+"/moved"+a.req.URL.Path+"?token="+a.req.Header.Get("Authorization"))
	a.status([]int{301, 302, 303, 307, 308}[a.choose.IntN(5)])
}

func dripBody(a answer) {
	a.decided(200)
	a.raw(func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
		drip(c, strings.Repeat("drop ", 3))
	})
}

// drip writes a byte every ten milliseconds until the other end closes the connection.
func drip(c net.Conn, text string) {
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func headers16MB(a answer) {
	a.raw(func(c net.Conn) {
		line := []byte("X-Large: " + strings.Repeat("y", 16<<10) + "\r\n")
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for range 1024 {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	})
}

// bomb is 64 MB of zeros in 64 KB.
var bomb = func() []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	return b.Bytes()
}()
