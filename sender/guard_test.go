package sender

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestGuard_EveryNetwork(t *testing.T) {
	for _, c := range []struct{ addr, kind string }{
		{"0.0.0.0", "this network"}, {"0.255.255.255", "this network"}, {"1.0.0.0", ""},
		{"9.255.255.255", ""}, {"10.0.0.0", "private"}, {"10.255.255.255", "private"}, {"11.0.0.0", ""},
		{"100.63.255.255", ""}, {"100.64.0.0", "shared (carrier-grade NAT)"}, {"100.127.255.255", "shared (carrier-grade NAT)"}, {"100.128.0.0", ""},
		{"126.255.255.255", ""}, {"127.0.0.1", "loopback"}, {"127.255.255.255", "loopback"}, {"128.0.0.0", ""},
		{"169.253.255.255", ""}, {"169.254.169.254", "link-local"}, {"169.255.0.0", ""},
		{"172.15.255.255", ""}, {"172.16.0.0", "private"}, {"172.31.255.255", "private"}, {"172.32.0.0", ""},
		{"192.0.0.0", "protocol assignments"}, {"192.0.0.255", "protocol assignments"}, {"192.0.1.0", ""},
		{"192.0.2.1", "documentation"}, {"192.88.99.1", "6to4 relay"},
		{"192.167.255.255", ""}, {"192.168.0.0", "private"}, {"192.168.255.255", "private"}, {"192.169.0.0", ""},
		{"198.17.255.255", ""}, {"198.18.0.0", "benchmarking"}, {"198.19.255.255", "benchmarking"}, {"198.20.0.0", ""},
		{"198.51.100.7", "documentation"}, {"203.0.113.7", "documentation"},
		{"223.255.255.255", ""}, {"224.0.0.1", "multicast"}, {"239.255.255.255", "multicast"},
		{"240.0.0.1", "reserved"}, {"255.255.255.254", "reserved"}, {"255.255.255.255", "broadcast"},
		{"8.8.8.8", ""}, {"93.184.216.34", ""},

		{"::", "unspecified"}, {"::1", "loopback"}, {"::2", "reserved"}, {"::7f00:1", "reserved"},
		{"::ffff:127.0.0.1", "loopback"}, {"::ffff:10.1.2.3", "private"}, {"::ffff:169.254.169.254", "link-local"}, {"::ffff:8.8.8.8", ""},
		{"::ffff:0:127.0.0.1", "reserved"},
		{"64:ff9b::7f00:1", "loopback"}, {"64:ff9b::a9fe:a9fe", "link-local"}, {"64:ff9b::10.1.2.3", "private"}, {"64:ff9b::808:808", ""},
		{"64:ff9b:1::1", "NAT64"}, {"64:ff9b:1::10.1.2.3", "private"}, {"64:ff9b:1::8.8.8.8", ""}, {"64:ff9b:1:808:8:800::", ""},
		{"100::1", "discard-only"}, {"100:0:0:1::1", "reserved"},
		{"2001::1", "Teredo"}, {"2001:2::1", "protocol assignments"}, {"2001:20::1", "protocol assignments"}, {"2001:1ff::1", "protocol assignments"}, {"2001:200::1", ""},
		{"2001:db8::1", "documentation"}, {"2002:7f00:1::1", "6to4"}, {"3fff::1", "documentation"}, {"3fff:1000::1", ""},
		{"4000::1", "reserved"}, {"5f00::1", "segment routing"},
		{"fc00::1", "private (unique local)"}, {"fd12:3456::1", "private (unique local)"},
		{"fe80::1", "link-local"}, {"fe80::1%eth0", "link-local"}, {"febf::1%lo", "link-local"}, {"::1%lo", "loopback"}, {"::ffff:127.0.0.1%lo", "loopback"},
		{"fec0::1", "site-local"}, {"ff02::1", "multicast"}, {"ff0e::1%eth0", "multicast"},
		{"2606:4700::1111", ""}, {"2a00:1450:4001::1", ""},
	} {
		t.Run(c.addr, func(t *testing.T) {
			addr := netip.MustParseAddr(c.addr)
			err := newGuard(nil).control(context.Background(), "tcp", netip.AddrPortFrom(addr, 443).String(), nil)
			var blocked *blockedError
			if errors.As(err, &blocked); (c.kind == "") != (err == nil) || blocked != nil && blocked.kind != c.kind {
				t.Fatalf("got %v, want %q", err, c.kind)
			}
			if blocked == nil {
				return
			}
			if err := newGuard([]netip.Prefix{blocked.smallest()}).judge(addr); err != nil {
				t.Errorf("its own smallest prefix %s does not allow it: %v", blocked.smallest(), err)
			}
		})
	}
}

