package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/recordengine/webhooks/store"
)

// eventArgument is the id of an event.
var eventArgument = argument{name: "ID"}

// eventID reads the id of an event.
func eventID(f *flags, word string) (int64, error) {
	id, err := strconv.ParseInt(word, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%s: %q is no event id, such as 1001", f.name, word)
	}
	return id, nil
}

// cancelCommand is `webhooks cancel ID`.
var cancelCommand = command{
	name: "cancel", group: groupAct, role: adminRole,
	arguments: []argument{eventArgument},
	about:     "cancel a pending event",
	text:      "Refused while a worker holds it, and once it is finished. It stays in the table as cancelled; webhooks resend undoes it.",
	exits:     "1 when it is refused",
	examples: []string{
		"do not deliver event 1001: webhooks cancel 1001",
		"deliver it after all: webhooks resend 1001",
	},
	flags: actOn(`select webhook.cancel($1)`),
}

// markDeliveredCommand is `webhooks mark-delivered ID NOTE`.
var markDeliveredCommand = command{
	name: "mark-delivered", group: groupAct, role: adminRole,
	arguments: []argument{eventArgument, {name: "NOTE"}},
	about:     "record that the receiver has an event",
	text:      "The note says how that is known. Who recorded it, and when, is kept with it.",
	exits:     "1 when it is refused",
	examples: []string{
		"entered by hand at the receiver: webhooks mark-delivered 1001 'entered by hand, ticket 4711'",
		"and see what is recorded: webhooks show 1001",
	},
	flags: actOn(`select webhook.mark_delivered($1, $2)`),
}

// actOn is what calls a function of the database that acts on one event and returns where it is then.
func actOn(call string) func(f *flags) action {
	return func(f *flags) action {
		do := f.admins()
		return func(_, stop context.Context, args []string) error {
			id, err := eventID(f, args[0])
			if err != nil {
				return err
			}
			parameters := []any{id}
			for _, a := range args[1:] {
				parameters = append(parameters, a)
			}
			return do(stop, func(a *store.Admin) error { return printAct(stop, f, a, call, parameters...) })
		}
	}
}

func printAct(ctx context.Context, f *flags, a *store.Admin, call string, parameters ...any) error {
	said, err := a.Act(ctx, localUser(), call, parameters...)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	paragraph(f.p.Stdout, f.screenWidth(), "", "", visible(inCommands(said)))
	return nil
}
