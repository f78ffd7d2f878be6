package outbox_test

import (
	"slices"
	"testing"

	"github.com/recordengine/webhooks/outbox"
)

// The specification's channels come first, in its order; a channel that is added later stands behind
// them.
func TestChannels_StandInTheSpecificationsOrder(t *testing.T) {
	want := []outbox.Channel{
		{Name: "documents", Event: "document.exported"},
		{Name: "contacts", Event: "contact.created"},
		{Name: "folders", Event: "folder.created"},
		{Name: "cases", Event: "case.created"},
		{Name: "notifications", Event: "notification.created"},
		{Name: "rules", Event: "rule.executed"},
		{Name: "audit_log", Event: "audit.log"},
	}
	got := outbox.Channels()
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Fatalf("the channels are %+v, %+v were expected first", got, want)
	}
	for _, c := range got {
		if found, ok := outbox.ChannelOf(c.Event); !ok || found != c {
			t.Errorf("the channel of %s is %+v, %v", c.Event, found, ok)
		}
	}
}

func TestChannels_AreTheCallersOwn(t *testing.T) {
	outbox.Channels()[0].Name = "changed"
	if got := outbox.Channels()[0].Name; got != "documents" {
		t.Errorf("the first channel is %q", got)
	}
}

func TestChannelOf_UnknownEventHasNone(t *testing.T) {
	for _, event := range []string{"", "documents", "Document.Exported", "document.exported "} {
		if c, ok := outbox.ChannelOf(event); ok {
			t.Errorf("%q has the channel %+v", event, c)
		}
	}
}
