package cli

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// serve answers until stop ends.
func serve(stop context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-stop.Done()
		_ = srv.Close()
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// receiver is the endpoint of a webhook, for trials and for the demo.
type receiver struct {
	token  string
	verify func(http.Header, []byte) error // the signature; nil: it is not looked at
	delay  time.Duration
	got    func(delivery) // called for each request, one at a time

	mu      sync.Mutex
	answers []int // the statuses still to answer with; the last one stays
}

// delivery is one request and how it was answered.
type delivery struct {
	at        time.Time
	path      string
	webhookID string
	event     string
	body      []byte
	status    int
	note      string // whether the signature verifies, and why it was rejected; empty where there is nothing to say
}

// maxBody is above any payload of a sane size; the rest is not read.
const maxBody = 64 << 20

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody))
	if err != nil { // the body ends too early; without a status, it would be answered 200
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	time.Sleep(r.delay)

	r.mu.Lock()
	defer r.mu.Unlock()
	var envelope struct{ Event string }
	_ = json.Unmarshal(body, &envelope) // a body that is not JSON has no event
	d := delivery{at: time.Now(), path: req.URL.Path, webhookID: req.Header.Get("webhook-id"), event: envelope.Event, body: body}
	d.status, d.note = r.answer(req, body)
	if r.got != nil {
		r.got(d)
	}
	w.WriteHeader(d.status)
}

// answer is the status to answer with, and in words why it rejects a request.
func (r *receiver) answer(req *http.Request, body []byte) (status int, note string) {
	if req.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "method " + req.Method + ", expected POST"
	}
	if r.token != "" {
		got := req.Header.Get("Authorization")
		switch {
		case got == "":
			return http.StatusUnauthorized, "no bearer token"
		case subtle.ConstantTimeCompare([]byte(got), []byte("Bearer "+r.token)) == 0:
			return http.StatusUnauthorized, "another bearer token than --token"
		}
	}
	if r.verify != nil {
		if err := r.verify(req.Header, body); err != nil {
			return http.StatusUnauthorized, "SIGNATURE: " + err.Error()
		}
		note = "signature verifies"
	}
	status = r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return status, note
}

// parseStatuses reads "503x3,200": three times 503, then 200 for ever.
func parseStatuses(text string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		status, times, repeated := strings.Cut(strings.TrimSpace(part), "x")
		code, err := strconv.Atoi(status)
		if err != nil || code < 200 || code > 599 {
			return nil, fmt.Errorf("%q is no HTTP status from 200 to 599", status)
		}
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil || n < 1 || n > 100000 {
				return nil, fmt.Errorf("%q is no number of times from 1 to 100000", times)
			}
		}
		for range n {
			all = append(all, code)
		}
	}
	return all, nil
}
