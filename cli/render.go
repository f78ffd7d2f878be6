package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/recordengine/webhooks/envelope"
	"github.com/recordengine/webhooks/outbox"
)

// renderCommand is `webhooks render`: what a row with this data would send.
var renderCommand = command{
	name: "render", group: groupDevelop,
	arguments: []argument{{name: "EVENT", choices: eventNames}},
	about:     "print the exact bytes that would be sent; the data on standard input",
	text:      "It needs no database.",
	exits:     "1 when the data cannot be rendered; the error names the field",
	examples: []string{
		"what a contact would send: webhooks render contact.created <contact.json",
		"a document, with its link: webhooks render document.exported --base-url https://re.example.com <document.json",
	},
	flags: renderFlags,
}

func eventNames() (names []string) {
	for _, c := range outbox.Channels() {
		names = append(names, c.Event)
	}
	return names
}

func renderFlags(f *flags) action {
	at := f.String("occurred-at", "", "the row's occurred_at, a `time` as RFC 3339 has it (default now)")
	base := f.String("base-url", "", "the `url` with which doc_url begins, webhook.settings.document_base_url")
	return func(_, _ context.Context, args []string) error {
		data, err := io.ReadAll(f.p.Stdin)
		if err != nil {
			return fmt.Errorf("read the data: %w", err)
		}
		body, err := envelope.Render(envelope.Input{Event: args[0], OccurredAt: cmp.Or(*at, time.Now().UTC().Format(time.RFC3339)), Data: data, DocumentBaseURL: *base})
		if err != nil {
			return err
		}
		_, err = f.p.Stdout.Write(body)
		return err
	}
}
