package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// behaviour is how the receiver answers on one path.
type behaviour struct {
	Delay  time.Duration // before the answer; a black hole is a very long one
	Status int           // 0 means 200
	Record bool          // note what arrives when, by its webhook-id
}

// receipt is one noted arrival.
type receipt struct {
	ID string // the webhook-id
	At int64  // Unix time in nanoseconds
}

// tally is what one path, or all of them, have met since the last reset.
type tally struct {
	Posts, Bytes int64
	First, Last  int64 // Unix time in nanoseconds; Last is the wanted post's, where one was asked for
}

// lane is one path of the receiver.
type lane struct {
	behaviour
	posts, bytes atomic.Int64

	mu       sync.Mutex
	receipts []receipt
}

// receiver is the other end of every POST of the bench: of the ceiling's, of the
// worker's and of its peers' alike.
type receiver struct {
	lanes       atomic.Pointer[map[string]*lane]
	posts       atomic.Int64
	want        atomic.Int64
	first, last atomic.Int64
	reached     atomic.Pointer[chan struct{}]
}

// receiverRole serves two ports: payloads come to one, the bench's orders to the
// other. It prints their addresses.
func receiverRole(ctx context.Context, _ []string) error {
	hooks, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	orders, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r := &receiver{}
	r.reset(nil, 0)
	mux := http.NewServeMux()
	mux.HandleFunc("/reset", r.serveReset)
	mux.HandleFunc("/wait", r.serveWait)
	mux.HandleFunc("/tally", r.serveTally)
	mux.HandleFunc("/receipts", r.serveReceipts)
	go http.Serve(hooks, r)    //nolint:errcheck,gosec // it ends with the process
	go http.Serve(orders, mux) //nolint:errcheck,gosec // it ends with the process
	fmt.Println(hooks.Addr(), orders.Addr())
	<-ctx.Done()
	return nil
}

// order is what the receiver is told before a measurement.
type order struct {
	Paths map[string]behaviour
	Want  int64 // posts, over all paths, that /wait waits for
}

func (r *receiver) reset(paths map[string]behaviour, want int64) {
	lanes := map[string]*lane{}
	for path, b := range paths {
		lanes[path] = &lane{behaviour: b}
	}
	reached := make(chan struct{})
	r.reached.Store(&reached)
	r.first.Store(0)
	r.last.Store(0)
	r.posts.Store(0)
	r.want.Store(want)
	r.lanes.Store(&lanes)
}

// ServeHTTP takes a payload. A path that nobody spoke of answers 200 at once.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	n, _ := io.Copy(io.Discard, req.Body)
	switch r.posts.Add(1) {
	case 1:
		r.first.Store(time.Now().UnixNano())
		if r.want.Load() == 1 {
			r.arrived()
		}
	case r.want.Load():
		r.arrived()
	}
	l := (*r.lanes.Load())[req.URL.Path]
	if l == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	l.posts.Add(1)
	l.bytes.Add(n)
	if l.Record {
		l.note(req.Header.Get("webhook-id"))
	}
	if l.Delay > 0 {
		select {
		case <-time.After(l.Delay):
		case <-req.Context().Done():
		}
	}
	w.WriteHeader(max(l.Status, http.StatusOK))
}

func (r *receiver) arrived() {
	r.last.Store(time.Now().UnixNano())
	close(*r.reached.Load())
}

func (l *lane) note(id string) {
	now := time.Now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts = append(l.receipts, receipt{id, now})
}

func (r *receiver) serveReset(w http.ResponseWriter, req *http.Request) {
	var o order
	if err := json.NewDecoder(req.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.reset(o.Paths, o.Want)
}

// serveWait answers when the wanted posts have arrived, or its caller is gone.
func (r *receiver) serveWait(w http.ResponseWriter, req *http.Request) {
	select {
	case <-*r.reached.Load():
		answer(w, tally{Posts: r.posts.Load(), First: r.first.Load(), Last: r.last.Load()})
	case <-req.Context().Done():
	}
}

// serveTally tells what each path has met; the empty path stands for all.
func (r *receiver) serveTally(w http.ResponseWriter, _ *http.Request) {
	all := map[string]tally{"": {Posts: r.posts.Load(), First: r.first.Load(), Last: r.last.Load()}}
	for path, l := range *r.lanes.Load() {
		all[path] = tally{Posts: l.posts.Load(), Bytes: l.bytes.Load()}
	}
	answer(w, all)
}

// serveReceipts hands over what was noted, by path.
func (r *receiver) serveReceipts(w http.ResponseWriter, _ *http.Request) {
	all := map[string][]receipt{}
	for path, l := range *r.lanes.Load() {
		l.mu.Lock()
		all[path] = l.receipts
		l.mu.Unlock()
	}
	answer(w, all)
}

func answer(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v) // the bench is gone otherwise
}
