package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"
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
	fmt.Fprintf(w, "%s  %d  %-22s %5d B  %s  %s\n", d.at.Format("15:04:05.000"), d.status, visible(d.event), len(d.body), visible(d.path), visible(d.webhookID))
	if whole {
		fmt.Fprintf(w, "%s\n", visible(string(d.body)))
	}
}

// visible is a foreign text for a terminal: what would control it, or turn the
// direction of the text, is escaped as in Go and JSON. Line breaks and tabs of a body
// are escaped, too: a body cannot pretend to be another line.
func visible(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}
