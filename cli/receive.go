package cli

import (
	"context"
	"fmt"
	"io"
	"net"
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

func printDelivery(w io.Writer, d delivery, whole bool) {
	fmt.Fprintf(w, "%s  %d  %-22s %5d B  %s  %s\n", d.at.Format("15:04:05.000"), d.status, d.event, len(d.body), d.path, d.webhookID)
	if whole {
		fmt.Fprintf(w, "%s\n", d.body)
	}
}
