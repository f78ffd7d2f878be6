package sender

import "net/netip"

// The networks whose addresses lead to an IPv4 address that they contain.
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	teredo     = netip.MustParsePrefix("2001::/32")
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
)

// embedded returns the IPv4 addresses that an IPv6 address leads to. own says
// whether it has to be allowed itself besides: a tunnel is nothing public.
func embedded(addr netip.Addr) (inner []netip.Addr, own bool) {
	if !addr.Is6() {
		return nil, true
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case nat64.Contains(addr):
		return []netip.Addr{last}, false
	case localNAT64.Contains(addr):
		return readings(b), false
	case sixToFour.Contains(addr):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[2:6]))}, true
	case teredo.Contains(addr):
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return []netip.Addr{netip.AddrFrom4([4]byte(b[4:8])), netip.AddrFrom4(client)}, true
	case translated.Contains(addr), compatible.Contains(addr) && !thisNetwork(last):
		return []netip.Addr{last}, true
	}
	return nil, true
}

// readings are the IPv4 addresses of RFC 6052, section 2.2: an operator divides
// 64:ff9b:1::/48 as they like, and the length of his prefix is not in the address.
// A reading in 0.0.0.0/8, to which nothing leads, is none.
func readings(b [16]byte) []netip.Addr {
	var all []netip.Addr
	for _, four := range [][4]byte{
		{b[12], b[13], b[14], b[15]}, // /96, the usual one
		{b[6], b[7], b[9], b[10]},    // /48
		{b[7], b[9], b[10], b[11]},   // /56
		{b[9], b[10], b[11], b[12]},  // /64
	} {
		if a := netip.AddrFrom4(four); !thisNetwork(a) {
			all = append(all, a)
		}
	}
	return all
}

func thisNetwork(a netip.Addr) bool { return a.As4()[0] == 0 }
