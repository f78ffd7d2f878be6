package outbox

// Channel is one kind of event with an endpoint, a switch and a lane of its own. What else is known
// of a channel, its guarantee included, stands in webhook.channels.
type Channel struct {
	Name  string // as in webhook.channels: "documents", "audit_log", …
	Event string // the one event it carries: "document.exported", …
}

var channels = [...]Channel{
	{Name: "documents", Event: "document.exported"},
	{Name: "contacts", Event: "contact.created"},
	{Name: "folders", Event: "folder.created"},
	{Name: "cases", Event: "case.created"},
	{Name: "notifications", Event: "notification.created"},
	{Name: "rules", Event: "rule.executed"},
	{Name: "audit_log", Event: "audit.log"},
}

// Channels returns the channels in the order in which they are listed everywhere. The slice is the
// caller's own.
func Channels() []Channel {
	all := channels
	return all[:]
}

// ChannelOf returns the channel that carries the named event; false for an unknown event. Names are
// compared exactly.
func ChannelOf(event string) (Channel, bool) {
	for _, c := range channels {
		if c.Event == event {
			return c, true
		}
	}
	return Channel{}, false
}
