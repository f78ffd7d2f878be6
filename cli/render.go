package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/recordengine/webhooks/envelope"
)

// runRender is `webhooks render`: what a row with this data would send.
func runRender(_, _ context.Context, p Process, args []string) error {
	f := newFlags(p, "render", "EVENT")
	at := f.String("occurred-at", time.Now().UTC().Format(time.RFC3339), "the row's occurred_at, RFC 3339")
	base := f.String("base-url", "", "webhook.settings.document_base_url, for doc_url")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	data, err := io.ReadAll(p.Stdin)
	if err != nil {
		return fmt.Errorf("read the data: %w", err)
	}
	body, err := envelope.Render(envelope.Input{Event: f.rest[0], OccurredAt: *at, Data: data, DocumentBaseURL: *base})
	if err != nil {
		return err
	}
	_, err = p.Stdout.Write(body)
	return err
}
