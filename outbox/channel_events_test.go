package outbox_test

import (
	"slices"
	"testing"

	"github.com/recordengine/webhooks/envelope"
	"github.com/recordengine/webhooks/outbox"
)

func TestChannels_EachEventCanBeRenderedAndViceVersa(t *testing.T) {
	var carried []string
	for _, c := range outbox.Channels() {
		carried = append(carried, c.Event)
	}
	slices.Sort(carried)
	rendered := envelope.Events()
	slices.Sort(rendered)
	if !slices.Equal(carried, rendered) {
		t.Errorf("the channels carry %q, package envelope renders %q", carried, rendered)
	}
}
