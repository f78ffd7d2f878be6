package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/recordengine/webhooks/admin"
	"github.com/recordengine/webhooks/store"
)

// resendCommand is `webhooks resend`: one event, or all that a filter finds.
var resendCommand = command{
	name: "resend", group: groupAct, role: adminRole,
	arguments: []argument{{name: "ID", optional: true}},
	about:     "send a finished event again, or those that a filter finds",
	text: "With a filter it counts first and shows what would be sent and what is left out: exports that a later one has overtaken, " +
		"test events, and what the receiver has or may have. The webhook-id stays the same, so that a receiver can recognise a repeat. " +
		"Ctrl-C ends it after the batch that runs; what is resent by then stays so.\n\n" +
		"An event of a channel that is off is skipped again.",
	exits: "1 when it is refused, or was interrupted",
	examples: []string{
		"one event: webhooks resend 1001",
		"what failed on a channel since yesterday: webhooks resend --channel contacts --status failed --since 1d",
	},
	flags: func(f *flags) action {
		find := f.filter()
		r := resendFlags{
			include: f.Bool("include-received", false, "also what the receiver has or may have"),
			dryRun:  f.Bool("dry-run", false, "only count"),
			yes:     f.Bool("yes", false, "do not ask"),
		}
		do := f.admins()
		return func(ctx, stop context.Context, args []string) error {
			if len(args) == 1 {
				return resendOne(stop, f, do, find, r, args[0])
			}
			return resendMany(ctx, stop, f, do, find, r)
		}
	},
}

type resendFlags struct{ include, dryRun, yes *bool }

func resendOne(ctx context.Context, f *flags, do func(context.Context, func(*store.Admin) error) error, find *filter, r resendFlags, word string) error {
	if find.any() || *r.include || *r.dryRun {
		return usagef("resend: expected either an ID or a filter")
	}
	id, err := eventID(f, word)
	if err != nil {
		return err
	}
	return do(ctx, func(a *store.Admin) error { return printAct(ctx, f, a, `select webhook.retry($1)`, id) })
}

func resendMany(ctx, stop context.Context, f *flags, do func(context.Context, func(*store.Admin) error) error, find *filter, r resendFlags) error {
	if !find.any() {
		return usagef("resend: expected an ID or a filter, such as --channel contacts --status failed; see webhooks resend --help")
	}
	match, err := find.read(time.Now())
	if err != nil {
		return err
	}
	if match.Status == "pending" || match.Status == "sending" {
		return usagef("resend: --status: what is %s is sent by itself; only finished events can be sent again", match.Status)
	}
	re := admin.Resend{Channel: find.channel(), Filter: match, IncludeReceived: *r.include}
	return do(ctx, func(a *store.Admin) error {
		p, err := a.PreviewResend(stop, re)
		if err != nil {
			return fmt.Errorf("resend: %w", err)
		}
		count, err := printPreview(f.p.Stdout, p, map[bool]string{true: "WOULD SEND", false: "TO SEND"}[*r.dryRun])
		if err != nil || count == "" || *r.dryRun {
			return err
		}
		if err := f.confirm(stop, "Send "+count+" again?", *r.yes); err != nil {
			return err
		}
		if re.Filter.Until.IsZero() || re.Filter.Until.After(p.At) {
			re.Filter.Until = p.At // what has finished since was not counted
		}
		id, err := a.StartResend(stop, localUser(), re)
		if err != nil {
			return fmt.Errorf("resend: %w", err)
		}
		done, err := carryOut(ctx, stop, f, a, id, "sent again")
		if err != nil {
			return err
		}
		return writeLine(f.p.Stdout, "%s.", eventsWere(done, "sent again"))
	})
}

