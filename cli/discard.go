package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/recordengine/webhooks/store"
)

// discardCommand is `webhooks discard`.
var discardCommand = command{
	name: "discard", group: groupAct, role: adminRole,
	about: "cancel pending events, of one channel or of all",
	text: "For events that are no longer wanted, such as a backlog of Offline Mode. What a worker holds is left out. " +
		"They stay in the table as cancelled; webhooks resend undoes it. Ctrl-C ends it after the batch that runs.",
	exits: "1 when it failed, or was interrupted",
	examples: []string{
		"what waits on a channel: webhooks discard --channel audit_log",
		"how many happened before a day, without changing them: webhooks discard --before 2026-01-31 --dry-run",
	},
	flags: func(f *flags) action {
		channel := f.channel("of this channel (default all)")
		before := f.time("before", "that happened before then (default now)")
		d := discardFlags{dryRun: f.Bool("dry-run", false, "only count"), yes: f.Bool("yes", false, "do not ask")}
		do := f.admins()
		return func(ctx, stop context.Context, _ []string) error {
			which := store.Discard{Channel: *channel, Before: *before}
			return do(ctx, func(a *store.Admin) error { return discard(ctx, stop, f, a, which, d) })
		}
	},
}

type discardFlags struct{ dryRun, yes *bool }

func discard(ctx, stop context.Context, f *flags, a *store.Admin, which store.Discard, d discardFlags) error {
	n, err := a.CountDiscard(stop, &which)
	if err != nil {
		return fmt.Errorf("discard: %w", err)
	}
	if n == 0 {
		return writeLine(f.p.Stdout, "No pending event matches.")
	}
	count := plus(n, n == store.DiscardBatch) + " pending " + plural(n, "event", "events")
	if *d.dryRun {
		return writeLine(f.p.Stdout, "%s would be cancelled.", count)
	}
	if err := f.confirm(stop, "Cancel "+count+"?", *d.yes); err != nil {
		return err
	}
	return inBatches(ctx, stop, f, "cancelled", func() (int64, error) { return a.Discard(ctx, localUser(), which) })
}

// inBatches repeats a step until it changes nothing, or stop ends.
func inBatches(ctx, stop context.Context, f *flags, what string, step func() (int64, error)) error {
	bar := f.progress()
	defer bar.end()
	var done int64
	for stop.Err() == nil {
		n, err := step()
		done += n
		if err != nil {
			return fmt.Errorf("%s: %s, then: %w", f.name, eventsWere(done, what), err)
		}
		if n == 0 {
			bar.end()
			return writeLine(f.p.Stdout, "%s.", eventsWere(done, what))
		}
		bar.show(done, 0, true)
		select {
		case <-ctx.Done():
		case <-time.After(restBetweenBatches):
		}
	}
	bar.end()
	return fmt.Errorf("%s: interrupted; %s, the others are as they were", f.name, eventsWere(done, what))
}