// The length of a prefix within 64:ff9b:1::/48 is the gateway's own: every
// reading has to be public. No network but IPv4's own allows one.
func TestGuard_AddressBehindAGatewayIsJudgedByWhatItHolds(t *testing.T) {
	for _, c := range []struct {
		allow, addr string
		allowed     bool
	}{
		{"64:ff9b::/96", "64:ff9b::127.0.0.1", false},
		{"64:ff9b::/96", "64:ff9b::169.254.169.254", false},
		{"64:ff9b::/96", "64:ff9b::8.8.8.8", true},
		{"64:ff9b::7f00:1", "64:ff9b::127.0.0.1", false},
		{"::/0", "64:ff9b::10.0.0.1", false},
		{"10.0.0.0/8", "64:ff9b::10.0.0.1", true},
		{"", "64:ff9b:1:a9fe:a9:fe00::", false},
		{"", "64:ff9b:1:0:a9:fea9:fe00:0", false},
		{"", "64:ff9b:1:7f00:0:100::", false},
		{"64:ff9b:1::/48", "64:ff9b:1:ffff::127.0.0.1", false},
		{"64:ff9b:1::/48", "64:ff9b:1::1", true},
		{"2002::/16", "2002:7f00:1::1", false},
		{"2002::/16", "2002:808:808::1", true},
		{"", "2002:808:808::1", false},
		{"2001::/32", "2001:0:808:808::80ff:fffe", false}, // the client is 127.0.0.1
		{"2001::/32", "2001:0:808:808::f7f7:f7f7", true},
		{"::/0", "::127.0.0.1", false},
		{"::/0", "::ffff:0:127.0.0.1", false},
		{"::/0", "::1", true},
	} {
		networks, err := ParseNetworks(c.allow)
		if err != nil {
			t.Fatal(err)
		}
		if err := newGuard(networks).judge(netip.MustParseAddr(c.addr)); (err == nil) != c.allowed {
			t.Errorf("%s with %q: got %v", c.addr, c.allow, err)
		}
	}
}

func TestGuard_UnreadableAddressIsBlocked(t *testing.T) {
	for _, address := range []string{"", "localhost:80", "127.0.0.1", "/run/socket"} {
		if newGuard(nil).control(context.Background(), "tcp", address, nil) == nil {
			t.Errorf("%q passed", address)
		}
	}
}

