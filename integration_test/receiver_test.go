package integration_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// receipt is a request that a receiver has read in full.
type receipt struct {
	at       time.Time
	path     string
	query    url.Values
	header   http.Header
	body     string
	answered int // 0 until the response begins
}

// id is the event's id, from the webhook-id header.
func (r receipt) id() int64 {
	parts := strings.Split(r.header.Get("webhook-id"), "-") // five of the instance, the id, the suffix
	if len(parts) != 7 {
		return 0
	}
	id, _ := strconv.ParseInt(parts[5], 10, 64)
	return id
}

// receiver is an endpoint that logs each request before it answers.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	receipts []receipt
}

// newReceiver answers with the status that answer returns; nil answers 200 to everything.
func newReceiver(t testing.TB, answer func(r receipt) int) *receiver {
	return newResponder(t, func(w http.ResponseWriter, r receipt) {
		status := http.StatusOK
		if answer != nil {
			status = answer(r)
		}
		w.WriteHeader(status)
	})
}

// newResponder is a receiver whose respond writes the whole response. It calls WriteHeader.
func newResponder(t testing.TB, respond func(w http.ResponseWriter, r receipt)) *receiver {
	rcv := &receiver{}
	rcv.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // broken off: not received
		}
		r := receipt{at: time.Now(), path: req.URL.Path, query: req.URL.Query(), header: req.Header.Clone(), body: string(body)}
		i := rcv.add(r)
		respond(noting{w, func(status int) { rcv.answered(i, status) }}, r)
	}))
	t.Cleanup(rcv.Close)
	return rcv
}

// noting notes the status before the response begins.
type noting struct {
	http.ResponseWriter
	note func(status int)
}

func (n noting) WriteHeader(status int) {
	n.note(status)
	n.ResponseWriter.WriteHeader(status)
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
