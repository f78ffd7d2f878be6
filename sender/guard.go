package sender

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// guard blocks addresses that are not public, unless the operator has allowed
// them: a role that may set a channel's URL must not reach the worker's own
// network through it.
type guard struct{ allowed []netip.Prefix }

func newGuard(allowed []netip.Prefix) guard {
	g := guard{}
	for _, p := range allowed {
		g.allowed = append(g.allowed, unmapPrefix(p))
	}
	return g
}

// control is a net.Dialer's ControlContext. It is called with the address that is
// dialled, for each candidate, so neither a name's second address nor one that
// changes between look-up and call bypasses it.
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("an address that cannot be checked: %w", err)
	}
	return g.judge(at.Addr())
}

// judge returns nil or a *blockedError. An IPv4-mapped IPv6 address is judged as
// the IPv4 address that it is, and so is what a NAT64 gateway makes one of: by no
// other network can they be allowed. A network of tunnels that is allowed does not
// open what they lead to; one address of it may be named. A zone changes nothing.
func (g guard) judge(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	inner, own := embedded(addr)
	if own || len(inner) == 0 {
		if err := g.judgeOne(addr, addr); err != nil || g.names(addr) {
			return err
		}
	}
	for _, in := range inner {
		if err := g.judgeOne(in, addr); err != nil {
			return err
		}
	}
	return nil
}

func (g guard) names(addr netip.Addr) bool {
	return slices.Contains(g.allowed, netip.PrefixFrom(addr, addr.BitLen()))
}

func (g guard) judgeOne(addr, dialled netip.Addr) error {
	for _, p := range g.allowed {
		if p.Contains(addr) {
			return nil
		}
	}
	if kind := kindOf(addr); kind != "" {
		return &blockedError{addr: addr, dialled: dialled, kind: kind}
	}
	return nil
}

// blockedError is an address that may not be called.
type blockedError struct {
	addr    netip.Addr
	dialled netip.Addr // holds addr, or is addr
	kind    string     // "loopback", "private", …
}

func (e *blockedError) Error() string {
	return fmt.Sprintf("%s is not allowed: it is %s", e.shown(), e.kind)
}

// shown is the address that was dialled, and what it stands for.
func (e *blockedError) shown() string {
	if e.addr == e.dialled {
		return e.addr.String()
	}
	return fmt.Sprintf("%s (%s behind a gateway)", e.dialled, e.addr)
}

// smallest is the narrowest network that would allow the address.
func (e *blockedError) smallest() netip.Prefix {
	return netip.PrefixFrom(e.addr, e.addr.BitLen())
}

// kindOf names what an address is; empty means public.
func kindOf(addr netip.Addr) string {
	for _, s := range special {
		if s.network.Contains(addr) {
			return s.kind
		}
	}
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return "reserved"
	}
	return ""
}

// globalUnicast is all of IPv6 that IANA has opened for public use; everything
// outside it is blocked, listed or not.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// special is IANA's special-purpose registries (IPv4 and IPv6) as far as they are
// not public, and the tunnels. The first match counts.
var special = []struct {
	network netip.Prefix
	kind    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared (carrier-grade NAT)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped"},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard-only"},
	{netip.MustParsePrefix("2001::/32"), "Teredo"},
	{netip.MustParsePrefix("2001::/23"), "protocol assignments"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "private (unique local)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}
