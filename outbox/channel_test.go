package outbox_test

import (
	"testing"

	"github.com/recordengine/webhooks/outbox"
)

func TestTheSevenChannelsInTheSpecsOrder(t *testing.T) {
	want := []outbox.Channel{
		{Name: "documents", Event: "document.exported", RetriesForever: true},
		{Name: "contacts", Event: "contact.created"},
		{Name: "folders", Event: "folder.created"},
		{Name: "cases", Event: "case.created"},
		{Name: "notifications", Event: "notification.created"},
		{Name: "rules", Event: "rule.executed"},
		{Name: "audit_log", Event: "audit.log"},
	}
	got := outbox.Channels()
	if len(got) != len(want) {
		t.Fatalf("%d channels, %d were expected", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("channel %d is %+v, %+v was expected", i, got[i], want[i])
		}
		if found, ok := outbox.ChannelOf(want[i].Event); !ok || found != want[i] {
			t.Errorf("the channel of %s is %+v, %v", want[i].Event, found, ok)
		}
	}
}

func TestTheListOfChannelsIsTheCallersOwn(t *testing.T) {
	outbox.Channels()[0].Name = "changed"
	if got := outbox.Channels()[0].Name; got != "documents" {
		t.Errorf("the first channel is %q", got)
	}
}

func TestAnUnknownEventHasNoChannel(t *testing.T) {
	for _, event := range []string{"", "documents", "Document.Exported", "document.exported "} {
		if c, ok := outbox.ChannelOf(event); ok {
			t.Errorf("%q has the channel %+v", event, c)
		}
	}
}
