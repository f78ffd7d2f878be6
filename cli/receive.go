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

// receiveCommand is `webhooks receive`: a receiver on its own.
var receiveCommand = command{
	name: "receive", group: groupDevelop,
	about: "serve a receiver to try things on",
	text: "It prints a line for each request: when, the status that it answers with, the event, the size of the body, the path, " +
		"the webhook-id, and what is wrong with it. It stores nothing. Ctrl-C ends it.\n\n" +
		"A worker calls a loopback address only if its WEBHOOK_ALLOW_NETWORKS contains it: " +
		"WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8 webhooks run. " +
		"It answers also while its output is not read; lines that it could not print are counted.",
	exits: "1 when it cannot listen",
	examples: []string{
		"answer 200 to everything: webhooks receive",
		"fail three times, then succeed, and show each payload: webhooks receive --status 503x3,200 --bodies",
	},
	flags: receiveFlags,
}

func receiveFlags(f *flags) action {
	p := f.p
	listen := f.String("listen", "127.0.0.1:8099", "`address` to listen on")
	statuses := f.String("status", "200", "the `statuses` to answer with, in turn; the last one stays: 503x3,200")
	delay := f.Duration("delay", 0, "wait this long before each answer")
	token := f.String("token", "", "answer 401 to a request without this bearer `token`")
	var keys secretFlags
	f.setting("secret", "secret", "answer 401 to a request that is not signed with this secret (whsec_) or for this public key (whpk_), and say what differs; may be repeated", keys.set)
	f.mayRepeat("secret")
	bodies := f.Bool("bodies", false, "print each payload in full")
	return func(_, stop context.Context, _ []string) error {
		answers, err := parseStatuses(*statuses)
		if err != nil {
			return usagef("receive: --status: %v", err)
		}
		verify, err := keys.verify()
		if err != nil {
			return usagef("receive: --secret: %v", err)
		}
		l, err := net.Listen("tcp", *listen)
		if err != nil {
			return fmt.Errorf("receive: --listen: %w; another process may use that address, port 0 picks a free one", err)
		}
		lines := newLogWriter(p.Stdout, func(dropped int) error { // an answer never waits for the output
			_, err := fmt.Fprintf(p.Stdout, "%d lines were not printed: the output was not read\n", dropped)
			return err
		})
		defer func() { _ = lines.Sync() }()
		r := &receiver{answers: answers, delay: *delay, token: *token, verify: verify, got: func(d delivery) { printDelivery(lines, d, *bodies) }}
		fmt.Fprintf(lines, "listening on http://%s; the worker needs WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8 to call a loopback address\n", l.Addr())
		return serve(stop, l, r)
	}
}

// printDelivery writes one line, and one more for the body.
func printDelivery(w io.Writer, d delivery, whole bool) {
	event, id, note := visible(d.event), visible(d.webhookID), d.note
	if event == "" {
		event = "(no event)"
	}
	if id == "" {
		id = "(no webhook-id)"
	}
	if note != "" {
		note = "  " + visible(note)
	}
	line := fmt.Sprintf("%s  %d  %-22s %5d B  %s  %s%s\n", d.at.Format("15:04:05.000"), d.status, event, len(d.body), visible(d.path), id, note)
	if whole {
		line += visible(string(d.body)) + "\n"
	}
	_, _ = io.WriteString(w, line)
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
