package outbox

// Channel is one of the seven kinds of event, each with an endpoint, a switch
// and a queue of its own (the spec's Overview).
type Channel struct {
	Name  string // as in webhook.channels: "documents", "audit_log", …
	Event string // the one event it carries: "document.exported", …

	// RetriesForever tells the two guarantees apart: a document is attempted
	// until a counted success, everything else once (the spec's Retry Behavior).
	RetriesForever bool
}

// EventDocumentExported is the one event whose delivery is retried and whose
// envelope holds computed fields.
const EventDocumentExported = "document.exported"

var channels = [...]Channel{
	{Name: "documents", Event: EventDocumentExported, RetriesForever: true},
	{Name: "contacts", Event: "contact.created"},
	{Name: "folders", Event: "folder.created"},
	{Name: "cases", Event: "case.created"},
	{Name: "notifications", Event: "notification.created"},
	{Name: "rules", Event: "rule.executed"},
	{Name: "audit_log", Event: "audit.log"},
}

// Channels returns the seven channels in the spec's order. The slice is the
// caller's own.
func Channels() []Channel {
	all := channels
	return all[:]
}

// ChannelOf returns the channel that carries the named event; false for an
// event that the spec does not know. Names are compared exactly.
func ChannelOf(event string) (Channel, bool) {
	for _, c := range channels {
		if c.Event == event {
			return c, true
		}
	}
	return Channel{}, false
}
