package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/recordengine/webhooks/outbox"
)

// runRender is `webhooks render`: what a row with these facts would send.
func runRender(_, _ context.Context, p Process, args []string) error {
	f := newFlags(p, "render", "EVENT")
	at := f.String("occurred-at", time.Now().UTC().Format(time.RFC3339), "the row's occurred_at, RFC 3339")
	base := f.String("base-url", "", "webhook.settings.document_base_url, for doc_url")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	facts, err := io.ReadAll(p.Stdin)
	if err != nil {
		return fmt.Errorf("read the facts: %w", err)
	}
	body, err := outbox.Render(outbox.Event{
		Name: f.rest[0], Data: facts, OccurredAt: *at, Endpoint: outbox.Endpoint{DocumentBaseURL: *base},
	})
	if err != nil {
		return err
	}
	_, err = p.Stdout.Write(body)
	return err
}
