package cli

import (
	"context"
	"time"

	"github.com/recordengine/webhooks/store"
)

// pruneCommand is `webhooks prune`.
var pruneCommand = command{
	name: "prune", group: groupAct, role: adminRole,
	about: "delete finished events that are old",
	text: "Workers do this once a day with WEBHOOK_RETENTION. Events that wait are never deleted; exports of a document are deleted from the " +
		"oldest on. Ctrl-C ends it after the batch that runs.",
	exits: "1 when it failed, or was interrupted",
	examples: []string{
		"as the workers do it, at once: webhooks prune",
		"all that finished more than a week ago: webhooks prune --older-than 168h",
	},
	flags: func(f *flags) action {
		olderThan := f.duration("older-than", "WEBHOOK_RETENTION", 720*time.Hour, "finished longer ago than this")
		do := f.admins()
		return func(ctx, stop context.Context, _ []string) error {
			return do(ctx, func(a *store.Admin) error {
				return inBatches(ctx, stop, f, "deleted", func() (int64, error) { return a.Prune(ctx, *olderThan) })
			})
		}
	},
}