// printPreview shows what a resend would do, under a heading for what is sent, and returns how many events in words:
// "" for none.
func printPreview(w io.Writer, p admin.ResendPreview, heading string) (count string, err error) {
	var send, overtaken, received, tests int64
	more := false
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "CHANNEL\t%s\tLEFT OUT: SUPERSEDED\tRECEIVED\tTESTS\n", heading)
	for _, c := range p.Channels {
		off := ""
		if c.Off {
			off = "  off: skipped again"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d%s\n", c.Channel, plus(c.Send, c.More), c.Overtaken, c.Received, c.Test, off)
		send, overtaken, received, tests, more = send+c.Send, overtaken+c.Overtaken, received+c.Received, tests+c.Test, more || c.More
	}
	if len(p.Channels) == 0 {
		return "", writeLine(w, "No finished event matches.")
	}
	if err := t.Flush(); err != nil {
		return "", err
	}
	for i, d := range p.First {
		if i == 0 {
			fmt.Fprintln(w, "The first of them:")
		}
		fmt.Fprintf(w, "  %d  %s  %s\n", d.ID, d.Event, d.Status)
	}
	if received > 0 {
		fmt.Fprintln(w, "What the receiver has or may have is left out, unless --include-received.")
	}
	if send == 0 && !more {
		return "", writeLine(w, "Nothing is sent again.")
	}
	return eventCount(send, more), nil
}

// eventCount is "1 event", "2 events", "10000+ events".
func eventCount(n int64, more bool) string {
	return plus(n, more) + " " + plural(n, "event", "events")
}

// eventsWere is what has become of events: "1 event was deleted".
func eventsWere(n int64, what string) string {
	return eventCount(n, false) + " " + plural(n, "was", "were") + " " + what
}

// plus is a number that may be the least of what there is.
func plus(n int64, more bool) string {
	if more {
		return fmt.Sprintf("%d+", n/10000*10000) // one more than it is was counted, to know that there are more
	}
	return fmt.Sprint(n)
}

// Between two batches the workers and the application have the database.
const (
	restBetweenBatches = 20 * time.Millisecond
	waitForAnswer      = time.Second
)

// carryOut advances an operation until it is over, and returns to how many events it did what, or until stop ends:
// then it ends the operation. A page that runs at the same time may do a part of the batches.
func carryOut(ctx, stop context.Context, f *flags, a *store.Admin, id int64, what string) (done int64, err error) {
	bar := f.progress()
	defer bar.end()
	silent := false
	for {
		if stop.Err() != nil {
			return 0, interrupt(ctx, f, a, id, bar, what)
		}
		more, err := a.AdvanceOperation(ctx, id)
		var o admin.Operation
		if err == nil {
			o, err = a.Operation(ctx, id)
		}
		rest := restBetweenBatches
		switch {
		case errors.Is(err, admin.ErrUnavailable):
			if !silent {
				bar.end()
				fmt.Fprintf(f.p.Stderr, "The database does not answer, trying again: %v\n", err)
			}
			silent, rest = true, waitForAnswer
		case err != nil:
			return 0, fmt.Errorf("%s: operation %d is not finished, a page that runs goes on with it; to end it: select webhook.stop_operation(%d): %w", f.name, id, id, err)
		case o.Problem != "":
			return 0, fmt.Errorf("%s: operation %d cannot go on: %s", f.name, id, o.Problem)
		case o.Stopped != nil:
			return 0, fmt.Errorf("%s: %s stopped it; %s", f.name, o.StoppedBy, eventsWere(o.Done, what))
		case !more:
			bar.show(o.Done, o.Done, false)
			bar.end()
			return o.Done, nil
		default:
			bar.show(o.Done, o.Expected, o.ExpectedMore)
		}
		select {
		case <-stop.Done():
		case <-time.After(rest):
		}
	}
}

// interrupt ends an operation after the batch that runs.
func interrupt(ctx context.Context, f *flags, a *store.Admin, id int64, bar *progress, what string) error {
	err := a.StopOperation(ctx, localUser(), id)
	var o admin.Operation
	if err == nil {
		o, err = a.Operation(ctx, id)
	}
	bar.end()
	if err != nil {
		return fmt.Errorf("%s: interrupted, and operation %d is not ended; to end it: select webhook.stop_operation(%d): %w", f.name, id, id, err)
	}
	return fmt.Errorf("%s: interrupted; %s, the others are as they were", f.name, eventsWere(o.Done, what))
}
