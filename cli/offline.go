package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// offlineCommand is `webhooks offline on|off`.
var offlineCommand = command{
	name: "offline", group: groupSet, role: adminRole,
	arguments: []argument{{name: "on|off", choices: func() []string { return []string{"on", "off"} }}},
	about:     "turn Offline Mode on or off",
	text: "While it is on nothing is delivered, and every event waits. Once it is off the events that wait are delivered, except those of the " +
		"channels named with --discard: they are cancelled first. On a terminal it asks before that.",
	exits: "1 when it failed, or was interrupted",
	examples: []string{
		"deliver nothing for now: webhooks offline on",
		"deliver again, but not the audit log of that time: webhooks offline off --discard audit_log",
	},
	flags: func(f *flags) action {
		discard := f.StringSlice("discard", nil, "cancel what waits on these `channels` (with off)")
		f.offer("discard", channelNames())
		f.mayRepeat("discard")
		yes := f.Bool("yes", false, "do not ask")
		do := f.admins()
		return func(ctx, stop context.Context, args []string) error {
			for _, name := range *discard {
				if !slices.Contains(channelNames(), name) {
					return usagef("offline: --discard: unknown channel %q%s", name, expectedOr(name, channelNames()))
				}
			}
			if args[0] == "on" && len(*discard) > 0 {
				return usagef("offline: --discard goes with off; to cancel what waits now: webhooks discard")
			}
			return do(ctx, func(a *store.Admin) error {
				if args[0] == "on" {
					return offlineOn(stop, f, a)
				}
				return offlineOff(ctx, stop, f, a, *discard, *yes)
			})
		}
	},
}

func offlineOn(ctx context.Context, f *flags, a *store.Admin) error {
	on, was := true, false
	_, err := a.ChangeSettings(ctx, localUser(), func(now admin.Settings) (change admin.SettingsChange, err error) {
		if was = now.OfflineMode; !was {
			change.OfflineMode = &on
		}
		return change, nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("offline: %w", err)
	case was:
		return writeLine(f.p.Stdout, "Offline Mode was on already.")
	}
	return writeLine(f.p.Stdout, "Offline Mode is on: nothing is delivered, every event waits.")
}

func offlineOff(ctx, stop context.Context, f *flags, a *store.Admin, discard []string, yes bool) error {
	now, err := a.Settings(stop)
	if err != nil {
		return fmt.Errorf("offline: %w", err)
	}
	if !now.OfflineMode {
		return writeLine(f.p.Stdout, "Offline Mode was off already.")
	}
	waiting, err := a.Waiting(stop, false)
	if err != nil {
		return fmt.Errorf("offline: %w", err)
	}
	question, cancels := f.sayWhatIsReleased(waiting, discard)
	// A script that only delivers what waits goes on without --yes.
	if cancels || len(waiting) > 0 && isTerminal(f.p.Stdin) {
		if err := f.confirm(stop, question, yes); err != nil {
			return err
		}
	}
	id, err := a.ChangeSettings(stop, localUser(), func(admin.Settings) (admin.SettingsChange, error) {
		return admin.SettingsChange{Release: &admin.Release{Discard: discard}}, nil
	})
	if errors.Is(err, admin.ErrReleasing) {
		return fmt.Errorf("offline: it is being turned off already, or is off: %w", err)
	}
	if err != nil {
		return fmt.Errorf("offline: %w", err)
	}
	done, err := carryOut(ctx, stop, f, a, id, "cancelled")
	if err != nil {
		return err
	}
	if done > 0 || cancels {
		fmt.Fprintf(f.p.Stdout, "%s.\n", eventsWere(done, "cancelled"))
	}
	return writeLine(f.p.Stdout, "Offline Mode is off.")
}

// sayWhatIsReleased prints what becomes of the events that wait on each channel, and returns the question that
// a person is asked about it and whether some of them are cancelled.
func (f *flags) sayWhatIsReleased(waiting []admin.Waiting, discard []string) (question string, cancels bool) {
	var cancelled []string
	question = "Turn Offline Mode off?"
	for _, w := range waiting {
		what := "delivered"
		switch {
		case slices.Contains(discard, w.Channel):
			what = "cancelled"
			cancelled = append(cancelled, w.Channel)
		case !w.Enabled && w.AtLeastOnce:
			what = "kept: the channel is off"
		case !w.Enabled:
			what = "skipped: the channel is off"
		default:
			question = "Deliver these?"
		}
		fmt.Fprintf(f.p.Stdout, "%s: %s waiting, to be %s\n", w.Channel, plus(min(w.Events, store.DiscardBatch), w.Events > store.DiscardBatch), what)
	}
	if len(cancelled) > 0 {
		question = "Cancel what waits on " + strings.Join(cancelled, ", ") + ", then turn Offline Mode off?"
	}
	return question, len(cancelled) > 0
}