func TestGuard_AllowedNetworks(t *testing.T) {
	for _, c := range []struct {
		allow, addr string
		allowed     bool
	}{
		{"10.0.0.0/8", "10.9.8.7", true},
		{"10.0.0.0/8", "::ffff:10.9.8.7", true},
		{"::ffff:10.0.0.0/104", "10.9.8.7", true},
		{"10.0.0.0/8", "192.168.1.1", false},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"fd00::/8", "fd12::1", true},
		{"fe80::/10", "fe80::1%eth0", true},
		{"::1", "::1", true},
		{"::1", "127.0.0.1", false},
		{"::/0", "10.0.0.1", false},
		{"0.0.0.0/0", "127.0.0.1", true},
		{"0.0.0.0/0", "::1", false},
	} {
		t.Run(c.allow+" "+c.addr, func(t *testing.T) {
			networks, err := ParseNetworks(c.allow)
			if err != nil {
				t.Fatal(err)
			}
			if err := newGuard(networks).judge(netip.MustParseAddr(c.addr)); (err == nil) != c.allowed {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestParseNetworks(t *testing.T) {
	for _, c := range []struct{ name, in, want, err string }{
		{"empty", "", "[]", ""},
		{"separators only", " , ,\n", "[]", ""},
		{"one", "10.0.0.0/8", "[10.0.0.0/8]", ""},
		{"commas and spaces", "10.0.0.0/8, 192.168.0.0/16\tfd00::/8,,::1", "[10.0.0.0/8 192.168.0.0/16 fd00::/8 ::1/128]", ""},
		{"bare address", "127.0.0.1", "[127.0.0.1/32]", ""},
		{"mapped", "::ffff:127.0.0.1 ::ffff:10.0.0.0/104", "[127.0.0.1/32 10.0.0.0/8]", ""},
		{"everything", "0.0.0.0/0 ::/0", "[0.0.0.0/0 ::/0]", ""},
		{"name", "10.0.0.0/8 localhost", "", `"localhost" is neither`},
		{"too long", "10.0.0.0/33", "", `"10.0.0.0/33" is neither`},
		{"zone", "fe80::1%eth0", "", "is neither"},
		{"octets", "10.0/8", "", "is neither"},
		{"host bits", "10.1.2.3/8", "", `"10.1.2.3/8" has bits set beyond its length: write 10.0.0.0/8 for the network or 10.1.2.3/32`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseNetworks(c.in)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v", err)
				}
			case err != nil || fmt.Sprint(got) != c.want:
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestGuard_LoopbackIsBlockedByDefault(t *testing.T) {
	srv := answering(t, keepAliveOK)
	port := srv.Addr().(*net.TCPAddr).Port
	for _, c := range []struct{ host, says string }{
		{"127.0.0.1", "add 127.0.0.1/32 to WEBHOOK_ALLOW_NETWORKS"},
		{"localhost", "to WEBHOOK_ALLOW_NETWORKS"},
		{"[::ffff:127.0.0.1]", "add 127.0.0.1/32 to WEBHOOK_ALLOW_NETWORKS"},
		{"[::ffff:7f00:1]", "add 127.0.0.1/32 to WEBHOOK_ALLOW_NETWORKS"},
		{"0.0.0.0", "which is this network; to allow it, add 0.0.0.0/32 to WEBHOOK_ALLOW_NETWORKS"},
		{"[::1%25lo]", "which is loopback; to allow it, add ::1/128 to WEBHOOK_ALLOW_NETWORKS"},
	} {
		t.Run(c.host, func(t *testing.T) {
			origin := fmt.Sprintf("http://%s:%d", c.host, port)
			s := New(Options{Timeout: 10 * time.Second})
			shown := strings.Replace(origin, "%25", "%", 1)
			failsWith(t, send(t, s, newRequest(origin+"/geheim")), "address not allowed: "+shown+" leads to ", c.says, "nothing was sent")
		})
	}
	if srv.conns.Load() != 0 {
		t.Error("it was called")
	}
}

// nameServer answers each question for an IPv4 address by the name's first
// label, and has no IPv6 addresses.
func nameServer(t *testing.T, names map[string][]string, rcode byte) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(dnsAnswer(buf[:n], names, rcode), from)
		}
	}()
	return resolverAt(pc.LocalAddr().String())
}

// resolverAt asks the name server at this address.
func resolverAt(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", address)
	}}
}

// dnsAnswer is RFC 1035, section 4: header, the question again, the answers.
func dnsAnswer(query []byte, names map[string][]string, rcode byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	var addrs []string
	if binary.BigEndian.Uint16(query[end-4:]) == 1 && rcode == 0 {
		addrs = names[string(query[13:13+query[12]])]
	}
	out := append([]byte{query[0], query[1], 0x81, 0x80 | rcode, 0, 1, 0, byte(len(addrs)), 0, 0, 0, 0}, query[12:end]...)
	for _, a := range addrs {
		ip := netip.MustParseAddr(a).As4()
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		out = append(out, ip[:]...)
	}
	return out
}

// withNames returns a Sender that uses the given name server.
func withNames(t *testing.T, o Options, r *net.Resolver) *Sender {
	t.Helper()
	s := New(o)
	s.dialer.resolver = r
	t.Cleanup(s.Close)
	return s
}

func TestGuard_NameIsJudgedByEachAddress(t *testing.T) {
	srv := answering(t, keepAliveOK)
	port := srv.Addr().(*net.TCPAddr).Port
	names := nameServer(t, map[string][]string{
		"inside": {"127.0.0.1"}, "two": {"127.0.0.9", "127.0.0.1"}, "otherwise": {"127.0.0.1", "127.0.0.9"}, "metadata": {"169.254.169.254"},
	}, 0)
	s := withNames(t, Options{Timeout: 10 * time.Second}, names)
	for host, addr := range map[string]string{"inside": "127.0.0.1", "two": "127.0.0.", "metadata": "169.254.169.254"} {
		got := send(t, s, newRequest(fmt.Sprintf("http://%s.test:%d/", host, port)))
		failsWith(t, got, fmt.Sprintf("address not allowed: http://%s.test:%d leads to %s", host, port, addr))
	}
	if srv.conns.Load() != 0 {
		t.Error("it was called")
	}

	s = withNames(t, Options{Timeout: 10 * time.Second, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, names)
	for _, host := range []string{"two", "otherwise"} {
		if got := send(t, s, newRequest(fmt.Sprintf("http://%s.test:%d/", host, port))); !got.Delivered() {
			t.Errorf("%s: one of its addresses is allowed, but: %+v", host, got)
		}
	}
}
