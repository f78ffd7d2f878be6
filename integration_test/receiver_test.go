package integration_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// receipt is one request that a receiver got, complete.
type receipt struct {
	at       time.Time
	path     string
	header   http.Header
	body     string
	answered int // 0 while the answer is not decided yet
}

// id is the event's id, from the webhook-id header.
func (r receipt) id() int64 {
	text := r.header.Get("webhook-id")
	id, _ := strconv.ParseInt(text[strings.LastIndexByte(text, '-')+1:], 10, 64)
	return id
}

// receiver is the other end: it logs each request before it answers.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	receipts []receipt
}

// newReceiver answers as told; nil answers 200 to everything.
func newReceiver(t testing.TB, answer func(r receipt) int) *receiver {
	rcv := &receiver{}
	rcv.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // cut off: not received
		}
		r := receipt{at: time.Now(), path: req.URL.Path, header: req.Header.Clone(), body: string(body)}
		i := rcv.add(r)
		status := http.StatusOK
		if answer != nil {
			status = answer(r)
		}
		rcv.answered(i, status)
		w.WriteHeader(status)
	}))
	t.Cleanup(rcv.Close)
	return rcv
}

func (r *receiver) add(got receipt) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.receipts = append(r.receipts, got)
	return len(r.receipts) - 1
}

func (r *receiver) answered(i, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.receipts[i].answered = status
}

// all is what was received so far.
func (r *receiver) all() []receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]receipt(nil), r.receipts...)
}

// of is what was received of one event so far.
func (r *receiver) of(id int64) (own []receipt) {
	for _, got := range r.all() {
		if got.id() == id {
			own = append(own, got)
		}
	}
	return own
}
