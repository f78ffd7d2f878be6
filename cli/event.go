package cli

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// sendTestCommand is `webhooks send-test CHANNEL`.
var sendTestCommand = command{
	name: "send-test", group: groupAct, role: adminRole,
	arguments: []argument{channelArgument},
	about:     "queue the specification's example of a channel, once",
	text:      "The channel's switch does not matter; Offline Mode holds a test event like any other. It is an error if the channel has no URL.",
	exits:     "1 when it cannot be queued",
	examples: []string{
		"try the documents channel: webhooks send-test documents",
		"and see what became of it, by the id that it prints: webhooks show 1001",
	},
	flags: func(f *flags) action {
		database := f.database()
		return func(_, stop context.Context, args []string) error {
			return withDatabase(stop, f, *database, func(db *sqlx.DB) error {
				var id int64
				if err := db.GetContext(stop, &id, `select webhook.send_test($1)`, args[0]); err != nil {
					return fmt.Errorf("send-test: %w", err)
				}
				return writeLine(f.p.Stdout, "queued test event %d; to see its outcome: webhooks show %d", id, id)
			})
		}
	},
}
