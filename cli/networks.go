package cli

import (
	"net/netip"

	"github.com/recordengine/webhooks/sender"
)

// networks is the setting WEBHOOK_ALLOW_NETWORKS.
type networks []netip.Prefix

func (n *networks) set(text string) (err error) {
	*n, err = sender.ParseNetworks(text)
	return err
}

// caFile is the setting WEBHOOK_CA_FILE.
type caFile string

func (c *caFile) set(path string) error {
	*c = caFile(path)
	return sender.CheckCAFile(path)
}
