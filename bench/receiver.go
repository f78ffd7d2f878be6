package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// behaviour is how the receiver answers on one path.
type behaviour struct {
	Delay      time.Duration // before the answer; a black hole is a very long one
	Status     int           // 0 means 200
	RefuseUpTo int64         // events up to this id are answered with 503
	Counted    bool          // its posts are those that /wait waits for
	Noted      bool          // what arrives when is noted, by its event's id
}

// blackHole is longer than any attempt.
const blackHole = time.Hour

// receipt is one noted arrival.
type receipt struct {
	ID int64 // of the event: the webhook-id's last part
	At int64 // Unix time in nanoseconds
}

// tally is what one path, or all that are counted, have met since the last reset.
type tally struct {
	Posts, Bytes int64
	First, Last  int64 // Unix time in nanoseconds: of the first post, and of the last one that was waited for
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
	reordered   atomic.Pointer[chan struct{}] // closed by a reset: requests in a black hole end
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
	mux.HandleFunc("/listen", r.serveListen)
	mux.HandleFunc("/wait", r.serveWait)
	mux.HandleFunc("/tally", r.serveTally)
	mux.HandleFunc("/receipts", r.serveReceipts)
	go http.Serve(hooks, r)    //nolint:errcheck,gosec // it ends with the process
	go http.Serve(orders, mux) //nolint:errcheck,gosec // it ends with the process
	fmt.Println(hooks.Addr(), orders.Addr())
	<-ctx.Done()
	return nil
}

// order sets what the receiver answers during a measurement.
type order struct {
	Paths map[string]behaviour
	Want  int64 // counted posts that /wait waits for
}

func (r *receiver) reset(paths map[string]behaviour, want int64) {
	lanes := map[string]*lane{}
	for path, b := range paths {
		lanes[path] = &lane{behaviour: b}
	}
	reached, reordered := make(chan struct{}), make(chan struct{})
	r.reached.Store(&reached)
	r.first.Store(0)
	r.last.Store(0)
	r.posts.Store(0)
	r.want.Store(want)
	r.lanes.Store(&lanes)
	if before := r.reordered.Swap(&reordered); before != nil {
		close(*before)
	}
}

// ServeHTTP takes a payload. A path without an order answers 200 at once.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	reordered := *r.reordered.Load()
	l := (*r.lanes.Load())[req.URL.Path]
	n, _ := io.Copy(io.Discard, req.Body)
	if l == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	if l.Counted {
		r.count()
	}
	l.posts.Add(1)
	l.bytes.Add(n)
	status := max(l.Status, http.StatusOK)
	if l.Noted || l.RefuseUpTo > 0 {
		id := eventID(req)
		if l.Noted {
			l.note(id)
		}
		if id <= l.RefuseUpTo {
			status = http.StatusServiceUnavailable
		}
	}
	if l.Delay > 0 && (l.RefuseUpTo == 0 || status != http.StatusOK) {
		select {
		case <-time.After(l.Delay):
		case <-reordered:
		case <-req.Context().Done():
		}
	}
	w.WriteHeader(status)
}

func (r *receiver) count() {
	n := r.posts.Add(1)
	if n == 1 {
		r.first.Store(time.Now().UnixNano())
	}
	if n == r.want.Load() {
		r.arrived()
	}
}

// eventID is the number in the webhook-id, before its suffix; a peer sends nothing else.
func eventID(req *http.Request) int64 {
	parts := strings.Split(req.Header.Get("webhook-id"), "-")
	id, _ := strconv.ParseInt(parts[max(0, len(parts)-2)], 10, 64)
	return id
}

func (r *receiver) arrived() {
	r.last.Store(time.Now().UnixNano())
	close(*r.reached.Load())
}

func (l *lane) note(id int64) {
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

// serveListen opens one more port for payloads: an endpoint that was dead comes back.
func (r *receiver) serveListen(w http.ResponseWriter, req *http.Request) {
	l, err := net.Listen("tcp", req.URL.Query().Get("address"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	go http.Serve(l, r) //nolint:errcheck,gosec // it ends with the process
}

// serveWait answers when the wanted posts have arrived, or its caller is gone.
func (r *receiver) serveWait(w http.ResponseWriter, req *http.Request) {
	select {
	case <-*r.reached.Load():
		answer(w, tally{Posts: r.posts.Load(), First: r.first.Load(), Last: r.last.Load()})
	case <-req.Context().Done():
	}
}

// serveTally tells what each path has met; the empty path stands for all that are counted.
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
