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

// runReceive is `webhooks receive`: a receiver on its own.
func runReceive(_, stop context.Context, p Process, args []string) error {
	f := newFlags(p, "receive", "")
	listen := f.String("listen", "127.0.0.1:8099", "address to listen on")
	statuses := f.String("status", "200", "the statuses to answer with, in turn; the last one stays: 503x3,200")
	delay := f.Duration("delay", 0, "wait this long before each answer")
	token := f.String("token", "", "answer 401 to a request without this bearer token")
	bodies := f.Bool("bodies", false, "print each payload in full")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	answers, err := parseStatuses(*statuses)
	if err != nil {
		return usagef("receive: --status: %v", err)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	r := &receiver{answers: answers, delay: *delay, token: *token, got: func(d delivery) { printDelivery(p.Stdout, d, *bodies) }}
	fmt.Fprintf(p.Stdout, "listening on http://%s; the worker needs WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8 to call a loopback address\n", l.Addr())
	return serve(stop, l, r)
}

// serve answers until stop is done.
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

// receiver is the other end of a webhook, for trials and for the demo.
type receiver struct {
	token string
	delay time.Duration
	got   func(delivery) // told of each request, one at a time

	mu      sync.Mutex
	answers []int // what is still to be answered; the last one stays
}

// delivery is one request and how it was answered.
type delivery struct {
	at        time.Time
	path      string
	webhookID string
	event     string
	body      []byte
	status    int
}

// maxBody is above any payload of a sane size; the rest is not read.
const maxBody = 64 << 20

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody))
	if err != nil {
		return // the sender is gone
	}
	time.Sleep(r.delay)

	r.mu.Lock()
	defer r.mu.Unlock()
	var envelope struct{ Event string }
	_ = json.Unmarshal(body, &envelope) // what is no JSON has no event
	d := delivery{at: time.Now(), path: req.URL.Path, webhookID: req.Header.Get("webhook-id"), event: envelope.Event, body: body, status: r.answer(req)}
	if r.got != nil {
		r.got(d)
	}
	w.WriteHeader(d.status)
}

func (r *receiver) answer(req *http.Request) int {
	switch {
	case req.Method != http.MethodPost:
		return http.StatusMethodNotAllowed
	case r.token != "" && subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte("Bearer "+r.token)) == 0:
		return http.StatusUnauthorized
	}
	status := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return status
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

func printDelivery(w io.Writer, d delivery, whole bool) {
	fmt.Fprintf(w, "%s  %d  %-22s %5d B  %s  %s\n", d.at.Format("15:04:05.000"), d.status, d.event, len(d.body), d.path, d.webhookID)
	if whole {
		fmt.Fprintf(w, "%s\n", d.body)
	}
}
