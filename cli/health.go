package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// healthWithin bounds the question to a worker that does not answer.
const healthWithin = 5 * time.Second

// healthCommand is `webhooks health`.
var healthCommand = command{
	name: "health", group: groupRead,
	about: "ask the worker on this machine whether it is ready",
	text: "Asks /readyz of the worker that serves at WEBHOOK_METRICS_LISTEN, or with --page that of the page at WEBHOOK_ADMIN_LISTEN. " +
		"It is meant for a container's health check, where there is no curl. It does not use the database.",
	exits: "1 when what is asked is not ready or does not answer",
	examples: []string{
		"is it ready, as a container's health check: webhooks health",
		"whether the process answers at all, with or without its database: webhooks health --live",
		"in a container that serves the page alone: webhooks health --page",
	},
	flags: func(f *flags) action {
		address := f.metricsAddress()
		live := f.Bool("live", false, "ask /livez: does the process answer?")
		page := f.Bool("page", false, "ask the page")
		return func(_, stop context.Context, _ []string) error {
			switch {
			case *page:
				*address = cmp.Or(f.env("WEBHOOK_ADMIN_LISTEN"), adminListen)
			case *address == "":
				return usagef("health: WEBHOOK_METRICS_LISTEN is not set; it is where the worker serves /readyz, such as 127.0.0.1:9464")
			}
			path := "/readyz"
			if *live {
				path = "/livez"
			}
			text, err := answerOf(stop, "http://"+reachable(*address)+path)
			if err != nil {
				return fmt.Errorf("health: %w", err)
			}
			return writeLine(f.p.Stdout, "%s", text)
		}
	},
}

// reachable is the address under which this machine reaches what listens there.
func reachable(listen string) string {
	host, port, _ := net.SplitHostPort(listen)
	if address, err := netip.ParseAddr(host); host == "" || err == nil && address.IsUnspecified() {
		host = "127.0.0.1" // also of [::], which listens on both
	}
	return net.JoinHostPort(host, port)
}

// answerOf returns the text of an answer of 200; any other is an error.
func answerOf(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := (&http.Client{Transport: &http.Transport{}}).Do(req) // through no proxy
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	text := strings.TrimSpace(string(body))
	switch {
	case err != nil:
		return "", err
	case res.StatusCode != http.StatusOK:
		return "", errors.New(text)
	}
	return text, nil
}
