package sender

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// ParseNetworks reads the list of WEBHOOK_ALLOW_NETWORKS: CIDR networks or
// bare addresses, separated by commas, white space or both. An empty list is
// nil. The error quotes the entry that it is about, not the setting's name.
func ParseNetworks(list string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, entry := range strings.FieldsFunc(list, separates) {
		p, err := parseNetwork(entry)
		if err != nil {
			return nil, err
		}
		networks = append(networks, p)
	}
	return networks, nil
}

func separates(r rune) bool { return r == ',' || unicode.IsSpace(r) }

// parseNetwork rejects 10.1.2.3/8: it means one host or a whole network, and a
// wrong guess would allow sixteen million addresses.
func parseNetwork(entry string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(entry); err == nil && addr.Zone() == "" {
		return unmapPrefix(netip.PrefixFrom(addr, addr.BitLen())), nil
	}
	p, err := netip.ParsePrefix(entry)
	if err != nil {
		return p, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 or fd00::/8 nor an address such as 10.1.2.3", entry)
	}
	if p != p.Masked() {
		one := netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
		return p, fmt.Errorf("%q has bits set beyond its length: write %s for the network or %s for the one address", entry, p.Masked(), one)
	}
	return unmapPrefix(p), nil
}

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8, as the guard compares
// unmapped addresses.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
